// The table of commands. A test holds it against the manifest.
import * as vscode from "vscode";
import type { App } from "../app";
import { parseTarget, type Target } from "../choose";
import { presentError } from "../errors";
import { failed, type Result } from "../result";
import { parseError } from "../wire";
import { attach, openShell } from "./attach";
import { cleanUp } from "./cleanUp";
import { switchCredentialMode } from "./credentialMode";
import { keeping, setApiKey, showCredentialStatus, signOut } from "./credentials";
import { doctor } from "./doctor";
import {
  allowHost,
  answering,
  bypassEgress,
  denyHost,
  endBypass,
  forgetHost,
  showEgress,
  showEgressLog,
  testHost,
} from "./egress";
import { answeringGit, gitCredentials } from "./git";
import { insertTemplate } from "./insertTemplate";
import { refresh, remove, restart, stop } from "./lifecycle";
import { showLogs } from "./logs";
import { showMenu } from "./menu";
import { restartServer } from "./server";
import { signIn } from "./signIn";
import { start } from "./start";

export type Handler = (app: App, target: Target) => Promise<Result<unknown>>;

export const handlers = {
  "boxwood.start": start,
  "boxwood.attach": attach,
  "boxwood.stop": stop,
  "boxwood.restart": restart,
  "boxwood.refresh": refresh,
  "boxwood.remove": remove,
  "boxwood.showLogs": showLogs,
  "boxwood.openShell": openShell,
  "boxwood.doctor": doctor,
  "boxwood.restartServer": restartServer,
  "boxwood.cleanUp": cleanUp,
  "boxwood.showMenu": showMenu,
  "boxwood.insertTemplate": insertTemplate,
  "boxwood.showEgress": showEgress,
  "boxwood.showEgressLog": showEgressLog,
  "boxwood.allowHost": allowHost,
  "boxwood.denyHost": denyHost,
  "boxwood.forgetHost": forgetHost,
  "boxwood.testHost": testHost,
  "boxwood.bypassEgress": bypassEgress,
  "boxwood.endBypass": endBypass,
  "boxwood.answerAllowOnce": answering("allowOnce"),
  "boxwood.answerAllowSession": answering("allowSession"),
  "boxwood.answerAllowProject": answering("allowProject"),
  "boxwood.answerDeny": answering("deny"),
  "boxwood.answerDenyAlways": answering("denyAlways"),
  "boxwood.signIn": signIn,
  "boxwood.signOut": signOut,
  "boxwood.switchCredentialMode": switchCredentialMode,
  "boxwood.setApiKey": setApiKey,
  "boxwood.showCredentialStatus": showCredentialStatus,
  "boxwood.keepHostLogin": keeping("host"),
  "boxwood.keepSandboxLogin": keeping("sandbox"),
  "boxwood.gitCredentials": gitCredentials,
  "boxwood.allowGitCredential": answeringGit("allow"),
  "boxwood.denyGitCredential": answeringGit("deny"),
} satisfies Record<`boxwood.${string}`, Handler>;

export type CommandId = keyof typeof handlers;

export function registerCommands(app: App): vscode.Disposable {
  return vscode.Disposable.from(
    ...Object.entries(handlers).map(([id, handler]) =>
      vscode.commands.registerCommand(id, (argument?: unknown) => runCommand(app, handler, parseTarget(argument))),
    ),
  );
}

/** Runs a command and shows its error, if it ends in one. */
export async function runCommand(app: App, handler: Handler, target: Target): Promise<Result<unknown>> {
  const result = await handler(app, target).catch((thrown: unknown) => failed(parseError(thrown)));
  if (result.kind === "error") {
    const context = await contextOf(app, target);
    // Not awaited: the command has ended, its message may stay for as long as the person likes.
    void presentError(app, result.error, {
      ...context,
      retry: async () => {
        await runCommand(app, handler, context);
      },
    });
  }
  return result;
}

/** What an error is about: what the command was invoked on, else the window's only project. */
async function contextOf(app: App, target: Target): Promise<Target> {
  if (target.project !== undefined) return target;
  const named = target.sandboxId === undefined ? undefined : app.store.model.sandboxes.get(target.sandboxId);
  if (named) return { ...target, project: named.project };
  const projects = await app.projects.loaded();
  const [only] = projects;
  return only && projects.length === 1 ? { ...target, project: only.path } : target;
}
