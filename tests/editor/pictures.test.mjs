// The pictures of the README, taken from the real thing. BOXWOOD_UPDATE_PICTURES=1 writes them to docs/images;
// otherwise they stay among the artifacts, so that a test run leaves the repository as it was.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { Bed } from "./lib/bed.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";
import { ARTIFACTS } from "./lib/window.mjs";

const TARGET = process.env.BOXWOOD_UPDATE_PICTURES === "1" ? fileURLToPath(new URL("../../docs/images/", import.meta.url)) : ARTIFACTS;

const LOOK = {
  "workbench.colorTheme": "Default Light Modern",
  "workbench.layoutControl.enabled": false,
  "window.commandCenter": false,
  "chat.commandCenter.enabled": false,
  "terminal.integrated.fontSize": 13,
  "terminal.integrated.fontFamily": "DejaVu Sans Mono",
  "explorer.excludeGitIgnore": true,
  "files.exclude": { ".boxwood": true, ".claude": true, ".idea": true, ".envrc": true, ".vscode": true, ".gitmodules": true, ".mcp.json": true },
};

const WATER = `def litres(area_m2: float, rain_mm: float) -> float:
    """Rain that a roof of this area collects."""
    return area_m2 * rain_mm
`;

const TEST = `from rain import litres


def test_litres():
    assert litres(20, 5) == 100
`;

/** Width and height stand in the first chunk of a PNG. */
async function sizeOf(file) {
  const bytes = await readFile(file);
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

describe("pictures for the README", { timeout: 600_000 }, () => {
  let bed;
  let project;
  let window;
  const step = story(() => bed);

  before(async () => {
    bed = await Bed.start({ settings: LOOK });
    project = await bed.project("rain-barrel", { "rain.py": WATER, "README.md": "# Rain barrel\n\nHow much rain does a roof collect?\n" });
    window = await bed.open({ folder: project });
  });
  after(() => bed.stop());

  async function picture(name) {
    await window.page.mouse.move(900, 620);
    await window.see("no notification", (screen) => screen.notifications.length === 0);
    const file = await window.screenshot(name, path.join(TARGET, `${name}.png`));
    assert.deepEqual(await sizeOf(file), [1280, 800]);
  }

  step("Claude at work, the list of sandboxes, a healthy status bar", async () => {
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    await window.terminal(/Claude Code/, { timeout: 60_000 });
    const file = path.join(project, "test_rain.py");
    await window.typeLine(`say You are in rain-barrel: one module, rain.py, and a README. There is no test yet; shall I write one?`);
    await window.terminal(/●.*shall I write/s);
    await window.typeLine(`[[tool:Write ${JSON.stringify({ file_path: file, content: TEST })}]] say Done. test_rain.py checks the one case that the README talks about.`);
    await window.terminal(/● Done\. test_rain/);
    await window.palette("View: Show Boxwood");
    await window.see("the sandbox in the tree", (screen) => screen.tree.some((row) => /rain-barrel[\s\S]*healthy/.test(row)));
    await picture("sandbox");
  }, { timeout: LONG + 60_000 });

  step("the menu behind the status bar", async () => {
    await window.clickStatusBarItem(/Claude: healthy/);
    await window.picks(/Open Shell/);
    await picture("menu");
    await window.dismiss();
  });
});
