// What goes wrong on purpose: the next so many answers of an endpoint.
//
//   {on: "refresh", times: 2, kind: "status", status: 429, headers: {"retry-after": "1"}}
//
//   status   answers with that status instead; the request changes nothing
//   refuse   ends the connection instead; the request changes nothing
//   slow     waits `ms` milliseconds, then goes on as usual
//   stall    waits until faults are cleared or the client has left, then goes on as usual
//   cut      does what was asked, then ends the connection after `bytes` bytes of the answer's body; 0: without an answer
//
// `on` is an endpoint's name as records have it, a list of them, or "*". `times` left out: until faults are cleared.
import { setTimeout as delay } from "node:timers/promises";
import { sendError } from "../http.mjs";

const KINDS = ["status", "refuse", "slow", "stall", "cut"];

/** Ends the connection when so many bytes of the body have been handed to it, or at the body's end if that comes first. */
function cutAfter(response, bytes) {
  const { write } = response;
  const socket = response.socket;
  let left = bytes;
  let isCut = false;
  const cut = () => socket.destroy();
  const pass = (chunk, encoding) => {
    if (isCut) return false;
    const part = typeof chunk === "string" ? Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8") : chunk;
    if (part.length < left) {
      left -= part.length;
      return write.call(response, part);
    }
    isCut = true;
    return left === 0 ? cut() : write.call(response, part.subarray(0, left), cut);
  };
  response.write = pass;
  response.end = (chunk, encoding) => {
    if (chunk) pass(chunk, encoding);
    if (!isCut) socket.end();
    return response;
  };
}

export class Faults {
  #waiting = [];
  #released = new AbortController();

  add({ on = "*", times = null, kind, status = null, message = null, headers = {}, ms = 0, bytes = 0 }) {
    if (!KINDS.includes(kind)) throw new Error(`a fault is one of ${KINDS.join(", ")}`);
    if (kind === "status" && !(status >= 400 && status <= 599)) throw new Error("a fault of the kind 'status' needs one from 400 to 599");
    this.#waiting.push({ on: [on].flat(), left: times, kind, status, message, headers, ms, bytes });
  }

  clear() {
    this.#waiting = [];
    this.#released.abort();
    this.#released = new AbortController();
  }

  /** Those that have not all happened yet. */
  list() {
    return this.#waiting.map((fault) => ({ ...fault }));
  }

  #take(endpoint) {
    const fault = this.#waiting.find(({ on }) => on.includes("*") || on.includes(endpoint));
    if (fault && fault.left !== null) {
      fault.left -= 1;
      if (fault.left <= 0) this.#waiting.splice(this.#waiting.indexOf(fault), 1);
    }
    return fault;
  }

  /** @returns {Promise<boolean>} whether the request is still to be answered as usual */
  async meet(endpoint, request, response) {
    const fault = this.#take(endpoint);
    switch (fault?.kind) {
      case "status":
        sendError(response, fault.status, fault.message ?? `asked for by the test: ${fault.status}`, fault.headers);
        return false;
      case "refuse":
        request.socket.destroy();
        return false;
      case "slow":
        await delay(fault.ms);
        break;
      case "stall":
        await this.#held(response);
        break;
      case "cut":
        cutAfter(response, fault.bytes);
        break;
      default:
    }
    return !response.destroyed;
  }

  #held(response) {
    const { signal } = this.#released;
    return new Promise((resolve) => {
      response.once("close", resolve);
      signal.addEventListener("abort", resolve, { once: true });
    });
  }
}
