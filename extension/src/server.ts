// Keeps one server process running for this window and sends requests to it.
//
// A process that ends is started again, after pauses that grow, until it has failed too often in a row. Requests made
// meanwhile wait. A request made after that tries once more, so no command is stuck behind an old failure.
import type { LogOutputChannel } from "vscode";
import { subscribeMethod, type MethodName, type Methods, type RpcError } from "./generated/protocol";
import type { ServerPhase } from "./model";
import type { Requests } from "./operations";
import { cancelled, done, failed, ok, type Result } from "./result";
import type { Store } from "./store";
import { parseError, parseEvent } from "./wire";

export interface Connection {
  request(method: string, params: object, signal?: AbortSignal): Promise<unknown>;
  end(): Promise<void>;
}

export interface ConnectOptions {
  readonly command: string;
  readonly log: LogOutputChannel;
  /** Aborted when the start is no longer wanted. */
  readonly signal: AbortSignal;
  onEvent(event: unknown): void;
  /** Called once, when the process ends without having been asked to. */
  onClosed(): void;
}

export interface ServerOptions {
  readonly store: Store;
  readonly log: LogOutputChannel;
  find(): Promise<Result<string>>;
  connect(options: ConnectOptions): Promise<Connection>;
}

/** Pauses before a process that ended is started again. After the last one it is given up. */
const PAUSES_MS = [50, 250, 1_000, 3_000, 10_000];

/** A process that ran this long was well: the count of failures begins anew. */
const STABLE_MS = 60_000;

export class Server implements Requests {
  readonly #options: ServerOptions;
  #command: string | undefined;
  #connection: Connection | undefined;
  #starting: Promise<Result<Connection>> | undefined;
  #failures = 0;
  /** Since then nothing has started, so whoever asks hears at once what the next try came to. */
  #isGivenUp = false;
  #startedAt = 0;
  #wake: (() => void) | undefined;
  #attempt = new AbortController();
  #interest: readonly string[] = [];
  readonly #disposed = new AbortController();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** Path of the program, once it has been found. */
  get command(): string | undefined {
    return this.#command;
  }

  /** Starts the process unless it runs. */
  async start(): Promise<Result<undefined>> {
    const result = await this.#connected();
    return result.kind === "ok" ? done : result;
  }

  /** Ends the process and starts it anew, forgetting earlier failures. */
  async restart(): Promise<Result<undefined>> {
    // A start that hangs, or pauses, is what a restart is for.
    this.#attempt.abort();
    this.#wake?.();
    await this.#starting;
    await this.#detach().end;
    this.#failures = 0;
    this.#isGivenUp = false;
    return this.start();
  }

  async dispose(): Promise<void> {
    this.#disposed.abort();
    this.#attempt.abort();
    await this.#starting;
    await this.#detach().end;
  }

  async request<M extends MethodName>(
    method: M,
    params: Methods[M]["params"],
    signal?: AbortSignal,
  ): Promise<Result<Methods[M]["result"]>> {
    if (signal?.aborted) return cancelled;
    const connection = await this.#connected();
    if (connection.kind !== "ok") return connection;
    return this.#send<Methods[M]["result"]>(connection.value, method, params, signal);
  }

