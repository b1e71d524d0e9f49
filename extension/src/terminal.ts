// Claude's terminals: the server's `attach` run directly, without a shell in between.
import * as vscode from "vscode";
import type { SandboxInfo } from "./generated/protocol";
import { baseName } from "./format";
import type { TerminalPlace } from "./settings";
import { isRecord } from "./wire";

export type TerminalKind = "claude" | "shell";

export interface TerminalEnded {
  readonly sandbox: SandboxInfo;
  readonly kind: TerminalKind;
  readonly exitCode: number;
}

const icons: Readonly<Record<TerminalKind, vscode.ThemeIcon>> = {
  claude: new vscode.ThemeIcon("sparkle", new vscode.ThemeColor("terminal.ansiGreen")),
  shell: new vscode.ThemeIcon("terminal"),
};

/** Marks our terminals, so that they are known again after the window was reloaded. */
export const MARK = "BOXWOOD_TERMINAL";

export class Terminals {
  readonly #known = new Map<vscode.Terminal, { sandbox: SandboxInfo; kind: TerminalKind }>();
  readonly #subscription: vscode.Disposable;

  /** @param onFailed told when a terminal's program ends by itself with another status than 0 */
  constructor(onFailed: (ended: TerminalEnded) => void) {
    this.#subscription = vscode.window.onDidCloseTerminal((terminal) => {
      const known = this.#known.get(terminal);
      this.#known.delete(terminal);
      const status = terminal.exitStatus;
      if (known && status?.code && status.reason === vscode.TerminalExitReason.Process) {
        onFailed({ ...known, exitCode: status.code });
      }
    });
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  has(sandboxId: string, kind: TerminalKind): boolean {
    return this.#find(sandboxId, kind) !== undefined;
  }

  /** Closes a sandbox's terminals before its container goes away, so that nothing looks like a failure. */
  close(sandboxId: string): void {
    for (const kind of ["claude", "shell"] as const) this.#find(sandboxId, kind)?.dispose();
  }

  /** Shows the terminal of a sandbox; there is at most one of each kind. */
  open(sandbox: SandboxInfo, kind: TerminalKind, server: string, place: TerminalPlace): vscode.Terminal {
    const terminal = this.#find(sandbox.id, kind) ?? this.#create(sandbox, kind, server, place);
    this.#known.set(terminal, { sandbox, kind });
    terminal.show();
    return terminal;
  }

  #find(sandboxId: string, kind: TerminalKind): vscode.Terminal | undefined {
    const mark = `${kind}:${sandboxId}`;
    return vscode.window.terminals.find((terminal) => {
      const options = terminal.creationOptions;
      const env: unknown = "env" in options ? options.env : undefined;
      return isRecord(env) && env[MARK] === mark && terminal.exitStatus === undefined;
    });
  }

  #create(sandbox: SandboxInfo, kind: TerminalKind, server: string, place: TerminalPlace): vscode.Terminal {
    return vscode.window.createTerminal({
      name: terminalName(sandbox, kind),
      shellPath: server,
      shellArgs: attachArguments(sandbox, kind),
      iconPath: icons[kind],
      env: { [MARK]: `${kind}:${sandbox.id}` },
      location: location(place),
    });
  }
}

export function terminalName(sandbox: SandboxInfo, kind: TerminalKind): string {
  const session = sandbox.session === "default" ? "" : ` (${sandbox.session})`;
  return `${kind === "claude" ? "Claude" : "Shell"} · ${baseName(sandbox.project)}${session}`;
}

export function attachArguments(sandbox: SandboxInfo, kind: TerminalKind): string[] {
  const session = sandbox.session === "default" ? [] : ["--session", sandbox.session];
  return ["attach", "--project", sandbox.project, ...session, ...(kind === "shell" ? ["--shell"] : [])];
}

/** Where a terminal opens. */
export function location(place: TerminalPlace): NonNullable<vscode.TerminalOptions["location"]> {
  switch (place) {
    case "panel":
      return vscode.TerminalLocation.Panel;
    case "beside":
      return { viewColumn: vscode.ViewColumn.Beside };
    case "editor":
      return { viewColumn: vscode.ViewColumn.Active };
  }
}
