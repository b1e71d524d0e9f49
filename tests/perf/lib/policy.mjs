// Changes of a sandbox's policy as the editor makes them, over one conversation, and when they are felt.
import { LanguageServer } from "./server.mjs";

export class Policy {
  #server;
  #target;

  static async open(bed, folder) {
    const policy = new Policy();
    policy.#target = { project: folder };
    policy.#server = new LanguageServer(bed.boxwoodCommand("lsp"), { cwd: bed.root, env: bed.environment });
    bed.beforeEnd(() => policy.close());
    await policy.#server.request("initialize", { processId: process.pid, rootUri: null, capabilities: {} });
    policy.#server.notify("initialized", {});
    return policy;
  }

  /** Allows a host until the sandbox stops. Milliseconds until the answer, which comes when the gateway obeys. */
  async allow(host) {
    const began = process.hrtime.bigint();
    await this.#server.request("boxwood/egress/decide", { target: this.#target, host, answer: "allowSession" });
    return Number(process.hrtime.bigint() - began) / 1e6;
  }

  /** A flow to an allowed host that carries a byte every millisecond, and says when it was cut. */
  async flow(visitor, name, port) {
    const words = `'send=hello\\n' 'read=internet: hello' beat=1`;
    const lines = visitor.talk("sh", "-c", `exec ./attack talk "$(./attack own ${name}):${port}" ${words}`);
    await lines.until((line) => line === "beating");
    return lines;
  }

  /** Takes back what was allowed. Milliseconds until the flow was cut, as its client saw it. */
  async forget(host, flow) {
    // Client and server of the flow are processes of this machine, so they have the same clock.
    const asked = Date.now();
    await this.#server.request("boxwood/egress/forget", { target: this.#target, host });
    const [, at] = /^cut (\d+)$/.exec(await flow.until((line) => line.startsWith("cut ")));
    await flow.close();
    return Number(at) - asked;
  }

  close() {
    return this.#server.close();
  }
}
