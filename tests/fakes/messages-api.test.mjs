// What the imitation of the Messages API promises: first by itself, then to the real claude binary.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { claudeBinary } from "./claude-binary.mjs";
import { credentialHash, startMessagesApi } from "./messages-api.mjs";
import { conversationState, fillSchema, parseDirectives } from "./script.mjs";

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("./messages-api.mjs", import.meta.url));
const WRITE = { name: "Write", input_schema: { type: "object" } };

function user(content) {
  return { role: "user", content };
}

async function post(port, body, { route = "/v1/messages", headers = {} } = {}) {
  return fetch(`http://127.0.0.1:${port}${route}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });
}

async function reply(port, messages, extra = {}) {
  const response = await post(port, { model: "m", max_tokens: 100, messages, ...extra });
  return response.json();
}

function parseEvents(text) {
  return text.trim().split("\n\n").map((chunk) => {
    const [event, data] = chunk.split("\n");
    const parsed = JSON.parse(data.replace(/^data: /, ""));
    assert.equal(event, `event: ${parsed.type}`);
    return parsed;
  });
}

describe("prompt directives", () => {
  const tools = (text) => parseDirectives(text).tools;

  test("a tool's JSON may hold brackets, quotes and the closing mark itself", () => {
    assert.deepEqual(tools('[[tool:Write {"a":[[1]],"b":"}]] \\" "}]] say ok'), [{ name: "Write", input: { a: [[1]], b: '}]] " ' } }]);
    assert.equal(parseDirectives('[[tool:Write {"a":[[1]]}]] say ok').rest, "say ok");
  });

  test("several tools keep their order", () => {
    assert.deepEqual(tools('[[tool:A {}]][[tool:B {"x":1}]]').map((tool) => tool.name), ["A", "B"]);
  });

  test("what cannot be read is reported", () => {
    assert.match(parseDirectives("[[tool:Write {").malformed, /not closed/);
    assert.match(parseDirectives("[[tool:Write {nope}]]").malformed, /invalid JSON/);
    assert.match(parseDirectives("[[pace:fast]]").malformed, /needs a number/);
  });

  test("reminders that Claude Code adds are not the prompt", () => {
    const text = [{ type: "text", text: "<system-reminder>say no</system-reminder>" }, { type: "text", text: "say yes" }];
    assert.deepEqual(conversationState([user(text)]), { text: "say yes", results: 0 });
  });

  test("neither is its request to go on after an answer that was cut off", () => {
    const cut = [user("say yes"), { role: "assistant", content: "ye" }, user("Your response above was cut off mid-stream. Resume directly from where it stops.")];
    assert.deepEqual(conversationState(cut), { text: "say yes", results: 0 });
  });

  test("tool results are counted since the newest prompt only", () => {
    const result = user([{ type: "tool_result", tool_use_id: "t", content: "ok" }]);
    assert.deepEqual(conversationState([user("one"), result, result, user("two"), result]), { text: "two", results: 1 });
  });

  test("a schema is filled with its required parts", () => {
    const schema = { type: "object", required: ["title", "kind"], properties: { title: { type: "string" }, kind: { enum: ["a", "b"] }, more: { type: "number" } } };
    assert.deepEqual(fillSchema(schema, "t"), { title: "t", kind: "a" });
  });
});

describe("server", () => {
  let api;
  let seen;
  before(async () => {
    api = await startMessagesApi({ onRequest: (entry) => seen?.push(entry) });
  });
  after(() => api.close());

  test("say, and numbered answers to everything else", async () => {
    assert.equal((await reply(api.port, [user("say hello there")])).content[0].text, "hello there");
    const first = (await reply(api.port, [user("what now?")])).content[0].text;
    const second = (await reply(api.port, [user("what now?")])).content[0].text;
    const number = (text) => Number(/^FAKE-REPLY (\d+)$/.exec(text)[1]);
    assert.equal(number(second), number(first) + 1);
  });

  test("a tool is called, then answered in text; a side request without tools gets text at once", async () => {
    const prompt = user('[[tool:Write {"file_path":"/x"}]] say done');
    const call = await reply(api.port, [prompt], { tools: [WRITE] });
    assert.equal(call.stop_reason, "tool_use");
    assert.deepEqual(call.content[0].input, { file_path: "/x" });
    const result = user([{ type: "tool_result", tool_use_id: call.content[0].id, content: "ok" }]);
    const end = await reply(api.port, [prompt, { role: "assistant", content: call.content }, result], { tools: [WRITE] });
    assert.deepEqual([end.stop_reason, end.content[0].text], ["end_turn", "done"]);
    assert.equal((await reply(api.port, [prompt])).content[0].text, "done");
    assert.match((await reply(api.port, [user("[[tool:Nope {}]]")], { tools: [WRITE] })).content[0].text, /no tool is called Nope/);
  });

  test("streaming sends the events of the real API in their order", async () => {
    const response = await post(api.port, { model: "m", stream: true, messages: [user("say " + "long answer ".repeat(10))] }, { route: "/v1/messages?beta=true" });
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    const events = parseEvents(await response.text());
    const kinds = events.map((event) => event.type);
    assert.deepEqual(kinds.slice(0, 3), ["message_start", "ping", "content_block_start"]);
    assert.deepEqual(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
    const text = events.filter((event) => event.type === "content_block_delta").map((event) => event.delta.text);
    assert.ok(text.length > 2);
    assert.equal(text.join(""), "long answer ".repeat(10).trim());
  });

  test("a table answers prompts that look natural", async () => {
    const table = await startMessagesApi({ answers: { "is it raining?": "say no" } });
    assert.equal((await reply(table.port, [user("is it raining?")])).content[0].text, "no");
    assert.match((await reply(table.port, [user("is it snowing?")])).content[0].text, /^FAKE-REPLY/);
    await table.close();
  });

  test("a streamed tool call carries its input as partial JSON", async () => {
    const input = { file_path: "/x", content: "y".repeat(200) };
    const response = await post(api.port, { stream: true, tools: [WRITE], messages: [user(`[[tool:Write ${JSON.stringify(input)}]]`)] });
    const deltas = parseEvents(await response.text()).filter((event) => event.type === "content_block_delta");
    assert.deepEqual(JSON.parse(deltas.map((event) => event.delta.partial_json).join("")), input);
  });

  test("structured output answers with JSON of the schema", async () => {
    const format = { type: "json_schema", schema: { type: "object", required: ["title"], properties: { title: { type: "string" } } } };
    const answer = await reply(api.port, [user("say x")], { output_config: { format } });
    assert.deepEqual(JSON.parse(answer.content[0].text), { title: "fake" });
  });

  test("the other endpoints", async () => {
    const get = (route) => fetch(`http://127.0.0.1:${api.port}${route}`);
    assert.deepEqual(await (await get("/api/hello")).json(), { message: "hello" });
    assert.equal((await get("/api/oauth/profile")).status, 200);
    assert.equal((await get("/elsewhere")).status, 404);
    const counted = await post(api.port, { messages: [user("12345678")] }, { route: "/v1/messages/count_tokens" });
    assert.ok((await counted.json()).input_tokens > 0);
    assert.equal((await post(api.port, "{half")).status, 400);
    assert.equal((await post(api.port, { messages: [user("[[status:529]]")] })).status, 529);
  });

  test("requests are recorded with the hash of a credential, never the credential", async () => {
    seen = [];
    await post(api.port, { messages: [user("say x")] }, { headers: { "x-api-key": "one", authorization: "Bearer two" } });
    assert.deepEqual(seen[0].auth, [{ kind: "x-api-key", hash: credentialHash("one") }, { kind: "bearer", hash: credentialHash("two") }]);
    assert.equal(seen[0].path, "/v1/messages");
    assert.ok(!JSON.stringify(seen[0]).includes('"two"'));
  });
});

