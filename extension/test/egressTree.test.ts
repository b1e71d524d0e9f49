import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MarkdownString, ThemeIcon } from "vscode";
import { EgressTree } from "../src/egressTree";
import { type RuleHits, type SandboxInfo } from "../src/generated/protocol";
import type { EgressRow } from "../src/view/egressRows";
import { fake } from "./fake/vscode";
import { ask, decision, engine, guarded, openWindow, report, sandbox, type Window } from "./harness";

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

function hits(change: Partial<RuleHits> & { host: string }): RuleHits {
  const { host, ...rest } = change;
  return { layer: "session", hits: 0, rule: { host, action: "allow" }, ...rest };
}

/** The list as it is drawn, with everything unfolded. */
function drawn(tree: EgressTree, row?: EgressRow, depth = 0): string[] {
  return tree.getChildren(row).flatMap((child) => {
    const item = tree.getTreeItem(child);
    const text = [item.label as string, item.description as string].filter(Boolean).join(" | ");
    return [`${"  ".repeat(depth)}${text}`, ...drawn(tree, child, depth + 1)];
  });
}

function rowOf(tree: EgressTree, label: string, row?: EgressRow): EgressRow | undefined {
  for (const child of tree.getChildren(row)) {
    if (tree.getTreeItem(child).label === label) return child;
    const found = rowOf(tree, label, child);
    if (found) return found;
  }
  return undefined;
}

function known(tree: EgressTree, label: string): EgressRow {
  const row = rowOf(tree, label);
  if (!row) throw new Error(`there is no row '${label}'`);
  return row;
}

async function opened(...sandboxes: SandboxInfo[]): Promise<Window & { tree: EgressTree }> {
  const window = await openWindow({}, ...(sandboxes.length > 0 ? sandboxes : [here]));
  return { ...window, tree: new EgressTree(window.app) };
}

function contextOf(name: string): unknown {
  return fake.executed.findLast(({ command, args }) => command === "setContext" && args[0] === name)?.args[1];
}

