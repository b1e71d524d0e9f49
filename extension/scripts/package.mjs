// Makes the VSIX of one platform, with the server inside.
//
//   npm run package -- [--target linux-x64] [--from DIR] [--out FILE] [--without-server]
//
// --from is a folder with the programs, for example target/release; without it, what server/ holds is taken.
// --without-server makes a VSIX that uses the `boxwood` on the PATH.
import { chmod, copyFile, mkdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { spawnSync } from "node:child_process";
import { createVSIX } from "@vscode/vsce";

const root = fileURLToPath(new URL("..", import.meta.url));
const server = path.join(root, "server");

const { values } = parseArgs({
  options: {
    target: { type: "string", default: `${process.platform}-${process.arch}` },
    from: { type: "string" },
    out: { type: "string" },
    "without-server": { type: "boolean", default: false },
  },
});

const program = values.target.startsWith("win32") ? "boxwood.exe" : "boxwood";
// These run in containers, whatever the platform of the editor.
const interior = ["boxwood-helper", "boxwood-gateway"].flatMap((name) => [`${name}-linux-x64`, `${name}-linux-arm64`]);

async function exists(file) {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function gather(from) {
  await rm(server, { recursive: true, force: true });
  await mkdir(server, { recursive: true });
  for (const name of [program, ...interior]) {
    const source = path.join(from, name);
    if (!(await exists(source))) continue;
    await copyFile(source, path.join(server, name));
    await chmod(path.join(server, name), 0o755);
  }
}

function fail(message) {
  process.stderr.write(`package: ${message}\n`);
  process.exit(1);
}

if (values["without-server"]) await rm(server, { recursive: true, force: true });
else {
  if (values.from) await gather(path.resolve(process.env.INIT_CWD ?? process.cwd(), values.from));
  if (!(await exists(path.join(server, program)))) {
    fail(`there is no ${program} to pack: build the server, then give its folder with --from`);
  }
}

const built = spawnSync(process.execPath, ["scripts/build.mjs"], { cwd: root, stdio: "inherit" });
if (built.status !== 0) fail("the bundle could not be built");

const out = values.out
  ? path.resolve(process.env.INIT_CWD ?? process.cwd(), values.out)
  : path.join(root, `boxwood-${values.target}.vsix`);
await createVSIX({ cwd: root, target: values.target, packagePath: out, dependencies: false });
const megabytes = (await stat(out)).size / 1024 / 1024;
process.stdout.write(`${out} ${megabytes.toFixed(2)} MB\n`);
