// A fake internet of one machine, and who reaches it: a sandbox by its gateway, and a plain container directly. The
// machine is described in tests/internet; its address is out of the ranges for documentation (RFC 5737), so nobody's.
import { lookup } from "node:dns/promises";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { BOXWOOD } from "./bed.mjs";
import { Lines } from "./lines.mjs";
import { run } from "./measure.mjs";

const MACHINE = process.arch === "arm64" ? "arm64" : "x64";
const TOOL = process.env.BOXWOOD_INTERNET ?? path.join(path.dirname(BOXWOOD), `boxwood-internet-linux-${MACHINE}`);
/** Image of the machine, which needs nothing but the program; every test has it. */
const PLAIN = "debian:bookworm-slim";
/** What tests/testbed/clean goes by when a run was killed. */
const LABEL = "dev.boxwood.test=internet";
/** Files that may be open on both sides of many connections. */
const FILES = "nofile=16384:16384";
/** Where its networks are. */
const RANGE = "203.0.113.";
/** Networks of 16 addresses that fit in there. */
const PLACES = 16;
/** Where it gives back what it gets. */
export const ECHO_PORT = 7000;

/** Addresses of the mirrors that the host's own packages come from, which image builds may be reaching meanwhile. */
async function mirrors() {
  const directory = "/etc/apt/sources.list.d";
  const further = await readdir(directory).catch(() => []);
  const lists = ["/etc/apt/sources.list", ...further.map((name) => path.join(directory, name))];
  const texts = await Promise.all(lists.map((list) => readFile(list, "utf8").catch(() => "")));
  const names = new Set(Array.from(texts.join("\n").matchAll(/\bhttps?:\/\/([^/:\s]+)/gu), ([, name]) => name));
  const found = await Promise.all(Array.from(names, (name) => lookup(name, { family: 4, all: true }).catch(() => [])));
  return found.flat().map(({ address }) => address);
}

export class Internet {
  /** The machine's address. */
  address;
  /** Id of its network. */
  network;
  /** Certificate of the authority that its certificates are from, PEM. */
  certificate;
  #bed;
  #machine;

  /** A network with a machine that serves every name. */
  static async open(bed) {
    const internet = new Internet();
    internet.#bed = bed;
    const { stdout } = await run([TOOL, "authority"]).catch((cause) => {
      throw new Error(`${TOOL} is needed for what stands for the internet; 'make internet' builds it`, { cause });
    });
    const { certificate, key } = JSON.parse(stdout);
    internet.certificate = certificate;
    await internet.#makeNetwork();
    await internet.#makeMachine({ http: [80], https: [443], echo: [ECHO_PORT], authorityKey: key });
    return internet;
  }

  async #makeNetwork() {
    const near = (await mirrors()).filter((address) => address.startsWith(RANGE));
    const taken = near.map((address) => Number(address.slice(RANGE.length)) >>> 4);
    for (let step = 0; step < PLACES; step += 1) {
      // Other tests begin elsewhere.
      const first = 16 * ((process.pid + step) % PLACES);
      if (taken.includes(first >>> 4)) continue;
      const name = `${path.basename(this.#bed.root)}-${step}`;
      const options = ["--subnet", `${RANGE}${first}/28`, "--opt", "com.docker.network.bridge.enable_ip_masquerade=false"];
      try {
        this.network = (await this.#bed.make("network create", "--label", LABEL, ...options, name)).stdout;
        this.address = `${RANGE}${first + 2}`;
        return;
      } catch (problem) {
        if (!problem.message.includes("overlap")) throw problem;
      }
    }
    throw new Error("every network for documentation is in use; 'make clean-test' removes those that tests left");
  }

