// The server dies at the worst moment; the person goes on.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { containerOf, containersOf, stateOf } from "./lib/docker.mjs";
import { kill } from "./lib/processes.mjs";
import { story } from "./lib/suite.mjs";
import { LONG, until } from "./lib/wait.mjs";

describe("recovery", { timeout: 1_800_000 }, () => {
  let bed;
  let project;
  let window;
  const step = story(() => bed);

  /** Kills the only process of that role and waits for its successor. */
  async function killed(name) {
    await until(`one ${name}`, () => bed.processes(name).length === 1);
    const [pid] = bed.processes(name);
    await kill(pid);
    await until(`another ${name}`, () => bed.processes(name).some((other) => other !== pid));
  }

  before(async () => {
    bed = await Bed.start();
    project = await bed.project("survivor");
    window = await bed.open({ folder: project });
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    await window.terminal(/Claude Code/);
  });
  after(() => bed.stop());

  step("the window's server is killed: another takes over, the terminal does not notice", async () => {
    await killed("lsp");
    await window.statusBarItem(/Claude: healthy/);
    await window.typeLine("still there?");
    await window.terminal(/still there\?[\s\S]*FAKE-REPLY/);
  });

  step("the daemon is killed: another takes over and knows the sandbox", async () => {
    const container = await containerOf(project);
    await killed("daemon");
    await window.statusBarItem(/Claude: healthy/);
    assert.equal(await containerOf(project), container);
    assert.equal(await stateOf(container), "running");
    await window.typeLine("and now?");
    await window.terminal(/and now\?[\s\S]*FAKE-REPLY/);
  });

  step("commands work after both deaths", async () => {
    await window.palette("Boxwood: Stop");
    await window.statusBarItem(/Claude: stopped/);
    assert.equal(await stateOf(await containerOf(project)), "exited");
  });

  step("the daemon is killed during a start: the person is told or served, and the next start works", async () => {
    await window.palette("Boxwood: Remove");
    await window.clickDialog(/Remove the sandbox/, /^Remove$/);
    await window.statusBarItem(/Start Claude Sandbox/);
    const showed = await window.record();
    await window.palette("Start Claude Sandbox");
    await showed(/Claude: starting/);
    await killed("daemon");
    await window.see("an end of the start", (screen) => screen.notifications.some((text) => /restarted before the operation ended/.test(text)) || screen.statusBar.some(({ text }) => /Claude: healthy/.test(text)));
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/);
    assert.equal((await containersOf(project)).length, 1);
  });

  step("Restart Server replaces the server and leaves the sandbox alone", async () => {
    const [before] = bed.processes("lsp");
    const container = await containerOf(project);
    await window.palette("Boxwood: Restart Server");
    await until("another server", () => bed.processes("lsp").some((pid) => pid !== before));
    await window.statusBarItem(/Claude: healthy/);
    assert.equal(await stateOf(container), "running");
  });

  step("a reloaded window finds its sandbox again", async () => {
    await window.reload();
    await window.statusBarItem(/Claude: healthy/);
  });
});
