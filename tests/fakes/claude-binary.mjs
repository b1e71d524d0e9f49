// The real claude binary for tests on the host, in the version that images/claude.json pins.
// npm checks the package's integrity against the registry's; the digest in the pin file is checked here.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { testbedCache } from "./cache.mjs";

const run = promisify(execFile);
const PIN_FILE = fileURLToPath(new URL("../../images/claude.json", import.meta.url));

async function exists(file) {
  return access(file).then(() => true, () => false);
}

async function sha256(file) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Unpacks into a temporary sibling and renames, so that a concurrent test run sees all of it or nothing. */
async function fetchInto(target, name, version, expected) {
  await mkdir(path.dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.partial-`);
  try {
    await run("npm", ["pack", "--silent", "--pack-destination", work, `${name}@${version}`], { cwd: work, timeout: 300_000 });
    await run("sh", ["-c", "tar -xzf ./*.tgz && rm ./*.tgz"], { cwd: work, timeout: 120_000 });
    const actual = await sha256(path.join(work, "package/claude"));
    if (expected && actual !== expected) throw new Error(`${name}@${version}: the binary's sha256 is ${actual}, images/claude.json says ${expected}`);
    await rename(path.join(work, "package"), target).catch((error) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** @returns {Promise<string>} the path of the binary, fetched once per version into the testbed's cache */
export async function claudeBinary() {
  const pin = JSON.parse(await readFile(PIN_FILE, "utf8"));
  const platform = `linux-${process.arch}`;
  const entry = pin.packages[platform];
  if (!entry) throw new Error(`images/claude.json names no package for ${platform}`);
  const target = path.join(testbedCache(), `claude-${pin.version}-${platform}`);
  if (!(await exists(path.join(target, "claude")))) await fetchInto(target, entry.name, pin.version, entry.sha256);
  return path.join(target, "claude");
}
