// The terminal in which the person signs in: `boxwood login`, run directly. What is typed there is between them and Claude
// Code; nothing of it is read here.
import { homedir } from "node:os";
import * as vscode from "vscode";
import { type TerminalPlace } from "./settings";
import { location, MARK } from "./terminal";
import { isRecord } from "./wire";

const LOGIN = "login";

export class LoginTerminal {
  readonly #subscription: vscode.Disposable;
  #terminal: vscode.Terminal | undefined;

  /** @param onEnded told when the program ended, with its status; undefined when the person closed the terminal */
  constructor(onEnded: (exitCode: number | undefined) => void) {
    this.#subscription = vscode.window.onDidCloseTerminal((terminal) => {
      if (terminal !== this.#terminal) return;
      this.#terminal = undefined;
      const status = terminal.exitStatus;
      onEnded(status?.reason === vscode.TerminalExitReason.Process ? status.code : undefined);
    });
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  /** Shows the terminal; there is at most one, also after the window was reloaded. */
  open(server: string, place: TerminalPlace): void {
    this.#terminal ??= open() ?? create(server, place);
    this.#terminal.show();
  }
}

function open(): vscode.Terminal | undefined {
  return vscode.window.terminals.find(({ creationOptions, exitStatus }) => {
    const env: unknown = "env" in creationOptions ? creationOptions.env : undefined;
    return isRecord(env) && env[MARK] === LOGIN && exitStatus === undefined;
  });
}

function create(server: string, place: TerminalPlace): vscode.Terminal {
  return vscode.window.createTerminal({
    name: "Sign in to Claude",
    shellPath: server,
    shellArgs: ["login"],
    // A login is no folder's: none has a say in it, trusted or not.
    cwd: homedir(),
    iconPath: new vscode.ThemeIcon("account"),
    env: { [MARK]: LOGIN },
    location: location(place),
  });
}
