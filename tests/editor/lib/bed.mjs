// Everything one suite needs: the editor with the packaged extension, directories of its own for Boxwood,
// projects, an imitation of the Messages API, and the clearing away of it all.
import { mkdir, mkdtemp, readFile, readdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { testbedCache } from "../../fakes/cache.mjs";
import { startIdentity } from "../../fakes/identity.mjs";
import { startMessagesApi } from "../../fakes/messages-api.mjs";
import { hostAddress, removeAllOf } from "./docker.mjs";
import { Editor } from "./editor.mjs";
import { findProcesses, isAlive, kill, role, signal } from "./processes.mjs";
import { until } from "./wait.mjs";

const EXTENSION = fileURLToPath(new URL("../../../extension/", import.meta.url));

/** Credential of the suites: as long as a real one, and worth nothing. */
export const API_KEY = "sk-ant-api03-imitation-for-the-editor-tests";

/** The package under test: BOXWOOD_VSIX, else the newest that `make package` left. */
export async function packagedExtension() {
  if (process.env.BOXWOOD_VSIX) return path.resolve(process.env.BOXWOOD_VSIX);
  const names = (await readdir(EXTENSION)).filter((name) => name.endsWith(".vsix"));
  const files = await Promise.all(names.map(async (name) => ({ name, at: (await stat(path.join(EXTENSION, name))).mtimeMs })));
  const [newest] = files.sort((a, b) => b.at - a.at);
  if (!newest) throw new Error("there is no packaged extension: run `make package`, or name one in BOXWOOD_VSIX");
  return path.join(EXTENSION, newest.name);
}

/** Claude asks the internet for nothing but the model: there is none, and nobody is to be asked about it. */
const QUIET = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: "1" };

export class Bed {
  constructor(root, editor, api, requests, identity) {
    this.root = root;
    this.editor = editor;
    this.api = api;
    /** What the sandboxes asked of the model, oldest first. */
    this.requests = requests;
    /** See identity.mjs; undefined unless it was asked for. */
    this.identity = identity;
    this.marker = `BOXWOOD_RUNTIME_DIR=${path.join(root, "runtime")}`;
  }

  /**
   * @param {{env?: object, settings?: object, trust?: boolean, hasEngine?: boolean, answers?: object, policy?: (host: string) => object,
   *   identity?: boolean, gitconfig?: string}} options answers: see messages-api.mjs; policy: the network policy of the person's own file, given
   *   an address of this machine; identity: nobody is signed in, and people sign in to an imitation, which the windows'
   *   browser reaches too; gitconfig: the person's own; the others as in Editor.start
   */
  static async start({ env = {}, hasEngine = true, answers, policy, identity: hasIdentity = false, gitconfig, ...options } = {}) {
    const root = await realpath(await mkdtemp(path.join(tmpdir(), "boxwood-test-editor-")));
    const requests = [];
    const api = await startMessagesApi({ host: "0.0.0.0", requireKey: API_KEY, answers, onRequest: (entry) => requests.push(entry) });
    let identity;
    try {
      const address = hasEngine ? await hostAddress() : "127.0.0.1";
      if (hasIdentity) identity = await startIdentity({ host: address, hasProxy: true });
      const proxy = identity && `http://${address}:${identity.ports.proxy}`;
      const config = path.join(root, "boxwood-config");
      await mkdir(config);
      const variables = { ...QUIET, ...(proxy && { HTTPS_PROXY: proxy }) };
      await writeFile(path.join(config, "sandbox.jsonc"), JSON.stringify({ env: variables, egress: policy?.(address) }));
      const gitconfigFile = path.join(root, "gitconfig");
      await writeFile(gitconfigFile, gitconfig ?? "");
      const editor = await Editor.start({
        ...options,
        root,
        // The imitation has an authority of its own.
        ...(proxy && { browsing: { proxy: { server: proxy, bypass: "127.0.0.1" }, ignoreHTTPSErrors: true } }),
        vsix: await packagedExtension(),
        env: {
          BOXWOOD_STATE_DIR: path.join(root, "state"),
          BOXWOOD_RUNTIME_DIR: path.join(root, "runtime"),
          BOXWOOD_CONFIG_DIR: config,
          // Shared by all runs: what is in it was downloaded and is checked by digest.
          BOXWOOD_CACHE_DIR: process.env.BOXWOOD_CACHE_DIR ?? path.join(testbedCache(), "boxwood"),
          // Whoever runs this keeps their keyring to themselves.
          BOXWOOD_KEYRING: "file",
          GIT_CONFIG_GLOBAL: gitconfigFile,
          ...(identity
            ? { NODE_EXTRA_CA_CERTS: identity.ca }
            : { ANTHROPIC_BASE_URL: `http://${address}:${api.port}`, ANTHROPIC_API_KEY: API_KEY }),
          ...env,
        },
      });
      return new Bed(root, editor, api, requests, identity);
    } catch (error) {
      await api.close();
      await identity?.close();
      await rm(root, { recursive: true, force: true });
      throw error;
    }
  }

  /** A project directory with the given files, in the bed's own directory unless a parent is given. */
  async project(name, files = { "README.md": `# ${name}\n` }, parent = path.join(this.root, "projects")) {
    const folder = path.join(parent, name);
    for (const [file, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
      await writeFile(path.join(folder, file), text);
    }
    return folder;
  }

  open(options) {
    return this.editor.open(options);
  }

  /** Process ids of this bed's `boxwood lsp` or `boxwood daemon`. */
  processes(name) {
    return findProcesses(this.marker, role(name));
  }

  /** The prompts that reached the model from sandboxes. */
  modelRequests() {
    return this.requests.filter((entry) => entry.method === "POST" && entry.path.startsWith("/v1/messages?"));
  }

  async stop() {
    await this.editor.stop({ keepFiles: true });
    for (const pid of findProcesses(this.marker, () => true)) signal(pid, "SIGTERM");
    await until("the bed's processes to end", () => findProcesses(this.marker, () => true).length === 0, { timeout: 10_000 }).catch(async () => {
      for (const pid of findProcesses(this.marker, () => true).filter(isAlive)) await kill(pid);
    });
    // Without a daemon there was nothing to remove, and no file that names the installation.
    const installation = await readFile(path.join(this.root, "state/installation"), "utf8").catch(() => null);
    if (installation) await removeAllOf(installation.trim());
    await this.api.close();
    await this.identity?.close();
    await rm(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
