// Somebody at a machine of another platform with the packaged extension: its program, run by Wine or an emulated processor, with
// directories of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { files } from "./zip.mjs";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const PLATFORMS = path.join(REPOSITORY, "tests/testbed/platforms");
/** Far more than anything here takes: it ends a wait in vain. */
const PATIENCE = 120_000;

/** A path as Windows has it: Wine shows the whole system as drive Z. */
const asWindows = (file) => `Z:${file.replaceAll("/", "\\")}`;

/** The engine of this machine on a port, as Windows programs can reach it. */
async function forwarded() {
  const socket = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace("unix://", "");
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const engine = createConnection({ path: socket, allowHalfOpen: true });
    client.pipe(engine).pipe(client);
    for (const [one, other] of [[client, engine], [engine, client]]) one.on("error", () => other.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

export class Person {
  #next = 1;

  /** With the package of a platform that something here can run: `win32-x64` or `linux-arm64`. */
  static async withPackage(platform, vsix) {
    const person = new Person();
    const windows = platform.startsWith("win32");
    person.platform = platform;
    person.home = mkdtempSync(path.join(tmpdir(), `boxwood-test-${platform}-`));
    person.contents = files(vsix);
    for (const [name, read] of person.contents) {
      if (!name.startsWith("extension/server/")) continue;
      const file = path.join(person.home, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, read(), { mode: 0o755 });
    }
    person.program = path.join(person.home, "extension/server", windows ? "boxwood.exe" : "boxwood");
    person.env = { ...process.env, NO_COLOR: "1" };
    if (windows) {
      person.engine = await forwarded();
      person.env.DOCKER_HOST = `tcp://127.0.0.1:${person.engine.address().port}`;
    }
    for (const name of ["STATE", "RUNTIME", "CACHE"]) {
      const directory = path.join(person.home, name.toLowerCase());
      person.env[`BOXWOOD_${name}_DIR`] = windows ? asWindows(directory) : directory;
    }
    for (const name of ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]) delete person.env[name];
    return person;
  }

  /** Runs a program of that platform to its end; `{ code, stdout, stderr }`. */
  async run(program, args, input = "") {
    // Wine hands its own streams to every child, so a pipe would last as long as a daemon that was started.
    const said = ["stdout", "stderr"].map((name) => path.join(this.home, `${name}-${this.#next++}`));
    const streams = said.map((file) => openSync(file, "w"));
    const options = { env: this.env, cwd: this.home, stdio: ["pipe", ...streams], timeout: PATIENCE };
    const child = spawn(PLATFORMS, ["run", this.platform, program, ...args], options);
    streams.forEach((stream) => closeSync(stream));
    child.stdin.on("error", () => {}); // it may have ended without a look at its input
    child.stdin.end(input);
    const [code] = await once(child, "exit");
    const [stdout, stderr] = said.map((file) => readFileSync(file, "utf8"));
    return { code, stdout, stderr };
  }

  /** Boxwood, while it runs. */
  start(...args) {
    return spawn(PLATFORMS, ["run", this.platform, this.program, ...args], { env: this.env, cwd: this.home, stdio: ["ignore", "pipe", "ignore"] });
  }

  boxwood(...args) {
    return this.run(this.program, args);
  }

  /** `boxwood … --json`, understood. */
  async json(...args) {
    const { code, stdout, stderr } = await this.boxwood(...args, "--json");
    try {
      return JSON.parse(stdout);
    } catch {
      throw new Error(`boxwood ${args.join(" ")} ended with ${code}: ${stdout}${stderr}`);
    }
  }

  /** The language server, as an editor starts it. */
  languageServer() {
    return new LanguageServer(spawn(PLATFORMS, ["run", this.platform, this.program, "lsp"], { env: this.env, cwd: this.home }));
  }

  /** What Boxwood wrote, as `[name, bytes]`. */
  *files() {
    for (const entry of readdirSync(this.home, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath ?? entry.path, entry.name);
      if (entry.isFile() && !file.includes("/extension/")) yield [file, readFileSync(file)];
    }
  }

  async leave() {
    await this.boxwood("daemon", "stop", "--force");
    this.engine?.close();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** Speaks to a language server over its standard streams. */
class LanguageServer {
  #child;
  #bytes = Buffer.alloc(0);
  #waiting = new Map();
  #next = 1;

  constructor(child) {
    this.#child = child;
    this.ended = once(child, "exit").then(([code]) => code);
    child.stdout.on("data", (bytes) => this.#read(bytes));
    child.stderr.resume();
  }

  #read(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (;;) {
      const head = this.#bytes.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(this.#bytes.toString("latin1", 0, head))?.[1]);
      if (head < 0 || this.#bytes.length < head + 4 + length) return;
      const message = JSON.parse(this.#bytes.toString("utf8", head + 4, head + 4 + length));
      this.#bytes = this.#bytes.subarray(head + 4 + length);
      this.#waiting.get(message.id)?.(message);
    }
  }

  #send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
    this.#child.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.#child.stdin.write(body);
  }

  request(method, params) {
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result)));
      this.ended.then((code) => reject(new Error(`the server ended with ${code} before it answered ${method}`)));
    });
    this.#send({ id, method, params });
    return answer;
  }

  notify(method, params) {
    this.#send({ method, params });
  }

  /** What an editor that is killed does. */
  hangUp() {
    this.#child.stdin.end();
  }
}
