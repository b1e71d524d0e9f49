// The harness itself, against a stand-in extension: what these tests read off the screen is what is there.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Editor } from "./lib/editor.mjs";
import { findProcesses, isAlive } from "./lib/processes.mjs";
import { writeVsix } from "./lib/vsix.mjs";

const MANIFEST = {
  name: "stand-in",
  publisher: "boxwood-tests",
  displayName: "Stand-in",
  version: "0.0.1",
  engines: { vscode: "^1.80.0" },
  activationEvents: ["onStartupFinished"],
  capabilities: { untrustedWorkspaces: { supported: true } },
  contributes: { commands: [{ command: "standIn.greet", title: "Greet the Harness" }, { command: "standIn.terminal", title: "Harness: Open Terminal" }] },
};

const SOURCE = `
const vscode = require("vscode");
exports.activate = (context) => {
  const item = vscode.window.createStatusBarItem("standIn", vscode.StatusBarAlignment.Left, 100);
  item.text = "$(vm) stand-in idle";
  item.tooltip = "nothing greeted yet";
  item.command = "standIn.greet";
  item.show();
  const folders = (vscode.workspace.workspaceFolders ?? []).length;
  context.subscriptions.push(
    item,
    vscode.commands.registerCommand("standIn.greet", async () => {
      item.text = "$(vm-running) stand-in greeted";
      const choice = await vscode.window.showInformationMessage("Hello, " + folders + " folders, trusted " + vscode.workspace.isTrusted, "Wave");
      if (choice) item.text = "$(vm-running) stand-in waved";
    }),
    vscode.commands.registerCommand("standIn.terminal", () => {
      vscode.window.createTerminal({ name: "stand-in", shellPath: "/bin/sh", shellArgs: ["-c", "echo ready; read line; echo got $line; read end"] }).show();
    }),
  );
};
`;

describe("harness", { timeout: 1_800_000 }, () => {
  let editor;
  let scratch;
  let marker;
  before(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), "boxwood-test-harness-"));
    writeVsix(path.join(scratch, "stand-in.vsix"), MANIFEST, SOURCE);
    marker = `BOXWOOD_HARNESS=${scratch}`;
    editor = await Editor.start({ vsix: path.join(scratch, "stand-in.vsix"), env: { BOXWOOD_HARNESS: scratch } });
  });
  after(async () => {
    await editor.stop();
    await rm(scratch, { recursive: true });
  });

  test("palette, notification with a button, status bar, tooltip, picture", async () => {
    const window = await editor.open({ folder: scratch });
    const idle = await window.statusBarItem(/stand-in idle/);
    assert.match(idle.icons, /codicon-vm/);
    assert.match(await window.statusBarTooltip(/stand-in idle/), /nothing greeted yet/);
    await window.palette("Greet the Harness");
    await window.statusBarItem(/stand-in greeted/);
    assert.match(await window.notification(/Hello/), /1 folders, trusted true/);
    const picture = await window.screenshot("harness");
    assert.equal((await readFile(picture)).subarray(1, 4).toString(), "PNG");
    await window.clickNotification(/Hello/, "Wave");
    await window.statusBarItem(/stand-in waved/);
    await editor.closeWindow(window);
  });

  test("a terminal is read and written", async () => {
    const window = await editor.open({ folder: scratch });
    await window.palette("Harness: Open Terminal");
    await window.terminal(/ready/);
    await window.typeLine("some words");
    await window.terminal(/got some words/);
    await editor.closeWindow(window);
  });

  test("a click on the status bar; windows without a folder and side by side", async () => {
    const empty = await editor.open();
    await empty.clickStatusBarItem(/stand-in idle/);
    assert.match(await empty.notification(/Hello/), /0 folders/);
    const other = await editor.open({ folder: scratch });
    await other.statusBarItem(/stand-in idle/);
    await empty.statusBarItem(/stand-in greeted/);
    await editor.closeWindow(empty);
    await editor.closeWindow(other);
  });

  test("a wait in vain tells what is on the screen", async () => {
    const window = await editor.open({ folder: scratch });
    await window.statusBarItem(/stand-in idle/);
    await assert.rejects(window.notification(/never/, { timeout: 200 }), /in vain for a notification.*stand-in idle/s);
    await editor.closeWindow(window);
  });

  test("processes are found by the bed's own variable and are gone after stop", async () => {
    const other = await Editor.start({ env: { BOXWOOD_HARNESS: `${scratch}-other` }, trust: false });
    const found = findProcesses(`BOXWOOD_HARNESS=${scratch}-other`, () => true);
    assert.ok(found.length > 0);
    assert.ok(findProcesses(marker, () => true).every((pid) => !found.includes(pid)));
    await other.stop();
    assert.deepEqual(found.filter(isAlive), []);
    await assert.rejects(stat(other.root), { code: "ENOENT" });
  });
});
