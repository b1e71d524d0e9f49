import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AlarmMessages } from "../src/alarm";
import { AskMessages } from "../src/asks";
import { methods, type SandboxInfo } from "../src/generated/protocol";
import { fake } from "./fake/vscode";
import {
  ask,
  guarded,
  openWindow,
  operation,
  Refusal,
  report,
  rpcError,
  sandbox,
  snapshot,
  type Answers,
  type Window,
} from "./harness";

const here = guarded();
const sandboxId = here.id;
const wants = (host: string, left = "60 s"): string => `'shop' waits to reach ${host} (up to ${left}). Allow it?`;
const buttons = ["Allow Once", "Session", "Project", "Deny", "Never"];

beforeEach(() => {
  fake.reset();
  fake.folders("/home/ada/shop");
  fake.holdsMessages = true;
  vi.useFakeTimers();
});

const parts: { dispose(): void }[] = [];

afterEach(() => {
  for (const part of parts.splice(0)) part.dispose();
  vi.useRealTimers();
});

async function opened(answers: Answers = {}, ...sandboxes: SandboxInfo[]): Promise<Window> {
  const shown = sandboxes.length > 0 ? sandboxes : [here];
  const window = await openWindow({ [methods.egressDecide]: report(), ...answers }, ...shown);
  parts.push(new AskMessages(window.app), new AlarmMessages(window.app));
  return window;
}

const asks = ({ server }: Window, ...hosts: string[]): void => {
  for (const host of hosts) server.emit({ type: "egressAsking", sandboxId, ask: ask({ id: host, host }) });
};

const over = ({ server }: Window, ...ids: string[]): void => {
  for (const askId of ids) server.emit({ type: "egressAsked", sandboxId, askId });
};

const after = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const told = (): string[] => fake.messages.map(({ message }) => message);

