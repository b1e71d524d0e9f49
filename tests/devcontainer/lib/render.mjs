// What Boxwood itself makes of a template.
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
export const TEMPLATES = path.join(REPOSITORY, "devcontainer-templates/src");
export const SANDBOX = "claude-sandbox";

/** The version of Claude Code that the product pins. */
export async function pinnedVersion() {
  return JSON.parse(await readFile(path.join(REPOSITORY, "images/claude.json"), "utf8")).version;
}

/** @returns {Promise<Array<{path: string, contents: string, executable: boolean}>>} */
export async function render(id, options = {}) {
  const args = ["run", "--quiet", "--locked", "--package", "boxwood-core", "--example", "render-template", "--"];
  const pairs = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const { stdout } = await promisify(execFile)("cargo", [...args, id, await pinnedVersion(), ...pairs], { cwd: REPOSITORY });
  return JSON.parse(stdout);
}

/** Writes rendered files into a project. */
export async function write(project, files) {
  for (const { path: relative, contents, executable } of files) {
    const target = path.join(project, relative);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, contents, { mode: executable ? 0o755 : 0o644 });
  }
}
