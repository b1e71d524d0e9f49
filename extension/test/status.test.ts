import { describe, expect, it } from "vitest";
import type { EngineStatus, Health, SandboxState } from "../src/generated/protocol";
import { emptyModel, reduce, type Input, type Model } from "../src/model";
import { statusView, type Severity } from "../src/view/status";
import { engine, operation, rpcError, sandbox, snapshot } from "./harness";

const project = "/home/ada/shop";
const running: Input = { type: "server", phase: "running" };

function after(...inputs: Input[]): Model {
  return inputs.reduce(reduce, emptyModel);
}

type Expected = [text: string, severity: Severity];

// A line per state and health; the compiler asks for the missing ones.
const faces: Record<SandboxState, Record<Health, Expected>> = {
  creating: all("$(vm) Claude: creating", "none"),
  running: {
    none: ["$(vm-running) Claude: running · open", "none"],
    starting: ["$(vm) Claude: starting · open", "none"],
    healthy: ["$(vm-running) Claude: healthy · open", "none"],
    unhealthy: ["$(warning) Claude: unhealthy · open", "warning"],
  },
  paused: all("$(debug-pause) Claude: paused", "warning"),
  stopped: all("$(vm-outline) Claude: stopped", "none"),
  failed: all("$(error) Claude: failed", "error"),
};

function all(...expected: Expected): Record<Health, Expected> {
  return { none: expected, starting: expected, healthy: expected, unhealthy: expected };
}

describe("the item", () => {
  const cases = Object.entries(faces).flatMap(([state, byHealth]) =>
    Object.entries(byHealth).map(([health, expected]) => ({ state, health, expected })),
  );
  it.each(cases)("of a sandbox that is $state and $health", ({ state, health, expected }) => {
    const model = after(running, snapshot(sandbox({ state: state as SandboxState, health: health as Health })));
    const view = statusView(model, project);
    expect([view.text, view.severity]).toEqual(expected);
    expect(view.label).toBe(`Boxwood sandbox, ${expected[0].replace(/^\$\(\S+\) /, "")}`);
  });

  const unavailable: EngineStatus = { ...engine, isAvailable: false, problem: "connection refused" };
  const none: [name: string, model: Model, project: string | undefined, text: string, severity: Severity][] = [
    ["no sandbox", after(running, snapshot()), project, "$(vm-outline) Start Claude Sandbox", "none"],
    ["no folder", after(running, snapshot(sandbox())), undefined, "$(vm-outline) Start Claude Sandbox", "none"],
    [
      "another project's sandbox",
      after(running, snapshot(sandbox())),
      "/other",
      "$(vm-outline) Start Claude Sandbox",
      "none",
    ],
    ["a server that starts", emptyModel, project, "$(loading~spin) Claude: connecting", "none"],
    ["a server before its first snapshot", after(running), project, "$(loading~spin) Claude: connecting", "none"],
    ["no server", after({ type: "server", phase: "failed" }), project, "$(error) Claude: no server", "error"],
    [
      "no engine",
      after(running, snapshot(sandbox()), { type: "engineChanged", engine: unavailable }),
      project,
      "$(error) Claude: no engine",
      "error",
    ],
  ];
  it.each(none)("with %s", (_, model, at, text, severity) => {
    const view = statusView(model, at);
    expect([view.text, view.severity]).toEqual([text, severity]);
  });

  it("of several folders names the one whose sandbox it is, and none without a sandbox", () => {
    const shown = statusView(after(running, snapshot(sandbox({ state: "stopped" }))), project, "shop");
    expect([shown.text, shown.label]).toEqual([
      "$(vm-outline) Claude: stopped (shop)",
      "Boxwood sandbox of shop, Claude: stopped",
    ]);
    expect(statusView(after(running, snapshot()), project, "shop").text).toBe("$(vm-outline) Start Claude Sandbox");
    expect(statusView(after({ type: "server", phase: "failed" }), project, "shop").text).toBe(
      "$(error) Claude: no server",
    );
  });

  it.each([
    ["ensure", "starting"],
    ["stop", "stopping"],
    ["restart", "restarting"],
    ["refresh", "refreshing"],
    ["remove", "removing"],
  ])("while %s runs", (kind, words) => {
    const model = after(running, snapshot(), { type: "operationStarted", operation: operation({ kind, project }) });
    expect(statusView(model, project).text).toBe(`$(loading~spin) Claude: ${words}`);
  });
});

describe("the tooltip", () => {
  const sample = {
    cpuPercent: 42.4,
    memoryBytes: 1536 * 1024 * 1024,
    memoryLimitBytes: 8 * 1024 ** 3,
    pids: 17,
    networkRxBytes: 0,
    networkTxBytes: 0,
  };

  it("tells image, version, figures and what the network may", () => {
    const model = after(running, snapshot(sandbox()), { type: "stats", sandboxId: sandbox().id, sample });
    expect(statusView(model, project).tooltip).toBe(
      [
        "**shop** Claude\\: healthy · open",
        [
          "| | |",
          "|---|---|",
          "| Image | boxwood\\-agent\\:slim |",
          "| Claude Code | 2\\.1\\.0 |",
          "| CPU | 42 % |",
          "| Memory | 1\\.5 GiB of 8\\.0 GiB |",
          "| Processes | 17 |",
          "| Network | open, no policy enforced |",
        ].join("\n"),
        "Click for the menu",
      ].join("\n\n"),
    );
  });

  it("tells why a sandbox is unhealthy, and that a refresh would change it", () => {
    const model = after(
      running,
      snapshot(sandbox({ health: "unhealthy", detail: "the disk is full", isOutdated: true })),
    );
    const { tooltip } = statusView(model, project);
    expect(tooltip).toContain("The disk is full");
    expect(tooltip).toContain("Refresh applies it");
  });

  it("tells why there is no server", () => {
    const problem = rpcError({ message: "there is no program at '/x'" });
    const { tooltip } = statusView(after({ type: "server", phase: "failed", problem }), project);
    expect(tooltip).toContain("There is no program at '/x'");
  });

  it("gives foreign text no meaning", () => {
    const detail = "[click](command:evil) <img src=x> `code` | cell\n# heading $(error)";
    const model = after(running, snapshot(sandbox({ detail })));
    const { tooltip } = statusView(model, project);
    expect(tooltip).toContain(
      "\\[click\\]\\(command\\:evil\\) \\<img src=x\\> \\`code\\` \\| cell \\# heading \\$\\(error\\)",
    );
  });

  it("counts the project's other sessions", () => {
    const model = after(running, snapshot(sandbox(), sandbox({ id: "b", session: "review" })));
    expect(statusView(model, project).tooltip).toContain("1 more in this project");
  });
});
