// An ordinary person with a home directory who runs the official devcontainer CLI. Root would not do: the CLI leaves
// root's ids out of the container, so the tests' main question, whose files they are, would have no answer.
import { execFile, spawn } from "node:child_process";
import { chown, cp, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createRequire } from "node:module";
import { promisify } from "node:util";

const execute = promisify(execFile);
const isRoot = process.getuid() === 0;
/** Unlike any id that images come with. */
const STAND_IN = 12345;
const KEPT = ["DOCKER_HOST", "DOCKER_CONTEXT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/** Output of the docker client, trimmed. */
export async function docker(...args) {
  const { stdout } = await execute("docker", args, { maxBuffer: 1 << 26 });
  return stdout.trim();
}

export class Person {
  #cli;
  #groups;

  /** Makes the person's home, which holds everything they write. */
  static async create() {
    const person = new Person();
    person.home = await realpath(await mkdtemp(path.join(tmpdir(), "boxwood-test-devcontainer-")));
    person.uid = isRoot ? STAND_IN : process.getuid();
    person.gid = isRoot ? STAND_IN : process.getgid();
    const cli = path.dirname(createRequire(import.meta.url).resolve("@devcontainers/cli/package.json"));
    person.#cli = cli;
    if (isRoot) {
      // The checkout may be closed to others, and an id without a name is refused by the CLI.
      person.#cli = path.join(person.home, ".cli");
      await cp(cli, person.#cli, { recursive: true });
      const accounts = await readFile("/etc/passwd", "utf8");
      await writeFile(path.join(person.home, ".passwd"), `${accounts.trimEnd()}\nperson:x:${STAND_IN}:${STAND_IN}::${person.home}:/bin/sh\n`);
      const socket = (await docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")).replace(/^unix:\/\//, "");
      person.#groups = [STAND_IN, (await stat(socket)).gid].join(",");
    }
    await mkdir(path.join(person.home, "tmp"));
    await person.owns(person.home);
    return person;
  }

  /** Gives `directory` and what is in it to the person. */
  async owns(directory) {
    if (isRoot) await execute("chown", ["-R", `${this.uid}:${this.gid}`, directory]);
  }

  /** Makes a directory of the person's. */
  async directory(name) {
    const made = path.join(this.home, name);
    await mkdir(made);
    await chown(made, this.uid, this.gid);
    return made;
  }

  /**
   * Runs the CLI to its end, never throws for its failure.
   * @returns {Promise<{code: number, stdout: string, stderr: string, json: object | null}>} `json` is its last line
   */
  devcontainer(args, { input } = {}) {
    const command = ["node", path.join(this.#cli, "devcontainer.js"), ...args];
    const [program, ...rest] = isRoot ? this.#asStandIn(command) : command;
    const child = spawn(program, rest, { cwd: this.home, env: this.#environment(), stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
    // A program that ends without reading its input is not an error of the test's.
    child.stdin.on("error", () => {}).end(input ?? "");
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, ...output, json: lastJson(output.stdout) }));
    });
  }

  /** The same, for a command that has to succeed. */
  async must(args, options) {
    const result = await this.devcontainer(args, options);
    if (result.code !== 0) throw new Error(`devcontainer ${args.join(" ")}: exit ${result.code}\n${result.stderr.slice(-4000)}\n${result.stdout.slice(-2000)}`);
    return result;
  }

  /** The account's name is only visible to this process: nothing of the machine is changed. */
  #asStandIn(command) {
    const script = 'mount --bind "$1" /etc/passwd && shift && exec setpriv --reuid="$1" --regid="$2" --groups="$3" -- "${@:4}"';
    const ids = [this.uid, this.gid, this.#groups].map(String);
    return ["unshare", "--mount", "--propagation", "private", "bash", "-c", script, "bash", path.join(this.home, ".passwd"), ...ids, ...command];
  }

  #environment() {
    const kept = Object.fromEntries(KEPT.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
    return { ...kept, PATH: process.env.PATH, HOME: this.home, TMPDIR: path.join(this.home, "tmp"), LANG: "C.UTF-8" };
  }

  async remove() {
    await rm(this.home, { recursive: true, force: true });
  }
}

function lastJson(text) {
  const line = text.trimEnd().split("\n").at(-1);
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
