// The pictures of the README.
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { LOOK, takePicture } from "./lib/pictures.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";

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
    await window.see("no notification", (screen) => screen.notifications.length === 0);
    await takePicture(window, name);
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