  /** Says whose figures are shown; said again by itself after every new start. */
  async showStatsOf(ids: readonly string[]): Promise<void> {
    if (ids.join("\n") === this.#interest.join("\n")) return;
    this.#interest = ids;
    await this.#sendInterest();
  }

  async #sendInterest(): Promise<void> {
    if (!this.#connection) return;
    const result = await this.#send(this.#connection, subscribeMethod, { stats: this.#interest });
    if (result.kind === "error") this.#options.log.debug(`figures cannot be had: ${result.error.message}`);
  }

  async #send<T>(connection: Connection, method: string, params: object, signal?: AbortSignal): Promise<Result<T>> {
    try {
      return ok((await connection.request(method, params, signal)) as T);
    } catch (thrown) {
      if (signal?.aborted) return cancelled;
      // A request that the end of the process cut off is not a fault of the request.
      if (connection !== this.#connection) return failed(this.#lost("the Boxwood server ended during a request"));
      return failed(parseError(thrown));
    }
  }

  async #connected(): Promise<Result<Connection>> {
    if (this.#disposed.signal.aborted) return cancelled;
    if (this.#connection) return ok(this.#connection);
    this.#starting ??= this.#startUntilGivenUp().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #startUntilGivenUp(): Promise<Result<Connection>> {
    const { store, log } = this.#options;
    this.#phase("connecting");
    const attempt = new AbortController();
    this.#attempt = attempt;
    const isCalledOff = (): boolean => attempt.signal.aborted;
    for (;;) {
      const found = await this.#options.find();
      if (found.kind !== "ok") return this.#giveUp(found);
      this.#command = found.value;
      try {
        const connection = await this.#connectOnce(found.value, attempt.signal);
        if (isCalledOff()) {
          await connection.end();
          return cancelled;
        }
        this.#startedAt = Date.now();
        this.#isGivenUp = false;
        if (store.model.server !== "running") this.#phase("running");
        log.info(`server started: ${found.value}`);
        if (this.#interest.length > 0) void this.#sendInterest();
        return ok(connection);
      } catch (thrown) {
        if (isCalledOff()) return cancelled;
        log.error(notStarted(thrown));
        const pause = this.#isGivenUp ? undefined : PAUSES_MS[this.#failures];
        this.#failures += 1;
        if (pause === undefined) return this.#giveUp(failed(this.#lost(notStarted(thrown))));
        await this.#sleep(pause);
        if (isCalledOff()) return cancelled;
      }
    }
  }

  #connectOnce(command: string, signal: AbortSignal): Promise<Connection> {
    const { store, log } = this.#options;
    let connection: Connection | undefined;
    let isClosed = false;
    const connecting = this.#options.connect({
      command,
      log,
      signal,
      onEvent: (value) => {
        const event = parseEvent(value);
        if (!event) {
          log.warn("an event of an unknown kind was left out");
          return;
        }
        // What a process that was given up still says is not about the next one.
        if (connection && connection !== this.#connection) return;
        // The first snapshot may come before the start has been noticed here.
        if (store.model.server === "connecting" && !isClosed) this.#phase("running");
        store.dispatch(event);
      },
      onClosed: () => {
        isClosed = true;
        if (connection && connection === this.#connection) this.#restartAfterLoss();
      },
    });
    return connecting.then((value) => {
      if (isClosed) throw new Error("it ended at once");
      connection = value;
      if (!signal.aborted) this.#connection = value;
      return value;
    });
  }

  #restartAfterLoss(): void {
    void this.#detach().end;
    if (this.#disposed.signal.aborted) return;
    if (Date.now() - this.#startedAt > STABLE_MS) this.#failures = 0;
    const pause = PAUSES_MS[this.#failures];
    this.#failures += 1;
    this.#options.log.warn("the server ended by itself");
    this.#phase("connecting");
    if (pause === undefined) {
      this.#giveUp(failed(this.#lost("the Boxwood server ended again and again")));
      return;
    }
    // Requests that come during the pause wait for the same start.
    this.#starting ??= this.#sleep(pause)
      .then(() => (this.#disposed.signal.aborted ? cancelled : this.#startUntilGivenUp()))
      .finally(() => {
        this.#starting = undefined;
      });
  }

  #giveUp<T>(result: Result<T> & { kind: "error" | "cancelled" }): Result<never> {
    this.#failures = 0;
    this.#isGivenUp = true;
    if (result.kind === "error") this.#phase("failed", result.error);
    return result;
  }

  #detach(): { end: Promise<void> } {
    const connection = this.#connection;
    this.#connection = undefined;
    return { end: connection ? connection.end() : Promise.resolve() };
  }

  #phase(phase: ServerPhase, problem?: RpcError): void {
    this.#options.store.dispatch({ type: "server", phase, ...(problem ? { problem } : {}) });
  }

  #lost(message: string): RpcError {
    return {
      code: "daemon.unavailable",
      message,
      hint: "the log has what it said last",
      actions: ["restartServer", "showLogs"],
      causes: [],
    };
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#disposed.signal.removeEventListener("abort", finish);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = finish;
      const timer = setTimeout(finish, milliseconds);
      this.#disposed.signal.addEventListener("abort", finish, { once: true });
    });
  }
}

function notStarted(thrown: unknown): string {
  return `the Boxwood server could not be started: ${parseError(thrown).message}`;
}
