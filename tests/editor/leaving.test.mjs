// What a person calls off or clears away is gone: from the editor, from the engine and from Boxwood's own state.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { containerOf, containersOf, docker, everythingOf } from "./lib/docker.mjs";
import { story } from "./lib/suite.mjs";
import { LONG, until } from "./lib/wait.mjs";

const DOCKERFILE = ".boxwood/Dockerfile";

/** By this label the engine tells everything that a build of this run has made, also halfway. */
const LABEL = `dev.boxwood-test.run=${randomUUID()}`;

/** An image of the project's own; its last instruction is the one under test. */
function dockerfile(instruction) {
  return `FROM debian:bookworm-slim\nLABEL ${LABEL}\n${instruction}\n`;
}

async function lines(...args) {
  return (await docker(...args)).split("\n").filter(Boolean);
}

const builds = (...options) => lines("ps", "--quiet", "--no-trunc", "--filter", `label=${LABEL}`, ...options);
const images = (filter = LABEL) => lines("images", "--all", "--quiet", "--no-trunc", "--filter", `label=${filter}`);

/** Everything of this person's that a clean-up may take, by kind. */
async function belongings() {
  const owner = `dev.boxwood.owner=${process.getuid()}`;
  return {
    sandbox: await lines("ps", "--all", "--quiet", "--no-trunc", "--filter", `label=${owner}`),
    volume: await lines("volume", "ls", "--quiet", "--filter", `label=${owner}`),
    image: await images(owner),
  };
}

describe("leaving nothing behind", { timeout: 1_800_000 }, () => {
  let bed;
  let project;
  let window;
  const step = story(() => bed);

  before(async () => {
    bed = await Bed.start({ settings: { "boxwood.dockerfile": DOCKERFILE } });
    project = await bed.project("second thoughts", { [DOCKERFILE]: dockerfile("RUN sleep 3600") });
    window = await bed.open({ folder: project });
  });
  after(async () => {
    await bed.stop();
    for (const id of await builds("--all")) await docker("rm", "--force", id);
    for (const id of await images()) await docker("rmi", "--force", id);
  });

  step("Cancel in the notification of a start: the build ends, and nothing of it is left", async () => {
    await window.palette("Start Claude Sandbox");
    await window.notification(/Starting the Claude sandbox of 'second thoughts'[\s\S]*Building the image, step/, { timeout: LONG, unless: /Failed/ });
    await until("the long step to run", async () => (await builds()).length === 1, { timeout: LONG });
    await window.screenshot("cancel");
    await window.clickNotification(/Starting the Claude sandbox/, "Cancel");
    await window.see("no notification", (screen) => screen.notifications.length === 0);
    await window.statusBarItem(/Start Claude Sandbox/);
    await until("the build to be gone", async () => (await builds("--all")).length === 0);
    await until("the images of its steps to be gone", async () => (await images()).length === 0);
    assert.deepEqual(await everythingOf(project), []);
    for (const folder of ["journal", "sandboxes"]) assert.deepEqual(await readdir(path.join(bed.root, "state", folder)), []);
    await window.palette("View: Show Boxwood");
    await window.see("no sandbox in the view", (screen) => /There is no sandbox yet/.test(screen.sideBar));
  }, { timeout: 3 * LONG });

  step("the next start is as if there had been none before", async () => {
    await writeFile(path.join(project, DOCKERFILE), dockerfile("RUN true"));
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy/, { timeout: LONG, unless: /Failed/ });
    assert.equal((await containersOf(project)).length, 1);
    assert.equal((await builds("--all")).length, 1, "the sandbox is the only container of that image");
  }, { timeout: 2 * LONG });

  step("Clean Up: what was listed and confirmed is gone, and the message is true", async () => {
    await window.palette("Boxwood: Stop");
    await window.statusBarItem(/Claude: stopped/);
    const name = await docker("inspect", "--format", "{{.Name}}", await containerOf(project));
    const before = await belongings();
    await window.palette("Boxwood: Clean Up");
    await window.pick(/Remove what is unused/);
    const dialog = await window.dialog(/Remove \d+ sandbox/);
    assert.ok(dialog.includes(name.slice(1)), `the list names the sandbox: ${dialog}`);
    await window.screenshot("clean-up");
    await window.clickDialog(/Remove \d+ sandbox/, /^Remove$/);
    const message = await window.notification(/Removed/, { timeout: LONG });
    await window.screenshot("cleaned-up");
    await window.statusBarItem(/Start Claude Sandbox/);
    assert.deepEqual([await everythingOf(project), await images()], [[], []]);
    assert.match(message, /Removed 1 sandbox, /);
    const left = await belongings();
    for (const [kind, ids] of Object.entries(before)) {
      const told = Number(new RegExp(`(\\d+) ${kind}s?\\b`).exec(message)?.[1] ?? 0);
      const gone = ids.filter((id) => !left[kind].includes(id));
      assert.ok(gone.length >= told, `"${message}", but of kind ${kind} only ${gone.length} are gone`);
    }
  }, { timeout: 3 * LONG });

  step("Clean Up again has nothing of this project to list", async () => {
    await window.clear();
    await window.palette("Boxwood: Clean Up");
    await window.pick(/Remove what is unused/);
    await window.see("an answer", (screen) => screen.notifications.some((text) => /Nothing to clean up/.test(text)) || screen.dialog !== "", { timeout: LONG });
    assert.doesNotMatch((await window.screen()).dialog, /second-thoughts/);
  });
});
