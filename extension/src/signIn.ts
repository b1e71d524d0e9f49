// Signing in to Claude without leaving the editor: the real Claude Code signs in where the server runs it, and what it asks
// is put to the person here. The browser opens, the code is typed in a box that hides it, and goes to the server and
// nowhere else.
import * as vscode from "vscode";
import type { SignInBox } from "./signInBox";
import { codeBox } from "./signInBox";
import { sentence } from "./format";
import { methods, type CredentialsStatus, type LoginAsk, type LoginStartParams } from "./generated/protocol";
import type { FollowOptions, Operations, Requests } from "./operations";
import type { Result } from "./result";
import type { Store } from "./store";

const TITLE = "Signing in to Claude";

/** How long a word stands in the status bar. */
const WORD_MS = 5_000;

export interface SignInOptions {
  readonly server: Requests;
  readonly store: Store;
  readonly operations: Operations;
  /** Aborted when the window closes. */
  readonly signal: AbortSignal;
}

export class SignIn {
  readonly #options: SignInOptions;
  readonly #subscription: { dispose(): void };
  /** What every sign-in that runs asks, also those of other windows, by operation. */
  readonly #asks = new Map<string, readonly LoginAsk[]>();
  #conversation: Conversation | undefined;

  constructor(options: SignInOptions) {
    this.#options = options;
    this.#subscription = options.store.onInput((input) => {
      if (input.type === "snapshot") this.#begin(input.logins ?? {});
      else if (input.type === "loginAsks") this.#heard(input.operationId, input.ask);
      else if (input.type === "operationEnded") this.#asks.delete(input.end.operationId);
    });
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#conversation?.close();
  }

  /** Whether this window signs in just now. */
  get isRunning(): boolean {
    return this.#conversation !== undefined;
  }

  /** Brings the question for the code back, when it waits and was put away. */
  show(): void {
    this.#conversation?.show();
  }

  /** The sign-in that runs elsewhere: in another window, in a terminal, or here before the window was reloaded. */
  get elsewhere(): string | undefined {
    const { operations } = this.#options.store.model;
    const running = [...operations.values()].map(({ summary }) => summary);
    return running.find(({ kind, sandboxId, outcome }) => kind === "login" && !sandboxId && !outcome)?.operationId;
  }

  /** Signs in. */
  start(params: LoginStartParams): Promise<Result<CredentialsStatus>> {
    const { operations } = this.#options;
    return this.#converse((follow) => operations.run(methods.startLogin, params, follow));
  }

  /** Goes on here with a sign-in that runs. */
  goOn(operationId: string): Promise<Result<CredentialsStatus>> {
    const { operations } = this.#options;
    return this.#converse((follow) => operations.follow<typeof methods.startLogin>(operationId, follow));
  }

  async #converse(
    run: (follow: FollowOptions) => Promise<Result<CredentialsStatus>>,
  ): Promise<Result<CredentialsStatus>> {
    const options = { location: vscode.ProgressLocation.Notification, title: TITLE, cancellable: true };
    return vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      const conversation = new Conversation(this.#options.server, (message) => {
        if (!abort.signal.aborted) progress.report({ message });
      });
      this.#conversation = conversation;
      token.onCancellationRequested(() => {
        conversation.close();
        progress.report({ message: "cancelling…" });
        abort.abort();
      });
      try {
        return await run({
          signal: AbortSignal.any([abort.signal, this.#options.signal]),
          onStarted: (operationId) => {
            conversation.operationId = operationId;
            for (const ask of this.#asks.get(operationId) ?? []) conversation.hear(ask);
          },
          onEvent: (event) => {
            if (event.type === "operationProgress") conversation.prepares(event.message);
          },
        });
      } finally {
        conversation.close();
        if (this.#conversation === conversation) this.#conversation = undefined;
      }
    });
  }

  /** After events were lost, or before any. */
  #begin(logins: Readonly<Partial<Record<string, LoginAsk[]>>>): void {
    this.#asks.clear();
    for (const [operationId, asks] of Object.entries(logins)) {
      for (const ask of asks ?? []) this.#heard(operationId, ask);
    }
  }

  #heard(operationId: string, ask: LoginAsk): void {
    // The address stays good while the code is awaited; everything else takes the place of what was asked before.
    const before = (this.#asks.get(operationId) ?? []).filter(({ type }) => type === "url" && ask.type !== "url");
    this.#asks.set(operationId, [...before, ask]);
    if (this.#conversation?.operationId === operationId) this.#conversation.hear(ask);
  }
}

