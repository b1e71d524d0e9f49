// What comes from the server, checked before it is believed: events, and the errors of requests.
import { errorNumbers, type ErrorCode, type Event, type RpcError } from "./generated/protocol";

type Fields = Readonly<Record<string, "string" | "number" | "object">>;

/** The fields without which an event means nothing. The compiler asks for a line per event. */
export const eventFields: Readonly<Record<Event["type"], Fields>> = {
  snapshot: { sandboxes: "object", asks: "object", operations: "object", engine: "object" },
  sandboxChanged: { sandbox: "object" },
  sandboxRemoved: { id: "string" },
  engineChanged: { engine: "object" },
  stats: { sandboxId: "string", sample: "object" },
  egressDecided: { sandboxId: "string", decision: "object" },
  egressAsking: { sandboxId: "string", ask: "object" },
  egressAsked: { sandboxId: "string", askId: "string" },
  credentialsChanged: {},
  gitAsking: { sandboxId: "string", ask: "object" },
  gitAsked: { sandboxId: "string", askId: "string" },
  loginAsks: { operationId: "string", ask: "object" },
  operationStarted: { operation: "object" },
  operationProgress: { operationId: "string", message: "string", done: "number", total: "number" },
  operationOutput: { operationId: "string", stream: "string", text: "string" },
  operationEnded: { end: "object" },
};

/** @returns the event, or undefined for one that this version does not know */
export function parseEvent(value: unknown): Event | undefined {
  if (!isRecord(value) || typeof value.type !== "string" || !Object.hasOwn(eventFields, value.type)) return undefined;
  const fields = eventFields[value.type as Event["type"]];
  for (const [name, type] of Object.entries(fields)) {
    if (typeof value[name] !== type || value[name] === null) return undefined;
  }
  return value as Event;
}

/**
 * The error of a request. Errors of the contract carry an `RpcError` as their data; whatever else goes wrong on
 * the way (a closed connection, a fault in between) is put into the same form.
 */
export function parseError(thrown: unknown): RpcError {
  if (!isRecord(thrown)) return internalError(String(thrown));
  const { data } = thrown;
  if (isRecord(data) && isErrorCode(data.code) && typeof data.message === "string") {
    return {
      code: data.code,
      message: data.message,
      ...(typeof data.hint === "string" ? { hint: data.hint } : {}),
      actions: Array.isArray(data.actions) ? (data.actions as RpcError["actions"]) : [],
      causes: Array.isArray(data.causes) ? data.causes.map(String) : [],
      ...(typeof data.traceId === "string" ? { traceId: data.traceId } : {}),
    };
  }
  const message = typeof thrown.message === "string" ? thrown.message : JSON.stringify(thrown);
  const number = typeof thrown.code === "number" ? thrown.code : undefined;
  const known = Object.entries(errorNumbers).find(([, candidate]) => candidate === number)?.[0];
  return known !== undefined && isErrorCode(known)
    ? { code: known, message, actions: [], causes: [] }
    : internalError(message);
}

function internalError(message: string): RpcError {
  return { code: "internal", message, actions: ["showLogs", "restartServer"], causes: [] };
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorNumbers, value);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
