// Operations of the server: started by a request, followed through events, ended exactly once.
import {
  methods,
  type Event,
  type MethodName,
  type Methods,
  type OperationEnd,
  type OperationStarted,
  type RpcError,
} from "./generated/protocol";
import { cancelled, failed, ok, type Result } from "./result";
import type { Store } from "./store";

/** The methods that start an operation. */
export type OperationMethod = {
  [M in MethodName]: [Methods[M]["outcome"]] extends [never] ? never : M;
}[MethodName];

/** An event of one operation before its end. */
export type OperationEvent = Extract<Event, { type: "operationProgress" | "operationOutput" }>;

/** What is needed of the server; see server.ts. */
export interface Requests {
  request<M extends MethodName>(
    method: M,
    params: Methods[M]["params"],
    signal?: AbortSignal,
  ): Promise<Result<Methods[M]["result"]>>;
}

export interface FollowOptions {
  /** Asks the server to cancel; the result still waits for the operation's one end. */
  readonly signal: AbortSignal;
  /** Told of the operation's id before anything else. */
  onStarted?(operationId: string): void;
  onEvent?(event: OperationEvent): void;
}

/** Events of operations that nobody follows yet are kept for this many operations, each with this many events. */
const KEPT_OPERATIONS = 32;
const KEPT_EVENTS = 500;

/** How often, and how long apart, the end is asked for while the connection is gone; a snapshot asks at once. */
const ASK_TIMES = 20;
const ASK_AGAIN_MS = 1_500;

/** How long a start may still be answered after it was cancelled. */
const PATIENCE_MS = 3_000;

interface Tracked {
  events: OperationEvent[];
  end?: OperationEnd;
  listener?: (event: OperationEvent) => void;
  ended?: (end: OperationEnd) => void;
}

export class Operations {
  readonly #server: Requests;
  readonly #store: Store;
  readonly #records = new Map<string, Tracked>();
  readonly #subscription: { dispose(): void };

  constructor(server: Requests, store: Store) {
    this.#server = server;
    this.#store = store;
    this.#subscription = store.onInput((input) => {
      if (input.type === "operationProgress" || input.type === "operationOutput") this.#heard(input);
      else if (input.type === "operationEnded") this.#ended(input.end);
    });
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  /** Starts an operation and follows it to its end. */
  async run<M extends OperationMethod>(
    method: M,
    params: Methods[M]["params"],
    options: FollowOptions,
  ): Promise<Result<Methods[M]["outcome"]>> {
    if (options.signal.aborted) return cancelled;
    const started = await this.#started(method, params, options.signal);
    if (started.kind !== "ok") return started;
    return this.follow<M>(started.value.operationId, options);
  }

  /** Follows an operation that runs, whoever started it, to its end. */
  async follow<M extends OperationMethod>(
    operationId: string,
    options: FollowOptions,
  ): Promise<Result<Methods[M]["outcome"]>> {
    options.onStarted?.(operationId);
    const settled = new AbortController();
    const ends = [this.#endByEvent(operationId, options), this.#endByAsking(operationId, settled.signal)];
    const isCancelHopeless = new Promise<Result<OperationEnd>>((resolve) => {
      onAbort(options.signal, settled.signal, () => {
        void this.#server.request(methods.cancel, { operationId }).then((answer) => {
          if (answer.kind === "error") resolve(cancelled);
        });
      });
    });
    try {
      const end = await Promise.race([...ends, isCancelHopeless]);
      return end.kind === "ok" ? outcome<Methods[M]["outcome"]>(end.value) : end;
    } finally {
      settled.abort();
      this.#records.delete(operationId);
    }
  }

  /**
   * The request is not given the signal: an operation whose start was cancelled but went through could be cancelled by
   * nobody. When the answer does not come although the person has given up, it is cancelled whenever it does.
   */
  async #started(method: OperationMethod, params: object, signal: AbortSignal): Promise<Result<OperationStarted>> {
    const answered = new AbortController();
    const request = this.#server.request(method, params);
    const isGivenUp = new Promise<"givenUp">((resolve) => {
      onAbort(signal, answered.signal, () => {
        setTimeout(resolve, PATIENCE_MS, "givenUp");
      });
    });
    const first = await Promise.race([request, isGivenUp]);
    answered.abort();
    if (first !== "givenUp") return first;
    void request.then((late) => {
      if (late.kind === "ok") void this.#server.request(methods.cancel, late.value);
    });
    return cancelled;
  }

  #endByEvent(operationId: string, options: FollowOptions): Promise<Result<OperationEnd>> {
    const record = this.#record(operationId);
    record.listener = (event) => options.onEvent?.(event);
    for (const event of record.events.splice(0)) record.listener(event);
    return new Promise((resolve) => {
      record.ended = (end) => {
        resolve(ok(end));
      };
      if (record.end) record.ended(record.end);
    });
  }

  /** For when the event is lost on the way: `wait` answers with the end too, also after it happened. */
  async #endByAsking(operationId: string, signal: AbortSignal): Promise<Result<OperationEnd>> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#server.request(methods.wait, { operationId }, signal);
      if (answer.kind !== "error") return answer;
      if (answer.error.code === "operation.notFound") return failed(lost(answer.error.message));
      if (answer.error.code !== "daemon.unavailable" || attempt === ASK_TIMES) return answer;
      await this.#reconnected(signal);
      if (signal.aborted) return cancelled;
    }
  }

  #reconnected(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        subscription.dispose();
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, ASK_AGAIN_MS);
      const subscription = this.#store.onInput((input) => {
        if (input.type === "snapshot") finish();
      });
      signal.addEventListener("abort", finish);
    });
  }

  #heard(event: OperationEvent): void {
    const record = this.#record(event.operationId);
    if (record.listener) record.listener(event);
    else if (record.events.length < KEPT_EVENTS) record.events.push(event);
  }

  #ended(end: OperationEnd): void {
    const record = this.#record(end.operationId);
    record.end = end;
    record.ended?.(end);
  }

  #record(operationId: string): Tracked {
    const known = this.#records.get(operationId);
    if (known) return known;
    const record: Tracked = { events: [] };
    this.#records.set(operationId, record);
    for (const [id, candidate] of this.#records) {
      if (this.#records.size <= KEPT_OPERATIONS) break;
      if (!candidate.listener && candidate !== record) this.#records.delete(id);
    }
    return record;
  }
}

/** The daemon that ran the operation is gone, and with it the operation. */
function lost(cause: string): RpcError {
  return {
    code: "operation.notFound",
    message: "the Boxwood server was restarted before the operation ended",
    hint: "what was half done has been undone; try again",
    actions: ["retry", "showLogs"],
    causes: [cause],
  };
}

/** Calls back once when the one signal is aborted, unless the other was first. */
function onAbort(signal: AbortSignal, unless: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true, signal: unless });
}

function outcome<T>(end: OperationEnd): Result<T> {
  switch (end.outcome) {
    case "ok":
      return ok(end.result as T);
    case "cancelled":
      return cancelled;
    case "failed":
      return failed(
        end.error ?? {
          code: "internal",
          message: `the operation '${end.kind}' failed without saying why`,
          actions: ["showLogs"],
          causes: [],
        },
      );
  }
}