test("the program announces its port, records to a file, demands its key, and ends on SIGTERM", { timeout: 20_000 }, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "fake-api-"));
  t.after(() => rm(folder, { recursive: true }));
  const record = path.join(folder, "requests.jsonl");
  const child = spawn(process.execPath, [PROGRAM, "--record", record, "--require-key", "secret-key"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [line] = await once(createInterface(child.stdout), "line");
  const { port } = JSON.parse(line);
  const body = { messages: [user("say hi")] };
  assert.equal((await post(port, body)).status, 401);
  assert.equal((await post(port, body, { headers: { "x-api-key": "wrong" } })).status, 401);
  assert.equal((await post(port, body, { headers: { "x-api-key": "secret-key" } })).status, 200);
  assert.equal((await post(port, body, { headers: { authorization: "Bearer secret-key" } })).status, 200);
  const lines = (await readFile(record, "utf8")).trim().split("\n").map((entry) => JSON.parse(entry));
  assert.deepEqual(lines.map((entry) => entry.auth.length), [0, 1, 1, 1]);
  assert.ok(!(await readFile(record, "utf8")).includes("secret-key"));
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

describe("the real claude binary", { timeout: 600_000 }, () => {
  let binary;
  let api;
  let folder;
  let requests;
  before(async () => {
    binary = await claudeBinary();
    folder = await mkdtemp(path.join(tmpdir(), "fake-claude-"));
    requests = [];
    api = await startMessagesApi({ requireKey: "sk-ant-api03-imitation", onRequest: (entry) => requests.push(entry) });
  });
  after(async () => {
    await api.close();
    await rm(folder, { recursive: true });
  });

  const anthropic = () => ({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${api.port}`, ANTHROPIC_API_KEY: "sk-ant-api03-imitation" });

  async function claude(...args) {
    return claudeWith(anthropic(), ...args);
  }

  async function claudeWith(provider, ...args) {
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      CLAUDE_CONFIG_DIR: path.join(folder, ".claude"),
      ...provider,
      DISABLE_AUTOUPDATER: "1",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      IS_SANDBOX: "1",
    };
    const child = run(binary, args, { cwd: folder, env, timeout: 60_000 });
    child.child.stdin.end();
    return (await child).stdout.trim();
  }

  test("finishes a turn, and resumes it", async () => {
    assert.equal(await claude("-p", "say hello"), "hello");
    assert.equal(await claude("-p", "--continue", "say again"), "again");
    const turns = requests.filter((entry) => entry.path.startsWith("/v1/messages"));
    const resumed = JSON.stringify(turns.at(-1).body.messages);
    assert.ok(resumed.includes("say hello") && resumed.includes("say again"), "the resumed request carries the first turn");
    assert.deepEqual(turns.at(-1).auth, [{ kind: "x-api-key", hash: credentialHash("sk-ant-api03-imitation") }]);
  });

  test("writes a file through its own tool", async () => {
    const target = path.join(folder, "made.txt");
    const directive = `[[tool:Write ${JSON.stringify({ file_path: target, content: "made by a tool\n" })}]]`;
    assert.equal(await claude("-p", "--dangerously-skip-permissions", `${directive} say done`), "done");
    assert.equal(await readFile(target, "utf8"), "made by a tool\n");
  });

  test("finishes a turn at another provider's", async () => {
    const url = `http://127.0.0.1:${api.port}`;
    const bedrock = { CLAUDE_CODE_USE_BEDROCK: "1", AWS_REGION: "eu-west-1", ANTHROPIC_BEDROCK_BASE_URL: url };
    assert.equal(await claudeWith({ ...bedrock, AWS_BEARER_TOKEN_BEDROCK: "sk-ant-api03-imitation" }, "-p", "say by-a-key"), "by-a-key");
    const session = { AWS_ACCESS_KEY_ID: "ASIAIMITATION", AWS_SECRET_ACCESS_KEY: "never-sent", AWS_SESSION_TOKEN: "sk-ant-api03-imitation" };
    assert.equal(await claudeWith({ ...bedrock, ...session }, "-p", "say by-a-session"), "by-a-session");
    const asked = requests.filter((entry) => entry.path.endsWith("/invoke-with-response-stream"));
    assert.deepEqual(asked.map((entry) => entry.auth.map(({ kind }) => kind)), [["bearer"], ["aws-session"]]);
    const key = { ANTHROPIC_CUSTOM_HEADERS: "authorization: Bearer sk-ant-api03-imitation" };
    const vertex = { CLAUDE_CODE_USE_VERTEX: "1", CLAUDE_CODE_SKIP_VERTEX_AUTH: "1", CLOUD_ML_REGION: "europe-west1", ANTHROPIC_VERTEX_PROJECT_ID: "project", ANTHROPIC_VERTEX_BASE_URL: `${url}/v1` };
    assert.equal(await claudeWith({ ...vertex, ...key }, "-p", "say by-google"), "by-google");
  });
});
