// What a test can do to the imitation of sign-in and API: faults, the administrative port, records, the proxy, the program.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { credentialHash } from "./http.mjs";
import { API_HOST, BETA, Client } from "./identity/client.mjs";
import { startIdentity } from "./identity.mjs";

const PROGRAM = fileURLToPath(new URL("./identity.mjs", import.meta.url));

let identity;
let client;
let desk;
let notes;
before(async () => {
  notes = [];
  identity = await startIdentity({ hasProxy: true, onRequest: (note) => notes.push(note) });
  client = new Client(identity);
  ({ desk } = identity);
});
after(() => identity.close());
afterEach(() => desk.clear());

const count = (name) => desk.state().counters[name] ?? 0;
const say = (token) => client.message("say hello", token);

describe("faults", () => {
  test("a status is answered so often, with its headers, and then no more", async () => {
    const { accessToken } = desk.issue({});
    desk.fault({ on: "messages", times: 2, kind: "status", status: 429, headers: { "retry-after": "7" } });
    const first = await say(accessToken);
    assert.deepEqual([first.status, first.headers["retry-after"], first.json.error.type], [429, "7", "rate_limit_error"]);
    assert.equal((await client.profile(accessToken)).status, 200, "other endpoints are not concerned");
    assert.equal((await say(accessToken)).status, 429);
    assert.equal((await say(accessToken)).status, 200);
  });

  test("without a number it lasts until it is cleared, and `on` may be several", async () => {
    const { accessToken, refreshToken } = desk.issue({});
    desk.fault({ on: ["messages", "refresh"], kind: "status", status: 503 });
    assert.deepEqual([(await say(accessToken)).status, (await client.refresh(refreshToken)).status, (await say(accessToken)).status], [503, 503, 503]);
    assert.equal(desk.state().faults.length, 1);
    desk.clear();
    assert.equal((await say(accessToken)).status, 200);
    assert.equal((await client.refresh(refreshToken)).status, 200, "what was answered with an error had no effect");
  });

  test("a refused request has no effect and no answer", async () => {
    const { refreshToken } = desk.issue({});
    desk.fault({ on: "refresh", times: 1, kind: "refuse" });
    await assert.rejects(client.refresh(refreshToken), { code: "ECONNRESET" });
    assert.equal((await client.refresh(refreshToken)).status, 200);
  });

  test("an answer that is cut at nothing was given all the same: the token is spent", async () => {
    const { refreshToken } = desk.issue({});
    const refreshes = count("refreshes");
    desk.fault({ on: "refresh", times: 1, kind: "cut", bytes: 0 });
    await assert.rejects(client.refresh(refreshToken), { code: "ECONNRESET" });
    assert.equal(count("refreshes"), refreshes + 1);
    assert.equal((await client.refresh(refreshToken)).json.error, "invalid_grant");
  });

  test("plain and streamed answers are cut at their byte", async () => {
    const { accessToken } = desk.issue({});
    const received = (body) =>
      new Promise((resolve, reject) => {
        const text = JSON.stringify({ ...body, messages: [{ role: "user", content: "say " + "word ".repeat(100) }] });
        const socket = connect({ host: "127.0.0.1", port: identity.ports.tls, servername: API_HOST, ca: identity.certificate });
        let all = "";
        socket.setEncoding("utf8").on("data", (chunk) => (all += chunk));
        socket.once("close", () => resolve(all.slice(all.indexOf("\r\n\r\n") + 4)));
        socket.once("error", reject);
        const head = ["POST /v1/messages HTTP/1.1", `host: ${API_HOST}`, `authorization: Bearer ${accessToken}`, `anthropic-beta: ${BETA["anthropic-beta"]}`, `content-length: ${text.length}`];
        socket.write(`${head.join("\r\n")}\r\n\r\n${text}`);
      });
    desk.fault({ on: "messages", times: 2, kind: "cut", bytes: 300 });
    assert.equal((await received({})).length, 300);
    const streamed = await received({ stream: true });
    const bytes = streamed.replace(/(^|\r\n)[0-9a-f]+\r\n/g, "").replace(/\r\n$/, "");
    assert.match(bytes, /^event: message_start\n/);
    assert.equal(bytes.length, 300);
  });

  test("a slow answer comes late, a stalled one when faults are cleared", async () => {
    const { accessToken } = desk.issue({});
    desk.fault({ on: "messages", times: 1, kind: "slow", ms: 300 });
    const begun = performance.now();
    assert.equal((await say(accessToken)).status, 200);
    assert.ok(performance.now() - begun >= 299);
    desk.fault({ on: "messages", times: 1, kind: "stall" });
    const asked = count("requests.messages");
    const held = say(accessToken);
    await desk.await({ counter: "requests.messages", atLeast: asked + 1 });
    assert.equal((await client.profile(accessToken)).status, 200, "the others go on");
    desk.clear();
    assert.equal((await held).status, 200);
  });

  test("a mistake in a fault is told", () => {
    assert.throws(() => desk.fault({ on: "nowhere", kind: "cut" }), /no endpoint 'nowhere'/);
    assert.throws(() => desk.fault({ kind: "explode" }), /one of status/);
    assert.throws(() => desk.fault({ kind: "status" }), /400 to 599/);
  });
});

