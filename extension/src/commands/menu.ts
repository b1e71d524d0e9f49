// The menu behind the status bar: what can be done in the state that things are in.
import * as vscode from "vscode";
import type { App } from "../app";
import { baseName } from "../format";
import { isRunning, primarySandbox, type Model } from "../model";
import { done, cancelled, type Result } from "../result";
import { loginState } from "../view/credentials";
import { statusView } from "../view/status";

export interface MenuEntry {
  readonly label: string;
  readonly command: string;
  /** What the command gets; the project and its sandbox when left out. */
  readonly args?: readonly unknown[];
}

const entry = (label: string, command: string, args?: readonly unknown[]): MenuEntry => ({
  label,
  command,
  ...(args ? { args } : {}),
});

const attach = entry("$(terminal) Attach", "boxwood.attach");
const shell = entry("$(terminal-bash) Open Shell", "boxwood.openShell");
const start = entry("$(play) Start Claude Sandbox", "boxwood.start");
const stop = entry("$(debug-stop) Stop", "boxwood.stop");
const restart = entry("$(debug-restart) Restart", "boxwood.restart");
const refresh = entry("$(sync) Refresh", "boxwood.refresh");
const logs = entry("$(output) Show Logs", "boxwood.showLogs");
const remove = entry("$(trash) Remove", "boxwood.remove");
const doctor = entry("$(pulse) Doctor", "boxwood.doctor");
const server = entry("$(debug-restart) Restart Server", "boxwood.restartServer");
const settings = entry("$(gear) Open Settings", "workbench.action.openSettings", ["boxwood."]);
const all = entry("$(list-tree) All Sandboxes", "boxwood.sandboxes.focus", []);
const folder = entry("$(folder-opened) Open Folder", "vscode.openFolder", []);
const template = entry("$(file-add) Insert Devcontainer Template", "boxwood.insertTemplate");
const login = entry("$(account) Claude's Login", "boxwood.showCredentialStatus");
const signIn = entry("$(account) Sign in to Claude", "boxwood.signIn");
const git = entry("$(git-branch) Git Credentials", "boxwood.gitCredentials");
const keepHost = entry("$(vm) Keep This Machine's Login", "boxwood.keepHostLogin");
const keepSandbox = entry("$(vm-active) Keep the Sandbox's Login", "boxwood.keepSandboxLogin");

/** The best thing to do comes first. */
export function menuFor(model: Model, project: string | undefined): MenuEntry[] {
  if (model.server !== "running") return [server, signIn, settings];
  if (model.engine?.isAvailable !== true) return [doctor, server, login, settings];
  return [...forLogin(model), ...forSandbox(model, project)];
}

/** What helps a login that is not as it should be: whoever clicks on it finds it on top. */
function forLogin({ credentials }: Model): MenuEntry[] {
  if (!credentials) return [];
  switch (loginState(credentials)) {
    case "signedOut":
    case "expired":
    case "expiring":
      return [signIn];
    case "conflict":
      return [keepHost, keepSandbox];
    case "attention":
    case "unreadable":
      return [login];
    case "ok":
      return [];
  }
}

function forSandbox(model: Model, project: string | undefined): MenuEntry[] {
  const general = [all, login, doctor, settings];
  if (project === undefined) return [folder, ...general];
  const sandbox = primarySandbox(model, project);
  if (!sandbox) return [start, template, ...general];
  return isRunning(sandbox)
    ? [attach, shell, stop, restart, refresh, logs, remove, git, ...general]
    : [start, refresh, logs, remove, git, ...general];
}

export async function showMenu(app: App): Promise<Result<unknown>> {
  const { model } = app.store;
  const project = app.projects.shown(model);
  const sandbox = project && primarySandbox(model, project.path);
  const items = menuFor(model, project?.path);
  const picked = await vscode.window.showQuickPick(items, {
    title: project ? `Claude sandbox of '${baseName(project.path)}'` : "Claude sandboxes",
    placeHolder: statusView(model, project?.path).label,
  });
  if (!picked) return cancelled;
  const target = {
    ...(sandbox ? { sandboxId: sandbox.id } : {}),
    ...(project ? { project: project.path } : {}),
  };
  await vscode.commands.executeCommand(picked.command, ...(picked.args ?? [target]));
  return done;
}
