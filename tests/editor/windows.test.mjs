// Several windows, one truth: what happens in one is seen in the others.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { containerOf, containersOf, stateOf } from "./lib/docker.mjs";
import { story } from "./lib/suite.mjs";
import { LONG, until } from "./lib/wait.mjs";

describe("windows in agreement", { timeout: 1_800_000 }, () => {
  let bed;
  let project;
  let left;
  let right;
  let other;
  const step = story(() => bed);

  before(async () => {
    bed = await Bed.start();
    project = await bed.project("shared");
    [left, right] = [await bed.open({ folder: project }), await bed.open({ folder: project })];
    other = await bed.open({ folder: await bed.project("another") });
  });
  after(() => bed.stop());

  step("each window has a server of its own, all have one daemon", async () => {
    for (const window of [left, right, other]) await window.statusBarItem(/Start Claude Sandbox/);
    assert.equal(bed.processes("lsp").length, 3);
    // Three windows at once start several daemons; all but one leave again.
    await until("one daemon", () => bed.processes("daemon").length === 1);
  });

  step("a start in one window is seen in the other, from its beginning to healthy", async () => {
    const showed = await right.record();
    await left.palette("Start Claude Sandbox");
    await showed(/Claude: starting/);
    for (const window of [left, right]) await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    await other.statusBarItem(/Start Claude Sandbox/);
  }, { timeout: 2 * LONG });

  step("a start in the second window takes the same container", async () => {
    const container = await containerOf(project);
    await right.palette("Start Claude Sandbox");
    await right.terminal(/Claude Code/, { unless: /Failed/ });
    assert.deepEqual(await containersOf(project), [container]);
  });

  step("what is typed in one terminal is seen in the other", async () => {
    await left.terminal(/Claude Code/);
    await left.typeLine("hello from the left");
    await right.terminal(/hello from the left[\s\S]*FAKE-REPLY/);
  });

  step("the tree of a third window lists the sandbox and stops it", async () => {
    await other.palette("View: Show Boxwood");
    await other.see("the sandbox in the tree", (screen) => screen.tree.some((row) => /shared.*healthy/.test(row)));
    await other.treeAction(/shared/, "Stop");
    for (const window of [left, right]) await window.statusBarItem(/Claude: stopped/);
    await other.see("a stopped sandbox in the tree", (screen) => screen.tree.some((row) => /shared.*stopped/.test(row)));
    assert.equal(await stateOf(await containerOf(project)), "exited");
  });

  step("a closed window leaves the sandbox and the other window alone", async () => {
    await left.palette("Start Claude Sandbox");
    await right.statusBarItem(/Claude: healthy/);
    await bed.editor.closeWindow(left);
    await right.statusBarItem(/Claude: healthy/);
    assert.equal(await stateOf(await containerOf(project)), "running");
    assert.equal(bed.processes("daemon").length, 1);
  });
});
