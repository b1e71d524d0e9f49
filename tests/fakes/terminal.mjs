// A real terminal for programs that need one, made by util-linux's `script`, and what a person would read on it.
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";

// Generous: it ends a wait in vain, and a busy machine is not a fault.
const PATIENCE_MS = 120_000;

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** What is written, without what only steers; programs move the cursor instead of writing blanks. */
function readable(text) {
  return text
    .replace(/\x1b\[\d*[CG]/g, " ")
    .replace(/\x1b\[[0-9;?>=]*[A-Za-z]/g, "")
    .replace(/\x1b[\]P_^][\s\S]*?(?:\x07|\x1b\\)/g, "")
    .replace(/\x1b[()][A-Z0-9]|\x1b[=>78]/g, "")
    .replace(/\r/g, "");
}

export class Terminal {
  #child;
  #raw = "";
  #changes = new EventEmitter();
  #ended;

  /** Runs a program on a terminal of its own, wide enough that no address or token is broken in two. */
  constructor(program, args, { env, cwd, columns = 400, rows = 50 } = {}) {
    const line = `stty rows ${rows} cols ${columns}; exec ${[program, ...args].map(quoted).join(" ")}`;
    this.#child = spawn("script", ["--quiet", "--flush", "--return", "--command", line, "/dev/null"], {
      cwd,
      env: { ...env, TERM: "xterm-256color", SHELL: "/bin/sh" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout.setEncoding("utf8").on("data", (text) => {
      this.#raw += text;
      this.#changes.emit("change");
    });
    // The program may end while keys are on their way to it.
    this.#child.stdin.on("error", () => {});
    this.#ended = once(this.#child, "close").then(([code]) => {
      this.#changes.emit("change");
      return code;
    });
  }

  /** Everything that was shown so far. */
  text() {
    return readable(this.#raw);
  }

  /** Waits until `pattern` shows and gives what it matched; only what is shown after character `from` counts. */
  waitFor(pattern, from = 0) {
    return new Promise((resolve, reject) => {
      const settle = (how, value) => {
        clearTimeout(timer);
        this.#changes.off("change", look);
        how(value);
      };
      const fail = (why) => settle(reject, new Error(`${pattern} never showed, ${why}; there was:\n${this.text()}`));
      const look = () => {
        const match = pattern.exec(this.text().slice(from));
        if (match) settle(resolve, match);
        else if (this.#child.exitCode !== null && this.#child.stdout.readableEnded) fail("and the program has ended");
      };
      const timer = setTimeout(() => fail(`within ${PATIENCE_MS} ms`), PATIENCE_MS);
      this.#changes.on("change", look);
      look();
    });
  }

  type(keys) {
    this.#child.stdin.write(keys);
  }

  /** @returns {Promise<number>} the program's status */
  wait() {
    return this.#ended;
  }

  async close() {
    this.#child.stdin.end();
    this.#child.kill("SIGHUP");
    await this.#ended;
  }
}
