// From the palette to Claude's answer and back: what a person does on the first day.
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { after, before, describe } from "node:test";
import { credentialHash } from "../fakes/messages-api.mjs";
import { API_KEY, Bed } from "./lib/bed.mjs";
import { containerOf, containersOf, docker, everythingOf, stateOf } from "./lib/docker.mjs";
import { story } from "./lib/suite.mjs";
import { LONG, until } from "./lib/wait.mjs";

describe("the spine", { timeout: 1_800_000 }, () => {
  let bed;
  let project;
  let window;
  const step = story(() => bed);

  before(async () => {
    bed = await Bed.start();
    project = await bed.project("first day");
    window = await bed.open({ folder: project });
  });
  after(() => bed.stop());

  step("a window without a sandbox offers to start one", async () => {
    const item = await window.statusBarItem(/Start Claude Sandbox/);
    assert.equal(item.text, "Start Claude Sandbox");
  });

  step("Start Claude Sandbox: progress, then Claude in a terminal, then healthy", async () => {
    const showed = await window.record();
    await window.palette("Start Claude Sandbox");
    await showed(/Starting the Claude sandbox of 'first day'/);
    await showed(/Claude: starting/);
    await window.terminal(/Claude Code/, { timeout: LONG, unless: /Failed/ });
    await window.statusBarItem(/Claude: healthy/);
    await window.see("no progress left", (screen) => !screen.notifications.some((text) => /Starting/.test(text)));
    assert.equal(await stateOf(await containerOf(project)), "running");
  }, { timeout: 2 * LONG });

  step("a prompt typed there is answered, with the person's key", async () => {
    await window.typeLine("is anybody there?");
    await window.terminal(/FAKE-REPLY \d+/);
    const turn = bed.modelRequests().find((entry) => JSON.stringify(entry.body.messages).includes("is anybody there?"));
    assert.ok(turn.auth.length > 0);
    for (const { hash } of turn.auth) assert.equal(hash, credentialHash(API_KEY));
  });

  step("what Claude writes is in the project and belongs to the person", async () => {
    const file = path.join(project, "written.txt");
    await window.typeLine(`[[tool:Write ${JSON.stringify({ file_path: file, content: "from inside" })}]] say the file is written`);
    await window.terminal(/^.*● the file is written/m);
    assert.equal(await readFile(file, "utf8"), "from inside");
    assert.equal((await stat(file)).uid, process.getuid());
  });

  step("the tooltip tells figures, limits and that the policy is enforced", async () => {
    await until("figures in the tooltip", async () => /CPU/.test(await window.statusBarTooltip(/Claude: healthy/)));
    const tooltip = await window.statusBarTooltip(/Claude: healthy/);
    assert.match(tooltip, /Memory[\s\S]* of /);
    assert.match(tooltip, /policy enforced outside the container/);
  });

  step("the key is neither in the container's description nor in a process list", async () => {
    const container = await containerOf(project);
    assert.ok(!(await docker("inspect", container)).includes(API_KEY));
    assert.ok(!(await docker("top", container, "-eo", "pid,args")).includes(API_KEY));
  });

  step("a closed terminal leaves Claude working; Attach brings the same screen back", async () => {
    await window.palette("View: Close Editor");
    await window.see("no terminal", (screen) => screen.terminal === "");
    await window.statusBarItem(/Claude: healthy/);
    await window.palette("Boxwood: Attach");
    await window.terminal(/FAKE-REPLY \d+/);
  });

  step("Open Shell opens a shell in the project, inside", async () => {
    await window.palette("Boxwood: Open Shell");
    await window.terminal(/[$#] *$/m);
    await window.typeLine("pwd; test -e /opt/boxwood/bin/claude && echo inside-$((40+2))");
    const text = await window.terminal(/inside-42/);
    assert.ok(text.replaceAll("\n", "").includes(project), "the shell starts in the project");
    await window.palette("View: Close Editor");
  });

  step("Stop: the status bar follows, the container is kept", async () => {
    await window.palette("Boxwood: Stop");
    await window.statusBarItem(/Claude: stopped/);
    assert.equal(await stateOf(await containerOf(project)), "exited");
  });

  step("Start again takes the same container and opens Claude anew; what was said before is kept", async () => {
    const previous = await containerOf(project);
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/);
    assert.equal(await containerOf(project), previous);
    // Not the terminal from before the stop, which had the answers in it.
    await window.see("Claude anew", ({ terminal }) => /Claude Code/.test(terminal) && !/FAKE-REPLY/.test(terminal));
    const said = await docker("exec", previous, "sh", "-c", "cat /home/boxwood/.claude/projects/*/*.jsonl");
    assert.match(said, /is anybody there\?/);
    assert.match(said, /FAKE-REPLY/);
  });

  step("Refresh makes a new container and keeps the project's files", async () => {
    const previous = await containerOf(project);
    await window.palette("Boxwood: Refresh");
    await until("another container, and only that", async () => {
      const [now, ...more] = await containersOf(project);
      return now !== undefined && now !== previous && more.length === 0;
    });
    await window.statusBarItem(/Claude: healthy/);
    assert.equal(await readFile(path.join(project, "written.txt"), "utf8"), "from inside");
  });

  step("a container killed from outside shows within two seconds", async () => {
    // The best of several: what else the machine does is not the product's time.
    const times = [];
    while (times.length < 3 && !times.some((time) => time <= 2_000)) {
      if (times.length > 0) await window.palette("Start Claude Sandbox");
      await window.statusBarItem(/Claude: healthy/);
      await docker("kill", await containerOf(project));
      const killed = performance.now();
      await window.statusBarItem(/Claude: (stopped|failed)/);
      times.push(performance.now() - killed);
    }
    assert.ok(Math.min(...times) <= 2_000, `it took ${times.map((time) => time.toFixed(0)).join(", ")} ms`);
  });

  step("Show Logs shows the log of a stopped sandbox too", async () => {
    await window.palette("Boxwood: Show Logs");
    await window.see("the log", (screen) => /Sandbox Log/.test(screen.panel));
  });

  step("Remove asks first, then nothing of it is left in the engine", async () => {
    await window.palette("Boxwood: Remove");
    await window.clickDialog(/Remove the sandbox of 'first day'\?/, /^Remove$/);
    await window.statusBarItem(/Start Claude Sandbox/);
    assert.deepEqual(await everythingOf(project), []);
    assert.equal(await readFile(path.join(project, "written.txt"), "utf8"), "from inside");
  });
});