describe("the egress view", () => {
  it("says of each part that there is nothing yet", async () => {
    const { app, tree } = await opened();
    app.store.dispatch({ type: "egressReport", sandboxId, report: report() });
    expect(drawn(tree)).toEqual([
      "Waiting | nothing",
      "Recent | nothing yet",
      "Rules | default: ask",
      "  Everything else | you are asked",
    ]);
    expect(contextOf("boxwood.egress")).toBe("policy");
  });

  it("has what waits, what was decided and the rules by layer", async () => {
    const { app, server, tree } = await opened();
    const at = (hours: number): number => new Date(2026, 0, 2, hours, 4, 5).getTime();
    server.emit({ type: "egressAsking", sandboxId, ask: ask({ host: "new.example", port: 8443, waiting: 2 }) });
    for (const made of [
      decision({ atMs: at(9), count: 3 }),
      decision({ atMs: at(10), host: "ok.example", action: "allow", layer: "preset" }),
      decision({ atMs: at(11), count: 2 }),
      decision({ atMs: at(11), host: "away.example", action: "allow", reason: "unreachable" }),
      decision({ atMs: at(12), host: "10.0.0.1", port: 80, reason: "private-address" }),
      decision({ atMs: at(13), host: "name.example", port: 0, via: "dns" }),
    ]) {
      server.emit({ type: "egressDecided", sandboxId, decision: made });
    }
    const rules: RuleHits[] = [
      hits({ host: "a.example", hits: 2 }),
      hits({ host: "b.example", layer: "remembered", rule: { host: "b.example", ports: [22, 443], action: "deny" } }),
      hits({ host: "*.npm.example", layer: "preset", preset: "npm", hits: 1 }),
      hits({ host: "crates.example", layer: "preset", preset: "crates" }),
    ];
    app.store.dispatch({
      type: "egressReport",
      sandboxId,
      report: report({ rules, allowed: 1, blocked: 8, default: "deny" }),
    });
    expect(drawn(tree)).toEqual([
      "Waiting | 2 connections",
      "  new.example:8443 | 2 connections waiting",
      "Recent | 1 allowed, 8 blocked",
      "  name.example | lookup blocked · 13:04:05",
      "  10.0.0.1:80 | blocked · a private address, and no rule allows that · 12:04:05",
      "  away.example:443 | nobody answers there · 11:04:05",
      "  example.com:443 | blocked · ×5 · 11:04:05",
      "  ok.example:443 | 10:04:05",
      "Rules | default: deny",
      "  This session | 1 rule · 2 hits",
      "    a.example | allow · 2 hits",
      "  This project, remembered | 1 rule",
      "    b.example:22,443 | deny",
      "  Preset npm | 1 rule · 1 hit",
      "    *.npm.example | allow · 1 hit",
      "  Preset crates | 1 rule",
      "    crates.example | allow",
      "  Everything else | blocked",
    ]);
    const icon = tree.getTreeItem(known(tree, "example.com:443")).iconPath as ThemeIcon;
    expect([icon.id, icon.color?.id]).toEqual(["error", "list.errorForeground"]);
  });

  it("gives menus the row's host and kind", async () => {
    const { app, server, tree } = await opened();
    server.emit({ type: "egressAsking", sandboxId, ask: ask({ host: "new.example" }) });
    server.emit({ type: "egressDecided", sandboxId, decision: decision({ host: "fd00::1" }) });
    const rules = [
      hits({ host: "kept.example", rule: { host: "kept.example", ports: [22], action: "deny" } }),
      hits({ host: "user.example", layer: "user" }),
    ];
    app.store.dispatch({ type: "egressReport", sandboxId, report: report({ rules }) });
    const of = (label: string): unknown[] => {
      const row = known(tree, label);
      return [row.sandboxId, row.host, tree.getTreeItem(row).contextValue];
    };
    expect(of("new.example:443")).toEqual([sandboxId, "new.example:443", "egress.ask"]);
    expect(of("[fd00::1]:443")).toEqual([sandboxId, "[fd00::1]:443", "egress.blocked"]);
    expect(of("kept.example:22")).toEqual([sandboxId, "kept.example:22", "egress.rule.kept"]);
    expect(of("user.example")).toEqual([sandboxId, "user.example", "egress.rule.fixed"]);
  });

  it.each([
    [undefined, "egress.blocked"],
    ["timeout", "egress.blocked"],
    ["given-up", "egress.blocked"],
    ["answered", "egress.blocked"],
    ["private-address", "egress.refused"],
    ["never-allowed", "egress.refused"],
    ["name-mismatch", "egress.refused"],
    ["encrypted-hello", "egress.refused"],
    ["some-later-one", "egress.refused"],
  ])("offers to allow what allowing would have let through, refused for %s: %s", async (reason, context) => {
    const { server, tree } = await opened();
    server.emit({
      type: "egressDecided",
      sandboxId,
      decision: decision({ host: "169.254.169.254", port: 80, ...(reason === undefined ? {} : { reason }) }),
    });
    expect(tree.getTreeItem(known(tree, "169.254.169.254:80")).contextValue).toBe(context);
  });

  it("has one row for a decision that is told again with what its connection moved", async () => {
    const { server, tree } = await opened();
    const allowed = decision({ action: "allow", layer: "preset" });
    server.emit({ type: "egressDecided", sandboxId, decision: allowed });
    server.emit({ type: "egressDecided", sandboxId, decision: { ...allowed, bytesUp: 2048, bytesDown: 10 } });
    expect(drawn(tree).filter((line) => line.includes("example.com"))).toHaveLength(1);
    const row = known(tree, "example.com:443");
    const { value } = tree.resolveTreeItem(tree.getTreeItem(row), row).tooltip as MarkdownString;
    expect(value).toContain("| Sent, received | 2\\.0 KiB, 10 B |");
    expect(value).not.toContain("Times");
    const lines = fake.channels.get("Boxwood Egress")?.text.split("\n").filter(Boolean);
    expect(lines).toHaveLength(1);
  });

  it("tells the whole of a decision when looked at, and gives foreign text no meaning", async () => {
    const { server, tree } = await opened();
    const made = decision({
      rule: "*.example.com:443",
      layer: "userDeny",
      request: "GET /[x](command:evil)",
      bytesUp: 2048,
      count: 4,
    });
    server.emit({ type: "egressDecided", sandboxId, decision: made });
    const row = known(tree, "example.com:443");
    const { value, isTrusted } = tree.resolveTreeItem(tree.getTreeItem(row), row).tooltip as MarkdownString;
    expect(value).toContain("| By | \\*\\.example\\.com\\:443, Denied in your file |");
    expect(value).toContain("| Request | GET /\\[x\\]\\(command\\:evil\\) |");
    expect(value).toContain("| Times | 4 |");
    expect(value).toContain("| Sent, received | 2\\.0 KiB, 0 B |");
    expect(isTrusted).not.toBe(true);
  });

  it("begins with the alarm and the bypass", async () => {
    const { tree } = await opened(
      guarded({ enforcement: "off", alarm: "it can reach 1.1.1.1", bypassUntilMs: Date.now() + 540_000 }),
    );
    expect(drawn(tree).slice(0, 2)).toEqual([
      "Policy not enforced | It can reach 1.1.1.1.",
      "Policy bypassed | 9 min left",
    ]);
    const note = {
      host: "*",
      port: 0,
      via: "address",
      layer: "bypass",
      reason: "bypass-began",
      action: "allow",
    } as const;
    const { server, tree: other } = await opened();
    server.emit({ type: "egressDecided", sandboxId, decision: decision(note) });
    expect(drawn(other).some((line) => line.includes("Policy bypass | began"))).toBe(true);
  });

  it("has a row for each sandbox when there are several", async () => {
    const { tree } = await opened(
      here,
      guarded({ id: "shop-2", session: "review" }),
      guarded({ id: "x", project: "/else" }),
    );
    expect(drawn(tree).filter((line) => !line.startsWith(" "))).toEqual([
      "shop | /home/ada/shop",
      "shop (review) | /home/ada/shop",
    ]);
  });

  it("is empty, and says which kind of empty, without a policy or an engine", async () => {
    const { server, tree } = await opened(sandbox());
    expect([drawn(tree), contextOf("boxwood.egress")]).toEqual([[], "open"]);
    server.emit({ type: "sandboxChanged", sandbox: sandbox({ state: "stopped" }) });
    expect(contextOf("boxwood.egress")).toBe("none");
    server.emit({ type: "sandboxChanged", sandbox: sandbox({ network: "none" }) });
    expect([drawn(tree), contextOf("boxwood.egress")]).toEqual([[], "closed"]);
    server.emit({ type: "sandboxChanged", sandbox: here });
    expect(drawn(tree)).not.toEqual([]);
    server.emit({ type: "engineChanged", engine: { ...engine, isAvailable: false } });
    expect(drawn(tree)).toEqual([]);
  });

  it("wears the number of connections that wait", async () => {
    const { server } = await opened();
    const badge = (): unknown => fake.views.get("boxwood.egress")?.badge;
    server.emit({ type: "egressAsking", sandboxId, ask: ask({ waiting: 2 }) });
    expect(badge()).toEqual({ value: 2, tooltip: "2 connections waiting for an answer" });
    server.emit({ type: "egressAsked", sandboxId, askId: "ask1" });
    expect(badge()).toBeUndefined();
  });

  it("is drawn once for a flood of decisions, and not for what changes nothing", async () => {
    const { server, tree } = await opened();
    await vi.advanceTimersByTimeAsync(1_000);
    let count = 0;
    tree.onDidChangeTreeData(() => (count += 1));
    for (let round = 0; round < 50; round += 1) server.emit({ type: "egressDecided", sandboxId, decision: decision() });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(count).toBe(1);
    server.emit({ type: "sandboxChanged", sandbox: here });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(count).toBe(1);
    tree.dispose();
  });
});

