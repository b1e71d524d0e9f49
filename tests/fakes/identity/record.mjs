// What was asked and how it was answered, one JSON line each, with no secret in it: hashes stand for them.
import { appendFileSync, writeFileSync } from "node:fs";
import { credentialHash } from "../http.mjs";

const FIELDS = new Set(["code", "state", "code_verifier", "refresh_token", "token"]);
const SECRETS = /sk-ant-(?:oat01|ort01|api03)-[A-Za-z0-9_-]{8,}/g;

const hidden = (value) => `sha256:${credentialHash(value)}`;
const hideWords = (text) => text.replace(SECRETS, hidden);

/** A path with its query. */
export function cleanPath(url) {
  const query = new URLSearchParams(url.searchParams);
  // `code=true` asks for a code; it is none.
  for (const [name, value] of url.searchParams) if (FIELDS.has(name) && value !== "true") query.set(name, hidden(value));
  return url.pathname + (query.size > 0 ? `?${hideWords(decodeURIComponent(query.toString()))}` : "");
}

/** A body: fields that hold secrets, and whatever looks like one anywhere else. */
export function cleanBody(value) {
  if (value === null || value === undefined) return null;
  const text = JSON.stringify(value, function hide(name, inner) {
    return this === value && FIELDS.has(name) && typeof inner === "string" ? hidden(inner) : inner;
  });
  return JSON.parse(hideWords(text));
}

export class Recorder {
  #file;
  #onRequest;

  constructor({ record, onRequest }) {
    this.#file = record;
    this.#onRequest = onRequest;
    if (record) writeFileSync(record, "", { mode: 0o600 });
  }

  note(entry) {
    if (this.#file) appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
    this.#onRequest?.(entry);
  }
}
