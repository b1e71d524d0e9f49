// The package for macOS, as far as it can be judged without one: its program is a whole one, linked, of that system, for that
// processor, asks for no library but the system's, and is signed as it has to be to run at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { read, unsigned } from "./lib/macho.mjs";
import { files } from "./lib/zip.mjs";

const MACOS = 1;
const framework = (name) => `/System/Library/Frameworks/${name}.framework/Versions/A/${name}`;
const LIBRARIES = [...["CoreFoundation", "CoreServices", "Security"].map(framework), "/usr/lib/libSystem.B.dylib", "/usr/lib/libiconv.2.dylib"];

const contents = files(process.env.BOXWOOD_DARWIN_ARM64_VSIX);
const program = contents.get("extension/server/boxwood");

test("the package is of its platform, its program may be run, and those for containers are there", () => {
  assert.match(contents.get("extension.vsixmanifest")().toString(), /TargetPlatform="darwin-arm64"/);
  assert.equal(program.mode & 0o111, 0o111);
  for (const name of ["helper", "gateway"]) {
    for (const machine of ["x64", "arm64"]) assert.ok(contents.has(`extension/server/boxwood-${name}-linux-${machine}`), `${name} ${machine}`);
  }
});

test("the program is one of macOS 11 or later and takes nothing but what comes with it", () => {
  const { processor, isProgram, platform, oldest, libraries } = read(program());
  assert.deepEqual({ processor, isProgram, platform, oldest }, { processor: "arm64", isProgram: true, platform: MACOS, oldest: "11.0" });
  assert.deepEqual(libraries.sort(), LIBRARIES);
});

test("every page of it is as its signature says, and a page that is changed is found", () => {
  const bytes = Buffer.from(program());
  const { signature } = read(bytes);
  assert.deepEqual(unsigned(bytes, signature), []);
  bytes[3 * 16384 + 5] ^= 1;
  assert.equal(unsigned(bytes, signature).length, 1);
});
