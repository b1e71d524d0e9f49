// The sandbox template, brought up by the official CLI: what a person gets, and what the container may not do.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { copyFile, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../editor/lib/wait.mjs";
import { startMessagesApi } from "../fakes/messages-api.mjs";
import { pinnedVersion } from "./lib/boxwood.mjs";
import { docker } from "./lib/person.mjs";
import { Project } from "./lib/project.mjs";
import { screenUntil } from "./lib/screen.mjs";

const AUTHORITY = fileURLToPath(new URL("fixtures/test-ca.crt", import.meta.url));
const STATE = "/home/dev/.claude";

let project;
let api;
const requests = [];
const cleanups = [];

/** The same authority in each, so that a second build finds the first one's stage for Claude in the cache. */
async function projectWithAuthority(name, options) {
  const made = await Project.create(name, options);
  cleanups.push(() => made.remove());
  await copyFile(AUTHORITY, path.join(made.folder, ".devcontainer/ca/test.crt"));
  return made;
}

before(async () => {
  project = await projectWithAuthority("it's a café");
});

after(async () => {
  await api?.close();
  for (const cleanup of cleanups.reverse()) await cleanup();
});

/** A turn of the real Claude Code with the local imitation of its API. */
async function claude(...args) {
  const host = await project.hostAddress();
  api ??= await startMessagesApi({ host, onRequest: (entry) => requests.push(entry) });
  const env = { ANTHROPIC_BASE_URL: `http://${host}:${api.port}`, ANTHROPIC_API_KEY: "not-a-key" };
  return project.exec(["claude", ...args], { env });
}

test("the configuration is read, and asks for nothing that opens the machine", async () => {
  const { configuration } = await project.read();
  assert.equal(configuration.remoteUser, "dev");
  assert.equal(configuration.updateRemoteUserUID, true);
  assert.equal(configuration.privileged, undefined);
  assert.equal(configuration.initializeCommand, undefined);
  const text = JSON.stringify(configuration);
  assert.doesNotMatch(text, /docker\.sock|\.ssh|cap-add|--network|--pid=/);
  assert.doesNotMatch(JSON.stringify(configuration.containerEnv), /key|token|secret|password/i);
});

test("it builds", async () => {
  const { code, json, stderr } = await project.build();
  assert.equal(json?.outcome, "success", stderr.slice(-4000));
  assert.equal(code, 0);
});

test("it comes up", async () => {
  const { outcome, remoteUser } = await project.up();
  assert.equal(outcome, "success");
  assert.equal(remoteUser, "dev");
});

test("Claude Code answers in the pinned version, and does not update itself", async () => {
  assert.equal(await project.exec(["claude", "--version"]), `${await pinnedVersion()} (Claude Code)`);
  assert.equal(await project.exec(["printenv", "DISABLE_AUTOUPDATER"]), "1");
  await assert.rejects(project.exec(["sh", "-c", 'test -w "$(command -v claude)" || test -w "$(dirname "$(command -v claude)")"']));
});

test("it runs as the person, not as root", async () => {
  assert.equal(await project.exec(["id", "-u"]), String(project.person.uid));
  assert.notEqual(project.person.uid, 0);
  assert.equal(await project.exec(["stat", "-c", "%u", "."]), String(project.person.uid));
  await project.exec(["sh", "-c", "echo from inside >made"]);
  assert.equal((await stat(path.join(project.folder, "made"))).uid, project.person.uid);
});

test("it has no capabilities and no way to get any", async () => {
  const status = await project.exec(["cat", "/proc/self/status"]);
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) assert.match(status, new RegExp(`^${set}:\\s0{16}$`, "m"));
  assert.match(status, /^NoNewPrivs:\s1$/m);
  // Not for root either, should somebody become root.
  assert.match(await docker("exec", "--user", "root", project.container, "cat", "/proc/self/status"), /^CapEff:\s0{16}$/m);
});

test("it has limits, and no door to the engine", async () => {
  const { HostConfig, Mounts } = await project.inspect();
  assert.equal(HostConfig.Memory, 4 * 2 ** 30);
  assert.equal(HostConfig.PidsLimit, 4096);
  assert.equal(HostConfig.Privileged, false);
  assert.deepEqual(
    Mounts.map(({ Destination, RW }) => [Destination, RW]).toSorted(),
    [
      [STATE, true],
      ["/home/dev/.shell-history", true],
      [project.workspace, true],
      [`${project.workspace}/.devcontainer`, false],
    ].toSorted(),
  );
});

test("it cannot change what the host will execute", async () => {
  await assert.rejects(project.exec(["sh", "-c", "echo '{}' >.devcontainer/devcontainer.json"]), /Read-only file system/);
  await assert.rejects(project.exec(["mv", ".devcontainer", "elsewhere"]), /busy|Read-only/);
});

