// A process that is talked with line by line.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Longest wait for a line, milliseconds. */
const LONGEST_MS = 60_000;

export class Lines {
  #child;
  #lines;
  #command;
  #complaint = "";

  constructor([program, ...args], options = {}) {
    this.#command = [program, ...args].join(" ");
    this.#child = spawn(program, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding("utf8").on("data", (text) => (this.#complaint += text));
    this.#child.stdin.on("error", () => {}); // the end of the process says more
    this.#child.on("error", (error) => (this.#complaint += error.message));
    this.ended = new Promise((resolve) => this.#child.on("close", resolve));
  }

  /** The next line. */
  async next() {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.#command}: no line within ${LONGEST_MS} ms`)), LONGEST_MS);
    });
    try {
      const { value, done } = await Promise.race([this.#lines.next(), late]);
      if (!done) return value;
      await this.ended;
      throw new Error(`${this.#command}: ended early\n${this.#complaint.trim().slice(-2000)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The first line from now on that fits. */
  async until(fits) {
    for (;;) {
      const line = await this.next();
      if (fits(line)) return line;
    }
  }

  say(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** For one that leaves at the end of its input. */
  async close() {
    this.#child.stdin.end();
    await this.ended;
  }

  /** For one that would go on for ever. */
  async kill() {
    this.#child.kill("SIGTERM");
    await this.ended;
  }
}
