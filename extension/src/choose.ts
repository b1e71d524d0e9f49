// Which project or sandbox a command is about: named by its caller, evident, or asked for.
import * as vscode from "vscode";
import type { App } from "./app";
import { methods, type SandboxInfo } from "./generated/protocol";
import { isRunning, primarySandbox, sandboxName, sorted } from "./model";
import { cancelled, failed, ok, type Result } from "./result";
import { sandboxFace } from "./view/status";
import { isRecord } from "./wire";

/** What a command was invoked on. */
export interface Target {
  readonly sandboxId?: string;
  readonly project?: string;
  /** A host as it is written in answers: `name`, `*.name` or `name:port`. */
  readonly host?: string;
}

/** The argument of a command: a row of the tree, or what another part of the extension passed. */
export function parseTarget(argument: unknown): Target {
  if (!isRecord(argument)) return {};
  return {
    ...(typeof argument.sandboxId === "string" ? { sandboxId: argument.sandboxId } : {}),
    ...(typeof argument.project === "string" ? { project: argument.project } : {}),
    ...(typeof argument.host === "string" ? { host: argument.host } : {}),
  };
}

export interface Chosen {
  readonly project: string;
  readonly session?: string;
}

/** The project to start in, and the session when a sandbox of it was named. */
export async function chooseProject(app: App, target: Target, title: string): Promise<Result<Chosen>> {
  const named = target.sandboxId === undefined ? undefined : app.store.model.sandboxes.get(target.sandboxId);
  if (named) return ok({ project: named.project, session: named.session });
  if (target.project !== undefined) return ok({ project: target.project });
  const projects = await app.projects.loaded();
  const [first] = projects;
  if (!first) return offerFolder();
  if (projects.length === 1) return ok({ project: first.path });
  const items = projects.map((project) => {
    const sandbox = primarySandbox(app.store.model, project.path);
    return {
      label: `$(${sandbox ? sandboxFace(sandbox).icon : "folder"}) ${project.name}`,
      description: sandbox ? sandboxFace(sandbox).words : "no sandbox",
      detail: project.path,
      project: project.path,
    };
  });
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder: "Folder" });
  return picked ? ok({ project: picked.project }) : cancelled;
}

async function offerFolder(): Promise<Result<never>> {
  const open = "Open Folder";
  const chosen = await vscode.window.showInformationMessage(
    "Claude works on a folder, and none is open in this window.",
    open,
  );
  if (chosen === open) await vscode.commands.executeCommand("vscode.openFolder");
  return cancelled;
}

export interface SandboxChoice {
  /** Title of the list, for example "Stop". */
  readonly title: string;
  readonly fits?: (sandbox: SandboxInfo) => boolean;
  /** Words for when none fits, for example "No sandbox is running." */
  readonly none: string;
}

/** The sandbox that a command is about; the server is asked, because what is shown may be a moment old. */
export async function chooseSandbox(app: App, target: Target, choice: SandboxChoice): Promise<Result<SandboxInfo>> {
  const answer = await app.server.request(methods.list, {});
  if (answer.kind !== "ok") return answer;
  const all = answer.value;
  if (target.sandboxId !== undefined) {
    const named = all.find((sandbox) => sandbox.id === target.sandboxId);
    return named ? ok(named) : failed(gone(target.sandboxId));
  }
  const fitting = sorted(all.filter(choice.fits ?? (() => true)));
  const projects = (await app.projects.loaded()).map((project) => project.path);
  const here = fitting.filter((sandbox) =>
    target.project === undefined ? projects.includes(sandbox.project) : sandbox.project === target.project,
  );
  const [only] = here;
  if (only && here.length === 1) return ok(only);
  const offered = here.length > 0 ? here : fitting;
  if (offered.length === 0) return offerStart(choice.none, projects.length > 0);
  const picked = await vscode.window.showQuickPick(offered.map(sandboxItem), {
    title: choice.title,
    placeHolder: here.length > 0 ? "Sandbox" : "Sandbox of another project",
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return picked ? ok(picked.sandbox) : cancelled;
}

export const onlyRunning = { fits: isRunning, none: "No sandbox is running." };

function sandboxItem(sandbox: SandboxInfo): vscode.QuickPickItem & { sandbox: SandboxInfo } {
  const face = sandboxFace(sandbox);
  return {
    label: `$(${face.icon}) ${sandboxName(sandbox)}`,
    description: face.words,
    detail: sandbox.project,
    sandbox,
  };
}

async function offerStart(none: string, hasFolder: boolean): Promise<Result<never>> {
  const button = hasFolder ? "Start Claude Sandbox" : "Open Folder";
  const chosen = await vscode.window.showInformationMessage(none, button);
  if (chosen === button) {
    await vscode.commands.executeCommand(hasFolder ? "boxwood.start" : "vscode.openFolder");
  }
  return cancelled;
}

function gone(id: string): Parameters<typeof failed>[0] {
  return {
    code: "sandbox.notFound",
    message: `there is no sandbox '${id}' any more`,
    actions: ["startSandbox"],
    causes: [],
  };
}

/** Asks for trust when the window has none; only what runs the folder's code needs it. */
export async function requireTrust(what: string): Promise<boolean> {
  if (vscode.workspace.isTrusted) return true;
  const manage = "Manage Workspace Trust";
  const chosen = await vscode.window.showWarningMessage(
    `${what} needs a trusted workspace: the folder's own files decide what runs in the sandbox and what it may use.`,
    manage,
  );
  if (chosen === manage) await vscode.commands.executeCommand("workbench.trust.manage");
  return vscode.workspace.isTrusted;
}
