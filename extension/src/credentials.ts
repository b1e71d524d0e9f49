// Asks how Claude's login is, of what the window shows: after a start, when the server says that something changed, and at
// the moments when time alone changes what is to be said.
import { credentialsParams } from "./settings";
import type { LogOutputChannel } from "vscode";
import { methods, type CredentialsStatus, type SandboxRef } from "./generated/protocol";
import { primarySandbox, type Input } from "./model";
import type { Requests } from "./operations";
import type { Projects } from "./projects";
import type { Store } from "./store";

/** Changes often come several at a time. */
const SOON_MS = 100;

const DAY_MS = 86_400_000;

/** From so many days before its end on, the days of a login are counted. */
const COUNTED_DAYS = 7;

/** The longest that a timer can be set for is a little less than 25 days. */
const LONGEST_MS = 20 * DAY_MS;

/** Behind the moment, so that no clock is found to be just before it. */
const BEHIND_MS = 1_000;

export interface CredentialsOptions {
  readonly server: Requests;
  readonly store: Store;
  readonly projects: Projects;
  readonly log: LogOutputChannel;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #subscriptions: { dispose(): void }[];
  /** Whose login was asked for last; undefined when it has to be asked for anew. */
  #asked: string | undefined;
  /** Answers of older questions are left out. */
  #question = 0;
  #soon: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;

  constructor(options: CredentialsOptions) {
    this.#options = options;
    const { store, projects } = options;
    const look = (): void => {
      this.#look();
    };
    this.#subscriptions = [
      store.onInput((input) => {
        this.#heard(input);
      }),
      store.onChange(look),
      projects.onChange(look),
    ];
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    clearTimeout(this.#soon);
    clearTimeout(this.#later);
  }

  /** Whose login the window speaks of: its sandbox's, else that of new sandboxes, which a project without one would get. */
  get target(): SandboxRef | undefined {
    const { store, projects } = this.#options;
    const project = projects.shown(store.model)?.path;
    if (project === undefined) return undefined;
    const sandbox = primarySandbox(store.model, project);
    return sandbox && { sandbox: sandbox.id };
  }

  /** Asks now. What cannot be had is not shown; whoever wants to know why asks with a command. */
  async refresh(): Promise<void> {
    const { server, store, log } = this.#options;
    const { target } = this;
    this.#asked = key(target);
    this.#question += 1;
    const question = this.#question;
    const answer = await server.request(methods.credentialsStatusOf, credentialsParams(target));
    if (question !== this.#question) return;
    if (answer.kind === "error") log.debug(`the login's status cannot be had: ${answer.error.message}`);
    if (answer.kind !== "ok") return;
    store.dispatch({ type: "credentials", status: answer.value });
    this.#schedule(answer.value);
  }

  #heard(input: Input): void {
    if (input.type === "server") {
      this.#asked = undefined;
      this.#question += 1;
      clearTimeout(this.#later);
    } else if (input.type === "snapshot") this.#want();
    else if (input.type === "credentialsChanged") {
      const isElsewhere = input.sandboxId !== undefined && input.sandboxId !== this.target?.sandbox;
      if (!isElsewhere) this.#want();
    }
  }

  #look(): void {
    // Before the first snapshot nothing is known of the window's sandbox; that asks by itself.
    if (this.#options.store.model.engine === undefined || this.#asked === undefined) return;
    if (key(this.target) !== this.#asked) this.#want();
  }

  #want(): void {
    if (this.#soon) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      if (this.#options.store.model.server === "running") void this.refresh();
    }, SOON_MS);
    this.#soon.unref();
  }

  #schedule(status: CredentialsStatus): void {
    clearTimeout(this.#later);
    const wait = untilNextDay(status, Date.now());
    if (wait === undefined) return;
    this.#later = setTimeout(
      () => {
        this.#want();
      },
      Math.min(wait + BEHIND_MS, LONGEST_MS),
    );
    this.#later.unref();
  }
}

function key(target: SandboxRef | undefined): string {
  return JSON.stringify(target ?? {});
}

/** Time until another number of days is left, as far as days are counted; undefined when the login is over or has no end. */
export function untilNextDay({ expiresAtMs }: CredentialsStatus, nowMs: number): number | undefined {
  if (expiresAtMs === undefined || expiresAtMs <= nowMs) return undefined;
  const left = expiresAtMs - nowMs;
  const uncounted = left - COUNTED_DAYS * DAY_MS;
  return uncounted > 0 ? uncounted : left % DAY_MS || DAY_MS;
}
