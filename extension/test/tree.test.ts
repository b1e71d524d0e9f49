import { beforeEach, describe, expect, it } from "vitest";
import type { MarkdownString, ThemeIcon } from "vscode";
import { SandboxTree } from "../src/tree";
import { StatusBar } from "../src/statusBar";
import { subscribeMethod } from "../src/generated/protocol";
import { fake, window as fakeWindow } from "./fake/vscode";
import { engine, openWindow, operation, sandbox, settled, snapshot } from "./harness";

const here = sandbox();
const elsewhere = sandbox({ id: "blog-1", project: "/home/ada/blog", state: "failed", detail: "exit 1" });

beforeEach(() => {
  fake.reset();
  fake.folders("/home/ada/shop");
});

function contexts(): Record<string, unknown> {
  return Object.fromEntries<unknown>(
    fake.executed.filter(({ command }) => command === "setContext").map(({ args }) => [String(args[0]), args[1]]),
  );
}

describe("the view of all sandboxes", () => {
  it("has this window's first, each with its state", async () => {
    const { app } = await openWindow({}, sandbox({ state: "stopped" }), sandbox({ ...elsewhere, state: "running" }));
    const tree = new SandboxTree(app);
    const rows = tree.getChildren().map((row) => tree.getTreeItem(row));
    expect(rows.map(({ label, description, contextValue }) => [label, description, contextValue])).toEqual([
      ["shop", "stopped · /home/ada/shop", "sandbox.stopped"],
      ["blog", "healthy · /home/ada/blog", "sandbox.running"],
    ]);
  });

  it("shows what is being done", async () => {
    const { app, server } = await openWindow({}, here);
    const tree = new SandboxTree(app);
    server.emit({ type: "operationStarted", operation: operation({ kind: "stop", sandboxId: here.id }) });
    const item = tree.getTreeItem({ sandboxId: here.id });
    expect([item.description, (item.iconPath as ThemeIcon).id]).toEqual(["stop · /home/ada/shop", "loading~spin"]);
  });

  it("is drawn again only when something in it differs", async () => {
    const { app, server } = await openWindow({}, here);
    const tree = new SandboxTree(app);
    let drawn = 0;
    tree.onDidChangeTreeData(() => (drawn += 1));
    const sample = {
      cpuPercent: 1,
      memoryBytes: 1,
      memoryLimitBytes: 2,
      pids: 1,
      networkRxBytes: 0,
      networkTxBytes: 0,
    };
    server.emit({ type: "stats", sandboxId: here.id, sample });
    server.emit({ type: "sandboxChanged", sandbox: here });
    expect(drawn).toBe(0);
    server.emit({ type: "sandboxChanged", sandbox: sandbox({ health: "unhealthy" }) });
    expect(drawn).toBe(1);
  });

  it("tells the details when looked at", async () => {
    const { app } = await openWindow({}, elsewhere);
    const tree = new SandboxTree(app);
    const row = { sandboxId: elsewhere.id };
    const { tooltip } = tree.resolveTreeItem(tree.getTreeItem(row), row);
    expect((tooltip as MarkdownString).value).toContain("Exit 1");
  });

  it("is empty, and says why, without server or engine", async () => {
    const { app, server } = await openWindow({}, here);
    const tree = new SandboxTree(app);
    expect(contexts()).toEqual({ "boxwood.server": "running", "boxwood.engine": "available" });
    server.emit({ type: "engineChanged", engine: { ...engine, isAvailable: false } });
    expect(tree.getChildren()).toEqual([]);
    expect(contexts()).toMatchObject({ "boxwood.engine": "unavailable" });
    app.store.dispatch({ type: "server", phase: "failed" });
    expect(contexts()).toEqual({ "boxwood.server": "failed", "boxwood.engine": "unknown" });
  });
});

describe("the status bar item", () => {
  it("follows the window's sandbox", async () => {
    const { app, server } = await openWindow();
    const bar = new StatusBar(app);
    const [item] = fake.statusItems;
    expect([item?.id, item?.text, item?.command]).toEqual([
      "boxwood.status",
      "$(vm-outline) Start Claude Sandbox",
      "boxwood.showMenu",
    ]);
    server.emit({ type: "sandboxChanged", sandbox: here });
    expect(item?.text).toBe("$(vm-running) Claude: healthy · open");
    server.emit({ type: "sandboxChanged", sandbox: sandbox({ health: "unhealthy" }) });
    expect(item?.backgroundColor?.id).toBe("statusBarItem.warningBackground");
    expect(item?.tooltip?.isTrusted).toBe(false);
    bar.dispose();
  });

  it("wants the figures of what it shows, while someone looks", async () => {
    const { app, server } = await openWindow({}, here);
    const wishes = (): unknown[] =>
      server.asked.filter(({ method }) => method === subscribeMethod).map(({ params }) => params.stats);
    const bar = new StatusBar(app);
    fakeWindow.state.focused = false;
    server.emit(snapshot(here));
    fakeWindow.state.focused = true;
    server.emit(snapshot(here));
    server.emit({ type: "sandboxChanged", sandbox: sandbox({ state: "stopped" }) });
    await settled();
    expect(wishes()).toEqual([[here.id], [], [here.id], []]);
    bar.dispose();
  });
});
