import { beforeEach, describe, expect, it } from "vitest";
import { methods, type Event, type LoginAsk } from "../src/generated/protocol";
import { run } from "./commandHarness";
import { fake, workspace, type InputBox } from "./fake/vscode";
import {
  ended,
  login,
  openWindow,
  operation,
  Refusal,
  rpcError,
  settled,
  snapshot,
  type Answers,
  type Window,
} from "./harness";

const url = "https://claude.com/cai/oauth/authorize?code=true&state=the-state";
const asksForCode: LoginAsk[] = [{ type: "url", url }, { type: "wantsCode" }];
const canary = "canary-code#the-state";

const asksOf = (asks: LoginAsk[]): Partial<Event>[] => asks.map((ask) => ({ type: "loginAsks", ask }));

/** A server whose sign-ins ask this and go on until a test ends them. */
function signingIn(asks: LoginAsk[] = asksForCode): Answers {
  return { [methods.startLogin]: { ends: undefined, before: asksOf(asks) } };
}

const asks = ({ server }: Window, ask: LoginAsk, operationId = "op1"): Promise<void> => {
  server.emit({ type: "loginAsks", operationId, ask });
  return settled();
};

const ends = ({ server }: Window, end: Parameters<typeof ended>[0], operationId = "op1"): Promise<void> => {
  server.emit({ type: "operationEnded", end: ended({ kind: "login", operationId, ...end }) });
  return settled();
};

const refused = (code: "login.exists" | "login.running", message: string): Refusal =>
  new Refusal(rpcError({ code, message, actions: [], causes: [] }));

const told = (): string[] => fake.messages.map(({ message }) => message);
const reported = (): (string | undefined)[] => fake.progress.at(-1)?.reports.map(({ message }) => message) ?? [];

function box(): InputBox {
  const shown = fake.boxes.filter(({ isShown }) => isShown);
  const [only] = shown;
  if (!only || shown.length > 1) throw new Error(`${shown.length} boxes are shown`);
  return only;
}

/** The command runs until the sign-in ends, so it is not awaited here. */
async function begin(
  answers: Answers = signingIn(),
  kind = "Claude Subscription",
): Promise<Window & { over: Promise<unknown> }> {
  const window = await openWindow(answers);
  fake.choose.push(kind);
  const over = run(window, "boxwood.signIn");
  await settled();
  return { ...window, over };
}

beforeEach(() => {
  fake.reset();
  fake.holdsBoxes = true;
});

