// Git in a sandbox asks for a credential of this machine, and the person answers in the editor.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { LOOK } from "./lib/pictures.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";

/** In the pictures the project's path can be read, so it is a short one. */
const PARENT = path.join(tmpdir(), "boxwood-test-git");

const ASKS = /Allow or Deny your git credential of git\.example\? The sandbox of 'rain-barrel' asks/;

/** What any program inside does that needs one, followed by a word that is not in what was typed. */
const FILL = "printf 'protocol=https\\nhost=git.example\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill; echo over-$((40+2))";

describe("git credentials", { timeout: 3 * LONG }, () => {
  let bed;
  let project;
  let window;
  const step = story(() => bed);

  before(async () => {
    await rm(PARENT, { recursive: true, force: true });
    // The person's own git, which knows a password for one host. A host that the network policy keeps away has no use for it.
    const policy = () => ({ allow: ["git.example"] });
    bed = await Bed.start({ settings: LOOK, policy, gitconfig: '[credential "https://git.example"]\n\thelper = "!f() { echo username=ada; echo password=made-up; }; f"\n' });
    project = await bed.project("rain-barrel", { "README.md": "# Rain barrel\n" }, PARENT);
    window = await bed.open({ folder: project });
  });
  after(async () => {
    await bed.stop();
    await rm(PARENT, { recursive: true, force: true });
  });

  step("a sandbox runs, with a shell in it", async () => {
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    // The imitation of the model has no encryption, which is told.
    await window.palette("Notifications: Clear All Notifications");
    await window.palette("Boxwood: Open Shell");
    await window.terminal(/[$#] *$/m);
    await window.typeLine("clear; until test -S /tmp/boxwood-$(id -u)/git.sock; do sleep 0.1; done; echo ready-$((40+1))");
    await window.terminal(/ready-41/);
  }, { timeout: 2 * LONG });

  step("git asks, and the notification stands while the question waits, in a window that is opened later too", async () => {
    await window.typeLine(FILL);
    await window.notification(ASKS);
    await window.screenshot("git-credential");
    const later = await bed.open({ folder: project });
    await later.notification(ASKS);
    await window.clickNotification(ASKS, /^Allow$/);
    await window.terminal(/password=made-up[\s\S]*over-42/);
    await later.see("no question any more", ({ notifications }) => !notifications.some((text) => ASKS.test(text)));
    await bed.editor.closeWindow(later);
    assert.ok(!(await window.screen()).notifications.some((text) => ASKS.test(text)));
  });

  step("what was allowed is listed, and taken back", async () => {
    await window.palette("Boxwood: Git Credentials");
    await window.picks(/git\.example.*allowed/s);
    await window.screenshot("git-credentials");
    await window.pick(/git\.example/);
    await window.pick(/Ask Again/);
    await window.typeLine(`clear; ${FILL}`);
    await window.notification(ASKS);
    await window.clickNotification(ASKS, /^Deny$/);
    await window.terminal(/refused[\s\S]*over-42/);
  });
});
