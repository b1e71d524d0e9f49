// Sign in to Claude: how, then what the server and the person have to say to each other, and an answer to every way in which
// that can end. It needs no folder and no trusted workspace.
import * as vscode from "vscode";
import type { App } from "../app";
import { buttonOf, errorText, perform } from "../errors";
import { sentence } from "../format";
import {
  methods,
  type CredentialsStatus,
  type LoginKind,
  type LoginStartParams,
  type RpcError,
} from "../generated/protocol";
import { cancelled, done, type Result } from "../result";
import { terminalPlace } from "../settings";
import { whoseWords } from "../view/credentials";

const TITLE = "Sign in to Claude";
const WORD_MS = 5_000;

const [AGAIN, TERMINAL, GO_ON, CANCEL_IT] = ["Try Again", "In the Terminal", "Go On Here", "Cancel It"];

const kinds: readonly (vscode.QuickPickItem & { readonly kindOfLogin: LoginKind })[] = [
  {
    label: "$(account) Claude Subscription",
    detail: "Pro, Max, Team, Enterprise. Kept on this machine; Claude Code renews it.",
    kindOfLogin: "login",
  },
  {
    label: "$(key) Anthropic Console",
    detail: "You pay for what is used. The API key is kept in the system's keyring.",
    kindOfLogin: "console",
  },
  {
    label: "$(calendar) Setup Token",
    detail: "Of a subscription, for a year. Kept in the system's keyring; not renewed.",
    kindOfLogin: "setupToken",
  },
];

export async function signIn(app: App): Promise<Result<unknown>> {
  if (app.signIn.isRunning) {
    app.signIn.show();
    return done;
  }
  const running = await app.server.start();
  if (running.kind !== "ok") return running;
  const picked = await vscode.window.showQuickPick(kinds, {
    title: TITLE,
    placeHolder: "How to sign in",
    matchOnDetail: true,
  });
  return picked ? attempt(app, { kind: picked.kindOfLogin, replace: false }) : cancelled;
}

async function attempt(app: App, params: LoginStartParams): Promise<Result<unknown>> {
  // Two commands at once may both have come to this point.
  if (app.signIn.isRunning) return signIn(app);
  app.log.info(`signing in begins (${params.kind})`);
  return ended(app, params, await app.signIn.start(params));
}

async function ended(app: App, params: LoginStartParams, result: Result<CredentialsStatus>): Promise<Result<unknown>> {
  app.log.info(`signing in ends: ${result.kind === "error" ? result.error.code : result.kind}`);
  void app.credentials.refresh();
  if (result.kind === "ok") return welcome(result.value);
  if (result.kind === "cancelled") {
    vscode.window.setStatusBarMessage("$(circle-slash) Not signed in; nothing was changed", WORD_MS);
    return cancelled;
  }
  const { error } = result;
  if (error.code === "login.exists" && !params.replace) return offerReplace(app, params, error);
  const elsewhere = app.signIn.elsewhere;
  if (error.code === "login.running" && elsewhere !== undefined) return offerElsewhere(app, params, error, elsewhere);
  if (!error.code.startsWith("login.")) return result;
  // Not awaited: the command has ended, its message may stay for as long as the person likes.
  void tellFailure(app, params, error);
  return done;
}

function welcome(status: CredentialsStatus): Result<unknown> {
  const whose = whoseWords(status);
  const as =
    status.account === undefined || whose === undefined ? `: ${whose ?? "the credential is kept"}` : ` as ${whose}`;
  void vscode.window.showInformationMessage(`Signed in to Claude${as}.`);
  for (const warning of status.warnings) void vscode.window.showWarningMessage(`Boxwood: ${sentence(warning)}`);
  return done;
}

async function offerReplace(app: App, params: LoginStartParams, error: RpcError): Promise<Result<unknown>> {
  const button = "Sign In Again";
  const detail = "The login that is there stays in use until the new one is complete, and is then replaced.";
  const pressed = await vscode.window.showWarningMessage(sentence(error.message), { modal: true, detail }, button);
  return pressed === button ? attempt(app, { ...params, replace: true }) : cancelled;
}

async function offerElsewhere(
  app: App,
  params: LoginStartParams,
  error: RpcError,
  operationId: string,
): Promise<Result<unknown>> {
  const text = `${sentence(error.message)} It was begun in another window or in a terminal.`;
  const pressed = await vscode.window.showWarningMessage(text, GO_ON, CANCEL_IT);
  if (pressed === GO_ON) return ended(app, params, await app.signIn.goOn(operationId));
  if (pressed !== CANCEL_IT) return cancelled;
  const stopped = await app.server.request(methods.cancel, { operationId });
  if (stopped.kind !== "ok") return stopped;
  const over = await app.server.request(methods.wait, { operationId });
  return over.kind === "ok" ? attempt(app, params) : over;
}

async function tellFailure(app: App, params: LoginStartParams, error: RpcError): Promise<void> {
  const others = error.actions.filter((action) => action === "runDoctor" || action === "showLogs");
  const buttons = [AGAIN, TERMINAL, ...others.map(buttonOf)];
  const pressed = await vscode.window.showErrorMessage(errorText(error), ...buttons);
  const again = async (): Promise<void> => {
    await attempt(app, params);
  };
  const action = others.find((candidate) => buttonOf(candidate) === pressed);
  if (pressed === AGAIN) await again();
  else if (pressed === TERMINAL && app.server.command !== undefined)
    app.login.open(app.server.command, terminalPlace());
  else if (action) await perform(app, action, error, { retry: again });
}