test("authorities from the ca folder are trusted", async () => {
  const bundle = await project.exec(["cat", "/etc/ssl/certs/ca-certificates.crt"]);
  assert.ok(bundle.includes((await readFile(AUTHORITY, "utf8")).trim()));
  assert.equal(await project.exec(["printenv", "NODE_EXTRA_CA_CERTS"]), "/etc/ssl/certs/ca-certificates.crt");
});

test("Claude Code starts at its prompt, without a question", async () => {
  const command = ["claude", "--dangerously-skip-permissions"];
  const args = ["exec", "--tty", "--user", "dev", "--workdir", project.workspace, "--env", "ANTHROPIC_BASE_URL=http://127.0.0.1:9", "--env", "ANTHROPIC_AUTH_TOKEN=not-a-token"];
  const screen = await screenUntil([...args, project.container, ...command], /bypass permissions on/i);
  assert.doesNotMatch(screen, /do you trust|let's get started|choose the text style|yes, i accept/i);
});

test("Claude Code finishes a turn", async () => {
  assert.equal(await claude("-p", "say the first answer"), "the first answer");
});

test("state, conversations and shell history outlive the container", async () => {
  const settings = '{"skipDangerousModePermissionPrompt":true,"cleanupPeriodDays":99}';
  await project.exec(["sh", "-c", `cat >${STATE}/settings.json`], { input: settings });
  await project.exec(["bash", "-i"], { input: "echo remember this\n" });
  const first = project.container;

  await project.up("--remove-existing-container");

  assert.notEqual(project.container, first);
  assert.equal(await project.exec(["cat", `${STATE}/settings.json`]), settings, "a file that lacks nothing is not even reformatted");
  assert.match(await project.exec(["bash", "-i"], { input: "history\n" }), /echo remember this/);
  requests.length = 0;
  assert.equal(await claude("-p", "--continue", "say the second answer"), "the second answer");
  const turn = requests.findLast(({ path: url }) => url.startsWith("/v1/messages"));
  assert.match(JSON.stringify(turn.body.messages), /say the first answer/, "the earlier conversation goes on");
});

test("seeding adds what is missing and changes nothing else", async () => {
  const seed = ["seed-claude-state", project.workspace];
  const file = `${STATE}/.claude.json`;
  const replace = (text) => project.exec(["sh", "-c", `cat >${file}`], { input: text });
  await replace(JSON.stringify({ hasCompletedOnboarding: false, mine: [1], projects: { "/elsewhere": { hasTrustDialogAccepted: false } } }));
  await project.exec(seed);
  assert.deepEqual(JSON.parse(await project.exec(["cat", file])), {
    hasCompletedOnboarding: false,
    hasSeenAutoDefaultNotice: true,
    hasSeenAutoDefaultNudge: true,
    mine: [1],
    projects: { "/elsewhere": { hasTrustDialogAccepted: false }, [project.workspace]: { hasTrustDialogAccepted: true } },
  });
  assert.equal(await project.exec(["stat", "-c", "%a", file]), "600");
  await replace("{ not json");
  await project.exec(seed);
  assert.equal(await project.exec(["cat", file]), "{ not json");
});

test("its health is checked", async () => {
  // The state is asked for, because an engine with much to tell forgets its oldest events.
  const health = async () => (await project.inspect()).State.Health;
  await until("the first check", async () => (await health()).Status !== "starting", { timeout: 180_000, every: 500 });
  const { Status, Log } = await health();
  assert.equal(Status, "healthy", JSON.stringify(Log));
});

test("a base image's own ordinary user becomes the person's, with its home", async () => {
  const base = `boxwood-test-base:${randomUUID()}`;
  cleanups.push(() => docker("image", "rm", "--force", base));
  const other = await projectWithAuthority("project", { baseImage: base });
  const context = await other.person.directory("base");
  await writeFile(path.join(context, "Dockerfile"), "FROM debian:bookworm-slim\nRUN useradd --create-home --uid 1000 node\nUSER node\n");
  await docker("build", "--quiet", "--tag", base, context);

  const { code, json, stderr } = await other.build();

  assert.equal(code, 0, stderr.slice(-4000));
  const run = (...command) => docker("run", "--rm", json.imageName[0], ...command);
  assert.equal(await run("id"), "uid=1000(dev) gid=1000(dev) groups=1000(dev)");
  assert.equal(await run("stat", "-c", "%U %a", "/home/dev/.bashrc", STATE), "dev 644\ndev 700");
  assert.doesNotMatch(await run("cat", "/etc/passwd", "/etc/group"), /node/);
});

test("the ca folder may be missing, and a version that is not exact is refused", async () => {
  const config = path.join(project.folder, ".devcontainer/devcontainer.json");
  const original = await readFile(config, "utf8");
  await rm(path.join(project.folder, ".devcontainer/ca"), { recursive: true });
  await writeFile(config, original.replace(await pinnedVersion(), "latest"));
  const { code, stderr } = await project.build();
  assert.notEqual(code, 0);
  assert.match(stderr, /claudeVersion must be exact, such as 1\.2\.3, and is 'latest'/);
});
