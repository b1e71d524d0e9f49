// Runs the editor suites one after another: each has an editor, a browser and a daemon, which is enough for one machine.
//
//   node editor/run.mjs [NAME…]     only the suites of these names, for example: node editor/run.mjs spine
import { spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { packagedExtension } from "./lib/bed.mjs";
import { signal } from "./lib/processes.mjs";
import { ARTIFACTS } from "./lib/window.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(here)
  .filter((name) => name.endsWith(".test.mjs"))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace(".test.mjs", "")))
  .map((name) => path.join(here, name));

// Said here, once and plainly, and not by every suite.
const vsix = await packagedExtension().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
if (files.length === 0) {
  console.error(`there is no suite called ${wanted.join(", ")}`);
  process.exit(1);
}
console.log(`testing ${path.basename(vsix)}`);
// Pictures of earlier failures would mislead; the others are made anew.
rmSync(ARTIFACTS, { recursive: true, force: true });

const child = spawn(process.execPath, ["--test", "--test-concurrency=1", "--test-reporter=spec", ...files], {
  stdio: "inherit",
  env: { ...process.env, BOXWOOD_VSIX: vsix },
});
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => signal(child.pid, name));
child.once("exit", (code) => {
  process.exitCode = code ?? 1;
});
