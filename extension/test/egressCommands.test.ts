import { beforeEach, describe, expect, it } from "vitest";
import { isHostLike } from "../src/commands/egress";
import { methods, type RuleHits } from "../src/generated/protocol";
import { inFolder, run } from "./commandHarness";
import { fake } from "./fake/vscode";
import { ask, decision, guarded, Refusal, report, rpcError, sandbox } from "./harness";

const here = guarded();
const sandboxId = here.id;
const target = { sandbox: sandboxId };
const well = {
  [methods.egressDecide]: report({ blocked: 1 }),
  [methods.egressForget]: report({ blocked: 2 }),
  [methods.egressBypass]: report({ blocked: 3 }),
  [methods.egressTest]: { action: "ask", layer: "default", explanation: "held until you answer: no rule names it" },
};

beforeEach(() => {
  fake.reset();
});

describe("a row's answer", () => {
  it("is about what waits", async () => {
    const window = await inFolder(well, here);
    window.server.emit({ type: "egressAsking", sandboxId, ask: ask() });
    await run(window, "boxwood.answerAllowSession", { sandboxId, host: "example.com:443" });
    expect(window.server.paramsOf(methods.egressDecide)).toEqual({
      target,
      host: "example.com",
      answer: "allowSession",
    });
    expect(window.app.store.model.egress.get(sandboxId)?.report?.blocked).toBe(1);
  });

  it("is about what was blocked, as it was written", async () => {
    const window = await inFolder(well, here);
    await run(window, "boxwood.answerAllowProject", { sandboxId, host: "example.com:8443" });
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({
      host: "example.com:8443",
      answer: "allowProject",
    });
  });
});

describe("Allow Host", () => {
  it("offers what waits and what was blocked, then for how long", async () => {
    const window = await inFolder(well, here);
    window.server.emit({ type: "egressAsking", sandboxId, ask: ask({ host: "waits.example" }) });
    window.server.emit({ type: "egressDecided", sandboxId, decision: decision({ host: "blocked.example" }) });
    window.server.emit({
      type: "egressDecided",
      sandboxId,
      decision: decision({ host: "fine.example", action: "allow" }),
    });
    window.server.emit({
      type: "egressDecided",
      sandboxId,
      decision: decision({ host: "10.0.0.1", reason: "private-address" }),
    });
    fake.choose.push("blocked.example", "This Project");
    await run(window, "boxwood.allowHost");
    expect(fake.picks[0]?.items.map(({ label }) => label)).toEqual([
      "blocked.example:443",
      "waits.example:443",
      "$(edit) Another Host…",
    ]);
    expect(window.server.paramsOf(methods.egressDecide)).toEqual({
      target,
      host: "blocked.example:443",
      answer: "allowProject",
    });
  });

  it("takes a host that is typed", async () => {
    const window = await inFolder(well, here);
    fake.choose.push(" *.example.com ", "This Session");
    await run(window, "boxwood.allowHost");
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({
      host: "*.example.com",
      answer: "allowSession",
    });
  });

  it("does nothing when it is called off, or no sandbox has a policy", async () => {
    const window = await inFolder(well, here);
    fake.choose.push("example.com", undefined);
    expect(await run(window, "boxwood.allowHost")).toEqual({ kind: "cancelled" });
    const open = await inFolder(well, sandbox());
    expect(await run(open, "boxwood.allowHost")).toEqual({ kind: "cancelled" });
    expect(fake.messages.at(-1)?.message).toBe("No sandbox with a network policy is running.");
    expect([window, open].map(({ server }) => server.paramsOf(methods.egressDecide))).toEqual([undefined, undefined]);
  });

  it("shows what the server says against it", async () => {
    const refusal = new Refusal(rpcError({ code: "rpc.invalidParams", message: "'a..b' is not a host", actions: [] }));
    const window = await inFolder(
      {
        ...well,
        [methods.egressDecide]: () => {
          throw refusal;
        },
      },
      here,
    );
    fake.choose.push("a..b", "This Session");
    await run(window, "boxwood.allowHost");
    expect(fake.messages[0]?.message).toBe("'a..b' is not a host.");
  });
});

describe("Deny Host", () => {
  it.each([
    ["Now", "deny"],
    ["This Project", "denyAlways"],
  ])("%s", async (extent, answer) => {
    const window = await inFolder(well, here);
    fake.choose.push("example.com", extent);
    await run(window, "boxwood.denyHost");
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({ host: "example.com", answer });
  });
});

