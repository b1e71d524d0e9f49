import { homedir } from "node:os";
import { beforeEach, describe, expect, it } from "vitest";
import { keyFault } from "../src/commands/credentials";
import { LoginTerminal } from "../src/login";
import { methods, type CredentialsStatus } from "../src/generated/protocol";
import { inFolder, run } from "./commandHarness";
import { fake, workspace } from "./fake/vscode";
import {
  login,
  mode,
  openWindow,
  Refusal,
  rpcError,
  sandbox,
  signedOut,
  source,
  type Answers,
  type Window,
} from "./harness";

const here = sandbox();
const target = { sandbox: here.id };
const canary = "sk-ant-api03-canary";
const means = "Both sides renew it.";

function well(status: CredentialsStatus = login({ sandbox: here.id })): Answers {
  const ends = { ends: status };
  return {
    [methods.credentialsStatusOf]: status,
    [methods.setCredential]: ends,
    [methods.signOut]: ends,
    [methods.setCredentialMode]: ends,
    [methods.resolveCredentials]: ends,
  };
}

const asked = ({ server }: Window, method: string): Record<string, unknown>[] =>
  server.asked.filter((call) => call.method === method).map(({ params }) => params);

const everythingShown = (): string =>
  JSON.stringify([fake.messages, fake.words, fake.picks, fake.progress, [...fake.channels.values()]]);

beforeEach(() => {
  fake.reset();
});

describe("the terminal to sign in", () => {
  it("is one only, in no folder", () => {
    const terminal = new LoginTerminal(() => undefined);
    terminal.open("/opt/boxwood/bin/boxwood", "editor");
    terminal.open("/opt/boxwood/bin/boxwood", "editor");
    expect(fake.terminals).toHaveLength(1);
    expect(fake.terminals[0]?.shown).toBe(2);
    expect(fake.terminals[0]?.creationOptions).toMatchObject({
      name: "Sign in to Claude",
      shellPath: "/opt/boxwood/bin/boxwood",
      shellArgs: ["login"],
      cwd: homedir(),
    });
    terminal.dispose();
  });

  it("is known again after the window was reloaded, and tells how it ended", () => {
    new LoginTerminal(() => undefined).open("/opt/boxwood/bin/boxwood", "editor");
    const ends: (number | undefined)[] = [];
    const again = new LoginTerminal((code) => ends.push(code));
    again.open("/opt/boxwood/bin/boxwood", "editor");
    const [terminal] = fake.terminals;
    if (!terminal) throw new Error("no terminal was made");
    fake.closeTerminal(terminal, 3);
    again.open("/opt/boxwood/bin/boxwood", "panel");
    fake.terminals[0]?.dispose();
    expect(ends).toEqual([3, undefined]);
    again.dispose();
  });
});

describe("Sign in to Claude without a server", () => {
  it("says what is wrong", async () => {
    const window = await openWindow();
    const missing = rpcError({ code: "daemon.unavailable", message: "there is no program" });
    window.app.server.start = () => Promise.resolve({ kind: "error", error: missing });
    expect(await run(window, "boxwood.signIn")).toMatchObject({ kind: "error" });
    expect(fake.messages[0]?.message).toBe("There is no program.");
    expect(fake.terminals).toEqual([]);
  });
});

describe("Set API Key", () => {
  it("sends what is typed and shows it nowhere", async () => {
    const window = await inFolder(well(login({ warnings: ["no keyring answers; a file takes its place"] })));
    fake.choose.push(` ${canary} `);
    await run(window, "boxwood.setApiKey");
    expect(asked(window, methods.setCredential)).toEqual([{ kind: "apiKey", value: canary }]);
    expect(fake.inputs).toMatchObject([{ title: "Set API Key", password: true }]);
    expect(fake.words).toEqual(["$(check) API key kept"]);
    expect(fake.messages.map(({ message }) => message)).toEqual([
      "Boxwood: No keyring answers; a file takes its place.",
    ]);
    expect(everythingShown()).not.toContain(canary);
  });

  it.each(["", "  ", "two words", "line\nbreak", "bell\u0007", "schlüssel"])("takes no %j", async (text) => {
    expect(keyFault(text.trim())).toBeDefined();
    const window = await inFolder(well());
    fake.choose.push(text);
    expect(await run(window, "boxwood.setApiKey")).toEqual({ kind: "cancelled" });
    expect(asked(window, methods.setCredential)).toEqual([]);
  });

  it("says why it could not be kept, and not what", async () => {
    const refusal = new Refusal(rpcError({ code: "state.failed", message: "the keyring is locked" }));
    const window = await inFolder({ ...well(), [methods.setCredential]: { ends: refusal } });
    fake.choose.push(canary);
    await run(window, "boxwood.setApiKey");
    expect(fake.messages[0]?.message).toBe("The keyring is locked.");
    expect(everythingShown()).not.toContain(canary);
  });
});

