// A window of the extension in memory: the real parts on a stand-in for the editor, and a server made of functions.
import * as vscode from "vscode";
import type { App } from "../src/app";
import type {
  CredentialModeReport,
  CredentialSourceReport,
  CredentialsStatus,
  EgressAsk,
  EgressDecision,
  EgressReport,
  EngineStatus,
  Event,
  MethodName,
  OperationEnd,
  OperationSummary,
  RpcError,
  SandboxInfo,
} from "../src/generated/protocol";
import { methods } from "../src/generated/protocol";
import { Credentials } from "../src/credentials";
import { Egress } from "../src/egress";
import { LoginTerminal } from "../src/login";
import { Operations } from "../src/operations";
import { Projects } from "../src/projects";
import { failed, ok, type Result } from "../src/result";
import { SignIn } from "../src/signIn";
import { Server, type Connection, type ConnectOptions } from "../src/server";
import { Store } from "../src/store";
import { Terminals } from "../src/terminal";

export const engine: EngineStatus = { isAvailable: true, endpoint: "unix:///run/engine.sock", source: "default" };

export function sandbox(change: Partial<SandboxInfo> = {}): SandboxInfo {
  return {
    id: "shop-0a1b2c3d",
    container: "boxwood-shop-0a1b2c3d",
    project: "/home/ada/shop",
    session: "default",
    state: "running",
    health: "healthy",
    lifetime: "persistent",
    network: "open",
    enforcement: "off",
    blocked: 0,
    image: "boxwood-agent:slim",
    claudeVersion: "2.1.0",
    createdAt: "2026-01-02T03:04:05Z",
    isOutdated: false,
    ...change,
  };
}

export function snapshot(...sandboxes: SandboxInfo[]): Event {
  return { type: "snapshot", sandboxes, asks: {}, operations: [], engine };
}

/** A sandbox whose network policy is enforced. */
export function guarded(change: Partial<SandboxInfo> = {}): SandboxInfo {
  return sandbox({ network: "gateway", enforcement: "outside", ...change });
}

export function ask(change: Partial<EgressAsk> = {}): EgressAsk {
  return { id: "ask1", host: "example.com", port: 443, waiting: 1, untilMs: Date.now() + 60_000, ...change };
}

let serial = 0;

export function decision(change: Partial<EgressDecision> = {}): EgressDecision {
  serial += 1;
  return {
    serial,
    atMs: Date.UTC(2026, 0, 2, 3, 4, 5) + serial,
    host: "example.com",
    port: 443,
    via: "tls",
    action: "deny",
    layer: "default",
    count: 1,
    bytesUp: 0,
    bytesDown: 0,
    ...change,
  };
}

export function report(change: Partial<EgressReport> = {}): EgressReport {
  return {
    network: "gateway",
    enforcement: "outside",
    rules: [],
    default: "ask",
    bypassUntilMs: 0,
    asks: [],
    allowed: 0,
    blocked: 0,
    open: 0,
    presets: [],
    ...change,
  };
}

export function source(change: Partial<CredentialSourceReport> = {}): CredentialSourceReport {
  return {
    source: "loginHome",
    title: "login made with Boxwood",
    usage: "chosen",
    reason: "the first that is there",
    ...change,
  };
}

export function mode(change: Partial<CredentialModeReport> = {}): CredentialModeReport {
  return { mode: "isolated", holds: "a login of its own", isDefault: true, isAvailable: true, ...change };
}

/** A login that works, of new sandboxes. */
export function login(change: Partial<CredentialsStatus> = {}): CredentialsStatus {
  return {
    source: "loginHome",
    mode: "isolated",
    account: { email: "ada@example.com", subscription: "max" },
    health: "ok",
    detail: "signed in; held as 'isolated'",
    isInConflict: false,
    sources: [source()],
    modes: [
      mode(),
      mode({ mode: "token", holds: "what requests need", isDefault: false }),
      mode({ mode: "sync", holds: "a copy of the login", isDefault: false, explanation: "Both sides renew it." }),
    ],
    warnings: [],
    ...change,
  };
}

/** Nobody signed in yet, and no key either. */
export function signedOut(): CredentialsStatus {
  return {
    health: "signedOut",
    detail: "there is no login and no key",
    nextStep: "sign in with 'boxwood login'",
    isInConflict: false,
    sources: [source({ usage: "absent", reason: "not there: a subscription" })],
    modes: [],
    warnings: [],
  };
}

export function operation(change: Partial<OperationSummary> = {}): OperationSummary {
  return { operationId: "op1", kind: "ensure", startedAt: "2026-01-02T03:04:05Z", ...change };
}

export function ended(change: Partial<OperationEnd> = {}): OperationEnd {
  return { operationId: "op1", kind: "ensure", outcome: "ok", leftOver: [], durationMs: 12, ...change };
}

export function rpcError(change: Partial<RpcError> = {}): RpcError {
  return { code: "engine.failed", message: "the engine failed", actions: ["retry"], causes: [], ...change };
}