/** One sign-in, and the person. */
class Conversation {
  operationId = "";
  readonly #server: Requests;
  readonly #report: (message: string) => void;
  #url: string | undefined;
  #isOpened = true;
  /** The question for the code, while it stands there. */
  #box: SignInBox | undefined;
  #isCodeWanted = false;
  #isOver = false;
  /** One thing after the other: the code is asked for when the browser has been opened. */
  #turn: Promise<void> = Promise.resolve();

  constructor(server: Requests, report: (message: string) => void) {
    this.#server = server;
    this.#report = report;
  }

  /** What is done before there is something to ask. */
  prepares(message: string): void {
    if (this.#url === undefined) this.#report(`${message}…`);
  }

  hear(ask: LoginAsk): void {
    this.#turn = this.#turn.then(() => this.#take(ask));
  }

  show(): void {
    if (this.#isCodeWanted && !this.#box) this.#askForCode();
    else this.#box?.show();
  }

  close(): void {
    this.#isOver = true;
    this.#isCodeWanted = false;
    this.#box?.dispose();
    this.#box = undefined;
  }

  async #take(ask: LoginAsk): Promise<void> {
    if (this.#isOver) return;
    switch (ask.type) {
      case "url":
        // Told again after events were lost.
        if (ask.url !== this.#url) await this.#open(ask.url);
        return;
      case "wantsCode":
        this.#isCodeWanted = true;
        if (!this.#box) this.#askForCode();
        return;
      case "wrongCode":
        this.#isCodeWanted = true;
        this.#askForCode(sentence(ask.reason));
        return;
      case "otherAccount":
        return this.#askAboutAccount(ask);
    }
  }

  async #open(url: string): Promise<void> {
    this.#url = url;
    this.#report("sign in in the browser…");
    this.#isOpened = await vscode.env.openExternal(vscode.Uri.parse(url, true)).then(
      (isOpened) => isOpened,
      () => false,
    );
  }

  async #copy(): Promise<void> {
    await vscode.env.clipboard.writeText(this.#url ?? "");
    vscode.window.setStatusBarMessage("$(check) Address copied: open it in a browser", WORD_MS);
  }

  #askForCode(fault?: string): void {
    this.#report(
      this.#isOpened
        ? "sign in in the browser, then paste the code that it shows"
        : "the browser was not opened; the code is waited for all the same",
    );
    this.#box ??= codeBox({
      give: (code) => this.#give(code),
      open: async () => {
        await this.#open(this.#url ?? "");
        if (this.#isCodeWanted) this.#askForCode();
      },
      copy: () => this.#copy(),
      putAway: () => {
        this.#box = undefined;
        // The notification stays; the link brings the question back.
        if (this.#isCodeWanted)
          this.#report("waiting for the code from the browser. [Enter Code](command:boxwood.signIn)");
      },
    });
    this.#box.ask(this.#isOpened, fault);
  }

  async #give(code: string): Promise<void> {
    this.#isCodeWanted = false;
    this.#report("Claude Code checks the code…");
    const { operationId } = this;
    const given = await this.#server.request(methods.loginCode, { operationId, code });
    // One that nobody waits for was given elsewhere, or too late; how the sign-in ended says more.
    if (given.kind !== "error" || given.error.code === "login.notAsked" || this.#isOver) return;
    this.#isCodeWanted = true;
    this.#askForCode(sentence(given.error.message));
  }

  async #askAboutAccount({ before, now }: Extract<LoginAsk, { type: "otherAccount" }>): Promise<void> {
    this.#box?.dispose();
    this.#box = undefined;
    this.#report("it is another account than before");
    const use = now === undefined ? "Use the New Login" : `Use ${now}`;
    const detail = `Before it was ${before ?? "another account"}. Sandboxes with this login work for the new account from then on. Cancel leaves the login before as it was.`;
    const question = `You signed in as ${now ?? "another account"}. Put this login in the place of the one before?`;
    const pressed = await vscode.window.showWarningMessage(question, { modal: true, detail }, use);
    const { operationId } = this;
    await this.#server.request(methods.acceptLogin, { operationId, accept: pressed === use });
  }
}
