import { describe, expect, it } from "vitest";
import { timeLeft } from "../src/format";
import type { SandboxInfo } from "../src/generated/protocol";
import { emptyModel, reduce, type Input, type Model } from "../src/model";
import { networkLabel } from "../src/view/network";
import { statusView } from "../src/view/status";
import { ask, guarded, sandbox, snapshot } from "./harness";

const project = "/home/ada/shop";
const now = 1_000_000;

function after(...inputs: Input[]): Model {
  return [{ type: "server", phase: "running" } as const, ...inputs].reduce(reduce, emptyModel);
}

function view(info: SandboxInfo, ...inputs: Input[]): ReturnType<typeof statusView> {
  return statusView(after(snapshot(info), ...inputs), project, undefined, now);
}

describe("the network's label", () => {
  const cases: [SandboxInfo, ReturnType<typeof networkLabel>, string, string][] = [
    [guarded(), "enforced", "$(vm-running) Claude: healthy · enforced", "none"],
    [guarded({ enforcement: "inside" }), "enforced", "$(vm-running) Claude: healthy · enforced", "none"],
    [sandbox(), "open", "$(vm-running) Claude: healthy · open", "none"],
    [sandbox({ network: "none" }), "no network", "$(vm-running) Claude: healthy · no network", "none"],
    [sandbox({ network: "gateway" }), "unchecked", "$(vm-running) Claude: healthy · unchecked", "none"],
    [
      guarded({ bypassUntilMs: now + 540_000 }),
      "bypassed",
      "$(vm-running) Claude: healthy · bypassed, 9 min left",
      "warning",
    ],
    [guarded({ bypassUntilMs: now }), "enforced", "$(vm-running) Claude: healthy · enforced", "none"],
    [guarded({ alarm: "its gateway is gone" }), "alarm", "$(vm-running) Claude: healthy · egress alarm", "warning"],
    [sandbox({ alarm: "it can reach x" }), "alarm", "$(vm-running) Claude: healthy · egress alarm", "error"],
    [
      sandbox({ alarm: "it can reach x", health: "unhealthy" }),
      "alarm",
      "$(warning) Claude: unhealthy · egress alarm",
      "error",
    ],
  ];
  it.each(cases)("%#: %j", (info, label, text, severity) => {
    expect(networkLabel(info, now)).toBe(label);
    const { text: shown, severity: grave } = view(info);
    expect([shown, grave]).toEqual([text, severity]);
  });

  it("is not told of a sandbox that does not run", () => {
    expect(view(guarded({ state: "stopped" })).text).toBe("$(vm-outline) Claude: stopped");
  });

  it("gives way to connections that wait, and they to an alarm", () => {
    const asking: Input = { type: "egressAsking", sandboxId: sandbox().id, ask: ask({ waiting: 2 }) };
    const shown = view(guarded(), asking);
    expect([shown.text, shown.severity]).toEqual(["$(vm-running) Claude: healthy · 2 waiting", "warning"]);
    expect(view(guarded({ alarm: "x" }), asking).text).toContain("egress alarm");
  });
});

describe("the tooltip", () => {
  it("counts what was blocked and what waits", () => {
    const { tooltip } = view(guarded({ blocked: 12 }), { type: "egressAsking", sandboxId: sandbox().id, ask: ask() });
    expect(tooltip).toContain("| Network | policy enforced outside the container |");
    expect(tooltip).toContain("| Blocked | 12 connections |");
    expect(tooltip).toContain("| Waiting | 1 connection |");
    expect(view(guarded()).tooltip).not.toMatch(/Blocked|Waiting|Bypass/);
  });

  it.each([
    ["open", "open, no policy enforced"],
    ["none", "none\\: no network at all"],
    ["gateway", "policy not enforced at present"],
  ] as const)("says what a network without a policy is: %s", (network, words) => {
    expect(view(sandbox({ network })).tooltip).toContain(`| Network | ${words} |`);
  });

  it("says what the alarm is, and how long a bypass lasts", () => {
    expect(view(sandbox({ alarm: "it can reach [x](command:y)" })).tooltip).toContain(
      "$(warning) Network: it can reach \\[x\\]\\(command\\:y\\)",
    );
    const bypassed = view(guarded({ bypassUntilMs: now + 61_000 })).tooltip;
    expect(bypassed).toContain("everything is let through");
    expect(bypassed).toContain("| Bypass | 2 min left |");
  });
});

describe("time that is left", () => {
  it.each([
    [0, "0 s"],
    [-5, "0 s"],
    [1_500, "2 s"],
    [60_000, "60 s"],
    [61_000, "2 min"],
    [600_000, "10 min"],
    [3_600_000, "1 h"],
    [3_700_000, "1 h 2 min"],
  ])("of %d ms is %s", (left, words) => {
    expect(timeLeft(now + left, now)).toBe(words);
  });
});