/** An answer: a value, or a function of the parameters. Throwing an `RpcError` makes it the answer's error. */
export type Answers = Partial<Record<MethodName | "boxwood/events/subscribe", unknown>>;

export interface Asked {
  method: string;
  params: Record<string, unknown>;
}

/** Throw this in an answer to fail the request as the server would. */
export class Refusal extends Error {
  readonly code = -1;
  constructor(readonly data: RpcError) {
    super(data.message);
  }
}

/**
 * A server that answers from a table. A method whose answer is `{ ends }` starts an operation that ends so: at once,
 * through an event, after the events in `before`.
 */
export class FakeServer {
  readonly asked: Asked[] = [];
  answers: Answers;
  options: ConnectOptions | undefined;
  starts = 0;
  #next = 1;

  constructor(answers: Answers = {}) {
    this.answers = answers;
  }

  connect = (options: ConnectOptions): Promise<Connection> => {
    this.options = options;
    this.starts += 1;
    return Promise.resolve({
      request: (method, params, signal) => this.#answer(method, params as Record<string, unknown>, signal),
      end: () => Promise.resolve(),
    });
  };

  emit(event: Event): void {
    this.options?.onEvent(event);
  }

  paramsOf(method: string): Record<string, unknown> | undefined {
    return this.asked.findLast((asked) => asked.method === method)?.params;
  }

  async #answer(method: string, params: Record<string, unknown>, signal?: AbortSignal): Promise<unknown> {
    this.asked.push({ method, params });
    await Promise.resolve();
    const answer = this.answers[method as MethodName];
    const value: unknown = typeof answer === "function" ? await (answer as (p: unknown) => unknown)(params) : answer;
    if (isOperation(value)) return this.#operate(method, value);
    if (value === undefined && method === methods.wait) return untilAborted(signal);
    return value ?? {};
  }

  #operate(method: string, { ends, before = [] }: Operation): { operationId: string } {
    const operationId = `op${this.#next++}`;
    const kind = method.split("/").at(-1) ?? "";
    for (const event of before) this.emit({ ...event, operationId } as Event);
    if (ends !== undefined) {
      const end = ends instanceof Refusal ? { outcome: "failed" as const, error: ends.data } : { result: ends };
      queueMicrotask(() => {
        this.emit({ type: "operationEnded", end: ended({ ...end, operationId, kind }) });
      });
    }
    return { operationId };
  }
}

interface Operation {
  ends: unknown;
  before?: Partial<Event>[];
}

function isOperation(value: unknown): value is Operation {
  return typeof value === "object" && value !== null && "ends" in value;
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => {
      reject(new Error("aborted"));
    });
  });
}

export interface Window {
  app: App;
  server: FakeServer;
}

/** A window on the given answers; the first snapshot has been received. */
export function openWindow(answers: Answers = {}, ...sandboxes: SandboxInfo[]): Promise<Window> {
  return openOn(ok("/opt/boxwood/bin/boxwood"), answers, sandboxes);
}

/** A window whose server's program cannot be had. */
export function openWithoutServer(error: RpcError): Promise<Window> {
  return openOn(failed(error), {}, []);
}

async function openOn(program: Result<string>, answers: Answers, sandboxes: SandboxInfo[]): Promise<Window> {
  const egress: Answers = { [methods.egressPolicyOf]: report(), [methods.egressLog]: [] };
  const credentials: Answers = { [methods.credentialsStatusOf]: login() };
  const server = new FakeServer({ [methods.list]: sandboxes, ...egress, ...credentials, ...answers });
  const store = new Store();
  const log = vscode.window.createOutputChannel("Boxwood", { log: true });
  const real = new Server({
    store,
    log,
    find: () => Promise.resolve(program),
    connect: server.connect,
  });
  const projects = new Projects();
  const operations = new Operations(real, store);
  const { signal } = new AbortController();
  const egressLog = vscode.window.createOutputChannel("Boxwood Egress");
  const app: App = {
    server: real,
    store,
    operations,
    terminals: new Terminals(() => undefined),
    projects,
    egress: new Egress({ server: real, store, projects, channel: egressLog }),
    credentials: new Credentials({ server: real, store, projects, log }),
    signIn: new SignIn({ server: real, store, operations, signal }),
    login: new LoginTerminal(() => undefined),
    log,
    output: vscode.window.createOutputChannel("Boxwood Output"),
    sandboxLog: vscode.window.createOutputChannel("Boxwood Sandbox Log"),
    egressLog,
    extensionId: "boxwood-dev.boxwood",
    sandboxSettings: ["variant", "memory", "cpus", "hostLogin"],
    signal,
  };
  await real.start();
  await app.projects.loaded();
  server.emit(snapshot(...sandboxes));
  return { app, server };
}

/** Lets everything that is ready to run do so. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await Promise.resolve();
}
