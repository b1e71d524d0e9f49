import { beforeEach, describe, expect, it } from "vitest";
import { parseTarget } from "../src/choose";
import { runCommand } from "../src/commands";
import { methods } from "../src/generated/protocol";
import { inFolder, project, run, well } from "./commandHarness";
import { fake, Uri, window as fakeWindow, workspace } from "./fake/vscode";
import { openWindow, operation, sandbox, settled, type Window } from "./harness";

beforeEach(() => {
  fake.reset();
});

describe("a command on a sandbox", () => {
  const other = sandbox({ id: "other", project: "/home/ada/other" });

  it("takes the one of this window", async () => {
    const opened = await inFolder({}, sandbox(), other);
    await run(opened, "boxwood.stop");
    expect(opened.server.paramsOf(methods.stop)).toEqual({ sandbox: sandbox().id });
    expect(fake.picks).toEqual([]);
  });

  it("asks among several of this window", async () => {
    const opened = await inFolder({}, sandbox(), sandbox({ id: "b", session: "review" }));
    fake.choose.push("review");
    await run(opened, "boxwood.stop");
    expect(opened.server.paramsOf(methods.stop)).toEqual({ sandbox: "b" });
  });

  it("asks before it takes one of another project", async () => {
    const opened = await inFolder({}, other);
    fake.choose.push(undefined);
    expect(await run(opened, "boxwood.stop")).toEqual({ kind: "cancelled" });
    expect(fake.picks[0]?.items.map(({ detail }) => detail)).toEqual(["/home/ada/other"]);
    expect(opened.server.paramsOf(methods.stop)).toBeUndefined();
  });

  it("offers to start when there is none", async () => {
    const opened = await inFolder({}, sandbox({ state: "stopped" }));
    fake.press.add("Start Claude Sandbox");
    await run(opened, "boxwood.stop");
    expect(fake.messages[0]?.message).toBe("No sandbox is running.");
    expect(fake.executed.map(({ command }) => command)).toEqual(["boxwood.start"]);
  });

  it("offers to open a folder when none is open", async () => {
    const opened = await openWindow(well);
    await run(opened, "boxwood.attach");
    expect(fake.messages[0]?.buttons).toEqual(["Open Folder"]);
  });

  it("of a row that is gone says so", async () => {
    const opened = await inFolder();
    expect(await run(opened, "boxwood.stop", { sandboxId: "gone" })).toMatchObject({
      kind: "error",
      error: { code: "sandbox.notFound" },
    });
  });

  it.each(["boxwood.attach", "boxwood.openShell", "boxwood.restart", "boxwood.refresh"] as const)(
    "%s needs trust",
    async (id) => {
      const opened = await inFolder({}, sandbox());
      workspace.isTrusted = false;
      expect(await run(opened, id)).toEqual({ kind: "cancelled" });
      expect(fake.messages[0]?.buttons).toEqual(["Manage Workspace Trust"]);
    },
  );

  it.each(["boxwood.stop", "boxwood.showLogs"] as const)("%s needs none", async (id) => {
    const opened = await inFolder({}, sandbox());
    workspace.isTrusted = false;
    expect(await run(opened, id)).toMatchObject({ kind: "ok" });
  });
});

describe("Open Shell", () => {
  it("opens a terminal of its own, without a shell in between", async () => {
    const opened = await inFolder({}, sandbox({ session: "review" }));
    await run(opened, "boxwood.openShell");
    expect(fake.terminals[0]?.creationOptions).toMatchObject({
      name: "Shell · shop (review)",
      shellArgs: ["attach", "--project", project, "--session", "review", "--shell"],
    });
  });
});

describe("Restart and Refresh", () => {
  it.each(["boxwood.restart", "boxwood.refresh"] as const)("%s opens a terminal again that was open", async (id) => {
    const opened = await inFolder({}, sandbox());
    await run(opened, id);
    expect(fake.terminals).toEqual([]);
    await run(opened, "boxwood.attach");
    await run(opened, id);
    expect(fake.terminals[0]?.shown).toBe(2);
  });
});

describe("Remove", () => {
  it.each([
    ["Remove", false],
    ["Remove with Conversations", true],
  ])("asks, and %s purges: %s", async (button, purgeState) => {
    const opened = await inFolder({}, sandbox());
    fake.press.add(button);
    await run(opened, "boxwood.remove");
    expect(opened.server.paramsOf(methods.remove)).toEqual({ sandbox: sandbox().id, purgeState });
  });

  it("does nothing when dismissed", async () => {
    const opened = await inFolder({}, sandbox());
    expect(await run(opened, "boxwood.remove")).toEqual({ kind: "cancelled" });
    expect(opened.server.paramsOf(methods.remove)).toBeUndefined();
  });
});

describe("Show Logs", () => {
  it("shows what the main process wrote", async () => {
    const opened = await inFolder({}, sandbox());
    await run(opened, "boxwood.showLogs");
    expect(fake.channels.get("Boxwood Sandbox Log")).toEqual({
      text: "boxwood-shop-0a1b2c3d\n\none\ntwo\n",
      isShown: true,
    });
  });
});