describe("a change of the list", () => {
  it("draws only what it is about, so that the rest can be clicked", async () => {
    const { app, server, tree } = await opened();
    const rules = [hits({ host: "a.example" }), hits({ host: "b.example", layer: "preset", preset: "npm" })];
    const reported = (change: Partial<RuleHits>): void => {
      const changed = rules.map((rule) => (rule.layer === "preset" ? { ...rule, ...change } : rule));
      app.store.dispatch({ type: "egressReport", sandboxId, report: report({ rules: changed, blocked: 1 }) });
    };
    await vi.advanceTimersByTimeAsync(1_000);
    reported({});
    server.emit({ type: "egressDecided", sandboxId, decision: decision() });
    await vi.advanceTimersByTimeAsync(1_000);
    const fired: (EgressRow[] | undefined)[] = [];
    tree.onDidChangeTreeData((rows) => fired.push(rows));
    reported({ hits: 5 });
    await vi.advanceTimersByTimeAsync(1_000);
    server.emit({ type: "egressDecided", sandboxId, decision: decision({ host: "other.example" }) });
    await vi.advanceTimersByTimeAsync(1_000);
    server.emit({ type: "egressAsking", sandboxId, ask: ask() });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(fired).toEqual([
      [{ kind: "layer", sandboxId, layer: "preset", preset: "npm" }],
      [{ kind: "section", sandboxId, section: "recent" }],
      undefined,
    ]);
    expect(fired[0]?.[0]).toBe(known(tree, "Preset npm"));
    tree.dispose();
  });
});
