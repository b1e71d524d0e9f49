// The package for Windows, its program run by Wine: the daemon behind its named pipe, the language server, the command line,
// the Credential Manager, and a real engine.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Person } from "./lib/person.mjs";

const KEY = "sk-ant-api03-windows-0123456789abcdefghijklmnopqrstuvwxyz";

let person;
before(async () => {
  person = await Person.withPackage("win32-x64", process.env.BOXWOOD_WIN32_X64_VSIX);
});
after(() => person?.leave());

const pid = async () => (await person.json("daemon", "status"))?.pid;

test("the package holds the server of its platform, and the programs for containers", () => {
  const programs = [...person.contents.keys()].filter((name) => name.startsWith("extension/server/"));
  assert.ok(programs.includes("extension/server/boxwood.exe"), programs.join());
  assert.ok(!programs.includes("extension/server/boxwood"), "no program of another platform");
  for (const name of ["helper", "gateway"]) {
    assert.ok(programs.some((file) => file.startsWith(`extension/server/boxwood-${name}-linux-`)), programs.join());
  }
  assert.equal(person.contents.get("extension/server/boxwood.exe")().toString("latin1", 0, 2), "MZ");
  assert.match(person.contents.get("extension.vsixmanifest")().toString(), /TargetPlatform="win32-x64"/);
});

test("the program says what it is, and that no daemon runs", async () => {
  assert.match((await person.boxwood("--version")).stdout, /^boxwood \d+\.\d+\.\d+/);
  const { code, stdout } = await person.boxwood("daemon", "status", "--json");
  assert.deepEqual([code, stdout.trim()], [1, "null"]);
});

test("several at once have one daemon, and it reaches the engine", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => person.json("doctor")));
  for (const { checks } of answers) {
    const { status, detail } = checks.find(({ id }) => id === "engine");
    assert.equal(status, "ok", detail);
  }
  const first = await pid();
  assert.ok(first > 0);
  assert.deepEqual(await person.json("list"), []);
  assert.equal(await pid(), first, "the next found the same daemon");
});

test("a daemon that is killed is followed by another", async () => {
  const killed = await pid();
  const { code, stderr } = await person.run("taskkill.exe", ["/F", "/PID", String(killed)]);
  assert.equal(code, 0, stderr);
  assert.equal(await pid(), undefined, "nothing listens any more");
  assert.deepEqual(await person.json("list"), []);
  const next = await pid();
  assert.ok(next > 0 && next !== killed, `${next} after ${killed}`);
});

test("the language server relays, and leaves when its editor does", async () => {
  const server = person.languageServer();
  await server.request("initialize", { processId: null, rootUri: null, capabilities: {} });
  server.notify("initialized", {});
  const [status, sandboxes] = await Promise.all([server.request("boxwood/daemon/status", {}), server.request("boxwood/sandbox/list", {})]);
  assert.equal(status.pid, await pid());
  assert.deepEqual(sandboxes, []);
  server.hangUp();
  assert.equal(await server.ended, 0);
  assert.equal(await pid(), status.pid, "the daemon stays");
});

test("a key is kept by the Credential Manager, shown by nothing, and forgotten", async () => {
  const { code, stdout, stderr } = await person.run(person.program, ["credentials", "set", "api-key"], `${KEY}\n`);
  assert.equal(code, 0, stderr);
  const status = await person.boxwood("credentials", "status", "--json");
  assert.equal(JSON.parse(status.stdout).source, "storedKey");
  for (const said of [stdout, stderr, status.stdout, status.stderr]) assert.ok(!said.includes(KEY), "the key is repeated");
  for (const [name, bytes] of person.files()) assert.ok(!bytes.includes(KEY), `the key is in ${name}`);
  const out = await person.boxwood("credentials", "sign-out", "--json");
  assert.equal(out.code, 0, out.stderr);
  assert.notEqual((await person.json("credentials", "status")).source, "storedKey");
});

test("the daemon leaves when it is asked to", async () => {
  assert.equal((await person.boxwood("daemon", "stop")).code, 0);
  assert.equal(await pid(), undefined);
});
