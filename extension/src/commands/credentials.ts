// What a person does about Claude's login beside signing in: signing out, keys, modes, and seeing how it is. None of it needs a folder,
// a running sandbox or a trusted workspace: the login is the person's.
import * as vscode from "vscode";
import type { App } from "../app";
import type { Target } from "../choose";
import { sentence } from "../format";
import {
  methods,
  type CredentialSide,
  type CredentialSource,
  type CredentialSourceReport,
  type CredentialsStatus,
  type SandboxRef,
} from "../generated/protocol";
import { sandboxName } from "../model";
import type { OperationMethod } from "../operations";
import { operate, type Watched } from "../progress";
import { cancelled, done, ok, type Result } from "../result";
import { credentialsParams } from "../settings";
import { loginState, modeRow, sourceRow, statusText, whoseWords, type Row } from "../view/credentials";

/** How long a word of success stands in the status bar. */
const WORD_MS = 5_000;

/** Whose login is meant: the sandbox that the command was invoked on, else what the window shows. */
function meant(app: App, target: Target): SandboxRef | undefined {
  if (target.sandboxId !== undefined) return { sandbox: target.sandboxId };
  return app.credentials.target;
}

/** In words: a sandbox by its name, and new ones. */
export function ofWhom(app: App, status: CredentialsStatus): string {
  const sandbox = status.sandbox === undefined ? undefined : app.store.model.sandboxes.get(status.sandbox);
  return sandbox ? `'${sandboxName(sandbox)}'` : status.sandbox === undefined ? "new sandboxes" : `'${status.sandbox}'`;
}

export async function statusOf(app: App, target: SandboxRef | undefined): Promise<Result<CredentialsStatus>> {
  return app.server.request(methods.credentialsStatusOf, credentialsParams(target));
}

type Changing = Extract<OperationMethod, `boxwood/credentials/${string}`>;

/** Changes something, says in a word that it was done, and in messages what the person should know although it was. */
export async function change<M extends Changing>(
  app: App,
  watched: Watched<M>,
  word: string,
): Promise<Result<unknown>> {
  const result = await operate(app, watched);
  if (result.kind !== "ok") return result;
  vscode.window.setStatusBarMessage(`$(check) ${word}`, WORD_MS);
  const status: CredentialsStatus = result.value;
  for (const warning of status.warnings) void vscode.window.showWarningMessage(`Boxwood: ${sentence(warning)}`);
  await app.credentials.refresh();
  return done;
}

export async function setApiKey(app: App): Promise<Result<unknown>> {
  const typed = await vscode.window.showInputBox({
    title: "Set API Key",
    prompt: "Kept in the system's keyring. Sandboxes hold a placeholder where their network allows it.",
    placeHolder: "API key of Anthropic",
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => keyFault(text.trim()),
  });
  const value = typed?.trim();
  if (value === undefined || keyFault(value) !== undefined) return cancelled;
  const watched = {
    title: "Keeping the API key",
    method: methods.setCredential,
    params: { kind: "apiKey" as const, value },
  };
  return change(app, watched, "API key kept");
}

/** @returns why a text cannot be a key */
export function keyFault(text: string): string | undefined {
  if (text === "") return "Paste or type the key";
  return /^[\x21-\x7e]+$/.test(text) ? undefined : "A key has no spaces, line breaks or special characters";
}

/** Sources that cannot be ended from here: they are somewhere else, and are only no longer used. */
const elsewhere: Readonly<Partial<Record<CredentialSource, string>>> = {
  hostLogin: "Claude Code on this machine stays signed in; sandboxes no longer use its login.",
};

export async function signOut(app: App, target: Target): Promise<Result<unknown>> {
  const status = await statusOf(app, meant(app, target));
  if (status.kind !== "ok") return status;
  const chosen = await chooseSource(status.value);
  if (chosen.kind !== "ok") return chosen;
  const { source, title } = chosen.value;
  const button = "Sign Out";
  const detail =
    elsewhere[source] ??
    "It is forgotten here and in every sandbox that has it from here. Conversations stay. Claude then needs another credential, or asks you to sign in.";
  const pressed = await vscode.window.showWarningMessage(`Sign out of: ${title}?`, { modal: true, detail }, button);
  if (pressed !== button) return cancelled;
  return change(app, { title: "Signing out", method: methods.signOut, params: { source } }, "Signed out");
}

