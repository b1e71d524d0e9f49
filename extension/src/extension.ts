// Entry point: puts the parts together and starts the server without waiting for it.
import * as vscode from "vscode";
import { AlarmMessages } from "./alarm";
import type { App } from "./app";
import { AskMessages } from "./asks";
import { registerCommands } from "./commands";
import { Credentials } from "./credentials";
import { Egress } from "./egress";
import { EgressTree } from "./egressTree";
import { presentError } from "./errors";
import { baseName } from "./format";
import { LoginTerminal } from "./login";
import { LoginMessages } from "./loginMessages";
import { changeUnderWay, type ChangingKind } from "./model";
import { Operations } from "./operations";
import { Projects } from "./projects";
import { Server } from "./server";
import { findServer } from "./serverPath";
import { GitAsks } from "./gitAsks";
import { sandboxSettings, serverPathSetting } from "./settings";
import { SignIn } from "./signIn";
import { StatusBar } from "./statusBar";
import { Store } from "./store";
import { Terminals, type TerminalEnded } from "./terminal";
import { SandboxTree } from "./tree";

let app: App | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const begun = performance.now();
  const abort = new AbortController();
  const log = vscode.window.createOutputChannel("Boxwood", { log: true });
  const store = new Store();
  const server = new Server({
    store,
    log,
    find: () =>
      findServer({
        setting: serverPathSetting(),
        extensionPath: context.extensionPath,
        env: process.env,
        platform: process.platform,
      }),
    // Loaded when it is needed: it is most of the bundle.
    connect: async (options) => (await import("./connection")).connect(options),
  });
  const projects = new Projects();
  const operations = new Operations(server, store);
  const egressLog = vscode.window.createOutputChannel("Boxwood Egress");
  const parts: App = {
    server,
    store,
    operations,
    terminals: new Terminals((ended) => {
      if (app) void terminalFailed(app, ended);
    }),
    projects,
    egress: new Egress({ server, store, projects, channel: egressLog }),
    credentials: new Credentials({ server, store, projects, log }),
    signIn: new SignIn({ server, store, operations, signal: abort.signal }),
    login: new LoginTerminal((exitCode) => {
      if (app) void loginEnded(app, exitCode);
    }),
    log,
    output: vscode.window.createOutputChannel("Boxwood Output"),
    sandboxLog: vscode.window.createOutputChannel("Boxwood Sandbox Log"),
    egressLog,
    extensionId: context.extension.id,
    sandboxSettings: sandboxSettings(context.extension.packageJSON),
    signal: abort.signal,
  };
  app = parts;
  context.subscriptions.push(
    {
      dispose: () => {
        abort.abort();
      },
    },
    log,
    parts.output,
    parts.sandboxLog,
    egressLog,
    parts.operations,
    parts.terminals,
    parts.projects,
    parts.egress,
    parts.credentials,
    parts.signIn,
    parts.login,
    registerCommands(parts),
    new StatusBar(parts),
    new SandboxTree(parts),
    new EgressTree(parts),
    new AskMessages(parts),
    new AlarmMessages(parts),
    new GitAsks(parts),
    new LoginMessages(parts, context.globalState),
    tellWhenGivenUp(parts),
    closeTerminalsInTime(parts),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("boxwood.editor.serverPath")) void server.restart();
    }),
  );
  void server.start();
  log.info(`activated in ${(performance.now() - begun).toFixed(1)} ms`);
}

export async function deactivate(): Promise<void> {
  const server = app?.server;
  app = undefined;
  await server?.dispose();
}

/**
 * Without a program the status bar says enough. One that is there and does not run, or ran and is given up, deserves a
 * message; what commands then find out, they tell themselves.
 */
function tellWhenGivenUp(parts: App): { dispose(): void } {
  let isTold = false;
  return parts.store.onInput((input) => {
    if (input.type === "snapshot") isTold = false;
    if (input.type !== "server" || input.phase !== "failed" || !input.problem || isTold) return;
    if (parts.server.command === undefined) return;
    isTold = true;
    void presentError(parts, input.problem, {
      retry: async () => {
        await parts.server.start();
      },
    });
  });
}

/** Whoever stops a sandbox, this window or another: its terminals here end with it. */
function closeTerminalsInTime(parts: App): { dispose(): void } {
  const ending = ["stop", "restart", "refresh", "remove"] satisfies ChangingKind[];
  return parts.store.onInput((input) => {
    if (input.type !== "operationStarted") return;
    const { kind, sandboxId } = input.operation;
    if (sandboxId !== undefined && ending.some((candidate) => candidate === kind)) parts.terminals.close(sandboxId);
  });
}

/** Claude's terminal ended with an error, and not because the sandbox is being changed. */
async function terminalFailed(parts: App, { sandbox, kind, exitCode }: TerminalEnded): Promise<void> {
  const { model } = parts.store;
  if (kind !== "claude" || changeUnderWay(model, sandbox.project, sandbox.id)) return;
  const isGone = model.engine?.isAvailable === true && !model.sandboxes.has(sandbox.id);
  if (isGone) return;
  const [retry, logs] = ["Retry", "Show Logs"];
  const chosen = await vscode.window.showWarningMessage(
    `Claude's terminal of '${baseName(sandbox.project)}' ended with status ${exitCode}.`,
    retry,
    logs,
  );
  if (chosen === retry)
    await vscode.commands.executeCommand("boxwood.start", { sandboxId: sandbox.id, project: sandbox.project });
  else if (chosen === logs) await vscode.commands.executeCommand("boxwood.showLogs", { sandboxId: sandbox.id });
}

/** What came of signing in is seen in the login's status; that it failed is told, as its terminal is gone. */
async function loginEnded(parts: App, exitCode: number | undefined): Promise<void> {
  void parts.credentials.refresh();
  if (exitCode === undefined || exitCode === 0) return;
  const [again, doctor] = ["Try Again", "Run Doctor"];
  const chosen = await vscode.window.showWarningMessage(
    `Signing in to Claude ended with status ${exitCode}; nothing was changed.`,
    again,
    doctor,
  );
  if (chosen === again) await vscode.commands.executeCommand("boxwood.signIn");
  else if (chosen === doctor) await vscode.commands.executeCommand("boxwood.doctor");
}
