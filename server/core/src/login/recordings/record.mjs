#!/usr/bin/env node
// Records what the real claude writes on a terminal of 400 columns while a person signs in, from the imitated identity
// server: one file of raw bytes for each way it can go, beside this one. Run it again after a new version of claude.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { claudeBinary } from "../../../../../tests/fakes/claude-binary.mjs";
import { startIdentity } from "../../../../../tests/fakes/identity.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const ADDRESS = /https:\/\/\S+\/oauth\/authorize\?[^\s\x1b\x07]+/;
const binary = await claudeBinary();

class Terminal {
  #bytes = [];
  #waiting = new Set();

  constructor(args, env, cwd) {
    const line = `stty rows 50 cols 400; exec ${[binary, ...args].join(" ")}`;
    this.hasEnded = false;
    this.child = spawn("script", ["--quiet", "--flush", "--return", "--command", line, "/dev/null"], { cwd, env, stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdin.on("error", () => {});
    this.child.stdout.on("data", (bytes) => {
      this.#bytes.push(bytes);
      for (const look of this.#waiting) look();
    });
    this.ended = once(this.child, "close").then(([status]) => {
      this.hasEnded = true;
      for (const look of this.#waiting) look();
      return status;
    });
  }

  bytes() {
    return Buffer.concat(this.#bytes);
  }

  /** Waits until a pattern shows; a program that moves the cursor instead of writing blanks shows none. */
  until(pattern) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const text = this.bytes().toString("utf8").replace(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, "").replace(/\x1b\[\d*[CG]/g, " ").replace(/\x1b\[[0-9;?>=]*[A-Za-z]/g, "");
        const match = pattern.exec(text);
        if (match || this.hasEnded) this.#waiting.delete(look);
        if (match) resolve(match);
        else if (this.hasEnded) reject(new Error(`${pattern} never showed; there was:\n${text}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  type(keys) {
    this.child.stdin.write(keys);
  }
}

/** Signs in once and writes down what the terminal showed. */
async function record(name, args, conduct, arrange = () => {}) {
  const identity = await startIdentity({ hasProxy: true });
  const folder = await mkdtemp(path.join(tmpdir(), "recording-"));
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    CLAUDE_CONFIG_DIR: path.join(folder, ".claude"),
    HTTPS_PROXY: `http://127.0.0.1:${identity.ports.proxy}`,
    NODE_EXTRA_CA_CERTS: identity.ca,
    DISABLE_AUTOUPDATER: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    IS_SANDBOX: "1",
    BROWSER: "/bin/false",
    TERM: "xterm-256color",
    SHELL: "/bin/sh",
  };
  arrange(identity, env);
  const terminal = new Terminal(args, env, folder);
  const limit = setTimeout(() => terminal.child.kill("SIGKILL"), 120_000);
  await conduct(terminal, identity.desk);
  const status = await terminal.ended;
  clearTimeout(limit);
  await writeFile(path.join(here, `${name}.bin`), terminal.bytes());
  console.log(`${name}: status ${status}, ${terminal.bytes().length} bytes`);
  await identity.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function asked(terminal) {
  const [url] = await terminal.until(ADDRESS);
  await terminal.until(/Paste code here/);
  return url;
}

/** `auth login` reads a line; `setup-token` masks what is pasted, and takes the Enter key only apart from it. */
async function plain(terminal, desk) {
  terminal.type(`${desk.signIn({ url: await asked(terminal) }).paste}\r`);
}
async function masked(terminal, desk) {
  terminal.type(desk.signIn({ url: await asked(terminal) }).paste);
  await terminal.until(/\*{20}/);
  terminal.type("\r");
}
async function wrongPlain(terminal) {
  await asked(terminal);
  terminal.type("wrong#code\r");
}
async function wrongMasked(terminal, desk) {
  // Of the form of a code: claude turns away by itself what is not.
  const { paste } = desk.signIn({ url: await asked(terminal) });
  terminal.type(`wrong${paste.slice(5)}`);
  await terminal.until(/\*{20}/);
  terminal.type("\r");
  await leave(terminal);
}
/** `setup-token` offers to try again, and is left there. */
async function leave(terminal) {
  await terminal.until(/Press Enter to retry/);
  terminal.child.kill("SIGKILL");
}

const nobody = (identity, env) => {
  env.HTTPS_PROXY = "http://127.0.0.1:9";
};
const broken = (identity) => identity.desk.fault({ on: "exchange", kind: "status", status: 500, times: 100 });

const ways = {
  login: ["login", ["auth", "login"], plain],
  "login-wrong": ["login-wrong", ["auth", "login"], wrongPlain],
  "login-offline": ["login-offline", ["auth", "login"], plain, nobody],
  "login-broken": ["login-broken", ["auth", "login"], plain, broken],
  console: ["console", ["auth", "login", "--console"], plain],
  "setup-token": ["setup-token", ["setup-token"], masked],
  "setup-token-wrong": ["setup-token-wrong", ["setup-token"], wrongMasked],
  "setup-token-offline": ["setup-token-offline", ["setup-token"], async (terminal, desk) => {
    await masked(terminal, desk);
    await leave(terminal);
  }, nobody],
};
const chosen = process.argv.slice(2);
for (const [name, way] of Object.entries(ways)) if (chosen.length === 0 || chosen.includes(name)) await record(...way);
