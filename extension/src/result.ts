// How everything that can fail or be called off ends. Nothing in the extension throws across modules.
import type { RpcError } from "./generated/protocol";

export type Result<T> = Ok<T> | Cancelled | Failure;

export interface Ok<T> {
  readonly kind: "ok";
  readonly value: T;
}

/** The person called it off, or the extension is leaving. */
export interface Cancelled {
  readonly kind: "cancelled";
}

export interface Failure {
  readonly kind: "error";
  readonly error: RpcError;
}

export const cancelled: Cancelled = { kind: "cancelled" };

export function ok<T>(value: T): Ok<T> {
  return { kind: "ok", value };
}

/** Something went well and has nothing to say. */
export const done: Ok<undefined> = ok(undefined);

export function failed(error: RpcError): Failure {
  return { kind: "error", error };
}

/** Marks a branch that the types rule out; fails to compile when a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
