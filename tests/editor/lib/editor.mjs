// A real editor for one suite: code-server with folders of its own, an extension installed from a VSIX,
// and Chromium to look at it. Nothing of the person's own editor, state or sandboxes is read or written.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { kill, signal } from "./processes.mjs";
import { Window } from "./window.mjs";

const run = promisify(execFile);
const INSTALLER = fileURLToPath(new URL("../../testbed/editor", import.meta.url));
const START_TIMEOUT = 120_000;

const SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.enableExperiments": false,
  "workbench.tips.enabled": false,
  "workbench.reduceMotion": "on",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "window.confirmBeforeClose": "never",
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "telemetry.telemetryLevel": "off",
  // The renderer that writes text into the page, where the tests read it.
  "terminal.integrated.gpuAcceleration": "off",
  "terminal.integrated.stickyScroll.enabled": false,
  "terminal.integrated.initialHint": false,
  "terminal.integrated.confirmOnKill": "never",
  "git.openRepositoryInParentFolders": "never",
  "security.workspace.trust.untrustedFiles": "open",
  "security.workspace.trust.startupPrompt": "never",
  "security.workspace.trust.banner": "never",
};

const CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];

/** @returns {Promise<string[]>} the Node that the editor runs on, and the program that starts it */
async function editorProgram() {
  const directory = (await run(INSTALLER, ["--path"])).stdout.trim();
  const own = path.join(directory, "node/bin/node");
  return [existsSync(own) ? own : process.execPath, path.join(directory, "node_modules/code-server/out/node/entry.js")];
}

/** Only what a program needs to run, plus how to reach the engine; not the variables of the person's own shell. */
function cleanEnvironment(root, extra) {
  const inherited = ["PATH", "LANG", "TZ", "DOCKER_HOST", "DOCKER_CONTEXT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"];
  const env = Object.fromEntries(inherited.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]));
  return {
    ...env,
    HOME: path.join(root, "home"),
    // With another home, these two would be lost; they say how to reach the engine and the packages.
    DOCKER_CONFIG: process.env.DOCKER_CONFIG ?? path.join(homedir(), ".docker"),
    NPM_CONFIG_USERCONFIG: process.env.NPM_CONFIG_USERCONFIG ?? path.join(homedir(), ".npmrc"),
    SHELL: "/bin/bash",
    TERM: "xterm-256color",
    ...extra,
  };
}

export class Editor {
  #child;
  #browser;
  #contexts = [];

  constructor(root, env, child, browser, port, browsing) {
    this.browsing = browsing;
    this.root = root;
    this.env = env;
    this.port = port;
    this.#child = child;
    this.#browser = browser;
  }

  /**
   * @param {{vsix?: string, env?: object, settings?: object, trust?: boolean, browsing?: object}} options
   *   vsix: installed before the start. env: added to the server's environment. trust: false turns workspace trust on,
   *   so that folders are opened untrusted. browsing: how the browser reaches other places, as Playwright has it.
   */
  static async start({ vsix, env: extra = {}, settings = {}, trust = true, browsing = {}, root } = {}) {
    const folder = root ?? (await realpath(await mkdtemp(path.join(tmpdir(), "boxwood-test-editor-"))));
    const env = cleanEnvironment(folder, extra);
    const [node, program] = await editorProgram();
    const userData = path.join(folder, "user-data");
    const common = ["--user-data-dir", userData, "--extensions-dir", path.join(folder, "extensions")];
    await mkdir(path.join(userData, "User"), { recursive: true });
    await mkdir(env.HOME, { recursive: true });
    await writeFile(path.join(userData, "User/settings.json"), JSON.stringify({ ...SETTINGS, ...settings }, null, 2));
    if (vsix) await run(node, [program, ...common, "--install-extension", vsix], { env, timeout: START_TIMEOUT });

    const args = [program, ...common, "--auth", "none", "--bind-addr", "127.0.0.1:0", "--config", path.join(folder, "code-server.yaml"), "--disable-telemetry", "--disable-update-check", "--ignore-last-opened"];
    if (trust) args.push("--disable-workspace-trust");
    await writeFile(path.join(folder, "code-server.yaml"), "cert: false\n");
    const child = spawn(node, args, { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    try {
      const port = await listeningPort(child);
      const browser = await chromium.launch({ executablePath: process.env.BOXWOOD_CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_ARGS, timeout: START_TIMEOUT });
      return new Editor(folder, env, child, browser, port, browsing);
    } catch (error) {
      await kill(child.pid);
      throw error;
    }
  }

  /**
   * Opens a window: a folder, a .code-workspace file, or an empty one.
   * Each window has a browser profile of its own, as two people's browsers would.
   */
  async open({ folder, workspace, width = 1280, height = 800 } = {}) {
    const context = await this.#browser.newContext({ viewport: { width, height }, permissions: ["clipboard-read", "clipboard-write"], ...this.browsing });
    this.#contexts.push(context);
    const query = new URLSearchParams(folder ? { folder } : workspace ? { workspace } : { ew: "true" });
    const window = await Window.open(context, `http://127.0.0.1:${this.port}/?${query}`);
    if (workspace) await foldersShown(window);
    return window;
  }

  /** Pictures of all open windows, for the person who looks into a failure. */
  async screenshots(name) {
    const stem = name.replaceAll(/[^A-Za-z0-9]+/g, "-").toLowerCase();
    const pages = this.#contexts.flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) await new Window(page).screenshot(`${stem}-${index + 1}`);
  }

  /** A window closed as a person closes it. */
  async closeWindow(window) {
    const context = window.page.context();
    this.#contexts = this.#contexts.filter((other) => other !== context);
    await context.close();
  }

  /** @param {{keepFiles?: boolean}} options keepFiles: the caller removes the folder */
  async stop({ keepFiles = false } = {}) {
    for (const context of this.#contexts) await context.close();
    await this.#browser.close();
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      signal(this.#child.pid, "SIGTERM");
      const timer = setTimeout(() => signal(this.#child.pid, "SIGKILL"), 5_000);
      await gone;
      clearTimeout(timer);
    }
    if (!keepFiles) await rm(this.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/**
 * The editor now and then opens a workspace file without having read it, and then stays without folders, whatever
 * extensions there are. A person reloads the window; so does this, a few times.
 */
async function foldersShown(window, tries = 5) {
  const hasFolders = (options) => window.see("the workspace's folders", (screen) => screen.tree.length > 0, options);
  for (let left = tries - 1; left > 0; left -= 1) {
    if (await hasFolders({ timeout: 10_000 }).then(() => true, () => false)) return;
    await window.reload();
  }
  await hasFolders();
}

/** code-server logs the address that it got; until then its output is kept for the error message. */
function listeningPort(child) {
  return new Promise((resolve, reject) => {
    const heard = [];
    const timer = setTimeout(() => reject(new Error(`the editor did not listen within ${START_TIMEOUT} ms:\n${heard.join("\n")}`)), START_TIMEOUT);
    const settle = (outcome, value) => {
      clearTimeout(timer);
      outcome(value);
    };
    child.once("exit", (code) => settle(reject, new Error(`the editor ended with ${code}:\n${heard.join("\n")}`)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on("line", (line) => {
        if (heard.length < 200) heard.push(line);
        const match = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
        if (match) settle(resolve, Number(match[1]));
      });
    }
  });
}
