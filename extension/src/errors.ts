// Errors as the person sees them: what failed, the next step, and a button for each thing that can be done about it.
import * as vscode from "vscode";
import type { App } from "./app";
import { approveConfiguration } from "./approval";
import { sentence } from "./format";
import type { Action, RpcError } from "./generated/protocol";
import { unreachable } from "./result";

export interface ErrorContext {
  /** Path of the project that it was about. */
  readonly project?: string;
  /** Id of the sandbox that it was about. */
  readonly sandboxId?: string;
  /** Does the same again. */
  retry(): Promise<void>;
}

/** What a button says. */
export function buttonOf(action: Action): string {
  switch (action) {
    case "retry":
      return "Retry";
    case "runDoctor":
      return "Run Doctor";
    case "showLogs":
      return "Show Logs";
    case "openSettings":
      return "Open Settings";
    case "openConfig":
      return "Open File";
    case "approveConfig":
      return "Approve…";
    case "startSandbox":
      return "Start Sandbox";
    case "restartServer":
      return "Restart Server";
    case "cleanUp":
      return "Clean Up";
    default:
      return unreachable(action);
  }
}

/** What the button does. */
export async function perform(app: App, action: Action, error: RpcError, context: ErrorContext): Promise<void> {
  const target = targetOf(context);
  switch (action) {
    case "retry":
      return context.retry();
    case "runDoctor":
      return run("boxwood.doctor");
    case "showLogs":
      return showLogs(app, error, context);
    case "openSettings":
      return run("workbench.action.openSettings", `@ext:${app.extensionId}`);
    case "openConfig":
      return openConfiguration(app, context);
    case "approveConfig":
      return approve(app, context);
    case "startSandbox":
      return run("boxwood.start", target);
    case "restartServer":
      return run("boxwood.restartServer");
    case "cleanUp":
      return run("boxwood.cleanUp");
    default:
      return unreachable(action);
  }
}

/** Message and hint of an error in one text. */
export function errorText(error: RpcError): string {
  const what = [error.message, ...error.causes].join(": ");
  return [sentence(what), sentence(error.hint ?? "")].filter(Boolean).join(" ");
}

const presented = new WeakSet<RpcError>();

/** Shows an error and does what the person chooses. One that several waited for is shown once. */
export async function presentError(app: App, error: RpcError, context: ErrorContext): Promise<void> {
  if (presented.has(error)) return;
  presented.add(error);
  app.log.error(`${error.code}: ${error.message}${error.traceId === undefined ? "" : ` (trace ${error.traceId})`}`);
  if (error.code === "config.approvalRequired" && context.project !== undefined) return approve(app, context);
  const actions = knownActions(error);
  const chosen = await vscode.window.showErrorMessage(errorText(error), ...actions.map(buttonOf));
  const action = actions.find((candidate) => buttonOf(candidate) === chosen);
  if (action) await perform(app, action, error, context);
}

/** A newer server may offer what this version has no button for. */
function knownActions(error: RpcError): Action[] {
  return error.actions.filter((action) => {
    try {
      return buttonOf(action) !== "";
    } catch {
      return false;
    }
  });
}

async function approve(app: App, context: ErrorContext): Promise<void> {
  if (context.project === undefined) return;
  const approved = await approveConfiguration(app, context.project);
  if (approved.kind === "ok") await context.retry();
  else if (approved.kind === "error") await presentError(app, approved.error, context);
}

async function showLogs(app: App, error: RpcError, context: ErrorContext): Promise<void> {
  if (error.code.startsWith("sandbox.")) return run("boxwood.showLogs", targetOf(context));
  if (error.code.startsWith("image.")) app.output.show(true);
  else app.log.show(true);
}

async function openConfiguration(app: App, context: ErrorContext): Promise<void> {
  const report = await app.server.request("boxwood/config/get", {
    ...(context.project === undefined ? {} : { project: context.project }),
  });
  // A file that cannot be read has no report; it is where it always is.
  const file =
    report.kind === "ok" && report.value.projectFile !== undefined
      ? vscode.Uri.file(report.value.projectFile)
      : context.project === undefined
        ? undefined
        : vscode.Uri.joinPath(vscode.Uri.file(context.project), ".boxwood", "sandbox.jsonc");
  if (file) await vscode.window.showTextDocument(file);
}

function targetOf(context: ErrorContext): { sandboxId?: string; project?: string } {
  return {
    ...(context.sandboxId === undefined ? {} : { sandboxId: context.sandboxId }),
    ...(context.project === undefined ? {} : { project: context.project }),
  };
}

async function run(command: string, ...args: unknown[]): Promise<void> {
  await vscode.commands.executeCommand(command, ...args);
}
