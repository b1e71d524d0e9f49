import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { untilNextDay } from "../src/credentials";
import { LoginMessages } from "../src/loginMessages";
import { methods, type CredentialsStatus, type SandboxInfo } from "../src/generated/protocol";
import { StatusBar } from "../src/statusBar";
import { fake } from "./fake/vscode";
import { login, openWindow, Refusal, rpcError, sandbox, signedOut, snapshot, type Window } from "./harness";

const here = sandbox();
const DAY = 86_400_000;
const now = Date.UTC(2026, 0, 5, 12);

beforeEach(() => {
  fake.reset();
  fake.holdsMessages = true;
  vi.useFakeTimers({ now });
});

const parts: { dispose(): void }[] = [];

afterEach(() => {
  for (const part of parts.splice(0)) part.dispose();
  vi.useRealTimers();
});

class Memory {
  readonly kept = new Map<string, unknown>();
  get = (key: string): unknown => this.kept.get(key);
  update = (key: string, value: unknown): Promise<void> => {
    this.kept.set(key, value);
    return Promise.resolve();
  };
}

let answer: CredentialsStatus;

async function opened(first: CredentialsStatus, memory = new Memory(), ...sandboxes: SandboxInfo[]): Promise<Window> {
  answer = first;
  const window = await openWindow({ [methods.credentialsStatusOf]: () => answer }, ...sandboxes);
  parts.push(window.app.credentials, new StatusBar(window.app), new LoginMessages(window.app, memory));
  await after(200);
  return window;
}

const after = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const told = (): string[] => fake.messages.map(({ message }) => message);
const item = () => fake.statusItems.find(({ id }) => id === "boxwood.login");
const asked = ({ server }: Window): unknown[] =>
  server.asked.filter(({ method }) => method === methods.credentialsStatusOf).map(({ params }) => params);

async function changed({ server }: Window, to: CredentialsStatus, sandboxId?: string): Promise<void> {
  answer = to;
  server.emit({ type: "credentialsChanged", ...(sandboxId === undefined ? {} : { sandboxId }) });
  await after(200);
}

describe("the login's status", () => {
  it("is asked for after a start, and then only when something changed", async () => {
    fake.folders("/home/ada/shop");
    const window = await opened(login({ sandbox: here.id }), new Memory(), here);
    await after(30 * DAY);
    expect(asked(window)).toEqual([{ target: { sandbox: here.id } }]);
    await changed(window, login());
    await changed(window, login(), here.id);
    expect(asked(window)).toHaveLength(3);
    await changed(window, login(), "another-sandbox");
    expect(asked(window)).toHaveLength(3);
    window.server.emit({ type: "sandboxRemoved", id: here.id });
    await after(200);
    // The server knows sandboxes only; a project without one has the login of new ones.
    expect(asked(window).at(-1)).toEqual({});
  });

  it("is that of new sandboxes in a window without a folder", async () => {
    const window = await opened(login());
    expect(asked(window)).toEqual([{}]);
    expect(window.app.store.model.credentials).toEqual(login());
  });

  it("is asked for again by a new connection, and one that cannot be had is not shown", async () => {
    const window = await opened(login());
    window.app.store.dispatch({ type: "server", phase: "running" });
    window.server.answers[methods.credentialsStatusOf] = () => {
      throw new Refusal(rpcError());
    };
    window.server.emit(snapshot());
    await after(200);
    expect(asked(window)).toHaveLength(2);
    expect(window.app.store.model.credentials).toBeUndefined();
    expect(told()).toEqual([]);
  });

  it("that comes late does not take the place of a later one", async () => {
    const window = await opened(login());
    const answers: ((status: CredentialsStatus) => void)[] = [];
    window.server.answers[methods.credentialsStatusOf] = () =>
      new Promise<CredentialsStatus>((resolve) => answers.push(resolve));
    const both = [window.app.credentials.refresh(), window.app.credentials.refresh()];
    await after(10);
    answers[1]?.(login({ detail: "later" }));
    answers[0]?.(login({ detail: "earlier" }));
    await Promise.all(both);
    expect(window.app.store.model.credentials?.detail).toBe("later");
  });

  it("is asked for when another day of the last seven begins, and not in between", async () => {
    const expiresAtMs = now + 8.5 * DAY;
    const window = await opened(login({ expiresAtMs }));
    await after(1.4 * DAY);
    expect(asked(window)).toHaveLength(1);
    await after(0.2 * DAY);
    expect(asked(window)).toHaveLength(2);
    await after(DAY);
    expect(asked(window)).toHaveLength(3);
    expect([0, 1, 8 * DAY].map((left) => untilNextDay(login({ expiresAtMs: now + left }), now))).toEqual([
      undefined,
      1,
      DAY,
    ]);
    expect(untilNextDay(login(), now)).toBeUndefined();
  });
});

