// Boxwood's own way of putting a template into a project: the program that is packaged, with a daemon of its own.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const PROGRAM = process.env.BOXWOOD_BIN ?? path.join(REPOSITORY, "target/release/boxwood");
export const TEMPLATES = path.join(REPOSITORY, "devcontainer-templates/src");
export const SANDBOX = "claude-sandbox";

/** The version of Claude Code that the product pins. */
export async function pinnedVersion() {
  return JSON.parse(await readFile(path.join(REPOSITORY, "images/claude.json"), "utf8")).version;
}

/** `boxwood template insert` into an existing directory; its answer. */
export async function insert(project, template, options = {}) {
  const own = await mkdtemp(path.join(tmpdir(), "boxwood-test-template-"));
  const directories = Object.fromEntries(["STATE", "RUNTIME", "CACHE"].map((name) => [`BOXWOOD_${name}_DIR`, path.join(own, name.toLowerCase())]));
  const boxwood = (...args) => promisify(execFile)(PROGRAM, args, { cwd: project, env: { ...process.env, ...directories } });
  try {
    const chosen = Object.entries(options).map(([name, value]) => `--option=${name}=${value}`);
    const { stdout } = await boxwood("template", "insert", template, ...chosen, "--json");
    return JSON.parse(stdout);
  } finally {
    await boxwood("daemon", "stop");
    await rm(own, { recursive: true, force: true });
  }
}
