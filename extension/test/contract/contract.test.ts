import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { methods } from "../../src/generated/protocol";
import { eventFields } from "../../src/wire";
import { sandbox, snapshot } from "../harness";
import { examine } from "./transcript";
import { typeProblems } from "./types";

const folder = fileURLToPath(new URL("../../../tests/contract/", import.meta.url));

function problemsOf(name: string, transcript: unknown): string[] {
  const { problems, values } = examine(name, transcript);
  return [...problems, ...typeProblems(values)];
}

describe("the recorded conversations", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));

  it("are there", () => {
    expect(files, "tests/contract has no recorded conversations").not.toEqual([]);
  });

  it("keep to the contract", () => {
    const findings = files.map((file) => {
      const transcript: unknown = JSON.parse(readFileSync(path.join(folder, file), "utf8"));
      return examine(file, transcript);
    });
    // One program for all of them: the compiler starts once.
    const problems = [
      ...findings.flatMap((found) => found.problems),
      ...typeProblems(findings.flatMap((f) => f.values)),
    ];
    expect(problems).toEqual([]);
  });

  it("have every method and every event in them", () => {
    const text = files.map((file) => readFileSync(path.join(folder, file), "utf8")).join("\n");
    const [asked, told] = [/"method":"(boxwood\/[^"]+)"/g, /"method":"boxwood\/event","params":\{"type":"(\w+)"/g].map(
      (pattern) => new Set([...text.matchAll(pattern)].map((match) => match[1])),
    );
    expect(Object.values(methods).filter((method) => !asked?.has(method))).toEqual([]);
    expect(Object.keys(eventFields).filter((type) => !told?.has(type))).toEqual([]);
  });
});

const to = (message: object) => ({ direction: "toServer", message: { jsonrpc: "2.0", ...message } });
const from = (message: object) => ({ direction: "fromServer", message: { jsonrpc: "2.0", ...message } });
const event = (params: unknown) => from({ method: "boxwood/event", params });
const end = { operationId: "op1", kind: "stop", outcome: "ok", leftOver: [], durationMs: 3 };

describe("a conversation", () => {
  it("that keeps to the contract has no problems", () => {
    const transcript = [
      to({ id: 1, method: "initialize", params: {} }),
      from({ id: 1, result: { capabilities: {} } }),
      to({ method: "initialized", params: {} }),
      event(snapshot(sandbox())),
      to({ id: "a", method: methods.stop, params: { sandbox: "x" } }),
      from({ id: "a", result: { operationId: "op1" } }),
      event({ type: "operationEnded", end: { ...end, result: sandbox() } }),
      from({ method: "boxwood/event", params: { subscription: 7, result: { type: "sandboxRemoved", id: "x" } } }),
      to({ id: 3, method: "boxwood/events/subscribe", params: { stats: [] } }),
      from({ id: 3, result: {} }),
      to({ id: 4, method: "boxwood/no/such", params: {} }),
      from({
        id: 4,
        error: {
          code: -32601,
          message: "m",
          data: { code: "rpc.unknownMethod", message: "m", actions: [], causes: [] },
        },
      }),
    ];
    expect(problemsOf("t", transcript)).toEqual([]);
  });

  const bad: [name: string, transcript: unknown, problem: RegExp][] = [
    ["that is empty", [], /not a list/],
    ["with something else in it", [{ direction: "up", message: {} }], /t\[0\]: not a JSON-RPC message/],
    ["with an unknown method", [to({ id: 1, method: "boxwood/x/y", params: {} })], /no method 'boxwood\/x\/y'/],
    ["with an unknown event", [event({ type: "surprise" })], /no event 'surprise'/],
    ["with an unknown notification", [from({ method: "boxwood/other" })], /no notification 'boxwood\/other'/],
    ["with an event that lacks a field", [event({ type: "sandboxRemoved" })], /t\[0\] event: .*'id' is missing/],
    [
      "with a parameter of another type",
      [to({ id: 1, method: methods.prune, params: { dryRun: "yes" } })],
      /t\[0\] params: Type 'string' is not assignable to type 'boolean'/,
    ],
    [
      "with a parameter too many",
      [to({ id: 1, method: methods.prune, params: { dryRun: true, force: true } })],
      /force.* does not exist/,
    ],
    [
      "with a result of another shape",
      [to({ id: 1, method: methods.stop, params: {} }), from({ id: 1, result: { id: "op" } })],
      /t\[1\] result/,
    ],
    ["with an answer to nothing", [from({ id: 1, result: {} })], /answers nothing/],
    [
      "with an outcome of another shape",
      [
        to({ id: 1, method: methods.stop, params: {} }),
        from({ id: 1, result: { operationId: "op1" } }),
        event({ type: "operationEnded", end: { ...end, result: { lines: [] } } }),
      ],
      /t\[2\] outcome/,
    ],
    [
      "with an error under another number",
      [
        to({ id: 1, method: methods.list, params: {} }),
        from({
          id: 1,
          error: { code: 1, message: "m", data: { code: "disk.full", message: "m", actions: [], causes: [] } },
        }),
      ],
      /disk.full is -33105, not 1/,
    ],
  ];
  it.each(bad)("%s is found out", (_, transcript, problem) => {
    expect(problemsOf("t", transcript).join("\n")).toMatch(problem);
  });
});
