// A person's machine as far as claude is concerned: a home of its own, and the way to an imitated identity server.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { claudeBinary } from "./claude-binary.mjs";
import { Terminal } from "./terminal.mjs";

async function readJson(file) {
  const text = await readFile(file, "utf8").catch((error) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  return text === null ? null : JSON.parse(text);
}

export class ClaudeHome {
  #binary;
  #env;

  constructor(folder, binary, identity) {
    this.folder = folder;
    this.#binary = binary;
    this.#env = {
      PATH: process.env.PATH,
      HOME: folder,
      CLAUDE_CONFIG_DIR: path.join(folder, ".claude"),
      HTTPS_PROXY: `http://127.0.0.1:${identity.ports.proxy}`,
      NODE_EXTRA_CA_CERTS: identity.ca,
      DISABLE_AUTOUPDATER: "1",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      // It may be root who tests.
      IS_SANDBOX: "1",
      // Nobody is there to see a browser.
      BROWSER: "/bin/false",
    };
  }

  /** @param {{ports: {proxy: number}, ca: string}} identity what startIdentity({hasProxy: true}) gives */
  static async make(identity, login) {
    const folder = await mkdtemp(path.join(tmpdir(), "fake-home-"));
    const home = new ClaudeHome(folder, await claudeBinary(), identity);
    await mkdir(path.join(folder, ".claude"));
    if (login) await home.store(login);
    return home;
  }

  #file(name) {
    return path.join(this.folder, ".claude", name);
  }

  /** Puts a login where claude keeps it. */
  async store(login) {
    await writeFile(this.#file(".credentials.json"), JSON.stringify({ claudeAiOauth: login }), { mode: 0o600 });
  }

  /** The login that is kept, undefined when there is none. */
  async login() {
    return (await readJson(this.#file(".credentials.json")))?.claudeAiOauth;
  }

  /** What claude keeps beside it. */
  config() {
    return readJson(this.#file(".claude.json"));
  }

  settings(value) {
    return writeFile(this.#file("settings.json"), JSON.stringify(value));
  }

  /** Runs claude to its end, whatever that is. */
  run(args, env = {}) {
    return new Promise((resolve) => {
      const child = execFile(this.#binary, args, { cwd: this.folder, env: { ...this.#env, ...env }, timeout: 180_000 }, (error, stdout, stderr) =>
        resolve({ status: error ? (error.code ?? error.signal) : 0, out: stdout.trim(), err: stderr.trim() }),
      );
      child.stdin.end();
    });
  }

  /** Runs claude on a terminal. */
  terminal(args, env = {}) {
    return new Terminal(this.#binary, args, { cwd: this.folder, env: { ...this.#env, ...env } });
  }

  remove() {
    return rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
