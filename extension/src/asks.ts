// Messages about connections that wait for the person. They ask and do not nag: one at a time, several hosts in one,
// a host that was waved away not again for a while.
//
// The editor gives no way to take a message back, and hides it after some seconds while its question goes on waiting.
// So a message may be answered when its connection is long gone; the answer then counts for what comes later.
import * as vscode from "vscode";
import { decide, hostOf } from "./answer";
import type { App } from "./app";
import { presentError } from "./errors";
import { hostPort, plural, timeLeft } from "./format";
import type { EgressAsk, SandboxInfo } from "./generated/protocol";
import { egressOf, sandboxesOf, sandboxName } from "./model";
import { egressNotifications } from "./settings";
import { answers, buttonWords } from "./view/egress";

/** A program often opens several connections at once: they are told together. */
const GATHER_MS = 300;

/** While a message stands there, unanswered, and what it asks still waits, the next one comes this much later. */
const APART_MS = 10_000;

/** A host is not told again for so long: after nobody answered, and after the message was closed. */
const AGAIN_MS = 120_000;
const WAVED_AWAY_MS = 600_000;

const SHOW = "Show";

interface Waiting {
  readonly key: string;
  readonly sandbox: SandboxInfo;
  readonly ask: EgressAsk;
}

interface Message {
  readonly keys: readonly string[];
  readonly atMs: number;
}

export class AskMessages {
  readonly #app: App;
  readonly #subscriptions: { dispose(): void }[];
  /** Until when a host is not told again. */
  readonly #quiet = new Map<string, number>();
  /** Questions that were answered; the event that says that they are over may come later. */
  readonly #answered = new Set<string>();
  #open: Message | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(app: App) {
    this.#app = app;
    const consider = (): void => {
      this.#consider();
    };
    this.#subscriptions = [app.store.onChange(consider), app.projects.onChange(consider)];
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  /** What waits in the sandboxes of this window. */
  #waiting(): Waiting[] {
    const { model } = this.#app.store;
    return this.#app.projects.all
      .flatMap(({ path }) => sandboxesOf(model, path))
      .flatMap((sandbox) =>
        egressOf(model, sandbox.id).asks.map((ask) => ({
          key: `${sandbox.id} ${hostPort(ask.host, ask.port)}`,
          sandbox,
          ask,
        })),
      );
  }

  #untold(): Waiting[] {
    const now = Date.now();
    return this.#waiting().filter(
      ({ key, sandbox, ask }) => !this.#answered.has(question(sandbox, ask)) && (this.#quiet.get(key) ?? 0) <= now,
    );
  }

  /** A gateway that starts anew counts its questions anew: what is over must not stand for a later one. */
  #forgetOver(): void {
    if (this.#answered.size === 0) return;
    const open = new Set(this.#waiting().map(({ sandbox, ask }) => question(sandbox, ask)));
    for (const id of this.#answered) if (!open.has(id)) this.#answered.delete(id);
  }

  #consider(): void {
    this.#forgetOver();
    if (this.#timer || egressNotifications() === "badge" || this.#untold().length === 0) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#tell();
      },
      Math.max(GATHER_MS, this.#pause()),
    );
    this.#timer.unref();
  }

  /** How long the message that stands there keeps others back. */
  #pause(): number {
    const open = this.#open;
    if (!open) return 0;
    const isWaiting = this.#waiting().some(({ key }) => open.keys.includes(key));
    return isWaiting ? open.atMs + APART_MS - Date.now() : 0;
  }

  #tell(): void {
    // What was told first may be over by now, and another message may have come in between.
    if (this.#pause() > 0) {
      this.#consider();
      return;
    }
    const [first, ...others] = this.#untold();
    if (!first) return;
    const group = [first, ...others.filter(({ sandbox }) => sandbox.id === first.sandbox.id)];
    const now = Date.now();
    for (const [key, until] of this.#quiet) if (until <= now) this.#quiet.delete(key);
    for (const { key } of group) this.#quiet.set(key, now + AGAIN_MS);
    const message = { keys: group.map(({ key }) => key), atMs: now };
    this.#open = message;
    const shown = group.length === 1 ? this.#askOne(first) : this.#askSeveral(group);
    void shown.then((isAnswered) => {
      this.#over(message, isAnswered);
    });
    // Those of another sandbox follow.
    this.#consider();
  }

  #over(message: Message, isAnswered: boolean): void {
    const waits = new Set(this.#waiting().map(({ key }) => key));
    for (const key of message.keys) {
      if (isAnswered) this.#quiet.delete(key);
      else if (waits.has(key)) this.#quiet.set(key, Date.now() + WAVED_AWAY_MS);
    }
    // A message of the same words takes the place of an older one, whose end then means nothing.
    if (this.#open === message) this.#open = undefined;
    this.#consider();
  }

  async #askOne({ sandbox, ask }: Waiting): Promise<boolean> {
    const chosen = await vscode.window.showWarningMessage(
      `'${sandboxName(sandbox)}' waits to reach ${hostPort(ask.host, ask.port)} (up to ${timeLeft(ask.untilMs, Date.now())}). Allow it?`,
      ...answers.map((answer) => buttonWords[answer]),
    );
    const answer = answers.find((candidate) => buttonWords[candidate] === chosen);
    if (!answer) return false;
    this.#answered.add(question(sandbox, ask));
    const decision = { sandboxId: sandbox.id, host: hostOf(this.#app, sandbox.id, ask, answer), answer };
    const again = async (): Promise<void> => {
      const result = await decide(this.#app, decision);
      if (result.kind === "error") {
        const context = { project: sandbox.project, sandboxId: sandbox.id, retry: again };
        void presentError(this.#app, result.error, context);
      }
    };
    await again();
    return true;
  }

  async #askSeveral(group: readonly Waiting[]): Promise<boolean> {
    const [first] = group;
    const count = group.reduce((sum, { ask }) => sum + ask.waiting, 0);
    const hosts = group.map(({ ask }) => hostPort(ask.host, ask.port));
    const named = hosts.length > 3 ? `${hosts.slice(0, 2).join(", ")} and ${hosts.length - 2} more` : hosts.join(", ");
    const chosen = await vscode.window.showWarningMessage(
      `${plural(count, "connection")} of '${first ? sandboxName(first.sandbox) : ""}' wait for your answer: ${named}`,
      SHOW,
    );
    if (chosen === SHOW) await vscode.commands.executeCommand("boxwood.showEgress");
    return false;
  }
}

function question({ id }: SandboxInfo, ask: EgressAsk): string {
  return `${id} ${ask.id}`;
}
