import { beforeEach, describe, expect, it, vi } from "vitest";
import { buttonOf, errorText, perform, presentError } from "../src/errors";
import { methods, type Action } from "../src/generated/protocol";
import { fake } from "./fake/vscode";
import { openWindow, rpcError, sandbox, settled } from "./harness";

// A line per action; the compiler asks for the missing ones.
const effects: Record<Action, string> = {
  retry: "retried",
  runDoctor: "boxwood.doctor",
  showLogs: "Boxwood shown",
  openSettings: "workbench.action.openSettings",
  openConfig: "/home/ada/shop/.boxwood/sandbox.jsonc opened",
  approveConfig: "asked for approval",
  startSandbox: "boxwood.start",
  restartServer: "boxwood.restartServer",
  cleanUp: "boxwood.cleanUp",
};

const unapproved = {
  project: "/home/ada/shop",
  effective: {},
  sources: {},
  projectFile: "/home/ada/shop/.boxwood/sandbox.jsonc",
  contentHash: "0f",
  widens: ["mounts the engine's socket"],
  isApproved: false,
};

beforeEach(() => {
  fake.reset();
});

describe("a button", () => {
  it.each(Object.entries(effects))("for %s does what it says: %s", async (action, effect) => {
    const { app } = await openWindow({ [methods.getConfig]: unapproved });
    const retry = vi.fn(() => Promise.resolve());
    await perform(app, action as Action, rpcError(), { project: "/home/ada/shop", retry });
    const seen = [
      ...(retry.mock.calls.length > 0 ? ["retried"] : []),
      ...[...fake.channels].filter(([, { isShown }]) => isShown).map(([name]) => `${name} shown`),
      ...fake.opened.map((file) => `${file} opened`),
      ...fake.executed.map(({ command }) => command),
      ...fake.messages.filter(({ buttons }) => buttons.includes("Approve")).map(() => "asked for approval"),
    ];
    expect(seen).toEqual([effect]);
  });

  it("has a name of its own", () => {
    const names = (Object.keys(effects) as Action[]).map(buttonOf);
    expect(new Set(names).size).toBe(names.length);
  });

  it("shows the log of the sandbox when the sandbox is at fault", async () => {
    const { app } = await openWindow();
    const context = { sandboxId: "shop", retry: () => Promise.resolve() };
    await perform(app, "showLogs", rpcError({ code: "sandbox.unhealthy" }), context);
    expect(fake.executed).toEqual([{ command: "boxwood.showLogs", args: [{ sandboxId: "shop" }] }]);
  });

  it("shows the build when the image is at fault", async () => {
    const { app } = await openWindow();
    await perform(app, "showLogs", rpcError({ code: "image.failed" }), { retry: () => Promise.resolve() });
    expect(fake.channels.get("Boxwood Output")?.isShown).toBe(true);
  });
});

describe("an error", () => {
  it("is shown with message, causes, hint and buttons", async () => {
    const { app } = await openWindow();
    const error = rpcError({
      code: "engine.unavailable",
      message: "no container engine answers",
      causes: ["connection refused"],
      hint: "start Docker",
      actions: ["retry", "runDoctor"],
    });
    fake.press.add("Run Doctor");
    await presentError(app, error, { retry: () => Promise.resolve() });
    expect(fake.messages).toEqual([
      {
        kind: "error",
        message: "No container engine answers: connection refused. Start Docker.",
        buttons: ["Retry", "Run Doctor"],
      },
    ]);
    expect(fake.executed).toEqual([{ command: "boxwood.doctor", args: [] }]);
  });

  it("that several waited for is shown once", async () => {
    const { app } = await openWindow();
    const context = { retry: () => Promise.resolve() };
    const error = rpcError();
    await Promise.all([presentError(app, error, context), presentError(app, error, context)]);
    await presentError(app, rpcError(), context);
    expect(fake.messages).toHaveLength(2);
  });

  it("from a newer server keeps the buttons that are known", async () => {
    const { app } = await openWindow();
    const error = rpcError({ actions: ["retry", "somethingNew" as Action] });
    await presentError(app, error, { retry: () => Promise.resolve() });
    expect(fake.messages[0]?.buttons).toEqual(["Retry"]);
  });

  it.each([
    ["with a sentence", rpcError({ message: "it failed.", hint: "look!" }), "It failed. Look!"],
    ["without a hint", rpcError({ message: "it failed" }), "It failed."],
  ])("%s reads well", (_, error, text) => {
    expect(errorText(error)).toBe(text);
  });
});

describe("a configuration that asks for more", () => {
  const approval = () => rpcError({ code: "config.approvalRequired", actions: ["approveConfig", "openConfig"] });
  const answers = { [methods.getConfig]: unapproved, [methods.approveConfig]: { ...unapproved, isApproved: true } };

  async function present(...press: string[]) {
    const { app, server } = await openWindow(answers, sandbox());
    for (const button of press) fake.press.add(button);
    const retry = vi.fn(() => Promise.resolve());
    await presentError(app, approval(), { project: "/home/ada/shop", retry });
    await settled();
    return { retry, server };
  }

  it("is shown with what it widens, approved by its hash, and tried again", async () => {
    const { retry, server } = await present("Approve");
    expect(fake.messages[0]).toMatchObject({
      buttons: ["Approve", "Open File"],
      detail: "• Mounts the engine's socket.",
    });
    expect(server.paramsOf(methods.approveConfig)).toEqual({ project: "/home/ada/shop", contentHash: "0f" });
    expect(retry).toHaveBeenCalledOnce();
  });

  it("can be read first, and is not approved by that", async () => {
    const { retry, server } = await present("Open File");
    expect(fake.opened).toEqual([unapproved.projectFile]);
    expect(fake.messages[1]?.buttons).toEqual(["Approve"]);
    expect(server.paramsOf(methods.approveConfig)).toBeUndefined();
    expect(retry).not.toHaveBeenCalled();
  });

  it("is left as it is when dismissed", async () => {
    const { retry } = await present();
    expect(retry).not.toHaveBeenCalled();
  });
});
