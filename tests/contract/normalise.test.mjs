import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { normalise } from "./lib/normalise.mjs";

const surroundings = { root: "/tmp/boxwood-test-contract-x", claude: "9.8.7" };
const check = (message, expected) => assert.deepEqual(normalise([message], surroundings), [expected]);

describe("a recording", () => {
  it("has paths of nobody's machine", () => {
    check({ a: "/tmp/boxwood-test-contract-x/projects/app", b: "/tmp/boxwood-test-contract-x/state/logs" }, { a: "/home/person/app", b: "/home/person/.local/state/boxwood/logs" });
  });

  it("has ids that are counted, the same for the same", () => {
    const [one, other] = ["a1".repeat(16), "b2".repeat(16)];
    const name = (number) => String(number).padStart(32, "0");
    check([one, other, `trace ${one}`, "app-0a1b2c3d-second"], [name(1), name(2), `trace ${name(1)}`, "app-00000001-second"]);
  });

  it("keeps ids that a conversation made up", () => {
    check("f".repeat(32), "f".repeat(32));
  });

  it("has times that keep their order only", () => {
    check(["2026-11-21T12:00:09.5Z", "2026-11-21T12:00:01Z"], ["2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"]);
  });

  it("has no measured amounts, but keeps limits", () => {
    check({ cpuPercent: 3.7, memoryBytes: 5, pids: 9 }, { cpuPercent: 12.5, memoryBytes: 1_048_576, pids: 3 });
    check({ memoryBytes: 8_589_934_592, cpus: 0, pids: 4096 }, { memoryBytes: 8_589_934_592, cpus: 0, pids: 4096 });
    check({ durationMs: 17, detail: "12.3 GiB free" }, { durationMs: 100, detail: "10 GiB free" });
  });

  it("has nothing that a sign-in made up", () => {
    check(
      { url: "https://claude.com/a?code_challenge=Ab-1_&scope=x&state=Zz-9_", operationId: "o", code: "x".repeat(90) },
      { url: "https://claude.com/a?code_challenge=the-code_challenge&scope=x&state=the-state", operationId: "o", code: "the-code#the-state" },
    );
    check({ operationId: "o", code: "somebody-elses#code" }, { operationId: "o", code: "somebody-elses#code" });
    const [one, other] = ["646e73da-37e7-4bff-81c4-0000000000aa", "746e73da-37e7-4bff-81c4-0000000000bb"];
    const name = (number) => `00000000-0000-4000-8000-00000000000${number}`;
    check([one, other, one], [name(1), name(2), name(1)]);
    check({ expiresAtMs: 5, daysLeft: 28, detail: "ends on 2026-12-22" }, { expiresAtMs: 1_769_817_600_000, daysLeft: 29, detail: "ends on 2026-01-31" });
  });

  it("has no versions", () => {
    check([{ version: "20.10.24+dfsg1" }, "20.10.24+dfsg1 with API 1.41", "claude 9.8.7"], [{ version: "1.0.0" }, "1.0.0 with API 1.41", "claude 2.0.0"]);
  });

  it("has one image of each repository", () => {
    check([{ reference: "boxwood-tools:1" }, { reference: "boxwood-tools:2" }, "boxwood-agent:slim-1"], [{ reference: "boxwood-tools:1" }, "boxwood-agent:slim-1"]);
  });
});
