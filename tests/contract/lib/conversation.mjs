// One conversation with the real language server, written down as it passes.
import { Bed } from "../../perf/lib/bed.mjs";
import { LanguageServer } from "../../perf/lib/server.mjs";
import { run } from "../../perf/lib/measure.mjs";

const EVENT = "boxwood/event";
/** Longest wait for an event, milliseconds. */
const LONGEST_MS = 120_000;

export class Conversation {
  /** Every message so far, in the order in which it passed: `{ direction, message }`. */
  messages = [];
  #listeners = new Set();
  #server;

  /**
   * The server is started and greeted, and the first snapshot has come.
   * @param {(bed: Bed) => Promise<object | void>} arrange what has to be there before; what it gives is `arranged`, and
   *   its `close` is called in the end
   */
  static async open(name, arrange = async () => {}) {
    const conversation = new Conversation();
    conversation.bed = await Bed.create(`contract-${name}`);
    const { bed } = conversation;
    conversation.arranged = await arrange(bed);
    const onMessage = (direction, message) => {
      conversation.messages.push({ direction, message });
      conversation.#listeners.forEach((listener) => listener(message));
    };
    conversation.#server = new LanguageServer(bed.boxwoodCommand("lsp"), { cwd: bed.root, env: bed.environment }, onMessage);
    const clientInfo = { name: "recorder", version: "1.0.0" };
    await conversation.ask("initialize", { processId: process.pid, clientInfo, rootUri: null, capabilities: {} });
    conversation.#server.notify("initialized", {});
    await conversation.event(({ type }) => type === "snapshot");
    return conversation;
  }

  /** The answer to a request. */
  ask(method, params) {
    return this.#server.request(method, params);
  }

  /** The error object with which a request is refused. */
  async refused(method, params) {
    const answer = await this.ask(method, params).catch(({ error }) => ({ error }));
    if (!answer?.error) throw new Error(`${method} was not refused`);
    return answer.error;
  }

  /** The end of the operation that a request starts, whatever it is. */
  async ended(method, params) {
    const { operationId } = await this.ask(method, params);
    return this.end(operationId);
  }

  async end(operationId) {
    const { end } = await this.event(({ type, end }) => type === "operationEnded" && end.operationId === operationId);
    return end;
  }

  /** What an operation that has to go well gives. */
  async done(method, params) {
    const end = await this.ended(method, params);
    if (end.outcome !== "ok") throw new Error(`${method}: ${JSON.stringify(end)}`);
    return end.result;
  }

  /** The first event that fits, among those that came and those that will. */
  event(fits) {
    const matches = ({ method, params }) => method === EVENT && fits(params);
    const past = this.messages.find(({ direction, message }) => direction === "fromServer" && matches(message));
    if (past) return Promise.resolve(past.message.params);
    return new Promise((resolve, reject) => {
      const settle = (how, value) => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        how(value);
      };
      const listener = (message) => matches(message) && settle(resolve, message.params);
      const timer = setTimeout(() => settle(reject, new Error(`no event with ${fits}`)), LONGEST_MS);
      this.#listeners.add(listener);
    });
  }

  /** Says goodbye as the protocol has it. */
  async close() {
    await this.ask("shutdown");
    this.#server.notify("exit");
    await this.#server.ended;
  }

  /** Removes what the conversation made, also when it broke off. */
  async clear() {
    await this.#server.close();
    const problems = await this.bed.clear();
    await this.arranged?.close();
    if (problems.length > 0) throw new AggregateError(problems, "not everything could be cleared away");
  }
}

/** A git repository, as most projects are one: the recording shows how its hooks are protected. */
export async function makeRepository(folder) {
  await run(["git", "init", "--quiet", folder]);
}
