// No folder, several, an untrusted one, no engine, no server: every command still says something useful.
import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { containersOf } from "./lib/docker.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";

/**
 * Runs each command and waits for its answer: a notification, a dialog or a list.
 * @param {[title: string, answer: RegExp][]} expected
 */
async function answers(window, expected) {
  for (const [title, answer] of expected) {
    await window.palette(title);
    await window.see(`an answer ${answer} to "${title}"`, ({ notifications, dialog, picks, input, panel }) => answer.test([...notifications, dialog, ...picks, input, panel].join("\n")));
    await window.clear();
  }
}

describe("without a folder, with several", { timeout: 900_000 }, () => {
  let bed;
  const step = story(() => bed);
  before(async () => {
    bed = await Bed.start();
  });
  after(() => bed.stop());

  step("no folder: every command offers the next step", async () => {
    const window = await bed.open();
    await window.statusBarItem(/Start Claude Sandbox/);
    const nothing = /There is no sandbox|No sandbox is running|Sandbox of another project/;
    await answers(window, [
      ["Start Claude Sandbox", /none is open in this window/],
      ["Insert Devcontainer Template", /none is open in this window/],
      ["Boxwood: Attach", nothing],
      ["Boxwood: Open Shell", nothing],
      ["Boxwood: Stop", nothing],
      ["Boxwood: Restart", nothing],
      ["Boxwood: Refresh", nothing],
      ["Boxwood: Remove", nothing],
      ["Boxwood: Show Logs", nothing],
      ["Boxwood: Show Menu", /Open Folder/],
      ["Boxwood: Clean Up", /Remove what is unused/],
      ["Boxwood: Doctor", /Boxwood Doctor/],
    ]);
    await bed.editor.closeWindow(window);
  });

  step("several folders: the start asks in which, and that one is started", async () => {
    const [one, two] = [await bed.project("one"), await bed.project("two")];
    const workspace = path.join(bed.root, "both.code-workspace");
    await writeFile(workspace, JSON.stringify({ folders: [{ path: one }, { path: two }] }));
    const window = await bed.open({ workspace });
    await window.statusBarItem(/Start Claude Sandbox/);
    await window.palette("Start Claude Sandbox");
    await window.pick(/two/);
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    assert.deepEqual([(await containersOf(one)).length, (await containersOf(two)).length], [0, 1]);
    await window.palette("Boxwood: Stop");
    await window.statusBarItem(/Claude: stopped/);
    await bed.editor.closeWindow(window);
  }, { timeout: LONG + 60_000 });
});

describe("an untrusted workspace", { timeout: 300_000 }, () => {
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
      ["Boxwood: Stop", /No sandbox is running|Sandbox of another project/],
    ]);
    assert.deepEqual(await containersOf(project), []);
  });
});

describe("no engine", { timeout: 300_000 }, () => {
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
    const next = /no container engine|engine[\s\S]*(Run Doctor|Retry)/i;
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
    ]);
    await window.palette("View: Show Boxwood");
    await window.see("the view's advice", (screen) => /No container engine answers/.test(screen.sideBar));
  });
});

describe("no server", { timeout: 300_000 }, () => {
  let bed;
  const step = story(() => bed);
  let program;
  before(async () => {
    bed = await Bed.start({ hasEngine: false });
    program = path.join(bed.root, "broken server");
    await writeFile(program, "#!/bin/sh\nexit 3\n");
    await chmod(program, 0o755);
    await bed.editor.set("boxwood.editor.serverPath", program);
  });
  after(() => bed.stop());

  step("commands say that the server does not run and offer to restart it", async () => {
    const window = await bed.open({ folder: await bed.project("no server") });
    await window.statusBarItem(/Claude: no server/, { timeout: 60_000 });
    await window.palette("Start Claude Sandbox");
    await window.notification(/server[\s\S]*/i, { timeout: 60_000 });
    await window.see("a button to restart it", (screen) => screen.notifications.some((text) => /Restart Server/.test(text)), { timeout: 60_000 });
    await window.palette("Boxwood: Show Menu");
    await window.picks(/Restart Server/);
  });

  step("when the program is well again, Restart Server brings everything back", async () => {
    const window = await bed.open({ folder: await bed.project("server again") });
    await window.statusBarItem(/Claude: no server/, { timeout: 60_000 });
    await bed.editor.set("boxwood.editor.serverPath", undefined);
    await window.palette("Boxwood: Restart Server");
    await window.noStatusBarItem(/no server|connecting/, { timeout: 30_000 });
  });
});
