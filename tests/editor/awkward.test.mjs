// No folder, several, an untrusted one, no engine, no server: every command still says something useful.
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { containerOf, containersOf, everythingOf, stateOf } from "./lib/docker.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";

/** The editor keeps the fourth message within a second behind the bell; a person does not ask that fast. */
function isBehindBell({ statusBar, notifications, dialog, picks }) {
  const hasNews = statusBar.some(({ icons }) => /codicon-bell-dot/.test(icons));
  return hasNews && notifications.length + dialog.length + picks.length === 0;
}

/**
 * Runs each command and waits for its answer: a notification, a dialog or a list.
 * @param {[title: string, answer: RegExp][]} expected
 */
async function answers(window, expected) {
  for (const [title, answer] of expected) {
    const isAnswered = ({ notifications, dialog, picks, input, panel }) => answer.test([...notifications, dialog, ...picks, input, panel].join("\n"));
    const what = `an answer ${answer} to "${title}"`;
    await window.palette(title);
    // What is on its way to the screen looks the same for a moment, and asking for it could close it.
    if (!(await window.sees(isAnswered, { timeout: 5_000 }))) {
      await window.see(what, (screen) => isAnswered(screen) || isBehindBell(screen));
      if (!isAnswered(await window.screen())) await window.palette("Notifications: Show Notifications");
      await window.see(what, isAnswered);
    }
    await window.clear();
  }
}

/** Restarts the server, which says so for a moment only. */
async function restarts(window) {
  const seen = await window.record();
  await window.palette("Boxwood: Restart Server");
  await seen(/Boxwood server restarted/);
}

const NOTHING = /There is no sandbox|No sandbox is running|Sandbox of another project/;
/** What every command about a sandbox answers where there is none. */
const WITHOUT_SANDBOX = ["Attach", "Open Shell", "Stop", "Restart", "Refresh", "Remove", "Show Logs"].map((title) => [`Boxwood: ${title}`, NOTHING]);
const TEMPLATES = /claude-sandbox/;

describe("without a folder, with several", { timeout: 1_800_000 }, () => {
  let bed;
  const step = story(() => bed);
  before(async () => {
    bed = await Bed.start();
  });
  after(() => bed.stop());

  step("no folder: every command offers the next step", async () => {
    const window = await bed.open();
    await window.statusBarItem(/Start Claude Sandbox/);
    await answers(window, [
      ["Start Claude Sandbox", /none is open in this window/],
      ["Insert Devcontainer Template", /none is open in this window/],
      ...WITHOUT_SANDBOX,
      ["Boxwood: Show Menu", /Open Folder/],
      ["Boxwood: Clean Up", /Remove what is unused/],
      ["Boxwood: Doctor", /Boxwood Doctor/],
    ]);
    await restarts(window);
    await bed.editor.closeWindow(window);
  });

  step("several folders: the start asks in which, and that one is started", async () => {
    const [one, two] = [await bed.project("one"), await bed.project("two")];
    const workspace = path.join(bed.root, "both.code-workspace");
    await writeFile(workspace, JSON.stringify({ folders: [{ path: one }, { path: two }] }));
    const window = await bed.open({ workspace });
    await window.statusBarItem(/Start Claude Sandbox/);
    const which = /one[\s\S]*no sandbox[\s\S]*two[\s\S]*no sandbox/;
    await answers(window, [
      ["Start Claude Sandbox", which],
      ["Insert Devcontainer Template", which],
      ...WITHOUT_SANDBOX,
      ["Boxwood: Show Menu", /Start Claude Sandbox/],
      ["Boxwood: Clean Up", /Remove what is unused/],
      ["Boxwood: Doctor", /Boxwood Doctor/],
    ]);
    await restarts(window);
    await window.palette("Start Claude Sandbox");
    await window.pick(/two/);
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    assert.deepEqual([(await containersOf(one)).length, (await containersOf(two)).length], [0, 1]);
    // All of them mean the one that there is.
    await answers(window, [
      ["Boxwood: Remove", /Remove the sandbox of 'two'\?/],
      ["Boxwood: Show Menu", /two/],
    ]);
    await window.palette("Boxwood: Stop");
    // Not the first folder's, which has no sandbox.
    await window.statusBarItem(/Claude: stopped \(two\)/);
    assert.match(await window.statusBarTooltip(/Claude: stopped/), /two/);
    await window.screenshot("several-folders");
    assert.equal(await stateOf(await containerOf(two)), "exited");
    await bed.editor.closeWindow(window);
  }, { timeout: 2 * LONG });
});

