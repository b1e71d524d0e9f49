// Where the measurements take place: Boxwood with state and socket of its own, projects, the rivals' containers, and
// the clearing away of exactly these.
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./measure.mjs";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const BOXWOOD = process.env.BOXWOOD_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(REPOSITORY, "target"), "release/boxwood");

const LONGEST_BUILD_MS = 1_800_000;

/** A person's login would be written into every sandbox, and has no place in a measurement. */
const LOGIN = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"];

export class Bed {
  /** Ids of containers that belong to no sandbox. */
  #containers = new Set();
  #devcontainers = new Set();

  /** @param {string} name what the directory's name tells of its purpose */
  static async create(name) {
    const bed = new Bed();
    bed.root = await realpath(await mkdtemp(path.join(tmpdir(), `boxwood-test-${name}-`)));
    bed.state = path.join(bed.root, "state");
    const kept = Object.entries(process.env).filter(([name]) => !LOGIN.includes(name));
    bed.environment = {
      ...Object.fromEntries(kept),
      BOXWOOD_STATE_DIR: bed.state,
      BOXWOOD_RUNTIME_DIR: path.join(bed.root, "runtime"),
      BOXWOOD_CONFIG_DIR: path.join(bed.root, "config"),
      // The daemon writes down when each step ends; the libraries below it are not asked to.
      BOXWOOD_LOG: "warn,boxwood_daemon=debug",
    };
    await mkdir(path.join(bed.root, "tmp"));
    return bed;
  }

  /** A new project directory with a file in it, and a devcontainer of `image` if one is given. */
  async project(name, image) {
    const folder = path.join(this.root, "projects", name);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "README.md"), `# ${name}\n`);
    if (image) {
      this.#devcontainers.add(folder);
      await mkdir(path.join(folder, ".devcontainer"));
      // Rewriting the image for the person's id would be work that the rivals need not do.
      const devcontainer = { image, updateRemoteUserUID: false };
      await writeFile(path.join(folder, ".devcontainer/devcontainer.json"), JSON.stringify(devcontainer));
    }
    return folder;
  }

  boxwoodCommand(...args) {
    return [BOXWOOD, ...args];
  }

  /** Milliseconds and output of the program under test. */
  boxwood(...args) {
    return run(this.boxwoodCommand(...args), { cwd: this.root, env: this.environment });
  }

  /** Starts a sandbox, which may build the image and fill the runtime volume first. */
  async firstStart(folder) {
    const options = { cwd: this.root, env: this.environment, timeout: LONGEST_BUILD_MS };
    const { stdout } = await run(this.boxwoodCommand("start", folder, "--detach", "--json"), options);
    return JSON.parse(stdout).sandbox;
  }

  async boxwoodJson(...args) {
    return JSON.parse((await this.boxwood(...args, "--json")).stdout);
  }

  docker(...args) {
    return run(["docker", ...args], { cwd: this.root });
  }

  /** The official CLI, started as a person starts it: node with its file. */
  devcontainer(verb, folder, ...args) {
    const file = createRequire(import.meta.url).resolve("@devcontainers/cli/devcontainer.js");
    const env = { ...process.env, TMPDIR: path.join(this.root, "tmp") };
    return run([process.execPath, file, verb, "--workspace-folder", folder, ...args], { cwd: folder, env });
  }

  /** Remembers a container that was made without Boxwood, and gives its id. */
  owns(id) {
    this.#containers.add(id);
    return id;
  }

  async drop(id) {
    await this.docker("rm", "--force", "--volumes", id);
    this.#containers.delete(id);
  }

  /** Process id of the daemon. */
  async daemon() {
    return (await this.boxwoodJson("daemon", "status")).pid;
  }

  /** Filter for this bed's containers: every state directory has an id, which they carry. */
  async label() {
    const installation = await readFile(path.join(this.state, "installation"), "utf8");
    return `label=dev.boxwood.installation=${installation.trim()}`;
  }

  async #dropAll(filter) {
    const { stdout } = await this.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", filter);
    for (const id of stdout.split("\n").filter(Boolean)) await this.drop(id);
  }

  async #dropNetworks() {
    const { stdout } = await this.docker("network", "ls", "--quiet", "--no-trunc", "--filter", await this.label());
    for (const id of stdout.split("\n").filter(Boolean)) await this.docker("network", "rm", id);
  }

  /** What the daemon has written so far; a run this short does not fill a file. */
  log() {
    return readFile(path.join(this.state, "logs/daemon.log"), "utf8");
  }

  /** Removes everything that was made, by its id. The images and the runtime volume are shared and stay. */
  async clear() {
    const problems = [];
    const attempt = (work) => work().catch((error) => problems.push(error));
    for (const id of this.#containers) await attempt(() => this.drop(id));
    await attempt(() => this.boxwood("daemon", "stop", "--force"));
    await attempt(async () => this.#dropAll(await this.label()));
    await attempt(() => this.#dropNetworks());
    for (const folder of this.#devcontainers) await attempt(() => this.#dropAll(`label=devcontainer.local_folder=${folder}`));
    await attempt(() => rm(this.root, { recursive: true, force: true }));
    return problems;
  }
}
