// A conversation with a language server over its standard streams.
import { spawn } from "node:child_process";

/** Longest wait for an answer, milliseconds. */
const LONGEST_MS = 60_000;

export class LanguageServer {
  #child;
  #input = Buffer.alloc(0);
  #waiting = new Map();
  #last = 0;
  #onMessage;

  /** @param {(direction: "toServer" | "fromServer", message: object) => void} onMessage sees every message as it passes */
  constructor([program, ...args], options, onMessage = () => {}) {
    this.#onMessage = onMessage;
    this.#child = spawn(program, args, { ...options, stdio: ["pipe", "pipe", "ignore"] });
    this.ended = new Promise((resolve) => this.#child.on("close", resolve));
    const broken = (why) => this.#waiting.forEach(({ reject }) => reject(new Error(`${program}: ${why}`)));
    this.#child.on("error", (error) => broken(error.message));
    this.#child.on("close", (code) => broken(`ended with ${code}`));
    this.#child.stdin.on("error", () => {}); // the end of the process says more
    this.#child.stdout.on("data", (bytes) => this.#take(bytes));
  }

  /** The answer to a request. */
  request(method, params) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer within ${LONGEST_MS} ms`)), LONGEST_MS);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        how(value);
      };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#send({ jsonrpc: "2.0", id, method, params });
    });
  }

  notify(method, params) {
    this.#send({ jsonrpc: "2.0", method, params });
  }

  /** The server leaves at the end of its input. */
  async close() {
    this.#child.stdin.end();
    await this.ended;
  }

  #send(message) {
    const body = JSON.stringify(message);
    this.#onMessage("toServer", JSON.parse(body));
    this.#child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  #take(bytes) {
    this.#input = Buffer.concat([this.#input, bytes]);
    for (;;) {
      const end = this.#input.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/content-length: *(\d+)/i.exec(this.#input.subarray(0, end).toString("latin1"))[1]);
      const whole = end + 4 + length;
      if (this.#input.length < whole) return;
      const message = JSON.parse(this.#input.subarray(end + 4, whole).toString("utf8"));
      this.#input = this.#input.subarray(whole);
      this.#onMessage("fromServer", message);
      const waiting = message.method === undefined ? this.#waiting.get(message.id) : undefined;
      if (message.error) waiting?.reject(Object.assign(new Error(message.error.message), { error: message.error }));
      else waiting?.resolve(message.result);
    }
  }
}

/** Milliseconds from before the process exists until it has answered `initialize`; leaving is not part of them. */
export async function timeToInitialize(command, options) {
  const began = process.hrtime.bigint();
  const server = new LanguageServer(command, options);
  await server.request("initialize", { processId: process.pid, rootUri: null, capabilities: {} });
  const ms = Number(process.hrtime.bigint() - began) / 1e6;
  await server.close();
  return ms;
}
