// What follows connections without being seen: the questions to the server, the lines of the output channel, the words.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EgressTree } from "../src/egressTree";
import { methods, type SandboxInfo } from "../src/generated/protocol";
import { reasonWords } from "../src/view/egress";
import { fake } from "./fake/vscode";
import { decision, guarded, openWindow, sandbox, type Window } from "./harness";

const here = guarded();
const sandboxId = here.id;

beforeEach(() => {
  fake.reset();
  fake.folders("/home/ada/shop");
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A window with the view, which says whether somebody looks. */
async function windowOf(...sandboxes: SandboxInfo[]): Promise<Window> {
  const window = await openWindow({}, ...(sandboxes.length > 0 ? sandboxes : [here]));
  new EgressTree(window.app);
  return window;
}

describe("what the window asks the server", () => {
  const requests = ({ server }: Window, method: string): unknown[] =>
    server.asked.filter((asked) => asked.method === method).map(({ params }) => params);

  it("is the log once and the policy when it may have changed", async () => {
    const window = await windowOf();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(requests(window, methods.egressLog)).toEqual([
      { target: { sandbox: sandboxId }, limit: 100, blocked: false },
    ]);
    expect(requests(window, methods.egressPolicyOf)).toEqual([{ sandbox: sandboxId }]);
    window.server.emit({ type: "sandboxChanged", sandbox: guarded({ blocked: 7 }) });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(requests(window, methods.egressPolicyOf)).toHaveLength(1);
    window.server.emit({ type: "egressAsked", sandboxId, askId: "x" });
    window.server.emit({ type: "sandboxChanged", sandbox: guarded({ bypassUntilMs: 5 }) });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(requests(window, methods.egressPolicyOf)).toHaveLength(2);
  });

  it("are the hits too, while somebody looks, and not for every decision", async () => {
    const window = await windowOf();
    await vi.advanceTimersByTimeAsync(1_000);
    const decided = (): void => {
      window.server.emit({ type: "egressDecided", sandboxId, decision: decision() });
    };
    decided();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(requests(window, methods.egressPolicyOf)).toHaveLength(1);
    fake.views.get("boxwood.egress")?.show?.(true);
    await vi.advanceTimersByTimeAsync(200);
    for (let round = 0; round < 20; round += 1) decided();
    await vi.advanceTimersByTimeAsync(1_500);
    expect(requests(window, methods.egressPolicyOf)).toHaveLength(3);
  });

  it("is nothing about other windows' sandboxes or open networks", async () => {
    const window = await windowOf(guarded({ id: "x", project: "/else" }), sandbox());
    await vi.advanceTimersByTimeAsync(1_000);
    expect([...requests(window, methods.egressLog), ...requests(window, methods.egressPolicyOf)]).toEqual([]);
  });
});

describe("the output channel", () => {
  const text = (): string => fake.channels.get("Boxwood Egress")?.text ?? "";

  it("has a line per decision of this window's sandboxes", async () => {
    const { server } = await windowOf(here, guarded({ id: "x", project: "/else" }));
    const atMs = new Date(2026, 0, 2, 3, 4, 5).getTime();
    server.emit({ type: "egressDecided", sandboxId, decision: decision({ atMs, count: 2, reason: "timeout" }) });
    server.emit({ type: "egressDecided", sandboxId: "x", decision: decision({ host: "not.here" }) });
    const allowed = decision({ atMs, host: "api.example", action: "allow", layer: "preset", rule: "api.example:443" });
    server.emit({ type: "egressDecided", sandboxId, decision: { ...allowed, request: "GET /v1" } });
    expect(text()).toBe(
      [
        "2026-01-02 03:04:05 shop: BLOCKED example.com:443 (no rule; nobody answered in time; TLS) ×2",
        "2026-01-02 03:04:05 shop: allowed api.example:443 GET /v1 (api.example:443, presets; TLS)",
        "",
      ].join("\n"),
    );
  });
});

describe("a reason", () => {
  it("has words for every reason of the gateway", () => {
    const file = fileURLToPath(new URL("../../server/gateway/src/reasons.rs", import.meta.url));
    const reasons = [...readFileSync(file, "utf8").matchAll(/^\s*"([a-z0-9-]+)" =>/gm)].map((match) => match[1] ?? "");
    expect(reasons.length).toBeGreaterThan(10);
    const all = [...reasons, "answered", "revoked", "bypass-began", "bypass-ended"];
    expect(all.filter((reason) => reasonWords(reason) === reason.replaceAll("-", " "))).toEqual([]);
    expect(reasonWords("some-later-one")).toBe("some later one");
  });
});
