// Attach and Open Shell: terminals in a sandbox that runs.
import type { App } from "../app";
import { chooseSandbox, onlyRunning, requireTrust, type Target } from "../choose";
import type { SandboxInfo } from "../generated/protocol";
import { cancelled, done, type Result } from "../result";
import { terminalPlace } from "../settings";
import type { TerminalKind } from "../terminal";

export function attach(app: App, target: Target): Promise<Result<unknown>> {
  return openIn(app, target, "claude", "Attach");
}

export function openShell(app: App, target: Target): Promise<Result<unknown>> {
  return openIn(app, target, "shell", "Open Shell");
}

async function openIn(app: App, target: Target, kind: TerminalKind, title: string): Promise<Result<unknown>> {
  if (!(await requireTrust("A terminal in a sandbox"))) return cancelled;
  const sandbox = await chooseSandbox(app, target, { title, ...onlyRunning });
  return sandbox.kind === "ok" ? openTerminal(app, sandbox.value, kind) : sandbox;
}

export async function openTerminal(app: App, sandbox: SandboxInfo, kind: TerminalKind): Promise<Result<undefined>> {
  const running = await app.server.start();
  if (running.kind !== "ok" || app.server.command === undefined) return running;
  app.terminals.open(sandbox, kind, app.server.command, terminalPlace());
  return done;
}