describe("Forget Decision", () => {
  const rules: RuleHits[] = [
    { layer: "session", hits: 0, rule: { host: "a.example", ports: [22], action: "allow" } },
    { layer: "user", hits: 0, rule: { host: "b.example", action: "allow" } },
  ];

  it("takes a row's decision back", async () => {
    const window = await inFolder(well, here);
    await run(window, "boxwood.forgetHost", { sandboxId, host: "a.example:22" });
    expect(window.server.paramsOf(methods.egressForget)).toEqual({ target, host: "a.example:22" });
  });

  it("offers the person's own decisions, and all of them", async () => {
    const window = await inFolder({ ...well, [methods.egressPolicyOf]: report({ rules }) }, here);
    fake.choose.push("Everything");
    await run(window, "boxwood.forgetHost");
    expect(fake.picks[0]?.items.map(({ label }) => label)).toEqual(["a.example:22", "$(clear-all) Everything"]);
    expect(window.server.paramsOf(methods.egressForget)).toEqual({ target, host: "*" });
  });

  it("takes back the one that is chosen, and no other port of its host", async () => {
    const window = await inFolder({ ...well, [methods.egressPolicyOf]: report({ rules }) }, here);
    fake.choose.push("a.example:22");
    await run(window, "boxwood.forgetHost");
    expect(window.server.paramsOf(methods.egressForget)).toEqual({ target, host: "a.example:22" });
  });

  it("says when there is none", async () => {
    const window = await inFolder(well, here);
    await run(window, "boxwood.forgetHost");
    expect(fake.messages[0]?.message).toMatch(/Nothing was decided/);
  });
});

describe("Bypass Egress", () => {
  it("asks for how long, warns, and only then does it", async () => {
    const window = await inFolder(well, here);
    fake.choose.push("10 minutes");
    expect(await run(window, "boxwood.bypassEgress")).toEqual({ kind: "cancelled" });
    expect(fake.messages[0]).toMatchObject({ kind: "warning", buttons: ["Bypass"] });
    expect(fake.messages[0]?.detail).toMatch(/every public host, also what you deny/);
    expect(fake.messages[0]?.detail).toMatch(/Private addresses stay closed/);
    fake.choose.push("1 hour");
    fake.press.add("Bypass");
    await run(window, "boxwood.bypassEgress");
    expect(window.server.paramsOf(methods.egressBypass)).toEqual({ target, seconds: 3600 });
  });

  it("is ended where there is one", async () => {
    const window = await inFolder(well, guarded({ bypassUntilMs: Date.now() + 60_000 }));
    await run(window, "boxwood.endBypass");
    expect(window.server.paramsOf(methods.egressBypass)).toEqual({ target, seconds: 0 });
    const other = await inFolder(well, here);
    await run(other, "boxwood.endBypass");
    expect(fake.messages.at(-1)?.message).toBe("No sandbox's network policy is bypassed.");
  });
});

describe("Test Host", () => {
  it("tells what would become of it and offers to change that", async () => {
    const window = await inFolder(well, here);
    fake.choose.push("example.com:8443", "This Session");
    fake.press.add("Allow…");
    await run(window, "boxwood.testHost");
    expect(window.server.paramsOf(methods.egressTest)).toEqual({ target, host: "example.com:8443" });
    expect(fake.messages[0]).toMatchObject({
      kind: "warning",
      message: "example.com:8443 would be held until you answer: no rule names it",
    });
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({ host: "example.com:8443" });
  });
});

describe("Show Egress and its log", () => {
  it("open the view and the channel", async () => {
    const window = await inFolder(well, here);
    await run(window, "boxwood.showEgress");
    expect(fake.executed.at(-1)?.command).toBe("boxwood.egress.focus");
    await run(window, "boxwood.showEgressLog");
    expect(fake.channels.get("Boxwood Egress")?.isShown).toBe(true);
  });
});

describe("a host that is typed", () => {
  it.each(["example.com", "*.example.com", "a:22", "[fd00::1]:443", "10.0.0.0"])("may be %s", (text) => {
    if (!text.includes("/")) expect(isHostLike(text)).toBe(true);
  });

  it.each(["", "https://example.com", "a b", "user@host", "x?y"])("is not '%s'", (text) => {
    expect(isHostLike(text)).toBe(false);
  });
});