describe("a connection that waits", () => {
  it("is told once, with everything that can be answered", async () => {
    const window = await opened();
    asks(window, "example.com");
    await after(1_000);
    asks(window, "example.com");
    await after(60_000);
    expect(fake.messages).toEqual([{ kind: "warning", message: wants("example.com:443"), buttons }]);
  });

  it.each([
    ["Allow Once", "example.com:443", "allowOnce"],
    ["Session", "example.com", "allowSession"],
    ["Project", "example.com", "allowProject"],
    ["Deny", "example.com:443", "deny"],
    ["Never", "example.com", "denyAlways"],
  ])("is answered with %s for %s", async (button, host, answer) => {
    const window = await opened();
    asks(window, "example.com");
    await after(1_000);
    fake.answerMessage(button);
    await after(0);
    expect(window.server.paramsOf(methods.egressDecide)).toEqual({ target: { sandbox: sandboxId }, host, answer });
  });

  it("on another port is allowed for that port only, also beside one of the web", async () => {
    const window = await opened();
    window.server.emit({ type: "egressAsking", sandboxId, ask: ask({ id: "a", port: 22 }) });
    await after(1_000);
    window.server.emit({ type: "egressAsking", sandboxId, ask: ask({ id: "b", port: 443 }) });
    fake.answerMessage("Session");
    await after(0);
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({ host: "example.com:22" });
    await after(20_000);
    fake.answerMessage("Session");
    await after(0);
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({ host: "example.com:443" });
  });

  it("is told again after an answer for once, when it asks again", async () => {
    const window = await opened();
    asks(window, "example.com");
    await after(1_000);
    fake.answerMessage("Allow Once");
    over(window, "example.com");
    await after(0);
    asks(window, "example.com");
    await after(1_000);
    expect(told()).toHaveLength(2);
  });

  it("that was waved away is left alone for a while", async () => {
    const window = await opened();
    asks(window, "example.com");
    await after(1_000);
    fake.answerMessage();
    await after(1_000);
    over(window, "example.com");
    await after(200_000);
    asks(window, "example.com");
    await after(1_000);
    expect(told()).toHaveLength(1);
    await after(600_000);
    asks(window, "example.com", "other.example");
    await after(1_000);
    expect(told()).toHaveLength(2);
  });

  it("together with others is one message that leads to the list", async () => {
    const window = await opened();
    asks(window, "a.example", "b.example", "c.example", "d.example");
    await after(1_000);
    expect(fake.messages).toEqual([
      {
        kind: "warning",
        message: "4 connections of 'shop' wait for your answer: a.example:443, b.example:443 and 2 more",
        buttons: ["Show"],
      },
    ]);
    fake.answerMessage("Show");
    await after(0);
    expect(fake.executed.some(({ command }) => command === "boxwood.showEgress")).toBe(true);
  });

  it("comes some seconds after one that stands there unanswered, and at once after an answered one", async () => {
    const window = await opened();
    asks(window, "a.example");
    await after(1_000);
    asks(window, "b.example");
    await after(5_000);
    expect(told()).toHaveLength(1);
    await after(5_000);
    expect(told()).toEqual([wants("a.example:443"), wants("b.example:443", "51 s")]);
    asks(window, "c.example");
    await after(1_000);
    fake.answerMessage("Deny");
    fake.answerMessage("Deny");
    over(window, "a.example", "b.example");
    await after(1_000);
    expect(told()).toHaveLength(2);
    await after(10_000);
    expect(told()[2]).toBe(wants("c.example:443", "51 s"));
  });

  it("is not held back by a message whose question is over", async () => {
    const window = await opened();
    asks(window, "a.example");
    await after(1_000);
    over(window, "a.example");
    asks(window, "b.example");
    await after(1_000);
    expect(told()).toHaveLength(2);
  });

  it("answered too late can be allowed for longer", async () => {
    const nothing = new Refusal(rpcError({ code: "egress.nothing", message: "no connection to example.com waits" }));
    const window = await opened({
      [methods.egressDecide]: ({ answer }: { answer: string }) => {
        if (answer === "allowOnce") throw nothing;
        return report();
      },
    });
    asks(window, "example.com");
    await after(1_000);
    over(window, "example.com");
    fake.press.add("Allow for Session");
    fake.answerMessage("Allow Once");
    await after(100);
    expect(told()[1]).toMatch(/example\.com:443 no longer waits/);
    expect(window.server.paramsOf(methods.egressDecide)).toMatchObject({ answer: "allowSession" });
    expect(fake.words).toEqual(["$(check) example.com:443 allowed until the sandbox stops"]);
  });

  it("whose answer fails says why", async () => {
    const window = await opened({
      [methods.egressDecide]: () => {
        throw new Refusal(rpcError({ code: "egress.gateway", message: "the gateway does not answer" }));
      },
    });
    asks(window, "example.com");
    await after(1_000);
    fake.answerMessage("Allow Once");
    await after(100);
    expect(told()[1]).toBe("The gateway does not answer.");
  });

  it("of another window's sandbox, or when only counts are wanted, is no message", async () => {
    const window = await opened({}, here, guarded({ id: "x", project: "/else" }));
    window.server.emit({ type: "egressAsking", sandboxId: "x", ask: ask() });
    await after(1_000);
    fake.settings.set("boxwood.editor.egressNotifications", { globalValue: "badge" });
    asks(window, "example.com");
    await after(1_000);
    expect(told()).toEqual([]);
  });

  it("is told after a reconnection, from the snapshot, and not twice", async () => {
    const window = await opened();
    const again = { ...snapshot(here), asks: { [sandboxId]: [ask()] } } as ReturnType<typeof snapshot>;
    window.server.emit(again);
    await after(1_000);
    window.app.store.dispatch({ type: "server", phase: "running" });
    window.server.emit(again);
    await after(1_000);
    expect(told()).toEqual([wants("example.com:443")]);
  });
});

describe("an alarm", () => {
  const alarmed = sandbox({ alarm: "it can reach what it must not: 1.1.1.1" });
  const changed = ({ server }: Window, to: SandboxInfo): void => {
    server.emit({ type: "sandboxChanged", sandbox: to });
  };

  it("that lasts is told once, with what can be done", async () => {
    const window = await opened();
    changed(window, alarmed);
    await after(10_000);
    changed(window, { ...alarmed, blocked: 4 });
    await after(10_000);
    expect(fake.messages).toEqual([
      {
        kind: "error",
        message: "The network policy of 'shop' is not enforced. It can reach what it must not: 1.1.1.1.",
        buttons: ["Stop Sandbox", "Restart Sandbox", "Show Egress"],
      },
    ]);
    fake.answerMessage("Stop Sandbox");
    await after(0);
    expect(fake.executed.at(-1)).toMatchObject({ command: "boxwood.stop", args: [{ sandboxId }] });
  });

  it("that is over at once, or comes with a change, is none", async () => {
    const window = await opened();
    changed(window, alarmed);
    await after(1_000);
    changed(window, here);
    await after(10_000);
    window.server.emit({ type: "operationStarted", operation: operation({ kind: "restart", sandboxId }) });
    changed(window, alarmed);
    await after(10_000);
    expect(told()).toEqual([]);
  });

  it("that comes again is told again, as a warning when nothing is open", async () => {
    const window = await opened();
    changed(window, alarmed);
    await after(10_000);
    changed(window, here);
    changed(window, guarded({ alarm: "its gateway is gone" }));
    await after(10_000);
    expect(fake.messages[1]).toMatchObject({ kind: "warning", buttons: ["Restart Sandbox", "Show Egress"] });
  });
});
