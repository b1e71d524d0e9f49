// The package for Linux on the other kind of processor, its programs run by an emulated one: the daemon behind its socket, the language server,
// the command line, a real engine.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { after, before, test } from "node:test";
import { Person } from "./lib/person.mjs";

const ARM64 = 183;

let person;
before(async () => {
  person = await Person.withPackage("linux-arm64", process.env.BOXWOOD_LINUX_ARM64_VSIX);
});
after(() => person?.leave());

test("the package holds programs for this processor, and those for containers of both", () => {
  assert.match(person.contents.get("extension.vsixmanifest")().toString(), /TargetPlatform="linux-arm64"/);
  for (const name of ["boxwood", "boxwood-helper-linux-arm64", "boxwood-gateway-linux-arm64"]) {
    const file = person.contents.get(`extension/server/${name}`);
    assert.equal(file().toString("latin1", 1, 4), "ELF", name);
    assert.equal(file().readUInt16LE(18), ARM64, name);
    assert.equal(file.mode & 0o111, 0o111, name);
  }
  for (const name of ["helper", "gateway"]) assert.ok(person.contents.has(`extension/server/boxwood-${name}-linux-x64`), name);
});

test("each of them runs, those for containers without any library", async () => {
  assert.match((await person.boxwood("--version")).stdout, /^boxwood \d+\.\d+\.\d+/);
  for (const name of ["helper", "gateway"]) {
    const program = path.join(path.dirname(person.program), `boxwood-${name}-linux-arm64`);
    const { code, stdout, stderr } = await person.run(program, ["--version"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`^boxwood-${name} \\d+\\.\\d+\\.\\d+`));
    const { stdout: needs } = spawnSync("readelf", ["--program-headers", program], { encoding: "utf8" });
    assert.match(needs, /LOAD/);
    assert.doesNotMatch(needs, /INTERP/);
  }
});

test("the daemon reaches the engine, the language server relays and leaves", async () => {
  // Emulated, it cannot start another of its kind: the system would not know what to run that with.
  const daemon = person.start("daemon", "--ready-fd", "1");
  const ended = once(daemon, "exit");
  await Promise.race([once(daemon.stdout, "data"), ended.then(([code]) => assert.fail(`the daemon ended with ${code}`))]);

  const { checks } = await person.json("doctor");
  const engine = checks.find(({ id }) => id === "engine");
  assert.equal(engine.status, "ok", engine.detail);
  assert.deepEqual(await person.json("list"), []);

  const server = person.languageServer();
  await server.request("initialize", { processId: null, rootUri: null, capabilities: {} });
  server.notify("initialized", {});
  const status = await server.request("boxwood/daemon/status", {});
  assert.equal(status.pid, (await person.json("daemon", "status")).pid);
  server.hangUp();
  assert.equal(await server.ended, 0);

  assert.equal((await person.boxwood("daemon", "stop")).code, 0);
  assert.equal((await ended)[0], 0);
});