describe("Clean Up", () => {
  const report = {
    isDryRun: true,
    containers: ["boxwood-a"],
    volumes: [],
    images: ["i:1", "i:2"],
    reclaimedBytes: 2048,
  };

  it("shows what would go before it goes", async () => {
    const opened = await inFolder({ [methods.prune]: { ends: report } });
    fake.choose.push("unused");
    fake.press.add("Remove");
    await run(opened, "boxwood.cleanUp");
    expect(fake.messages).toMatchObject([
      {
        message: "Remove 1 sandbox, 2 images (2.0 KiB)?",
        detail: "Sandbox boxwood-a\nImage i:1\nImage i:2",
      },
      { message: "Removed 1 sandbox, 2 images (2.0 KiB)." },
    ]);
    const dryRuns = opened.server.asked
      .filter(({ method }) => method === methods.prune)
      .map((ask) => ask.params.dryRun);
    expect(dryRuns).toEqual([true, false]);
  });

  it("lists networks, of which there is often none", async () => {
    const networks = ["boxwood-egress-a"];
    const opened = await inFolder({ [methods.prune]: { ends: { ...report, networks, images: [] } } });
    fake.choose.push("unused");
    await run(opened, "boxwood.cleanUp");
    expect(fake.messages).toMatchObject([
      { message: "Remove 1 sandbox, 1 network?", detail: "Sandbox boxwood-a\nNetwork boxwood-egress-a" },
    ]);
  });

  it("removes nothing when dismissed, and says when there is nothing", async () => {
    const empty = { ...report, containers: [], images: [] };
    const answers = [{ ends: report }, { ends: empty }];
    const opened = await inFolder({ [methods.cleanupAll]: () => answers.shift() });
    fake.choose.push("everything", "everything");
    expect(await run(opened, "boxwood.cleanUp")).toEqual({ kind: "cancelled" });
    await run(opened, "boxwood.cleanUp");
    expect(fake.messages.at(-1)?.message).toBe("Nothing to clean up.");
  });
});

describe("Doctor", () => {
  it("lists each finding with its next step", async () => {
    const checks = [
      { id: "engine", title: "Engine", status: "ok", detail: "Docker 28" },
      { id: "disk", title: "Disk", status: "failed", detail: "1 GB left", hint: "free some space" },
    ];
    const opened = await inFolder({ [methods.doctor]: { ends: { status: "failed", checks } } });
    fake.choose.push("Disk");
    await run(opened, "boxwood.doctor");
    expect(opened.server.paramsOf(methods.doctor)).toEqual({ project });
    expect(fake.picks[0]).toMatchObject({
      title: "Boxwood Doctor: 1 problem",
      items: [{ label: "$(pass) Engine" }, { label: "$(error) Disk", detail: "$(arrow-right) Free some space." }],
    });
    expect(fake.channels.get("Boxwood Output")).toMatchObject({ isShown: true });
    expect(fake.channels.get("Boxwood Output")?.text).toContain("FAILED   Disk: 1 GB left");
  });
});

describe("Show Menu", () => {
  it("runs what is chosen, on the sandbox of the window", async () => {
    const opened = await inFolder({}, sandbox());
    fake.choose.push("Stop");
    await run(opened, "boxwood.showMenu");
    expect(fake.executed).toEqual([{ command: "boxwood.stop", args: [{ sandboxId: sandbox().id, project }] }]);
  });
});

describe("a handler that throws", () => {
  it("is shown as a fault", async () => {
    const opened = await inFolder();
    const broken = () => Promise.reject(new Error("broken"));
    expect(await runCommand(opened.app, broken, {})).toMatchObject({ kind: "error", error: { code: "internal" } });
    await settled();
    expect(fake.messages[0]?.message).toBe("Broken.");
  });
});

describe("a target", () => {
  it.each([
    [undefined, {}],
    ["x", {}],
    [
      { sandboxId: "a", project: "/p", other: 1 },
      { sandboxId: "a", project: "/p" },
    ],
    [{ sandboxId: 7 }, {}],
  ])("is read from %j", (argument, target) => {
    expect(parseTarget(argument)).toEqual(target);
  });
});

describe("the project that is shown", () => {
  const blog = "/home/ada/blog";
  const inBlog = { id: "blog-1", project: blog };
  let opened: Window;
  const shown = (): string | undefined => opened.app.projects.shown(opened.app.store.model)?.path;
  const edit = (file: string): void => {
    fakeWindow.activeTextEditor = { document: { uri: Uri.file(file) } };
  };

  beforeEach(async () => {
    fake.folders(blog, project);
    opened = await openWindow(well);
  });

  it("is the first while there is no sandbox, or that of the active editor", () => {
    expect(shown()).toBe(blog);
    edit(`${project}/a.md`);
    expect(shown()).toBe(project);
  });

  it.each(["stopped", "failed", "running"] as const)("is the only one with a sandbox, be it %s", (state) => {
    opened.server.emit({ type: "sandboxChanged", sandbox: sandbox({ state }) });
    expect(shown()).toBe(project);
    edit(`${blog}/a.md`);
    expect(shown()).toBe(project);
  });

  it("is the one whose sandbox runs, before one whose sandbox is stopped", () => {
    opened.server.emit({ type: "sandboxChanged", sandbox: sandbox({ ...inBlog, state: "stopped" }) });
    opened.server.emit({ type: "sandboxChanged", sandbox: sandbox() });
    expect(shown()).toBe(project);
  });

  it("is the one whose sandbox is being started", () => {
    opened.server.emit({ type: "operationStarted", operation: operation({ kind: "ensure", project }) });
    expect(shown()).toBe(project);
  });

  it("of several that run is the active editor's, else the first", () => {
    opened.server.emit({ type: "sandboxChanged", sandbox: sandbox() });
    opened.server.emit({ type: "sandboxChanged", sandbox: sandbox(inBlog) });
    expect(shown()).toBe(blog);
    edit(`${project}/a.md`);
    expect(shown()).toBe(project);
  });
});