describe("the administrative port", () => {
  const ask = async (verb, body = {}) => {
    const response = await fetch(`http://127.0.0.1:${identity.ports.admin}/${verb}`, { method: "POST", body: JSON.stringify(body) });
    return { status: response.status, json: await response.json() };
  };

  test("does what the desk does", async () => {
    const { json: person } = await ask("account", { email: "eve@example.test", plan: "claude_pro" });
    assert.equal(person.organization.plan, "claude_pro");
    const { json: login } = await ask("issue", { email: "eve@example.test" });
    assert.equal(login.subscriptionType, "pro");
    assert.deepEqual((await client.profile(login.accessToken)).json.account.email, "eve@example.test");
    const { json: key } = await ask("key", { email: "eve@example.test" });
    const eve = async () => (await ask("state")).json.accounts.find(({ email }) => email === "eve@example.test").valid;
    assert.deepEqual(await eve(), { access: 1, refresh: 1, key: 1, code: 0 });
    assert.equal((await ask("revoke", { what: "access", email: "eve@example.test" })).status, 200);
    assert.deepEqual(await eve(), { access: 0, refresh: 1, key: 1, code: 0 });
    assert.equal((await say(desk.issue({}).accessToken)).status, 200, "other people are not concerned");
    const values = (await ask("secrets")).json.map(({ value }) => value);
    for (const value of [login.accessToken, login.refreshToken, key.key]) assert.ok(values.includes(value));
  });

  test("a sign-in with a mark leaves the mark in every secret", async () => {
    await ask("settings", { mark: "CANARY" });
    const begun = client.begin();
    const { json: signed } = await ask("signIn", { url: begun.url });
    assert.equal(signed.paste, `${signed.code}#${begun.state}`);
    const { json: tokens } = await client.exchange(begun, signed.code);
    for (const value of [signed.code, tokens.access_token, tokens.refresh_token]) assert.match(value, /CANARY-/);
    await ask("settings", { mark: "" });
  });

  test("a setup token is one without a successor", async () => {
    const { json: login } = await ask("issue", { setup: true });
    assert.deepEqual([login.refreshToken, login.scopes], [null, ["user:inference"]]);
    assert.ok(login.expiresAt > desk.state().now + 364 * 24 * 3600 * 1000);
  });

  test("awaits what is counted, and says when it waited in vain", async () => {
    const before = count("refreshes");
    const awaited = ask("await", { counter: "refreshes", atLeast: before + 1 });
    await client.refresh(desk.issue({}).refreshToken);
    assert.equal((await awaited).json.count, before + 1);
    assert.match((await ask("await", { counter: "refreshes", atLeast: before + 2, seconds: 0.05 })).json.error, /in vain/);
  });

  test("mistakes are told", async () => {
    assert.equal((await ask("nothing")).status, 404);
    assert.equal((await ask("constructor")).status, 404);
    for (const [verb, body] of [
      ["settings", { accessSeconds: "1" }],
      ["settings", { unknown: 1 }],
      ["advance", {}],
      ["expire", { what: "everything" }],
      ["issue", { email: "nobody@example.test" }],
      ["issue", { scopes: ["user:everything"] }],
      ["signIn", { url: "https://claude.com/cai/oauth/authorize" }],
    ]) {
      const { status, json } = await ask(verb, body);
      assert.equal(status, 400, verb);
      assert.equal(typeof json.error, "string");
    }
  });
});