describe("Sign Out", () => {
  const two = login({
    sources: [
      source({ source: "storedKey", title: "stored API key" }),
      source({ source: "hostLogin", title: "host login", usage: "byChoice" }),
    ],
  });

  it("asks once, about the only credential there is", async () => {
    const window = await inFolder(well());
    fake.press.add("Sign Out");
    await run(window, "boxwood.signOut");
    expect(fake.messages[0]).toMatchObject({ message: "Sign out of: login made with Boxwood?" });
    expect(fake.messages[0]?.detail).toContain("every sandbox that has it from here");
    expect(asked(window, methods.signOut)).toEqual([{ source: "loginHome" }]);
    expect(fake.words).toEqual(["$(check) Signed out"]);
  });

  it("offers those that have something, and says what becomes of the host's own", async () => {
    const window = await inFolder(well(two));
    fake.choose.push("host login");
    fake.press.add("Sign Out");
    await run(window, "boxwood.signOut");
    expect(fake.picks[0]?.items.map(({ label }) => label)).toEqual([
      "$(pass) stored API key",
      "$(circle-outline) host login",
    ]);
    expect(fake.messages[0]?.detail).toContain("stays signed in");
    expect(asked(window, methods.signOut)).toEqual([{ source: "hostLogin" }]);
  });

  it("does nothing when it is called off, or when there is nothing", async () => {
    const window = await inFolder(well());
    expect(await run(window, "boxwood.signOut")).toEqual({ kind: "cancelled" });
    const nobody = await inFolder(well(signedOut()));
    await run(nobody, "boxwood.signOut");
    expect(fake.messages.at(-1)?.message).toBe("There is no login and no key to sign out of.");
    expect([...asked(window, methods.signOut), ...asked(nobody, methods.signOut)]).toEqual([]);
  });
});

describe("Switch Credential Mode", () => {
  it("shows what each mode holds, and switches what needs no explanation at once", async () => {
    const window = await inFolder(well(), here);
    fake.choose.push("token");
    await run(window, "boxwood.switchCredentialMode");
    expect(fake.picks[0]).toMatchObject({ title: "Switch Credential Mode: 'shop'" });
    expect(fake.picks[0]?.items.map(({ detail }) => detail)).toEqual([
      "The sandbox holds a login of its own.",
      "The sandbox holds what requests need.",
      "The sandbox holds a copy of the login.",
    ]);
    expect(asked(window, methods.credentialsStatusOf)[0]).toEqual({ target });
    const wish = { target, source: "loginHome", mode: "token", consent: false };
    expect(asked(window, methods.setCredentialMode)).toEqual([wish]);
    expect(fake.words).toEqual(["$(check) Credential held as 'token'"]);
  });

  it("explains before it asks for consent, and takes no for an answer", async () => {
    const window = await inFolder(well(), here);
    fake.choose.push("sync", "sync");
    expect(await run(window, "boxwood.switchCredentialMode")).toEqual({ kind: "cancelled" });
    expect(fake.messages[0]).toMatchObject({ message: "Use 'sync' for 'shop'?", detail: means, buttons: ["Switch"] });
    expect(asked(window, methods.setCredentialMode)).toEqual([]);
    fake.press.add("Switch");
    await run(window, "boxwood.switchCredentialMode");
    expect(asked(window, methods.setCredentialMode)).toMatchObject([{ mode: "sync", consent: true }]);
  });

  it("says that a mode is not possible, and asks nothing of the server", async () => {
    const modes = [mode({ mode: "brokered", holds: "a placeholder", isAvailable: false })];
    const window = await inFolder(well(login({ modes })));
    fake.choose.push("brokered");
    await run(window, "boxwood.switchCredentialMode");
    expect(fake.messages[0]?.message).toContain("'brokered' is not possible for new sandboxes as it is.");
    expect(asked(window, methods.setCredentialMode)).toEqual([]);
  });

  it("to another source shows what the server asks consent for", async () => {
    const host = source({ source: "hostLogin", title: "login of this machine", usage: "byChoice" });
    const refusal = rpcError({ code: "credentials.consent", message: "it is for you to decide", hint: means });
    const window = await inFolder({
      ...well(login({ sources: [source(), host] })),
      [methods.setCredentialMode]: ({ consent }: { consent: boolean }) => {
        if (!consent) throw new Refusal(refusal);
        return { ends: login() };
      },
    });
    fake.choose.push("login of this machine", "token");
    fake.press.add("Switch");
    await run(window, "boxwood.switchCredentialMode");
    expect(fake.messages[0]).toMatchObject({ detail: `It is for you to decide. ${means}` });
    expect(asked(window, methods.setCredentialMode)).toEqual([
      { source: "hostLogin", mode: "token", consent: false },
      { source: "hostLogin", mode: "token", consent: true },
    ]);
  });

  it("offers to sign in when there is nothing to hold", async () => {
    const window = await inFolder(well(signedOut()));
    fake.press.add("Set API Key");
    await run(window, "boxwood.switchCredentialMode");
    expect(fake.messages[0]).toMatchObject({ buttons: ["Sign In", "Set API Key"] });
    expect(fake.executed.at(-1)).toMatchObject({ command: "boxwood.setApiKey" });
  });
});

