import { describe, expect, it } from "vitest";
import type { Event } from "../src/generated/protocol";
import { changeUnderWay, emptyModel, primarySandbox, reduce, sandboxesOf, type Input, type Model } from "../src/model";
import { ended, engine, operation, rpcError, sandbox, snapshot } from "./harness";

const sample = {
  cpuPercent: 12.5,
  memoryBytes: 1,
  memoryLimitBytes: 2,
  pids: 3,
  networkRxBytes: 4,
  networkTxBytes: 5,
};

function after(...inputs: Input[]): Model {
  return inputs.reduce(reduce, emptyModel);
}

const running: Input = { type: "server", phase: "running" };
const one = sandbox();
const stats: Event = { type: "stats", sandboxId: one.id, sample };

describe("a snapshot", () => {
  it("replaces what was known", () => {
    const model = after(running, snapshot(one), snapshot(sandbox({ id: "other" })));
    expect([...model.sandboxes.keys()]).toEqual(["other"]);
    expect(model.engine).toEqual(engine);
  });

  it("keeps what a running operation has said", () => {
    const said: Input = {
      type: "operationProgress",
      operationId: "op1",
      step: "s",
      message: "pulls",
      done: 0,
      total: 2,
    };
    const again: Event = { ...snapshot(), operations: [operation()] } as Event;
    const model = after(running, { type: "operationStarted", operation: operation() }, said, again);
    expect(model.operations.get("op1")?.message).toBe("pulls");
  });

  it("drops operations that have ended unheard", () => {
    const model = after(running, { type: "operationStarted", operation: operation() }, snapshot());
    expect(model.operations.size).toBe(0);
  });

  it("drops the figures of what does not run", () => {
    const model = after(running, snapshot(one), stats, snapshot(sandbox({ state: "stopped" })));
    expect(model.stats.size).toBe(0);
  });
});

describe("a lost server", () => {
  it("leaves nothing that could be out of date", () => {
    const model = after(running, snapshot(one), stats, { type: "server", phase: "connecting" });
    expect(model).toEqual({ ...emptyModel, server: "connecting" });
  });

  it("keeps the reason why it is given up", () => {
    const problem = rpcError({ code: "daemon.unavailable" });
    expect(after({ type: "server", phase: "failed", problem }).problem).toEqual(problem);
  });
});

describe("a sandbox", () => {
  it("is added, changed and removed", () => {
    const stopped = sandbox({ state: "stopped" });
    const added = after(running, snapshot(), { type: "sandboxChanged", sandbox: one });
    expect(added.sandboxes.get(one.id)).toEqual(one);
    const changed = reduce(reduce(added, stats), { type: "sandboxChanged", sandbox: stopped });
    expect(changed.sandboxes.get(one.id)).toEqual(stopped);
    expect(changed.stats.size).toBe(0);
    expect(reduce(changed, { type: "sandboxRemoved", id: one.id }).sandboxes.size).toBe(0);
  });

  it("has figures only while it is known", () => {
    expect(after(running, snapshot(one), stats).stats.get(one.id)).toEqual(sample);
    const unknown = after(running, snapshot());
    expect(reduce(unknown, stats)).toBe(unknown);
  });
});

describe("an operation", () => {
  const started: Input = { type: "operationStarted", operation: operation({ project: one.project }) };

  it("is under way from its start to its end", () => {
    const model = after(running, snapshot(), started);
    expect(changeUnderWay(model, one.project, undefined)).toEqual({ kind: "ensure" });
    expect(changeUnderWay(model, "/elsewhere", undefined)).toBeUndefined();
    const over = reduce(model, { type: "operationEnded", end: ended() });
    expect(changeUnderWay(over, one.project, undefined)).toBeUndefined();
  });

  it("belongs to its sandbox, not to others of the project", () => {
    const model = after(running, snapshot(one), {
      type: "operationStarted",
      operation: operation({ kind: "stop", sandboxId: one.id, project: one.project }),
    });
    expect(changeUnderWay(model, one.project, one.id)).toEqual({ kind: "stop" });
    expect(changeUnderWay(model, one.project, "another")).toBeUndefined();
  });

  it("that only reads is not a change", () => {
    const model = after(running, snapshot(one), {
      type: "operationStarted",
      operation: operation({ kind: "logs", sandboxId: one.id }),
    });
    expect(changeUnderWay(model, one.project, one.id)).toBeUndefined();
  });

  it("that was never heard of changes nothing", () => {
    const model = after(running, snapshot());
    expect(reduce(model, { type: "operationEnded", end: ended() })).toBe(model);
    const output: Input = { type: "operationOutput", operationId: "op1", stream: "log", text: "x" };
    expect(reduce(model, output)).toBe(model);
  });
});

describe("the sandbox of a project", () => {
  const stopped = sandbox({ id: "a", session: "default", state: "stopped" });
  const review = sandbox({ id: "b", session: "review", state: "running" });
  const other = sandbox({ id: "c", project: "/home/ada/other" });

  it("is a running one before the default session", () => {
    const model = after(running, snapshot(stopped, review, other));
    expect(primarySandbox(model, one.project)?.id).toBe("b");
    expect(sandboxesOf(model, one.project).map(({ id }) => id)).toEqual(["b", "a"]);
  });

  it("is the default session among several that run", () => {
    const model = after(running, snapshot(review, sandbox({ id: "a" })));
    expect(primarySandbox(model, one.project)?.id).toBe("a");
  });

  it("is absent when there is none", () => {
    expect(primarySandbox(after(running, snapshot(other)), one.project)).toBeUndefined();
  });
});