test("notes tell what was asked, by whom and with which outcome, and hold no secret", async () => {
  notes.length = 0;
  const begun = client.begin();
  const { code } = desk.signIn({ url: begun.url });
  const { json: tokens } = await client.exchange(begun, code);
  await client.refresh(tokens.refresh_token);
  await client.message(`say ${tokens.access_token}`, tokens.access_token);
  await client.ask("platform.claude.com", "GET", `/oauth/code/callback?code=${code}&state=${begun.state}`);
  desk.expire({ what: "access" });
  await client.profile(tokens.access_token);
  assert.deepEqual(notes.map(({ endpoint, status }) => [endpoint, status]), [["exchange", 200], ["refresh", 200], ["messages", 200], ["code", 200], ["profile", 401]]);
  assert.equal(notes[1].body.refresh_token, `sha256:${credentialHash(tokens.refresh_token)}`);
  assert.deepEqual(notes[2].auth, [{ kind: "bearer", hash: credentialHash(tokens.access_token), state: "valid", account: "ada@example.test" }]);
  assert.equal(notes[4].auth[0].state, "expired");
  const text = JSON.stringify(notes);
  for (const { value } of desk.secrets()) assert.ok(!text.includes(value), "a secret stands in the notes");
  assert.ok(!text.includes(begun.verifier) && !text.includes(begun.state));
});

describe("the proxy", () => {
  const tunnel = (authority) =>
    new Promise((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port: identity.ports.proxy, method: "CONNECT", path: authority, agent: false });
      asked.once("connect", (response, socket) => resolve({ status: response.statusCode, socket }));
      asked.once("error", reject);
      asked.end();
    });

  test("leads the known names here", async () => {
    const { status, socket } = await tunnel(`${API_HOST}:443`);
    assert.equal(status, 200);
    const secure = connect({ socket, servername: API_HOST, ca: identity.certificate });
    secure.write(`GET /api/hello HTTP/1.1\r\nhost: ${API_HOST}\r\nconnection: close\r\n\r\n`);
    let text = "";
    for await (const chunk of secure) text += chunk;
    assert.match(text, /^HTTP\/1\.1 200 [\s\S]*"hello"/);
  });

  test("refuses and notes the others, and requests that want no tunnel", async () => {
    for (const authority of ["example.com:443", `${API_HOST}:22`]) {
      const { status, socket } = await tunnel(authority);
      socket.destroy();
      assert.equal(status, 403);
      assert.deepEqual([notes.at(-1).endpoint, notes.at(-1).host, notes.at(-1).status], ["tunnel", authority, 403]);
    }
    const response = await fetch(`http://127.0.0.1:${identity.ports.proxy}/`);
    assert.equal(response.status, 403);
  });
});

describe("the program", { timeout: 60_000 }, () => {
  async function start(t, ...args) {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => child.kill("SIGKILL"));
    const [line] = await once(createInterface(child.stdout), "line");
    return { child, listening: JSON.parse(line) };
  }

  test("says where it listens, records to a file, serves without TLS too, and ends on SIGTERM", async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), "fake-identity-"));
    t.after(() => rm(folder, { recursive: true }));
    const record = path.join(folder, "requests.jsonl");
    const { child, listening } = await start(t, "--record", record, "--ca", path.join(folder, "ca.pem"), "--account", "eve@example.test", "--account", "ada@example.test");
    assert.deepEqual([listening.proxy, listening.ca], [null, path.join(folder, "ca.pem")]);
    const outside = new Client({ ports: listening, certificate: await readFile(listening.ca, "utf8") });
    const issued = await fetch(`http://127.0.0.1:${listening.admin}/issue`, { method: "POST", body: "{}" });
    const { accessToken } = await issued.json();
    assert.equal((await outside.profile(accessToken)).json.account.email, "eve@example.test");
    // As behind something that has opened TLS already.
    const plain = request({ host: "127.0.0.1", port: listening.plain, path: "/api/hello", headers: { host: API_HOST }, agent: false }).end();
    assert.equal((await once(plain, "response"))[0].statusCode, 200);
    const lines = (await readFile(record, "utf8")).trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ endpoint }) => endpoint), ["profile", "sundry"]);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  test("ends with whoever started it, and takes its certificate along", async (t) => {
    const { child, listening } = await start(t, "--proxy", "--until-stdin-ends");
    assert.ok(listening.proxy > 0 && existsSync(listening.ca));
    child.stdin.end();
    assert.deepEqual(await once(child, "exit"), [0, null]);
    assert.ok(!existsSync(listening.ca));
  });
});