  async #makeMachine(config) {
    const bed = this.#bed;
    const file = path.join(bed.root, "internet.json");
    await writeFile(file, JSON.stringify(config));
    const place = ["--network", this.network, "--ip", this.address, "--ulimit", FILES, "--user", "0:0", "--init"];
    const program = ["--entrypoint", "/internet", PLAIN, "serve", "/internet.json"];
    this.#machine = (await bed.make("create", "--label", LABEL, ...place, ...program)).stdout;
    await bed.docker("cp", TOOL, `${this.#machine}:/internet`);
    await bed.docker("cp", file, `${this.#machine}:/internet.json`);
    await bed.docker("start", this.#machine);
    const notes = new Lines(["docker", "logs", "--follow", this.#machine]);
    await notes.until((line) => JSON.parse(line).kind === "ready");
    await notes.kill();
  }

  /** Puts into a folder what a visitor needs: the program, which is the tool by this name, and the authority. */
  async equip(folder) {
    await copyFile(TOOL, path.join(folder, "attack"));
    await writeFile(path.join(folder, "authority.pem"), this.certificate);
  }

  /** A container on the machine's own network, as somebody would run it who filters nothing. */
  async neighbour(image, folder, names) {
    const hosts = names.map((name) => `--add-host=${name}:${this.address}`);
    const user = `--user=${process.getuid()}:${process.getgid()}`;
    const place = ["--network", this.network, ...hosts, "--ulimit", FILES, user, `--volume=${folder}:${folder}:ro`];
    const program = ["--entrypoint", "sleep", image, "infinity"];
    return (await this.#bed.make("run", "--detach", "--init", "--label", LABEL, ...place, ...program)).stdout;
  }

  /** Lets a container reach it: a gateway, which takes it for the internet. */
  connect(container) {
    return this.#bed.docker("network", "connect", this.network, container);
  }

  /** Removes it; its network must be empty but for the machine. */
  async close() {
    await this.#bed.drop(this.#machine);
    await this.#bed.docker("network", "rm", this.network);
  }
}

/** Somebody in a container who reaches the machine. */
export class Visitor {
  #bed;
  #container;
  #folder;

  /** @param {string} folder with what a visitor needs; it has the same path in the container */
  constructor(bed, container, folder) {
    this.#bed = bed;
    this.#container = container;
    this.#folder = folder;
  }

  #command(options, command) {
    return ["docker", "exec", ...options, "--workdir", this.#folder, this.#container, ...command];
  }

  /** Output of a command. */
  async exec(...command) {
    const [, ...args] = this.#command([], command);
    return (await this.#bed.docker(...args)).stdout;
  }

  /** A command that is talked with. */
  talk(...command) {
    return new Lines(this.#command(["--interactive"], command));
  }

  /**
   * Fetches with curl, all URLs over one connection.
   * @param {object} options
   * @param {number} [options.times] how often that is done, each time by a new process
   * @param {string} [options.authority] file with the certificate that has to be trusted
   * @param {string} [options.upload] file that is sent
   * @returns {Promise<{connections: number, first: number, total: number, bytes: number}[]>} of each fetch: connections
   *   that were made for it, milliseconds until the first byte and the last, bytes of body that were carried
   */
  async fetch(urls, { times = 1, authority = "authority.pem", upload } = {}) {
    const told = "%{num_connects} %{time_starttransfer} %{time_total} %{size_download} %{size_upload}\\n";
    // Without the header, so that a long upload does not wait for leave to begin.
    const body = upload ? ["--header", "Expect:", "--upload-file", upload] : [];
    const common = ["--fail", "--silent", "--show-error", "--cacert", authority, "--write-out", told, ...body];
    const curl = ["curl", ...common, ...urls.flatMap((url) => ["--output", "/dev/null", url])];
    const again = 'times=$1; shift; for time in $(seq "$times"); do "$@" || exit; done';
    return fetches(await this.exec("sh", "-c", again, "sh", String(times), ...curl), upload !== undefined);
  }
}

/** What curl told of fetches, a line each. */
export function fetches(output, isUpload = false) {
  return output.split("\n").map((line) => {
    const [connections, first, total, down, up] = line.split(" ").map(Number);
    return { connections, first: first * 1000, total: total * 1000, bytes: isUpload ? up : down };
  });
}
