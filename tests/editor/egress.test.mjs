// What a sandbox may reach, and the person who decides it: a connection waits, is let through, refused, bypassed.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe } from "node:test";
import { Bed } from "./lib/bed.mjs";
import { LOOK, takePicture } from "./lib/pictures.mjs";
import { story } from "./lib/suite.mjs";
import { LONG } from "./lib/wait.mjs";

/** In the pictures the project's path can be read, so it is a short one. */
const PARENT = path.join(tmpdir(), "boxwood-test-egress");

const PORT = 8080;
const HELD = `forecast.test:${PORT}`;

describe("egress", { timeout: 3 * LONG }, () => {
  let bed;
  let upstream;
  let window;
  const requests = [];
  const step = story(() => bed);

  before(async () => {
    await rm(PARENT, { recursive: true, force: true });
    upstream = createServer((request, response) => {
      requests.push(request.headers.host);
      response.end("rain tomorrow\n");
    });
    await new Promise((resolve, reject) => upstream.once("error", reject).listen(PORT, "0.0.0.0", resolve));
    // A machine on this machine's own network stands for one of the internet: its address is private, so a rule names it.
    const policy = (address) => ({
      hosts: { "forecast.test": address },
      rules: [{ host: "forecast.test", ports: [PORT], action: "ask", private: true }],
      deny: ["tracker.test"],
    });
    bed = await Bed.start({ settings: LOOK, policy });
    const project = await bed.project("rain-barrel", { "README.md": "# Rain barrel\n" }, PARENT);
    window = await bed.open({ folder: project });
  });
  after(async () => {
    await bed.stop();
    await new Promise((resolve) => upstream.close(resolve));
    await rm(PARENT, { recursive: true, force: true });
  });

  /** A row of the side bar. */
  function row(pattern, options) {
    return window.see(`a row ${pattern}`, (screen) => screen.tree.find((text) => pattern.test(text.replaceAll("\n", " "))), options);
  }

  step("a sandbox behind a gateway is enforced, and the status bar says so", async () => {
    await window.palette("Start Claude Sandbox");
    await window.statusBarItem(/Claude: healthy · enforced/, { timeout: LONG, unless: /Failed/ });
    assert.match(await window.statusBarTooltip(/Claude: healthy/), /policy enforced outside the container/);
    await window.palette("Boxwood: Show Egress");
    await row(/^Waiting.*nothing/);
    await window.palette("Boxwood: Open Shell");
    await window.terminal(/[$#] *$/m);
  }, { timeout: 2 * LONG });

  step("a connection to a host that asks waits, and the person is asked", async () => {
    await window.typeLine(`curl -sS http://${HELD}/today`);
    const message = await window.notification(/'rain-barrel' waits to reach forecast\.test:8080/);
    for (const button of ["Allow Once", "Session", "Project", "Deny", "Never"]) assert.ok(message.includes(button), `${button} is in ${message}`);
    await window.statusBarItem(/Claude: healthy · 1 waiting/);
    await row(/forecast\.test:8080.*waiting/);
    assert.deepEqual(requests, []);
    await takePicture(window, "egress");
  });

  step("Allow Once lets it finish, and nothing after it", async () => {
    await window.clickNotification(/waits to reach/, /^Allow Once$/);
    await window.terminal(/rain tomorrow/);
    assert.deepEqual(requests, [HELD]);
    await row(/^Waiting.*nothing/);
    await row(/forecast\.test:8080/);
    await window.statusBarItem(/Claude: healthy · enforced/);
  });

  step("the next one is answered in the view: denied", async () => {
    await window.typeLine(`curl -sS --fail http://${HELD}/tomorrow || echo refused-$((40+2))`);
    await row(/forecast\.test:8080.*waiting/);
    await window.treeAction(/forecast\.test:8080\s*waiting/, "Deny");
    await window.terminal(/refused-42/);
    await row(/forecast\.test:8080.*blocked/);
    assert.equal(requests.length, 1);
  });

  step("what the person's file denies is refused at once, listed, counted and written down", async () => {
    await window.typeLine("curl -sS http://tracker.test/ || echo refused-$((41+2))");
    await window.terminal(/refused-43/);
    await row(/tracker\.test.*blocked/);
    assert.ok(!(await window.screen()).notifications.some((text) => /tracker/.test(text)));
    assert.match(await window.statusBarTooltip(/Claude: healthy/), /Blocked\s+\d+ connections?/);
    await window.palette("Boxwood: Show Egress Log");
    await window.see("the log", ({ panel }) => /BLOCKED tracker\.test/.test(panel.replaceAll("\u00a0", " ")));
    await window.palette("View: Toggle Panel Visibility");
  });

  step("a blocked host is allowed from its row, and that is taken back", async () => {
    await window.treeAction(/tracker\.test/, "Allow for Session");
    await window.treeUnfold(/^Rules/);
    await row(/^tracker\.test.*allow/);
    await window.treeAction(/^tracker\.test\s*allow/, "Forget Decision");
    await window.see("no such rule", ({ tree }) => !tree.some((text) => /^tracker\.test.*allow/.test(text)));
  });

  step("the policy is bypassed after a warning, visibly, and the bypass ended", async () => {
    await window.palette("Boxwood: Bypass Egress…");
    await window.pick(/10 minutes/);
    await window.clickDialog(/Set aside the network policy of 'rain-barrel'/, /^Bypass$/);
    const item = await window.statusBarItem(/bypassed, (10|9) min left/);
    assert.match(item.kind, /warning-kind/);
    await row(/^Policy bypassed/);
    await window.screenshot("egress-bypassed");
    await window.palette("Boxwood: End Bypass");
    await window.statusBarItem(/Claude: healthy · enforced/);
  });
});
