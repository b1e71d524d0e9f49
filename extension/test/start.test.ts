import { beforeEach, describe, expect, it, vi } from "vitest";
import { methods, type Event } from "../src/generated/protocol";
import { ensured, inFolder, project, run, well } from "./commandHarness";
import { fake, workspace } from "./fake/vscode";
import { ended, openWindow, Refusal, rpcError, sandbox } from "./harness";

beforeEach(() => {
  fake.reset();
  for (const name of ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL"]) {
    vi.stubEnv(name, undefined);
  }
});

describe("Start Claude Sandbox", () => {
  it("ensures the sandbox and opens Claude's terminal", async () => {
    const opened = await inFolder();
    expect(await run(opened, "boxwood.start")).toMatchObject({ kind: "ok" });
    expect(opened.server.paramsOf(methods.ensure)).toEqual({ project });
    expect(fake.progress[0]?.title).toBe("Starting the Claude sandbox of 'shop'");
    expect(fake.terminals[0]?.creationOptions).toMatchObject({
      name: "Claude · shop",
      shellPath: "/opt/boxwood/bin/boxwood",
      shellArgs: ["attach", "--project", project],
    });
  });

  it("uses the terminal that is there", async () => {
    const opened = await inFolder();
    await run(opened, "boxwood.start");
    await run(opened, "boxwood.start");
    expect(fake.terminals.map(({ shown }) => shown)).toEqual([2]);
  });

  it("without a folder offers to open one", async () => {
    const opened = await openWindow(well);
    fake.press.add("Open Folder");
    expect(await run(opened, "boxwood.start")).toEqual({ kind: "cancelled" });
    expect(fake.executed).toEqual([{ command: "vscode.openFolder", args: [] }]);
  });

  it("in an untrusted workspace explains, and offers to manage trust", async () => {
    const opened = await inFolder();
    workspace.isTrusted = false;
    fake.press.add("Manage Workspace Trust");
    expect(await run(opened, "boxwood.start")).toEqual({ kind: "cancelled" });
    expect(fake.messages[0]?.message).toContain("needs a trusted workspace");
    expect(fake.executed).toEqual([{ command: "workbench.trust.manage", args: [] }]);
    expect(opened.server.paramsOf(methods.ensure)).toBeUndefined();
  });

  it("among several folders asks which, with the state of each", async () => {
    fake.folders("/home/ada/blog", project);
    const opened = await openWindow(well, sandbox({ state: "stopped" }));
    fake.choose.push("shop");
    await run(opened, "boxwood.start");
    expect(fake.picks[0]?.items.map(({ label, description }) => [label, description])).toEqual([
      ["$(folder) blog", "no sandbox"],
      ["$(vm-outline) shop", "stopped"],
    ]);
    expect(opened.server.paramsOf(methods.ensure)).toEqual({ project });
  });

  it("of a row starts the session of that row", async () => {
    const other = sandbox({ id: "b", project: "/home/ada/blog", session: "review", state: "stopped" });
    const opened = await inFolder({}, other);
    await run(opened, "boxwood.start", { sandboxId: "b" });
    expect(opened.server.paramsOf(methods.ensure)).toEqual({ project: "/home/ada/blog", session: "review" });
  });

  it("without an engine shows message, hint and buttons, and retries on demand", async () => {
    const error = rpcError({
      code: "engine.unavailable",
      message: "no container engine answers",
      hint: "start Docker",
      actions: ["retry", "runDoctor"],
    });
    const opened = await inFolder();
    const answers = [{ ends: new Refusal(error) }, { ends: ensured }];
    opened.server.answers[methods.ensure] = () => answers.shift();
    fake.press.add("Retry");
    expect(await run(opened, "boxwood.start")).toMatchObject({ kind: "error" });
    expect(fake.messages[0]).toEqual({
      kind: "error",
      message: "No container engine answers. Start Docker.",
      buttons: ["Retry", "Run Doctor"],
    });
    await vi.waitFor(() => {
      expect(fake.terminals).toHaveLength(1);
    });
  });

  it("tries again once the configuration is approved", async () => {
    const report = {
      effective: {},
      sources: {},
      projectFile: "/f",
      contentHash: "0f",
      widens: ["x"],
      isApproved: false,
    };
    const opened = await inFolder({ [methods.getConfig]: { ...report, project }, [methods.approveConfig]: report });
    const approval = new Refusal(rpcError({ code: "config.approvalRequired" }));
    const answers = [{ ends: approval }, { ends: ensured }];
    opened.server.answers[methods.ensure] = () => answers.shift();
    fake.press.add("Approve");
    await run(opened, "boxwood.start");
    await vi.waitFor(() => {
      expect(fake.terminals).toHaveLength(1);
    });
    expect(opened.server.paramsOf(methods.approveConfig)).toEqual({ project, contentHash: "0f" });
  });

  it("can be cancelled, and then opens nothing", async () => {
    const opened = await inFolder({ [methods.ensure]: { ends: undefined } });
    opened.server.answers[methods.cancel] = ({ operationId }: { operationId: string }) => {
      opened.server.emit({ type: "operationEnded", end: ended({ operationId, outcome: "cancelled" }) });
      return { wasRunning: true };
    };
    fake.onProgress = (cancel) => {
      cancel();
    };
    expect(await run(opened, "boxwood.start")).toEqual({ kind: "cancelled" });
    expect(fake.terminals).toEqual([]);
    expect(fake.messages).toEqual([]);
  });

  it("shows steps in the notification and the build in the output", async () => {
    const step = (done: number, percent?: number): Partial<Event> => ({
      type: "operationProgress",
      step: "image",
      message: `builds ${done}`,
      done,
      total: 4,
      ...(percent === undefined ? {} : { percent }),
    });
    const before: Partial<Event>[] = [
      step(0),
      step(1, 50),
      { type: "operationOutput", stream: "log", text: "Step 1/3" },
      step(0),
      step(4),
    ];
    const opened = await inFolder({ [methods.ensure]: { ends: ensured, before } });
    await run(opened, "boxwood.start");
    expect(fake.progress[0]?.reports).toEqual([
      { message: "Builds 0", increment: 0 },
      { message: "Builds 1", increment: 37.5 },
      { message: "Builds 0", increment: 0 },
      { message: "Builds 4", increment: 62.5 },
    ]);
    expect(fake.channels.get("Boxwood Output")?.text).toBe("Step 1/3\n");
  });

  it("passes on settings and credentials, and writes neither down", async () => {
    vi.stubEnv("ANTHROPIC_API_KEY", "sk-secret-1");
    vi.stubEnv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1");
    fake.settings.set("boxwood.memory", { globalValue: "4g" });
    const opened = await inFolder();
    await run(opened, "boxwood.start");
    expect(opened.server.paramsOf(methods.ensure)).toEqual({
      project,
      config: { memory: "4g" },
      environment: { ANTHROPIC_API_KEY: "sk-secret-1", ANTHROPIC_BASE_URL: "http://127.0.0.1:1" },
    });
    const written = JSON.stringify([[...fake.channels.values()], fake.messages, fake.terminals, fake.progress]);
    expect(written).not.toContain("sk-secret-1");
  });

  it("leaves out what the folder's own settings say, and says so once", async () => {
    fake.settings.set("boxwood.hostLogin", { workspaceValue: true });
    const opened = await inFolder();
    await run(opened, "boxwood.start");
    await run(opened, "boxwood.start");
    expect(opened.server.paramsOf(methods.ensure)).toEqual({ project });
    expect(fake.messages.map(({ message }) => message)).toEqual([expect.stringMatching(/^boxwood\.hostLogin: /)]);
  });

  it("says what the server warns of", async () => {
    const opened = await inFolder({
      [methods.ensure]: { ends: { ...ensured, warnings: ["the disk is nearly full"] } },
    });
    await run(opened, "boxwood.start");
    expect(fake.messages).toEqual([{ kind: "warning", message: "Boxwood: the disk is nearly full", buttons: [] }]);
  });
});