describe("the login's own item", () => {
  it("is there as long as something is wrong, and opens the menu", async () => {
    const window = await opened(signedOut());
    expect(item()).toMatchObject({ text: "$(account) Claude: sign in", isShown: true, command: "boxwood.showMenu" });
    await changed(window, login());
    expect(item()?.isShown).toBe(false);
    await changed(window, login({ health: "expired" }));
    expect(item()).toMatchObject({ isShown: true, backgroundColor: { id: "statusBarItem.errorBackground" } });
    window.app.store.dispatch({ type: "server", phase: "failed" });
    expect(item()?.isShown).toBe(false);
  });
});

describe("a login that ends soon", () => {
  const soon = login({ health: "expiring", daysLeft: 6, detail: "the login ends in 6 days" });

  it("is told once a day at most, by all windows together", async () => {
    const memory = new Memory();
    const window = await opened(soon, memory);
    expect(fake.messages).toEqual([
      {
        kind: "warning",
        message: "Claude's login (ada@example.com (max)) ends in 6 days.",
        buttons: ["Sign In", "Show Status"],
      },
    ]);
    await changed(window, login());
    await changed(window, soon);
    await opened(soon, memory);
    expect(told()).toHaveLength(1);
    await after(DAY);
    await changed(window, login({ health: "expiring", daysLeft: 5 }));
    expect(told()).toHaveLength(2);
  });

  it.each([
    ["Sign In", "boxwood.signIn"],
    ["Show Status", "boxwood.showCredentialStatus"],
  ])("offers %s", async (button, command) => {
    await opened(soon);
    fake.answerMessage(button);
    await after(0);
    expect(fake.executed.at(-1)).toMatchObject({ command });
  });

  it("or has ended is told, while one that works, or was never there, is not", async () => {
    const window = await opened(signedOut());
    await changed(window, login({ daysLeft: 20 }));
    expect(told()).toEqual([]);
    await changed(window, login({ health: "expired", detail: "the login was refused" }));
    expect(told()).toEqual(["Claude's login (ada@example.com (max)): The login was refused."]);
  });
});

describe("two logins", () => {
  const conflict = login({ sandbox: here.id, health: "attention", isInConflict: true, detail: "both are full" });

  it("are told once, with a button for each side, and again when it happens again", async () => {
    fake.folders("/home/ada/shop");
    const window = await opened(conflict, new Memory(), here);
    await changed(window, { ...conflict, warnings: ["x"] });
    expect(fake.messages).toEqual([
      {
        kind: "warning",
        message:
          "This machine and 'shop' have different logins of Claude. Both are full. Keep one; the other one stays as a backup.",
        buttons: ["Keep This Machine's", "Keep the Sandbox's", "Show Status"],
      },
    ]);
    fake.answerMessage("Keep the Sandbox's");
    await after(0);
    expect(fake.executed.at(-1)).toEqual({ command: "boxwood.keepSandboxLogin", args: [{ sandboxId: here.id }] });
    await changed(window, login());
    await changed(window, conflict);
    expect(told()).toHaveLength(2);
    fake.answerMessage("Keep This Machine's");
    await after(0);
    expect(fake.executed.at(-1)).toMatchObject({ command: "boxwood.keepHostLogin" });
  });
});
