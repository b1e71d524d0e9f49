import { describe, expect, it } from "vitest";
import { errorNumbers } from "../src/generated/protocol";
import { parseError, parseEvent } from "../src/wire";
import { rpcError, sandbox, snapshot } from "./harness";

describe("an event", () => {
  it.each([snapshot(sandbox()), { type: "sandboxRemoved", id: "x" }])("is taken as it is", (event) => {
    expect(parseEvent(event)).toBe(event);
  });

  it.each([
    undefined,
    null,
    "snapshot",
    [],
    {},
    { type: "toString" },
    { type: "aNewKind" },
    { type: "snapshot", sandboxes: [] },
    { type: "sandboxRemoved", id: 7 },
    { type: "sandboxChanged", sandbox: null },
  ])("of another shape is left out: %j", (value) => {
    expect(parseEvent(value)).toBeUndefined();
  });
});

describe("an error", () => {
  it("of the contract is taken from the data", () => {
    const data = rpcError({ hint: "start it", causes: ["refused"], traceId: "0a" });
    expect(parseError(Object.assign(new Error("x"), { code: -33104, data }))).toEqual(data);
  });

  it("without data is known by its number", () => {
    const thrown = Object.assign(new Error("no engine"), { code: errorNumbers["engine.unavailable"] });
    expect(parseError(thrown)).toMatchObject({ code: "engine.unavailable", message: "no engine" });
  });

  it.each([new Error("boom"), "boom", Object.assign(new Error("boom"), { code: "EPIPE" })])(
    "of any other kind is a fault: %s",
    (thrown) => {
      expect(parseError(thrown)).toMatchObject({
        code: "internal",
        message: "boom",
        actions: ["showLogs", "restartServer"],
      });
    },
  );

  it("with an unknown code is a fault, not a crash", () => {
    expect(parseError({ message: "m", data: { code: "new.code", message: "n" } })).toMatchObject({ code: "internal" });
  });
});
