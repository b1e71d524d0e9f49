// What this window knows, and how each message changes it. Pure: a state and an input give the next state.
import type {
  CredentialsStatus,
  EngineStatus,
  Event,
  OperationSummary,
  RpcError,
  SandboxInfo,
  SandboxState,
  StatsSample,
} from "./generated/protocol";
import {
  noEgress,
  reduceEgress,
  withoutConnections,
  type Egress,
  type EgressAnswered,
  type EgressMap,
} from "./egressModel";
import { baseName } from "./format";
import { unreachable } from "./result";

/** `connecting` also stands for a server that is being started again. */
export type ServerPhase = "connecting" | "running" | "failed";

export interface RunningOperation {
  readonly summary: OperationSummary;
  /** What it is doing, once it has said so. */
  readonly message?: string;
}

export interface Model {
  readonly server: ServerPhase;
  /** Why the server does not run, when it has failed. */
  readonly problem?: RpcError;
  /** Absent until the first snapshot of a connection. */
  readonly engine?: EngineStatus;
  readonly sandboxes: ReadonlyMap<string, SandboxInfo>;
  readonly operations: ReadonlyMap<string, RunningOperation>;
  readonly stats: ReadonlyMap<string, StatsSample>;
  /** Connections, by sandbox. */
  readonly egress: EgressMap;
  /** Claude's login, of what the window shows; absent until it was asked for. */
  readonly credentials?: CredentialsStatus;
}

export type Input =
  | Event
  | EgressAnswered
  | { readonly type: "credentials"; readonly status: CredentialsStatus }
  | { readonly type: "server"; readonly phase: ServerPhase; readonly problem?: RpcError };

export const emptyModel: Model = {
  server: "connecting",
  sandboxes: new Map(),
  operations: new Map(),
  stats: new Map(),
  egress: new Map(),
};

/** @returns the next state; the same object when nothing changed */
export function reduce(model: Model, input: Input): Model {
  switch (input.type) {
    case "server":
      // Whatever was known came over a connection that is gone: nothing is shown rather than something stale.
      return { ...emptyModel, server: input.phase, ...(input.problem ? { problem: input.problem } : {}) };
    case "snapshot":
      return {
        ...model,
        engine: input.engine,
        sandboxes: new Map(input.sandboxes.map((sandbox) => [sandbox.id, sandbox])),
        operations: new Map(
          input.operations.map((summary) => [
            summary.operationId,
            { ...model.operations.get(summary.operationId), summary },
          ]),
        ),
        stats: keep(model.stats, (id) => input.sandboxes.some((sandbox) => sandbox.id === id && isRunning(sandbox))),
        egress: reduceEgress(model.egress, input),
      };
    case "sandboxChanged":
      return {
        ...model,
        sandboxes: put(model.sandboxes, input.sandbox.id, input.sandbox),
        stats: isRunning(input.sandbox) ? model.stats : drop(model.stats, input.sandbox.id),
        egress: isRunning(input.sandbox) ? model.egress : withoutConnections(model.egress, input.sandbox.id),
      };
    case "sandboxRemoved":
      return {
        ...model,
        sandboxes: drop(model.sandboxes, input.id),
        stats: drop(model.stats, input.id),
        egress: drop(model.egress, input.id),
      };
    case "engineChanged":
      return { ...model, engine: input.engine };
    case "stats":
      return model.sandboxes.has(input.sandboxId)
        ? { ...model, stats: put(model.stats, input.sandboxId, input.sample) }
        : model;
    case "operationStarted":
      return {
        ...model,
        operations: put(model.operations, input.operation.operationId, { summary: input.operation }),
      };
    case "operationProgress": {
      const operation = model.operations.get(input.operationId);
      if (!operation || operation.message === input.message) return model;
      return {
        ...model,
        operations: put(model.operations, input.operationId, { ...operation, message: input.message }),
      };
    }
    case "egressDecided":
    case "egressAsking":
    case "egressAsked":
    case "egressReport":
    case "egressLog": {
      const egress = reduceEgress(model.egress, input);
      return egress === model.egress || !model.sandboxes.has(input.sandboxId) ? model : { ...model, egress };
    }
    case "credentials":
      return { ...model, credentials: input.status };
    case "credentialsChanged":
    case "gitAsking":
    case "gitAsked":
    case "loginAsks":
    case "operationOutput":
      return model;
    case "operationEnded":
      return model.operations.has(input.end.operationId)
        ? { ...model, operations: drop(model.operations, input.end.operationId) }
        : model;
    default:
      return unreachable(input);
  }
}

export function isRunning(sandbox: SandboxInfo): boolean {
  return sandbox.state === "running" || sandbox.state === "paused";
}

/** What is known of a sandbox's connections. */
export function egressOf(model: Model, sandboxId: string): Egress {
  return model.egress.get(sandboxId) ?? noEgress;
}

/** What a person calls a sandbox: its project's folder, and the session when it is not the usual one. */
export function sandboxName({ project, session }: { project: string; session: string }): string {
  return session === "default" ? baseName(project) : `${baseName(project)} (${session})`;
}

/** Running first, then by project and session. */
export function sorted(sandboxes: Iterable<SandboxInfo>): SandboxInfo[] {
  return [...sandboxes].sort(
    (a, b) => rank[a.state] - rank[b.state] || a.project.localeCompare(b.project) || a.session.localeCompare(b.session),
  );
}

const rank: Record<SandboxState, number> = { running: 0, creating: 1, paused: 2, failed: 3, stopped: 4 };

/** The sandboxes of a project; `project` is a canonical path, as the server gives it. */
export function sandboxesOf(model: Model, project: string): SandboxInfo[] {
  return sorted([...model.sandboxes.values()].filter((sandbox) => sandbox.project === project));
}

/** The one that stands for a project: a running one before others, the default session before others. */
export function primarySandbox(model: Model, project: string): SandboxInfo | undefined {
  const all = sandboxesOf(model, project);
  const live = all.filter(isRunning);
  const candidates = live.length > 0 ? live : all;
  return candidates.find((sandbox) => sandbox.session === "default") ?? candidates[0];
}

/** The operations that say what is happening to a sandbox; reading a log or a figure changes nothing. */
export const changingKinds = ["ensure", "stop", "restart", "refresh", "remove"] as const;
export type ChangingKind = (typeof changingKinds)[number];

/** What is being done to a sandbox right now, or to a project that has none yet. */
export function changeUnderWay(
  model: Model,
  project: string,
  sandboxId: string | undefined,
): { kind: ChangingKind; message?: string } | undefined {
  for (const { summary, message } of model.operations.values()) {
    const kind = changingKinds.find((candidate) => candidate === summary.kind);
    if (!kind || summary.outcome !== undefined) continue;
    const fits =
      summary.sandboxId !== undefined && sandboxId !== undefined
        ? summary.sandboxId === sandboxId
        : summary.project === project;
    if (fits) return { kind, ...(message !== undefined ? { message } : {}) };
  }
  return undefined;
}

function put<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return new Map(map).set(key, value);
}

function drop<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  return map.has(key) ? keep(map, (candidate) => candidate !== key) : map;
}

function keep<K, V>(map: ReadonlyMap<K, V>, isKept: (key: K) => boolean): ReadonlyMap<K, V> {
  return new Map([...map].filter(([key]) => isKept(key)));
}
