// Claude's login as a person meets it: signed out, signing in with the browser, healthy, another mode, signed out again.
import assert from "node:assert/strict";
import { readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { LOOK, takePicture } from "./lib/pictures.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";

/** In the pictures the project's path can be read, so it is a short one. */
const PARENT = path.join(tmpdir(), "boxwood-test-credentials");

const EXTERNAL = /open the external website/;

describe("Claude's login", { timeout: 3 * LONG }, () => {
  let bed;
  let window;
  const step = story(() => bed);

  before(async () => {
    await rm(PARENT, { recursive: true, force: true });
    bed = await Bed.start({ settings: LOOK, identity: true });
    const project = await bed.project("rain-barrel", { "README.md": "# Rain barrel\n" }, PARENT);
    window = await bed.open({ folder: project });
  });
  after(async () => {
    await bed.stop();
    await rm(PARENT, { recursive: true, force: true });
  });

  /** From the command to the page at which the person signs in. */
  async function page() {
    await window.dialog(EXTERNAL, { timeout: LONG, unless: /fail/i });
    return window.opening(() => window.clickDialog(EXTERNAL, /^Open$/));
  }

  /** What the page shows to whoever signs in there. */
  async function codeOf(opened) {
    await opened.locator("#sign-in").click();
    const code = await opened.locator("#code").innerText();
    await opened.close();
    return code;
  }

  /** The files that hold a text, below a directory. */
  async function holding(text, directory) {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    const found = await Promise.all(files.map(async (file) => (await readFile(file, "latin1")).includes(text) && file));
    return found.filter(Boolean);
  }

  step("signed out: the status bar says so, and its menu begins with signing in", async () => {
    const item = await window.statusBarItem(/Claude: sign in/);
    assert.doesNotMatch(item.kind, /error-kind|warning-kind/);
    assert.match(await window.statusBarTooltip(/Claude: sign in/), /no login and no key/);
    await window.clickStatusBarItem(/Claude: sign in/);
    const [first] = await window.picks(/Sign in to Claude/);
    assert.match(first, /^Sign in to Claude/);
    await window.screenshot("login-signed-out");
    await window.dismiss();
  });

  let code;

  step("Sign in to Claude: the browser opens, and a code of another sign-in is asked for again", async () => {
    await window.palette("Boxwood: Sign in to Claude");
    await window.picks(/Setup Token/);
    await window.screenshot("login-kinds");
    await window.pick(/Claude Subscription/);
    await window.notification(/Signing in to Claude/);
    await window.dialog(EXTERNAL, { timeout: LONG, unless: /fail/i });
    await window.screenshot("login-browser");
    code = await codeOf(await page());
    await window.page.bringToFront();
    await window.see("the question for the code", ({ question }) => /paste it here/.test(question));
    await window.notification(/then paste the code/);
    await takePicture(window, "sign-in");
    await window.answer("somebody-elses#code");
    await window.see("what is wrong with the code", ({ question }) => /code is of another sign-in/.test(question));
    await window.screenshot("login-wrong-code");
  }, { timeout: 2 * LONG });

  step("the box can be put away and comes back from the notification", async () => {
    await window.dismiss();
    await window.notification(/Signing in to Claude: waiting for the code/);
    await window.screenshot("login-put-away");
    await window.clickNotification(/waiting for the code/, /^Enter Code$/);
    await window.see("the box", ({ question }) => /paste it here/.test(question));
  });

  step("the right code signs in, and stands nowhere afterwards", async () => {
    await window.answer(code);
    await window.notification(/Signed in to Claude as ada@example\.test/);
    await window.screenshot("login-done");
    const [word] = code.split("#");
    assert.deepEqual(await holding(word, path.join(bed.root, "user-data/logs")), []);
    assert.deepEqual(await holding(word, path.join(bed.root, "state")), []);
  });

  step("healthy: no item of its own, and a line in the tooltip", async () => {
    await window.noStatusBarItem(/Claude: sign in/);
    const tooltip = await window.statusBarTooltip(/Start Claude Sandbox/);
    assert.match(tooltip, /Login: signed in · ada@example\.test/);
    await window.clear();
    await window.palette("Boxwood: Show Credential Status");
    await window.picks(/login made with Boxwood/);
    await window.screenshot("login-status");
    await window.dismiss();
  });

  step("a second sign-in asks before it replaces the first, and can be cancelled", async () => {
    await window.palette("Boxwood: Sign in to Claude");
    await window.pick(/Claude Subscription/);
    await window.clickDialog(/signed in already as ada@example\.test/, /^Sign In Again$/);
    await window.dialog(EXTERNAL, { timeout: LONG, unless: /fail/i });
    await window.clickDialog(EXTERNAL, /^Cancel$/);
    await window.see("that no browser opened", ({ question }) => /browser was not opened/.test(question));
    await window.screenshot("login-no-browser");
    await window.clickNotification(/Signing in to Claude/, /^Cancel$/);
    await window.see("nothing left of it", ({ notifications, question }) => notifications.length === 0 && question === "");
    await window.noStatusBarItem(/Claude: sign in/);
  });

  step("Switch Credential Mode lists what a sandbox would hold, and switches", async () => {
    await window.palette("Boxwood: Switch Credential Mode");
    await window.picks(/^isolated/);
    await window.screenshot("login-modes");
    await window.pick(/what requests need, and nothing that renews it/);
    await window.see("a word of it", ({ statusBar }) => statusBar.some(({ text }) => /Credential held as 'token'/.test(text)));
    assert.match(await window.statusBarTooltip(/Start Claude Sandbox/), /Login: signed in · ada@example\.test \(max\) · token/);
  });

  step("Sign Out asks, and is signed out in every window", async () => {
    const other = await bed.open({});
    await other.statusBarItem(/Start Claude Sandbox/);
    await window.palette("Boxwood: Sign Out");
    await window.dialog(/Sign out of: login made with Boxwood\?/);
    await window.screenshot("login-sign-out");
    await window.clickDialog(/Sign out of/, /^Sign Out$/);
    await window.statusBarItem(/Claude: sign in/);
    await other.statusBarItem(/Claude: sign in/);
  });
});
