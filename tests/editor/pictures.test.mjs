// The pictures of the README, taken from the real thing. BOXWOOD_UPDATE_PICTURES=1 writes them to docs/images;
// otherwise they stay among the artifacts, so that a test run leaves the repository as it was.
import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { Bed } from "./lib/bed.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";
import { ARTIFACTS } from "./lib/window.mjs";

const TARGET = process.env.BOXWOOD_UPDATE_PICTURES === "1" ? fileURLToPath(new URL("../../docs/images/", import.meta.url)) : ARTIFACTS;

const LOOK = {
  "workbench.colorTheme": "Default Dark Modern",
  "workbench.layoutControl.enabled": false,
  "window.commandCenter": false,
  "chat.commandCenter.enabled": false,
  "terminal.integrated.fontSize": 13,
  "terminal.integrated.fontFamily": "DejaVu Sans Mono",
  "remote.autoForwardPorts": false,
};

const WATER = `def litres(area_m2: float, rain_mm: float) -> float:
    """Rain that a roof of this area collects."""
    return area_m2 * rain_mm
`;

const TEST = `from rain import litres


def test_litres():
    assert litres(20, 5) == 100
`;

/** In the pictures the project's path can be read, so it is a short one. */
const PARENT = path.join(tmpdir(), "boxwood-test-pictures");

const ASKED = "Is there a test for rain.py?";
const WANTED = "Yes please, and keep it small.";
const ANSWERS = {
  [ASKED]: "say No. rain.py has one function, litres(), and nothing checks it yet. Shall I add a test for it?",
  [WANTED]: `[[tool:Write ${JSON.stringify({ file_path: path.join(PARENT, "rain-barrel/test_rain.py"), content: TEST })}]] say Done: test_rain.py checks that 5 mm on 20 m² fill 100 litres.`,
};

/** Width and height stand in the first chunk of a PNG. */
async function sizeOf(file) {
  const bytes = await readFile(file);
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

describe("pictures for the README", { timeout: 3 * LONG }, () => {
  let bed;
  let window;
  const step = story(() => bed);

  before(async () => {
    await rm(PARENT, { recursive: true, force: true });
    bed = await Bed.start({ settings: LOOK, answers: ANSWERS });
    const project = await bed.project("rain-barrel", { "rain.py": WATER, "README.md": "# Rain barrel\n\nHow much rain does a roof collect?\n" }, PARENT);
    window = await bed.open({ folder: project });
  });
  after(async () => {
    await bed.stop();
    await rm(PARENT, { recursive: true, force: true });
  });

  async function picture(name) {
    await window.page.mouse.move(900, 620);
    await window.see("no notification", (screen) => screen.notifications.length === 0);
    const file = await window.screenshot(name, path.join(TARGET, `${name}.png`));
    assert.deepEqual(await sizeOf(file), [1280, 800]);
  }

  step("Claude at work, the list of sandboxes, a healthy status bar", async () => {
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    await window.terminal(/Claude Code/);
    await window.typeLine(ASKED);
    await window.terminal(/Shall I add a test/);
    await window.typeLine(WANTED);
    await window.terminal(/● Done: test_rain/);
    await window.palette("View: Show Boxwood");
    await window.see("the sandbox in the tree", (screen) => screen.tree.some((row) => /rain-barrel[\s\S]*healthy/.test(row)));
    await picture("sandbox");
  }, { timeout: 2 * LONG });

  step("the menu behind the status bar", async () => {
    await window.clickStatusBarItem(/Claude: healthy/);
    await window.picks(/Open Shell/);
    await picture("menu");
    await window.dismiss();
  });
});
