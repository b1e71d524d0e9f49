// Insert Devcontainer Template from the palette: written once, never over what is there.
import assert from "node:assert/strict";
import { readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { story } from "./lib/suite.mjs";
import { until } from "./lib/wait.mjs";

describe("Insert Devcontainer Template", { timeout: 1_800_000 }, () => {
  let bed;
  const step = story(() => bed);
  before(async () => {
    bed = await Bed.start({ hasEngine: false });
  });
  after(() => bed.stop());

  async function insert(window) {
    await window.palette("Insert Devcontainer Template");
    await window.pick(/claude-sandbox/);
    await window.pick(/Use defaults/);
  }

  step("into a project without one: the files are written and the main one is opened", async () => {
    const project = await bed.project("plain");
    const window = await bed.open({ folder: project });
    await window.statusBarItem(/Claude|Boxwood/);
    await insert(window);
    await window.notification(/\d+ files? written/);
    await window.see("devcontainer.json in a tab", (screen) => screen.tabs.some((tab) => /devcontainer\.json/.test(tab)));
    const text = await readFile(path.join(project, ".devcontainer/devcontainer.json"), "utf8");
    assert.match(text, /"name"/);
    assert.ok((await readdir(path.join(project, ".devcontainer"))).includes("Dockerfile"));
    assert.equal((await stat(path.join(project, ".devcontainer/devcontainer.json"))).uid, process.getuid());
    await bed.editor.closeWindow(window);
  });

  step("into a project that has one: it is kept, the template's version stands beside it", async () => {
    const mine = '{\n  // mine\n  "name": "mine"\n}\n';
    const project = await bed.project("grown", { ".devcontainer/devcontainer.json": mine });
    const window = await bed.open({ folder: project });
    await window.statusBarItem(/Claude|Boxwood/);
    await insert(window);
    await window.notification(/kept as you have it[\s\S]*devcontainer\.json/);
    assert.equal(await readFile(path.join(project, ".devcontainer/devcontainer.json"), "utf8"), mine);
    assert.match(await readFile(path.join(project, ".devcontainer/devcontainer.json.boxwood-new"), "utf8"), /"name"/);
    await window.clickNotification(/kept as you have it/, "Compare");
    await window.see("the comparison or its list", (screen) => screen.picks.length > 0 || screen.tabs.some((tab) => /yours/.test(tab)));
    await bed.editor.closeWindow(window);
  });

  step("inserting twice changes nothing", async () => {
    const project = await bed.project("twice");
    const window = await bed.open({ folder: project });
    await window.statusBarItem(/Claude|Boxwood/);
    await insert(window);
    await window.notification(/files? written/);
    const before = await readFile(path.join(project, ".devcontainer/devcontainer.json"), "utf8");
    await window.clear();
    await insert(window);
    await window.notification(/everything is there already/);
    await until("the same file", async () => (await readFile(path.join(project, ".devcontainer/devcontainer.json"), "utf8")) === before);
    assert.ok(!(await readdir(path.join(project, ".devcontainer"))).some((name) => name.endsWith(".boxwood-new")));
  });
});