describe("an untrusted workspace", { timeout: 1_800_000 }, () => {
  let bed;
  const step = story(() => bed);
  before(async () => {
    bed = await Bed.start({ trust: false });
  });
  after(() => bed.stop());

  step("what would run the folder's files asks for trust and starts nothing", async () => {
    const project = await bed.project("untrusted");
    const window = await bed.open({ folder: project });
    await window.statusBarItem(/Start Claude Sandbox/);
    const trust = /needs a trusted workspace/;
    await answers(window, [
      ["Start Claude Sandbox", trust],
      ["Boxwood: Attach", trust],
      ["Boxwood: Open Shell", trust],
      ["Boxwood: Restart", trust],
      ["Boxwood: Refresh", trust],
      ["Boxwood: Doctor", /Boxwood Doctor/],
      ["Boxwood: Stop", NOTHING],
      ["Boxwood: Remove", NOTHING],
      ["Boxwood: Show Logs", NOTHING],
      ["Boxwood: Show Menu", /Doctor/],
      ["Boxwood: Clean Up", /Remove what is unused/],
      ["Insert Devcontainer Template", TEMPLATES],
    ]);
    await restarts(window);
    assert.deepEqual(await everythingOf(project), []);
  });
});

describe("no engine", { timeout: 1_800_000 }, () => {
  let bed;
  const step = story(() => bed);
  before(async () => {
    bed = await Bed.start({ hasEngine: false, env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" } });
  });
  after(() => bed.stop());

  step("the status bar says so and every command names the next step", async () => {
    const window = await bed.open({ folder: await bed.project("no engine") });
    const item = await window.statusBarItem(/Claude: no engine/);
    assert.match(item.kind, /error-kind/);
    const next = /Run Doctor[\s\S]*no engine answers at[\s\S]*Start Docker/;
    await answers(window, [
      ["Start Claude Sandbox", next],
      ["Boxwood: Attach", next],
      ["Boxwood: Open Shell", next],
      ["Boxwood: Stop", next],
      ["Boxwood: Restart", next],
      ["Boxwood: Refresh", next],
      ["Boxwood: Remove", next],
      ["Boxwood: Show Logs", next],
      ["Boxwood: Show Menu", /Doctor/],
      ["Boxwood: Doctor", /Boxwood Doctor: \d+ problem/],
      // It is files that are written, and these need none.
      ["Insert Devcontainer Template", TEMPLATES],
    ]);
    await window.palette("Boxwood: Clean Up");
    await window.pick(/Remove what is unused/);
    await window.notification(next);
    await window.clear();
    await restarts(window);
    await window.palette("View: Show Boxwood");
    await window.see("the view's advice", (screen) => /No container engine answers/.test(screen.sideBar));
  });
});

describe("no server", { timeout: 1_800_000 }, () => {
  let bed;
  let scratch;
  let program;
  let window;
  const step = story(() => bed);
  before(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), "boxwood-test-server-"));
    program = path.join(scratch, "broken server");
    await writeFile(program, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    const env = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
    bed = await Bed.start({ hasEngine: false, env, settings: { "boxwood.editor.serverPath": program } });
  });
  after(async () => {
    await bed.stop();
    await rm(scratch, { recursive: true });
  });

  step("commands say that the server does not run and offer to restart it", async () => {
    window = await bed.open({ folder: await bed.project("no server") });
    // It is tried several times, with pauses.
    await window.statusBarItem(/Claude: no server/, { timeout: LONG });
    const message = await window.notification(/could not be started/);
    assert.match(message, /it ended at once\. The log has what it said last\./);
    assert.match(message, /Restart Server[\s\S]*Show Logs/);
    assert.deepEqual((await window.screen()).notifications, [message]);
    await window.screenshot("no-server");
    await window.clear();
    await window.palette("Start Claude Sandbox");
    await window.notification(/could not be started/, { timeout: LONG });
    // The start's own message goes.
    await window.see("that message alone", ({ notifications }) => notifications.length === 1 && notifications[0] === message);
    await window.palette("Boxwood: Show Menu");
    await window.picks(/Restart Server/);
    await window.dismiss();
    const restart = /Restart Server[\s\S]*could not be started/;
    await answers(window, [
      ["Insert Devcontainer Template", restart],
      ["Boxwood: Attach", restart],
      ["Boxwood: Open Shell", restart],
      ["Boxwood: Stop", restart],
      ["Boxwood: Restart", restart],
      ["Boxwood: Refresh", restart],
      ["Boxwood: Remove", restart],
      ["Boxwood: Show Logs", restart],
      ["Boxwood: Doctor", restart],
      ["Boxwood: Restart Server", restart],
    ]);
    await window.palette("Boxwood: Clean Up");
    await window.pick(/Remove what is unused/);
    await window.notification(restart, { timeout: LONG });
    await window.clear();
    await window.palette("View: Show Boxwood");
    await window.see("the view's advice", (screen) => /The Boxwood server does not run/.test(screen.sideBar));
  }, { timeout: 3 * LONG });

  step("when the program is well again, Restart Server brings everything back", async () => {
    const [extension] = (await readdir(path.join(bed.root, "extensions"))).filter((name) => name.startsWith("boxwood"));
    const server = path.join(bed.root, "extensions", extension, "server/boxwood");
    await writeFile(program, `#!/bin/sh\nexec '${server}' "$@"\n`);
    await window.palette("Boxwood: Restart Server");
    await window.statusBarItem(/Claude: no engine/);
  });
});