describe("Sign in to Claude", () => {
  it("opens the browser, takes the code in a box that hides it, and says who signed in", async () => {
    workspace.isTrusted = false;
    const window = await begin();
    expect(fake.picks[0]?.items.map(({ label }) => label)).toEqual([
      "$(account) Claude Subscription",
      "$(key) Anthropic Console",
      "$(calendar) Setup Token",
    ]);
    expect(window.server.paramsOf(methods.startLogin)).toEqual({ kind: "login", replace: false });
    expect(fake.browsed).toEqual([url]);
    expect(box()).toMatchObject({ title: "Sign in to Claude", password: true, ignoreFocusOut: true });
    box().type(` ${canary}\n`);
    await settled();
    expect(window.server.paramsOf(methods.loginCode)).toEqual({ operationId: "op1", code: canary });
    expect(box()).toMatchObject({ value: "", enabled: false });
    await ends(window, { result: login() });
    await window.over;
    expect(fake.boxes.filter(({ isShown }) => isShown)).toEqual([]);
    expect(told()).toEqual(["Signed in to Claude as ada@example.com (max)."]);
    expect(fake.terminals).toEqual([]);
    const shown = [fake.messages, fake.words, fake.picks, fake.progress, fake.boxes, [...fake.channels.values()]];
    expect(JSON.stringify(shown)).not.toContain("canary-code");
  });

  it.each([
    ["Anthropic Console", "console"],
    ["Setup Token", "setupToken"],
  ])("with %s", async (label, kind) => {
    const window = await begin(signingIn(), label);
    expect(window.server.paramsOf(methods.startLogin)).toEqual({ kind, replace: false });
  });

  it("does nothing when the way is not chosen", async () => {
    const window = await openWindow(signingIn());
    expect(await run(window, "boxwood.signIn")).toEqual({ kind: "cancelled" });
    expect(window.server.paramsOf(methods.startLogin)).toBeUndefined();
  });

  it("tells what is being done, and asks nothing before there is an address", async () => {
    const window = await begin(signingIn([]));
    const operationId = "op1";
    const progress = { step: "container", message: "starting Claude Code to sign in", done: 1, total: 2 };
    window.server.emit({ type: "operationProgress", operationId, ...progress });
    await settled();
    expect(reported()).toEqual(["starting Claude Code to sign in…"]);
    expect(fake.boxes).toEqual([]);
  });

  it("asks again for a code that is not of this sign-in, and for one where there is none", async () => {
    const window = await begin();
    box().type("somebody's#code");
    await settled();
    await asks(window, { type: "wrongCode", reason: "this code is of another sign-in" });
    expect(box()).toMatchObject({ validationMessage: "This code is of another sign-in.", enabled: true, value: "" });
    box().type("  ");
    expect(box().validationMessage).toContain("Paste the code");
    box().type(canary);
    await settled();
    expect(window.server.asked.filter(({ method }) => method === methods.loginCode)).toHaveLength(2);
  });

  it("copies the address, opens it again, and says so when no browser opens", async () => {
    fake.hasBrowser = false;
    await begin();
    expect(box().prompt).toMatch(/^The browser was not opened/);
    box().press("Copy the Address");
    await settled();
    expect(fake.clipboard).toBe(url);
    fake.hasBrowser = true;
    box().press("Open the Address Again");
    await settled();
    expect(fake.browsed).toEqual([url, url]);
    expect(box().prompt).toMatch(/^Sign in in the browser/);
  });

  it("keeps waiting when the box is put away, and brings it back", async () => {
    const window = await begin();
    box().putAway();
    expect(reported().at(-1)).toBe("waiting for the code from the browser. [Enter Code](command:boxwood.signIn)");
    expect(window.server.paramsOf(methods.cancel)).toBeUndefined();
    await run(window, "boxwood.signIn");
    box().type(canary);
    await settled();
    expect(window.server.paramsOf(methods.loginCode)).toMatchObject({ code: canary });
    expect(window.server.asked.filter(({ method }) => method === methods.startLogin)).toHaveLength(1);
  });

  it("is cancelled from its notification, and says that nothing was changed", async () => {
    const window = await begin();
    fake.progress.at(-1)?.cancel();
    await settled();
    expect(window.server.paramsOf(methods.cancel)).toEqual({ operationId: "op1" });
    expect(fake.boxes.filter(({ isShown }) => isShown)).toEqual([]);
    await ends(window, { outcome: "cancelled" });
    expect(await window.over).toEqual({ kind: "cancelled" });
    expect(fake.words).toEqual(["$(circle-slash) Not signed in; nothing was changed"]);
  });

  it.each([
    ["Use eve@example.com", true],
    ["Cancel", false],
  ])("asks whether another account is to take the place of the one before: %s", async (button, accept) => {
    const window = await begin();
    fake.press.add(button);
    await asks(window, { type: "otherAccount", before: "ada@example.com", now: "eve@example.com" });
    expect(fake.messages[0]?.message).toBe(
      "You signed in as eve@example.com. Put this login in the place of the one before?",
    );
    expect(fake.messages[0]?.detail).toContain("ada@example.com");
    expect(window.server.paramsOf(methods.acceptLogin)).toEqual({ operationId: "op1", accept });
  });

  it("asks before a login that is there is replaced", async () => {
    const exists = refused("login.exists", "'default' is signed in already as ada@example.com");
    const answer = ({ replace }: { replace: boolean }): unknown => {
      if (!replace) throw exists;
      return { ends: login() };
    };
    const window = await begin({ [methods.startLogin]: answer });
    expect(await window.over).toEqual({ kind: "cancelled" });
    fake.choose.push("Claude Subscription");
    fake.press.add("Sign In Again");
    await run(window, "boxwood.signIn");
    expect(window.server.paramsOf(methods.startLogin)).toEqual({ kind: "login", replace: true });
    expect(told().at(-1)).toMatch(/^Signed in to Claude/);
  });
});

