import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findServer } from "../src/serverPath";
import { environmentFrom, sandboxConfig, sandboxSettings } from "../src/settings";
import { fake } from "./fake/vscode";

beforeEach(() => {
  fake.reset();
});

describe("the configuration for the server", () => {
  it("has what the person has set, and only that", () => {
    fake.settings.set("boxwood.memory", { globalValue: "4g" });
    fake.settings.set("boxwood.cpus", { globalValue: null });
    expect(sandboxConfig(["memory", "cpus", "variant"])).toEqual({ config: { memory: "4g" }, ignored: [] });
  });

  it("leaves out what a file of the workspace sets", () => {
    fake.settings.set("boxwood.hostLogin", { workspaceValue: true });
    fake.settings.set("boxwood.memory", { globalValue: "4g", workspaceValue: "64g" });
    expect(sandboxConfig(["memory", "hostLogin"])).toEqual({
      config: { memory: "4g" },
      ignored: ["boxwood.memory", "boxwood.hostLogin"],
    });
  });

  it.each([undefined, {}, { contributes: { configuration: null } }])("survives the manifest %j", (manifest) => {
    expect(sandboxSettings(manifest)).toEqual([]);
  });
});

describe("credentials", () => {
  it("are taken from the variables that Claude Code reads", () => {
    const env = {
      ANTHROPIC_API_KEY: "a",
      ANTHROPIC_AUTH_TOKEN: "b",
      CLAUDE_CODE_OAUTH_TOKEN: "c",
      ANTHROPIC_BASE_URL: "d",
      HOME: "/home/ada",
    };
    expect(environmentFrom(env)).toEqual({ ...env, HOME: undefined });
  });

  it.each([{}, { ANTHROPIC_API_KEY: "" }])("are absent in %j", (env) => {
    expect(environmentFrom(env)).toBeUndefined();
  });
});

describe("the server program", () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "boxwood-extension-"));
  });

  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  async function program(file: string, mode = 0o755): Promise<string> {
    const full = path.join(root, file);
    await mkdir(path.dirname(full), { recursive: true });
    await writeFile(full, "#!/bin/sh\n");
    await chmod(full, mode);
    return full;
  }

  function find(setting = "") {
    const env = { PATH: ["relative/bin", path.join(root, "bin")].join(":"), HOME: root };
    return findServer({ setting, extensionPath: path.join(root, "ext"), env, platform: "linux" });
  }

  it("is the one of the setting, before others", async () => {
    await program("ext/server/boxwood");
    const chosen = await program("own/boxwood");
    expect(await find(chosen)).toEqual({ kind: "ok", value: chosen });
    expect(await find("~/own/boxwood")).toEqual({ kind: "ok", value: chosen });
  });

  it("is not another when the setting is wrong", async () => {
    await program("ext/server/boxwood");
    expect(await find("/nowhere/boxwood")).toMatchObject({
      kind: "error",
      error: { code: "daemon.unavailable", actions: ["openSettings", "restartServer"] },
    });
  });

  it("is the one in the extension, before the PATH", async () => {
    await program("bin/boxwood");
    const bundled = await program("ext/server/boxwood");
    expect(await find()).toEqual({ kind: "ok", value: bundled });
  });

  it("may have lost its permission on the way", async () => {
    const bundled = await program("ext/server/boxwood", 0o644);
    expect(await find()).toEqual({ kind: "ok", value: bundled });
  });

  it("is the one on the PATH, else an error that says what to do", async () => {
    expect(await find()).toMatchObject({
      kind: "error",
      error: { hint: expect.stringContaining("serverPath") as string },
    });
    const file = await program("bin/boxwood");
    expect(await find()).toEqual({ kind: "ok", value: file });
  });
});
