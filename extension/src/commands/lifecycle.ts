// Stop, Restart, Refresh and Remove.
import * as vscode from "vscode";
import type { App } from "../app";
import { chooseSandbox, onlyRunning, requireTrust, type Target } from "../choose";
import { baseName } from "../format";
import { methods, type SandboxInfo } from "../generated/protocol";
import { operate } from "../progress";
import { cancelled, type Result } from "../result";
import { openTerminal } from "./attach";
import { ensureParams } from "./start";

export async function stop(app: App, target: Target): Promise<Result<unknown>> {
  const sandbox = await chooseSandbox(app, target, { title: "Stop", ...onlyRunning });
  if (sandbox.kind !== "ok") return sandbox;
  return operate(app, {
    title: `Stopping ${named(sandbox.value)}`,
    method: methods.stop,
    params: { sandbox: sandbox.value.id },
  });
}

export async function restart(app: App, target: Target): Promise<Result<unknown>> {
  if (!(await requireTrust("Starting a sandbox"))) return cancelled;
  const sandbox = await chooseSandbox(app, target, { title: "Restart", none: "There is no sandbox to restart." });
  if (sandbox.kind !== "ok") return sandbox;
  return reopening(app, sandbox.value, () =>
    operate(app, {
      title: `Restarting ${named(sandbox.value)}`,
      method: methods.restart,
      params: { sandbox: sandbox.value.id },
    }),
  );
}

export async function refresh(app: App, target: Target): Promise<Result<unknown>> {
  if (!(await requireTrust("Starting a sandbox"))) return cancelled;
  const sandbox = await chooseSandbox(app, target, { title: "Refresh", none: "There is no sandbox to refresh." });
  if (sandbox.kind !== "ok") return sandbox;
  return reopening(app, sandbox.value, () =>
    operate(app, {
      title: `Refreshing ${named(sandbox.value)}`,
      method: methods.refresh,
      params: ensureParams(app, sandbox.value),
    }),
  );
}

export async function remove(app: App, target: Target): Promise<Result<unknown>> {
  const choice = await chooseSandbox(app, target, { title: "Remove", none: "There is no sandbox to remove." });
  if (choice.kind !== "ok") return choice;
  const sandbox = choice.value;
  const removeOnly = "Remove";
  const removeAll = "Remove with Conversations";
  const chosen = await vscode.window.showWarningMessage(
    `Remove ${named(sandbox)}?`,
    {
      modal: true,
      detail:
        "The project's files are not touched. Claude's conversations and login are kept for the next start, unless you remove them too, which cannot be undone.",
    },
    removeOnly,
    removeAll,
  );
  if (chosen === undefined) return cancelled;
  return operate(app, {
    title: `Removing ${named(sandbox)}`,
    method: methods.remove,
    params: { sandbox: sandbox.id, purgeState: chosen === removeAll },
  });
}

/** A terminal that was open before the container went away is opened again after it has come back, or never went. */
async function reopening(
  app: App,
  sandbox: SandboxInfo,
  change: () => Promise<Result<unknown>>,
): Promise<Result<unknown>> {
  const wasOpen = app.terminals.has(sandbox.id, "claude");
  const result = await change();
  const now = app.store.model.sandboxes.get(sandbox.id);
  if (wasOpen && now?.state === "running") await openTerminal(app, now, "claude");
  return result;
}

function named(sandbox: SandboxInfo): string {
  const session = sandbox.session === "default" ? "" : `, session '${sandbox.session}'`;
  return `the sandbox of '${baseName(sandbox.project)}'${session}`;
}
