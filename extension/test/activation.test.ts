import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { ExtensionContext } from "vscode";
import manifest from "../package.json";
import { options } from "../scripts/build.mjs";
import * as fakeVscode from "./fake/vscode";

const MOST_KILOBYTES = 450;
const MOST_MILLISECONDS = 50;

interface Extension {
  activate(context: ExtensionContext): void;
  deactivate(): Promise<void>;
}

let loads = 0;
let folder: string;
let bundle: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "boxwood-bundle-"));
  bundle = path.join(folder, "extension.js");
  await build({ ...options, outfile: bundle });
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  fakeVscode.fake.reset();
  // A server on the PATH of whoever runs this is not to be started.
  vi.stubEnv("PATH", "");
});

/**
 * Milliseconds of the processor that this process has taken. Loading and activating waits for nothing, so on a machine that does
 * nothing else it takes no longer; what else a machine does is not the extension's time.
 */
function worked(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Loads the bundle as an editor does: compiled anew, with `vscode` handed in. */
async function load(): Promise<{ extension: Extension; milliseconds: number }> {
  // A line that differs keeps the engine from using what it has compiled before.
  const source = `${await readFile(bundle, "utf8")}\n// ${loads++}`;
  const require = createRequire(bundle) as (name: string) => unknown;
  const module = { exports: {} };
  const begun = worked();
  const wrapped = vm.runInThisContext(`(function (exports, require, module) {${source}\n})`) as (
    ...args: unknown[]
  ) => void;
  wrapped(module.exports, (name: string): unknown => (name === "vscode" ? fakeVscode : require(name)), module);
  return { extension: module.exports as Extension, milliseconds: worked() - begun };
}

function context(): ExtensionContext {
  const root = fakeVscode.Uri.file(folder);
  const extension = { id: `${manifest.publisher}.${manifest.name}`, packageJSON: manifest };
  const globalState = { get: () => undefined, update: () => Promise.resolve() };
  const given = { subscriptions: [], extensionPath: folder, extensionUri: root, extension, globalState };
  return given as unknown as ExtensionContext;
}

describe("the bundle", () => {
  it(`is smaller than ${MOST_KILOBYTES} KB`, async () => {
    const kilobytes = (await stat(bundle)).size / 1024;
    process.stdout.write(`bundle: ${kilobytes.toFixed(1)} KB\n`);
    expect(kilobytes).toBeLessThan(MOST_KILOBYTES);
  });

  it(`is loaded and activated within ${MOST_MILLISECONDS} ms`, async () => {
    const times: number[] = [];
    for (let round = 0; round < 25 && (round < 5 || Math.min(...times) >= MOST_MILLISECONDS); round += 1) {
      const { extension, milliseconds } = await load();
      const given = context();
      const begun = worked();
      extension.activate(given);
      times.push(milliseconds + worked() - begun);
      await extension.deactivate();
      for (const part of given.subscriptions) void part.dispose();
    }
    process.stdout.write(`activation: ${times.map((time) => time.toFixed(1)).join(", ")} ms\n`);
    // The best of several: the collector of garbage has its turn in some of them.
    expect(Math.min(...times)).toBeLessThan(MOST_MILLISECONDS);
  });

  it("says in the status bar when there is no server, and not in a message", async () => {
    process.env.PATH = "";
    const { extension } = await load();
    const given = context();
    extension.activate(given);
    await expect.poll(() => fakeVscode.fake.statusItems[0]?.text).toBe("$(error) Claude: no server");
    expect(fakeVscode.fake.messages).toEqual([]);
    await extension.deactivate();
  });

  it("says once, with what to do, that the server does not run, however many want it", async () => {
    const program = path.join(folder, "broken server");
    await writeFile(program, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    fakeVscode.fake.settings.set("boxwood.editor.serverPath", { globalValue: program });
    fakeVscode.fake.folders(folder);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { extension } = await load();
    extension.activate(context());
    const commands = ["boxwood.start", "boxwood.stop"].map((name) => fakeVscode.commands.executeCommand(name));
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(10_000);
      expect(fakeVscode.fake.statusItems[0]?.text).toBe("$(error) Claude: no server");
    });
    await Promise.all(commands);
    expect(fakeVscode.fake.messages).toMatchObject([{ kind: "error", buttons: ["Restart Server", "Show Logs"] }]);
    expect(fakeVscode.fake.messages[0]?.message).toMatch(/could not be started/);
    await extension.deactivate();
    vi.useRealTimers();
  });
});

describe("the extension", () => {
  it("is activated by the start of the editor, not before", () => {
    expect(manifest.activationEvents).toEqual(["onStartupFinished"]);
    expect(fileURLToPath(new URL(`../${manifest.main}`, import.meta.url))).toMatch(/dist.extension\.js$/);
  });
});
