#!/usr/bin/env node
// A local imitation of the Messages API, complete enough for the unmodified claude binary to finish
// turns, call tools and resume conversations without a network. What it answers stands in script.mjs.
//
//   node messages-api.mjs [--port 0] [--host 127.0.0.1] [--record FILE] [--require-key KEY | --require-key-in FILE]
//
// Prints one line, {"port":N}, when it listens. With --record each request becomes one JSON line in
// FILE: method, path, which kind of credential came (never the value: its hash), and the body.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { closeServer, credentialHash, credentials, listen, readBody, REQUEST_ID, sendError, sendJson, tooLarge } from "./http.mjs";
import { asked } from "./providers.mjs";
import { decide } from "./script.mjs";

export { credentialHash };

/** About four characters to a token: the order of magnitude is all that a client needs. */
function tokens(value) {
  return Math.max(1, Math.ceil(JSON.stringify(value ?? "").length / 4));
}

function pieces(text, size) {
  return text.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [""];
}

/** The server-sent events of one answer, in the order of the real API. */
function* streamEvents(message) {
  yield { type: "message_start", message: { ...message, content: [], stop_reason: null, usage: { ...message.usage, output_tokens: 1 } } };
  yield { type: "ping" };
  for (const [index, block] of message.content.entries()) {
    if (block.type === "tool_use") {
      yield { type: "content_block_start", index, content_block: { ...block, input: {} } };
      for (const partial_json of pieces(JSON.stringify(block.input), 64)) yield { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } };
    } else {
      yield { type: "content_block_start", index, content_block: { type: "text", text: "" } };
      for (const text of pieces(block.text, 24)) yield { type: "content_block_delta", index, delta: { type: "text_delta", text } };
    }
    yield { type: "content_block_stop", index };
  }
  yield { type: "message_delta", delta: { stop_reason: message.stop_reason, stop_sequence: null }, usage: { output_tokens: message.usage.output_tokens } };
  yield { type: "message_stop" };
}

async function sendStream(response, message, paceMs, frame) {
  const type = frame ? "application/vnd.amazon.eventstream" : "text/event-stream; charset=utf-8";
  response.writeHead(200, { "content-type": type, "cache-control": "no-cache", ...REQUEST_ID });
  for (const event of streamEvents(message)) {
    if (response.destroyed) return;
    response.write(frame ? frame(event) : `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    if (paceMs > 0 && event.type === "content_block_delta") await delay(paceMs);
  }
  response.end();
}

/** What is behind the paths of the API, whoever may ask: counts its own answers, so that several in one process stay independent. */
export class Model {
  #answers;
  #defaults = 0;
  #ids = 0;

  /** @param {Record<string, string>} answers from a whole prompt to the directives that answer it */
  constructor(answers) {
    this.#answers = answers;
  }

  /** Answers a request that was read and may be answered. */
  async serve(request, url, body, response) {
    if (url.pathname === "/v1/models" && request.method === "GET") return sendJson(response, 200, { data: [], has_more: false, first_id: null, last_id: null });
    if (request.method !== "POST") return sendError(response, 404, `${request.method} ${url.pathname} is not imitated`);
    if (body.invalid || !Array.isArray(body.json?.messages)) return sendError(response, 400, "messages: field required");
    if (url.pathname === "/v1/messages/count_tokens") return sendJson(response, 200, { input_tokens: tokens(body.json.messages) });
    if (url.pathname === "/v1/messages") return this.#answer(body.json, response);
    const elsewhere = asked(url.pathname);
    if (elsewhere) return this.#answer({ ...body.json, model: elsewhere.model, stream: elsewhere.isStream }, response, elsewhere.frame);
    return sendError(response, 404, `${url.pathname} is not imitated`);
  }

  async #answer(body, response, frame = null) {
    const decision = decide(body, () => `FAKE-REPLY ${(this.#defaults += 1)}`, this.#answers);
    if (decision.status !== null) return sendError(response, decision.status, `asked for by the prompt: ${decision.status}`);
    const number = (this.#ids += 1);
    const content = decision.blocks.map((block, index) => (block.type === "tool_use" ? { ...block, id: `toolu_fake_${number}_${index}` } : block));
    const message = {
      id: `msg_fake_${number}`,
      type: "message",
      role: "assistant",
      model: body.model ?? "fake",
      content,
      stop_reason: decision.stopReason,
      stop_sequence: null,
      usage: { input_tokens: tokens(body.messages), cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: tokens(content) },
    };
    if (body.stream) return sendStream(response, message, decision.paceMs, frame);
    return sendJson(response, 200, message);
  }

  /** Everything beside the model: connectivity probes, settings, flags and telemetry. */
  sundry(url, response) {
    if (url.pathname === "/" || url.pathname.endsWith("/hello")) return sendJson(response, 200, { message: "hello" });
    if (url.pathname.startsWith("/api/")) return sendJson(response, 200, {});
    return sendError(response, 404, `${url.pathname} is not imitated`);
  }
}

/** One running imitation. */
class MessagesApi {
  #options;
  #model;

  constructor(options) {
    this.#options = options;
    this.#model = new Model(options.answers);
    if (options.record) writeFileSync(options.record, "", { mode: 0o600 });
  }

  async handle(request, response) {
    const url = new URL(request.url, "http://fake");
    const body = await readBody(request);
    const found = credentials(request.headers);
    this.#record({
      at: new Date().toISOString(),
      method: request.method,
      path: url.pathname + url.search,
      auth: found.map(({ kind, value }) => ({ kind, hash: credentialHash(value) })),
      userAgent: request.headers["user-agent"] ?? null,
      body: body.json ?? null,
    });
    if (body.tooLarge) return tooLarge(response);
    if (!url.pathname.startsWith("/v1/") && !asked(url.pathname)) return this.#model.sundry(url, response);
    const key = this.#options.requireKey;
    if (key !== undefined && !found.some(({ value }) => value === key)) return sendError(response, 401, "invalid x-api-key");
    return this.#model.serve(request, url, body, response);
  }

  #record(entry) {
    if (this.#options.record) appendFileSync(this.#options.record, `${JSON.stringify(entry)}\n`);
    this.#options.onRequest?.(entry);
  }
}

/**
 * Starts the imitation inside this process.
 * @param {{port?: number, host?: string, record?: string, requireKey?: string, answers?: Record<string, string>, onRequest?: (entry: object) => void}} options
 *   answers: from a whole prompt to the directives that answer it
 * @returns {Promise<{port: number, close: () => Promise<void>}>}
 */
export async function startMessagesApi(options = {}) {
  const api = new MessagesApi(options);
  const server = createServer((request, response) => {
    api.handle(request, response).catch((error) => {
      if (response.headersSent) response.destroy(error);
      else sendError(response, 500, error.message);
    });
  });
  const port = await listen(server, options);
  return { port, close: () => closeServer(server) };
}

async function main() {
  const { values } = parseArgs({
    options: { port: { type: "string", default: "0" }, host: { type: "string", default: "127.0.0.1" }, record: { type: "string" }, "require-key": { type: "string" }, "require-key-in": { type: "string" } },
  });
  // Everybody can read the arguments of another's process.
  const file = values["require-key-in"];
  const requireKey = file === undefined ? values["require-key"] : readFileSync(file, "utf8");
  const api = await startMessagesApi({ port: Number(values.port), host: values.host, record: values.record, requireKey });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => api.close());
  console.log(JSON.stringify({ port: api.port }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main().catch((error) => {
    console.error(`messages-api: ${error.message}`);
    process.exitCode = 1;
  });
}