describe("a sign-in that runs already", () => {
  const running = refused("login.running", "somebody is signing in to 'default' already");
  const answers: Answers = {
    [methods.startLogin]: () => {
      throw running;
    },
  };

  async function second(button: string, more: Answers = {}): Promise<Window & { over: Promise<unknown> }> {
    const window = await openWindow({ ...answers, ...more });
    window.server.emit({
      ...snapshot(),
      type: "snapshot",
      sandboxes: [],
      asks: {},
      engine: { isAvailable: true, endpoint: "unix:///run/engine.sock", source: "default" },
      operations: [operation({ operationId: "other", kind: "login" })],
      logins: { other: asksForCode },
    });
    fake.choose.push("Claude Subscription");
    fake.press.add(button);
    const over = run(window, "boxwood.signIn");
    await settled();
    return { ...window, over };
  }

  it("goes on here", async () => {
    const window = await second("Go On Here");
    expect(fake.messages[0]).toMatchObject({ buttons: ["Go On Here", "Cancel It"] });
    expect(fake.browsed).toEqual([url]);
    box().type(canary);
    await settled();
    expect(window.server.paramsOf(methods.loginCode)).toEqual({ operationId: "other", code: canary });
    await ends(window, { result: login() }, "other");
    await window.over;
    expect(told().at(-1)).toMatch(/^Signed in to Claude/);
  });

  it("is cancelled, and another one begins", async () => {
    let count = 0;
    const window = await second("Cancel It", {
      [methods.startLogin]: () => {
        count += 1;
        if (count === 1) throw running;
        return { ends: login() };
      },
      [methods.wait]: ended({ operationId: "other", kind: "login", outcome: "cancelled" }),
    });
    await window.over;
    expect(window.server.paramsOf(methods.cancel)).toEqual({ operationId: "other" });
    expect(told().at(-1)).toMatch(/^Signed in to Claude/);
  });

  it("of another window opens no browser and no box here", async () => {
    const window = await openWindow();
    await asks(window, { type: "url", url }, "other");
    await asks(window, { type: "wantsCode" }, "other");
    expect(fake.browsed).toEqual([]);
    expect(fake.boxes).toEqual([]);
  });
});

describe("a sign-in that fails", () => {
  const timedOut = rpcError({
    code: "login.timedOut",
    message: "nobody signed in in time",
    hint: "sign in again",
    actions: ["retry", "runDoctor"],
  });
  const failing: Answers = { [methods.startLogin]: { ends: new Refusal(timedOut) } };

  it("says why, and offers what can be done", async () => {
    const window = await begin(failing);
    await window.over;
    expect(fake.messages).toMatchObject([
      { message: "Nobody signed in in time. Sign in again.", buttons: ["Try Again", "In the Terminal", "Run Doctor"] },
    ]);
  });

  it("is tried again in the terminal", async () => {
    fake.press.add("In the Terminal");
    const window = await begin(failing);
    await window.over;
    expect(fake.terminals[0]?.creationOptions).toMatchObject({
      shellArgs: ["login"],
      shellPath: "/opt/boxwood/bin/boxwood",
    });
  });

  it("is tried again in the same way", async () => {
    fake.press.add("Try Again");
    const window = await begin(failing, "Setup Token");
    await window.over;
    await settled();
    const started = window.server.asked.filter(({ method }) => method === methods.startLogin);
    expect(started.map(({ params }) => params.kind)).toEqual(["setupToken", "setupToken"]);
  });

  it("for a reason of its own is told as any error", async () => {
    const window = await begin({
      [methods.startLogin]: {
        ends: new Refusal(rpcError({ code: "engine.unavailable", message: "no engine answers" })),
      },
    });
    await window.over;
    expect(fake.messages[0]).toMatchObject({ message: "No engine answers.", buttons: ["Retry"] });
  });
});