async function chooseSource(status: CredentialsStatus): Promise<Result<CredentialSourceReport>> {
  const held = status.sources.filter(({ usage }) => usage !== "absent");
  const [only] = held;
  if (!only) {
    void vscode.window.showInformationMessage("There is no login and no key to sign out of.");
    return cancelled;
  }
  if (held.length === 1) return ok(only);
  const items = held.map((report) => ({ ...sourceRow(report), report }));
  const picked = await vscode.window.showQuickPick(items, { title: "Sign Out", placeHolder: "Which credential" });
  return picked ? ok(picked.report) : cancelled;
}

interface StatusRow extends Row {
  /** What the row does; others show everything as text. */
  readonly command?: string;
  readonly kind?: vscode.QuickPickItemKind;
}

export async function showCredentialStatus(app: App, target: Target): Promise<Result<unknown>> {
  const whose = meant(app, target);
  const status = await statusOf(app, whose);
  if (status.kind !== "ok") return status;
  app.output.append(statusText(status.value));
  // Not awaited: the question is answered, the list stays open for as long as it is read.
  void showRows(app, status.value);
  return done;
}

async function showRows(app: App, status: CredentialsStatus): Promise<void> {
  const picked = await vscode.window.showQuickPick(statusRows(status), {
    title: `Claude's login of ${ofWhom(app, status)}: ${status.detail}`,
    placeHolder: "Choose what to do; any other line shows everything as text",
    ignoreFocusOut: true,
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (picked?.command !== undefined) {
    const target = status.sandbox === undefined ? {} : { sandboxId: status.sandbox };
    await vscode.commands.executeCommand(picked.command, target);
  } else if (picked) app.output.show(true);
}

/** How it is, what can be done, then every source and mode with its reason; what there is before what there is not. */
export function statusRows(status: CredentialsStatus): StatusRow[] {
  const action = (label: string, detail: string, command: string): StatusRow => ({
    label,
    description: "",
    detail,
    command,
  });
  const isWell = loginState(status) === "ok";
  const isConflict = loginState(status) === "conflict";
  const held = status.sources.filter(({ usage }) => usage !== "absent");
  const absent = status.sources.filter(({ usage }) => usage === "absent");
  return [
    {
      label: `$(${isWell ? "pass" : "warning"}) ${sentence(status.detail)}`,
      description: whoseWords(status) ?? "",
      detail: status.nextStep === undefined ? "" : `$(arrow-right) ${sentence(status.nextStep)}`,
    },
    ...status.warnings.map((warning) => ({ label: `$(info) ${sentence(warning)}`, description: "", detail: "" })),
    ...(isConflict
      ? [
          action("$(vm) Keep This Machine's Login", "The sandbox's is kept as a backup.", "boxwood.keepHostLogin"),
          action(
            "$(vm-active) Keep the Sandbox's Login",
            "The other one is kept as a backup.",
            "boxwood.keepSandboxLogin",
          ),
        ]
      : []),
    action("$(account) Sign in to Claude", "In the browser, by Claude Code itself.", "boxwood.signIn"),
    action("$(key) Set API Key", "Kept in the system's keyring.", "boxwood.setApiKey"),
    ...(status.modes.length > 0
      ? [action("$(shield) Switch Credential Mode", "What the sandbox holds.", "boxwood.switchCredentialMode")]
      : []),
    ...(held.length > 0 ? [action("$(sign-out) Sign Out", "Forgets a credential.", "boxwood.signOut")] : []),
    ...group("sources", held.map(sourceRow)),
    ...group(
      "what a sandbox can hold",
      status.modes.map((report) => modeRow(report, status.mode)),
    ),
    ...group("sources that have nothing", absent.map(sourceRow)),
  ];
}

/** Rows below a heading, if there are any. */
function group(label: string, rows: readonly Row[]): StatusRow[] {
  const heading = { label, description: "", detail: "", kind: vscode.QuickPickItemKind.Separator };
  return rows.length === 0 ? [] : [heading, ...rows];
}

/** The handler that keeps the login of one side where two differ. */
export function keeping(keep: CredentialSide) {
  return async (app: App, target: Target): Promise<Result<unknown>> => {
    const whose = meant(app, target);
    const status = await statusOf(app, whose);
    if (status.kind !== "ok") return status;
    const { isInConflict, sandbox } = status.value;
    if (!isInConflict || sandbox === undefined) {
      void vscode.window.showInformationMessage("There are no two logins to choose from.");
      return cancelled;
    }
    const word = keep === "host" ? "This machine's login kept" : "The sandbox's login kept";
    const params = { target: { sandbox }, keep };
    return change(app, { title: "Keeping one login", method: methods.resolveCredentials, params }, word);
  };
}
