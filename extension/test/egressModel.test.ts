import { describe, expect, it } from "vitest";
import type { Event } from "../src/generated/protocol";
import { egressOf, emptyModel, reduce, type Input, type Model } from "../src/model";
import { ask, decision, guarded, report, snapshot } from "./harness";

const one = guarded();
const sandboxId = one.id;

function after(...inputs: Input[]): Model {
  return [{ type: "server", phase: "running" } as const, ...inputs].reduce(reduce, emptyModel);
}

function withAsks(...asks: ReturnType<typeof ask>[]): Event {
  return { ...snapshot(one), asks: { [sandboxId]: asks } } as Event;
}

describe("what waits", () => {
  it("comes with the snapshot and replaces what was known", () => {
    const model = after(withAsks(ask({ id: "a" })), withAsks(ask({ id: "b" })));
    expect(egressOf(model, sandboxId).asks.map(({ id }) => id)).toEqual(["b"]);
    expect(egressOf(after(withAsks(ask()), snapshot(one)), sandboxId).asks).toEqual([]);
  });

  it("is asked, changed in its place and over", () => {
    const asking = (change: Parameters<typeof ask>[0]): Event => ({
      type: "egressAsking",
      sandboxId,
      ask: ask(change),
    });
    const model = after(snapshot(one), asking({ id: "a" }), asking({ id: "b" }), asking({ id: "a", waiting: 3 }));
    expect(egressOf(model, sandboxId).asks.map(({ id, waiting }) => [id, waiting])).toEqual([
      ["a", 3],
      ["b", 1],
    ]);
    const over = reduce(model, { type: "egressAsked", sandboxId, askId: "a" });
    expect(egressOf(over, sandboxId).asks.map(({ id }) => id)).toEqual(["b"]);
    expect(reduce(over, { type: "egressAsked", sandboxId, askId: "a" })).toBe(over);
  });

  it("is gone with the sandbox that stops, whose decisions stay", () => {
    const decided: Event = { type: "egressDecided", sandboxId, decision: decision() };
    const model = after(withAsks(ask()), decided, { type: "sandboxChanged", sandbox: guarded({ state: "stopped" }) });
    expect(egressOf(model, sandboxId)).toMatchObject({ asks: [], recent: [{ host: "example.com" }] });
    expect(reduce(model, { type: "sandboxRemoved", id: sandboxId }).egress.size).toBe(0);
  });

  it("of a sandbox that is not known changes nothing", () => {
    const model = after(snapshot());
    expect(reduce(model, { type: "egressAsking", sandboxId, ask: ask() })).toBe(model);
  });
});

describe("decisions", () => {
  const [first, second, third] = [decision(), decision(), decision()];

  it("are kept, the newest first, and each once", () => {
    const model = after(
      snapshot(one),
      { type: "egressDecided", sandboxId, decision: third },
      { type: "egressLog", sandboxId, decisions: [first, second, third] },
    );
    expect(egressOf(model, sandboxId).recent).toEqual([third, second, first]);
  });

  it("are not kept without end", () => {
    const many = Array.from({ length: 500 }, () => decision());
    const model = after(snapshot(one), { type: "egressLog", sandboxId, decisions: many });
    const { recent } = egressOf(model, sandboxId);
    expect([recent.length, recent[0]]).toEqual([200, many.at(-1)]);
  });

  it("outlast another snapshot, and not the server", () => {
    const decided: Event = { type: "egressDecided", sandboxId, decision: first };
    expect(egressOf(after(snapshot(one), decided, snapshot(one)), sandboxId).recent).toEqual([first]);
    expect(after(snapshot(one), decided, { type: "server", phase: "connecting" }).egress.size).toBe(0);
  });
});

describe("a report", () => {
  it("is kept, and leaves what waits to the events", () => {
    const model = after(withAsks(ask()), { type: "egressReport", sandboxId, report: report({ blocked: 4 }) });
    expect(egressOf(model, sandboxId)).toMatchObject({ asks: [{ id: "ask1" }], report: { blocked: 4 } });
  });
});
