// Where the measurements take place: Boxwood with state and socket of its own, projects, the rivals' containers, and
// the clearing away of exactly these.
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./measure.mjs";
import { Tasks } from "./tasks.mjs";

export const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
export const BOXWOOD = process.env.BOXWOOD_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(REPOSITORY, "target"), "release/boxwood");

const LONGEST_BUILD_MS = 1_800_000;
/** How long is waited for what is still being made before everything is cleared away, milliseconds. */
const LONGEST_END_MS = 15_000;

/** A person's login would be written into every sandbox, and has no place in a measurement. */
const LOGIN = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"];

export class Bed {
  /** Folders that have a devcontainer. */
  #devcontainers = new Set();
  #closing = [];
  #tasks = new Tasks();

  /** @param {string} name what the directory's name tells of its purpose */
  static async create(name) {
    const bed = new Bed();
    bed.root = await realpath(await mkdtemp(path.join(tmpdir(), `boxwood-test-${name}-`)));
    bed.state = path.join(bed.root, "state");
    // What is made without Boxwood carries this label, so that it is found even when its id was never heard.
    bed.mark = `dev.boxwood.test.bed=${path.basename(bed.root)}`;
    const kept = Object.entries(process.env).filter(([name]) => !LOGIN.includes(name));
    bed.environment = {
      ...Object.fromEntries(kept),
      BOXWOOD_STATE_DIR: bed.state,
      BOXWOOD_RUNTIME_DIR: path.join(bed.root, "runtime"),
      BOXWOOD_CONFIG_DIR: path.join(bed.root, "config"),
      // Nobody unlocks a keyring for a measurement.
      BOXWOOD_KEYRING: "file",
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

  /** Does something after which nothing is cleared away before it has ended. */
  during(work) {
    return this.#tasks.during(work);
  }

  /** Does something before the daemon is ended: a client that still talks with it would start another. */
  beforeEnd(close) {
    this.#closing.push(close);
  }

  #run(command, options) {
    return this.during(() => run(command, { cwd: this.root, signal: this.#tasks.signal, ...options }));
  }

  /** Milliseconds and output of the program under test. */
  boxwood(...args) {
    return this.#run(this.boxwoodCommand(...args), { env: this.environment });
  }

  /** Starts a sandbox, which may build the image and fill the runtime volume first. */
  async firstStart(folder) {
    const options = { env: this.environment, timeout: LONGEST_BUILD_MS };
    const { stdout } = await this.#run(this.boxwoodCommand("start", folder, "--detach", "--json"), options);
    return JSON.parse(stdout).sandbox;
  }

  async boxwoodJson(...args) {
    return JSON.parse((await this.boxwood(...args, "--json")).stdout);
  }

  docker(...args) {
    return this.#run(["docker", ...args]);
  }

  /** The official CLI, started as a person starts it: node with its file. */
  devcontainer(verb, folder, ...args) {
    const file = createRequire(import.meta.url).resolve("@devcontainers/cli/devcontainer.js");
    const env = { ...process.env, TMPDIR: path.join(this.root, "tmp") };
    return this.#run([process.execPath, file, verb, "--workspace-folder", folder, ...args], { cwd: folder, env });
  }

  /** `docker` with a verb that makes something (`run`, `network create`): it carries the bed's mark. */
  make(verb, ...args) {
    return this.docker(...verb.split(" "), "--label", this.mark, ...args);
  }

  async drop(id) {
    await this.docker("rm", "--force", "--volumes", id);
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

  /** What the daemon has written so far; a run this short does not fill a file. */
  log() {
    return readFile(path.join(this.state, "logs/daemon.log"), "utf8");
  }

  /**
   * Removes everything that was made, by its id. The images and the runtime volume are shared and stay.
   * @returns {Promise<Error[]>} what could not be removed
   */
  async clear() {
    await this.#tasks.end(LONGEST_END_MS);
    const problems = [];
    const attempt = (work) => work().catch((error) => problems.push(error));
    const dockerLines = async (...args) => (await run(["docker", ...args])).stdout.split("\n").filter(Boolean);
    const dropAll = async (filter) => {
      const ids = await dockerLines("ps", "--all", "--quiet", "--no-trunc", "--filter", filter);
      for (const id of ids) await attempt(() => dockerLines("rm", "--force", "--volumes", id));
    };
    const dropNetworks = async (filter) => {
      const ids = await dockerLines("network", "ls", "--quiet", "--no-trunc", "--filter", filter);
      for (const id of ids) await attempt(() => dockerLines("network", "rm", id));
    };
    const mark = `label=${this.mark}`;
    for (const close of this.#closing) await attempt(close);
    await attempt(() => run(this.boxwoodCommand("daemon", "stop", "--force"), { cwd: this.root, env: this.environment }));
    await attempt(() => dropAll(mark));
    // Without a daemon there never was anything of Boxwood's.
    const label = await this.label().catch(() => undefined);
    if (label) await attempt(() => dropAll(label));
    for (const folder of this.#devcontainers) await attempt(() => dropAll(`label=devcontainer.local_folder=${folder}`));
    if (label) await attempt(() => dropNetworks(label));
    await attempt(() => dropNetworks(mark));
    await attempt(() => rm(this.root, { recursive: true, force: true }));
    return problems;
  }
}
