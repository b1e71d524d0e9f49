// Start Claude Sandbox: brings the project's sandbox to life and opens Claude's terminal.
import * as vscode from "vscode";
import type { App } from "../app";
import { chooseProject, requireTrust, type Chosen, type Target } from "../choose";
import { baseName } from "../format";
import { methods, type EnsureParams, type EnsureResult } from "../generated/protocol";
import { operate } from "../progress";
import { cancelled, type Result } from "../result";
import { presentError } from "../errors";
import { environmentFrom, sandboxConfig } from "../settings";
import { startText } from "../view/status";
import { openTerminal } from "./attach";

export async function start(app: App, target: Target): Promise<Result<unknown>> {
  if (!(await requireTrust("Starting a sandbox"))) return cancelled;
  const chosen = await chooseProject(app, target, startText);
  if (chosen.kind !== "ok") return chosen;
  return startIn(app, chosen.value);
}

async function startIn(app: App, chosen: Chosen): Promise<Result<unknown>> {
  const { project } = chosen;
  const result = await operate(app, {
    title: `Starting the Claude sandbox of '${baseName(project)}'`,
    method: methods.ensure,
    params: ensureParams(app, chosen),
  });
  if (result.kind === "ok") return opened(app, result.value);
  if (result.kind === "error" && result.error.code === "config.approvalRequired") {
    // Shown here and not by the table: the project may be one that was picked from several.
    const retry = async (): Promise<void> => {
      const again = await startIn(app, chosen);
      if (again.kind === "error") await presentError(app, again.error, { project, retry });
    };
    void presentError(app, result.error, { project, retry });
    return cancelled;
  }
  return result;
}

async function opened(app: App, { sandbox, warnings }: EnsureResult): Promise<Result<unknown>> {
  for (const warning of warnings) void vscode.window.showWarningMessage(`Boxwood: ${warning}`);
  // The event that says so may come after the answer; nothing shown in between should be older.
  app.store.dispatch({ type: "sandboxChanged", sandbox });
  return openTerminal(app, sandbox, "claude");
}

/** What the server is told besides the project. Never logged: it can carry credentials. */
export function ensureParams(app: App, { project, session }: Chosen): EnsureParams {
  const { config, ignored } = sandboxConfig(app.sandboxSettings);
  if (ignored.length > 0) warnOfIgnored(app, ignored);
  const environment = environmentFrom(process.env);
  return {
    project,
    ...(session === undefined ? {} : { session }),
    ...(Object.keys(config).length > 0 ? { config } : {}),
    ...(environment ? { environment } : {}),
  };
}

let isWarned = false;

function warnOfIgnored(app: App, names: readonly string[]): void {
  app.log.warn(`left out, because a file of the workspace sets it: ${names.join(", ")}`);
  if (isWarned) return;
  isWarned = true;
  void vscode.window.showWarningMessage(
    `${names.join(", ")}: set by the workspace and left out. A project's own configuration belongs in .boxwood/sandbox.jsonc, which you approve when it asks for more than the default.`,
  );
}
