// Pictures for the documentation, taken from the real thing. BOXWOOD_UPDATE_PICTURES=1 writes them to docs/images;
// otherwise they stay among the artifacts, so that a test run leaves the repository as it was.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ARTIFACTS } from "./window.mjs";

const TARGET = process.env.BOXWOOD_UPDATE_PICTURES === "1" ? fileURLToPath(new URL("../../../docs/images/", import.meta.url)) : ARTIFACTS;

/** The editor's settings for a picture: nothing in it but what the picture is about. */
export const LOOK = {
  "workbench.colorTheme": "Default Dark Modern",
  "workbench.layoutControl.enabled": false,
  "window.commandCenter": false,
  "chat.commandCenter.enabled": false,
  "terminal.integrated.fontSize": 13,
  "terminal.integrated.fontFamily": "DejaVu Sans Mono",
  "remote.autoForwardPorts": false,
};

/** Width and height stand in the first chunk of a PNG. */
async function sizeOf(file) {
  const bytes = await readFile(file);
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

/** Takes a picture of the whole window, with the pointer out of the way. */
export async function takePicture(window, name) {
  await window.page.mouse.move(900, 620);
  const file = await window.screenshot(name, path.join(TARGET, `${name}.png`));
  assert.deepEqual(await sizeOf(file), [1280, 800]);
}