describe("Show Credential Status", () => {
  it("lists how it is, what can be done, sources and modes", async () => {
    const window = await inFolder(well(), here);
    fake.choose.push("Switch Credential Mode");
    await run(window, "boxwood.showCredentialStatus");
    expect(fake.picks[0]?.title).toBe("Claude's login of 'shop': signed in; held as 'isolated'");
    expect(fake.picks[0]?.items.map(({ label }) => label)).toEqual([
      "$(pass) Signed in; held as 'isolated'.",
      "$(account) Sign in to Claude",
      "$(key) Set API Key",
      "$(shield) Switch Credential Mode",
      "$(sign-out) Sign Out",
      "sources",
      "$(pass) login made with Boxwood",
      "what a sandbox can hold",
      "$(pass) isolated",
      "$(circle-outline) token",
      "$(circle-outline) sync",
    ]);
    expect(fake.executed.at(-1)).toEqual({ command: "boxwood.switchCredentialMode", args: [{ sandboxId: here.id }] });
    expect(fake.channels.get("Boxwood Output")?.text).toContain("Claude's login, of sandbox shop-0a1b2c3d");
  });

  it("needs no folder and no engine, and shows everything as text", async () => {
    workspace.isTrusted = false;
    const window = await openWindow(well(signedOut()));
    window.server.emit({
      type: "engineChanged",
      engine: { isAvailable: false, endpoint: "unix:///nowhere", source: "default" },
    });
    fake.choose.push("There is no login");
    await run(window, "boxwood.showCredentialStatus");
    expect(asked(window, methods.credentialsStatusOf)[0]).toEqual({});
    expect(fake.picks[0]?.items[0]).toMatchObject({ detail: "$(arrow-right) Sign in with 'Sign in to Claude'." });
    expect(fake.channels.get("Boxwood Output")?.isShown).toBe(true);
  });

  it("shows an error as any command does", async () => {
    const window = await inFolder({
      [methods.credentialsStatusOf]: () => {
        throw new Refusal(rpcError({ message: "it cannot be told" }));
      },
    });
    await run(window, "boxwood.showCredentialStatus");
    expect(fake.messages[0]?.message).toBe("It cannot be told.");
  });
});

describe("two logins", () => {
  const conflict = login({ sandbox: here.id, health: "attention", isInConflict: true, detail: "both have one" });

  it.each([
    ["boxwood.keepHostLogin", "host", "$(check) This machine's login kept"],
    ["boxwood.keepSandboxLogin", "sandbox", "$(check) The sandbox's login kept"],
  ] as const)("%s", async (command, keep, word) => {
    const window = await inFolder(well(conflict), here);
    await run(window, command, { sandboxId: here.id });
    expect(asked(window, methods.resolveCredentials)).toEqual([{ target, keep }]);
    expect(fake.words).toEqual([word]);
  });

  it("are offered both in the status, and cannot be chosen from where there are none", async () => {
    const window = await inFolder(well(conflict), here);
    await run(window, "boxwood.showCredentialStatus");
    expect(fake.picks[0]?.items.map(({ label }) => label).slice(1, 3)).toEqual([
      "$(vm) Keep This Machine's Login",
      "$(vm-active) Keep the Sandbox's Login",
    ]);
    const none = await inFolder(well(), here);
    await run(none, "boxwood.keepHostLogin");
    expect(fake.messages.at(-1)?.message).toBe("There are no two logins to choose from.");
    expect(asked(none, methods.resolveCredentials)).toEqual([]);
  });
});
