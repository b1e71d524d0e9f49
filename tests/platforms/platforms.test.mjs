// What the package of each platform that is released holds: its own program, and those for containers of both processors.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { REPOSITORY } from "./lib/person.mjs";
import { files } from "./lib/zip.mjs";

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"];
const INTERIOR = ["helper", "gateway"].flatMap((name) => ["x64", "arm64"].map((machine) => `boxwood-${name}-linux-${machine}`));

const directory = mkdtempSync(path.join(tmpdir(), "boxwood-test-platforms-"));
after(() => {
  // Where packages are put together, which must not be taken for programs that work.
  for (const left of [directory, path.join(REPOSITORY, "extension/server")]) rmSync(left, { recursive: true, force: true });
});
for (const name of ["boxwood", "boxwood.exe", ...INTERIOR]) writeFileSync(path.join(directory, name), name);

test("the release makes a package for each platform", () => {
  const workflow = readFileSync(path.join(REPOSITORY, ".github/workflows/release.yml"), "utf8");
  for (const platform of PLATFORMS) assert.match(workflow, new RegExp(`runner: \\S+, platform: ${platform} }`));
  assert.match(workflow, /make package-only PLATFORM=/);
});

for (const platform of PLATFORMS) {
  test(`the package for ${platform}`, async () => {
    const vsix = path.join(directory, `${platform}.vsix`);
    const args = ["run", "--silent", "package", "--", "--target", platform, "--from", directory, "--out", vsix];
    await promisify(execFile)("npm", args, { cwd: path.join(REPOSITORY, "extension") });
    const contents = files(vsix);
    const own = platform.startsWith("win32") ? "boxwood.exe" : "boxwood";
    const programs = [...contents.keys()].filter((name) => name.startsWith("extension/server/")).map((name) => path.basename(name));
    assert.deepEqual(programs.sort(), [own, ...INTERIOR].sort());
    assert.equal(contents.get(`extension/server/${own}`)().toString(), own);
    assert.match(contents.get("extension.vsixmanifest")().toString(), new RegExp(`TargetPlatform="${platform}"`));
  });
}
