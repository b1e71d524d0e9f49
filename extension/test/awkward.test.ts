// Every command a person finds in the palette, where it cannot do what it usually does: each still says something useful.
import { beforeEach, describe, expect, it } from "vitest";
import type { CommandId } from "../src/commands";
import { methods } from "../src/generated/protocol";
import { inFolder, project, run, well } from "./commandHarness";
import { fake, workspace } from "./fake/vscode";
import { openWindow, openWithoutServer, Refusal, rpcError, sandbox, type Answers, type Window } from "./harness";

const commands = [
  "boxwood.start",
  "boxwood.attach",
  "boxwood.stop",
  "boxwood.restart",
  "boxwood.refresh",
  "boxwood.remove",
  "boxwood.showLogs",
  "boxwood.openShell",
  "boxwood.doctor",
  "boxwood.restartServer",
  "boxwood.cleanUp",
] as const satisfies CommandId[];

type Expected = Record<(typeof commands)[number], RegExp>;

const report = { isDryRun: true, containers: ["boxwood-a"], volumes: [], images: [], reclaimedBytes: 0 };
const check = { id: "engine", title: "Engine", status: "ok", detail: "Docker 28" };
const usual: Answers = {
  ...well,
  [methods.doctor]: { ends: { status: "ok", checks: [check] } },
  [methods.prune]: { ends: report },
};

/** What these say wherever the server answers. */
const asEver = {
  "boxwood.doctor": /^pick Boxwood Doctor: /m,
  "boxwood.restartServer": /^word .*Boxwood server restarted/m,
  "boxwood.cleanUp": /^pick Clean Up: .*Remove what is unused/m,
};

/** Everything that a person sees of a command, a line each. */
function seen(): string {
  const lines = [
    ...fake.messages.map(({ message, buttons }) => `message ${message} [${buttons.join("] [")}]`),
    ...fake.picks.map(({ title, items }) => `pick ${title ?? ""}: ${items.map((item) => words(item)).join("; ")}`),
    ...fake.words.map((text) => `word ${text}`),
    ...fake.progress.map(({ title }) => `progress ${title}`),
    ...fake.terminals.map(({ creationOptions }) => `terminal ${String(creationOptions.name)}`),
    ...[...fake.channels].filter(([, { isShown }]) => isShown).map(([name, { text }]) => `channel ${name}: ${text}`),
  ];
  return lines.join("\n");
}

function words(item: { label: string; description?: string; detail?: string }): string {
  return [item.label, item.description, item.detail].filter(Boolean).join(" ");
}

/** A test of each command in a situation: what is seen fits, and the server is asked for nothing of what is forbidden. */
function each(open: () => Promise<Window>, expected: Expected, forbidden: readonly string[] = []): void {
  it.each(commands)("%s", async (id) => {
    const opened = await open();
    // Clean Up asks what is to go before anything else.
    if (id === "boxwood.cleanUp") fake.choose.push("unused");
    await run(opened, id);
    expect(seen()).toMatch(expected[id]);
    const asked = opened.server.asked.map(({ method }) => method);
    expect(asked.filter((method) => forbidden.includes(method))).toEqual([]);
  });
}

const changes = [methods.ensure, methods.stop, methods.restart, methods.refresh, methods.remove] as const;

beforeEach(() => {
  fake.reset();
});

describe("without a folder", () => {
  const running = /^message No sandbox is running\. \[Open Folder\]/m;
  const any = /^message There is no sandbox.* \[Open Folder\]/m;
  each(
    () => openWindow(usual),
    {
      ...asEver,
      "boxwood.start": /^message .*none is open in this window\. \[Open Folder\]/m,
      "boxwood.attach": running,
      "boxwood.openShell": running,
      "boxwood.stop": running,
      "boxwood.restart": any,
      "boxwood.refresh": any,
      "boxwood.remove": any,
      "boxwood.showLogs": any,
    },
    changes,
  );
});

describe("with several folders", () => {
  const other = "/home/ada/other";
  const asks = (title: string): RegExp =>
    new RegExp(`^pick ${title}: .*${project}.*${other}|^pick ${title}: .*${other}.*${project}`, "m");
  each(
    () => {
      fake.folders(project, other);
      return openWindow(usual, sandbox(), sandbox({ id: "other", project: other }));
    },
    {
      ...asEver,
      "boxwood.start": asks("Start Claude Sandbox"),
      "boxwood.attach": asks("Attach"),
      "boxwood.openShell": asks("Open Shell"),
      "boxwood.stop": asks("Stop"),
      "boxwood.restart": asks("Restart"),
      "boxwood.refresh": asks("Refresh"),
      "boxwood.remove": asks("Remove"),
      "boxwood.showLogs": asks("Show Logs"),
    },
    changes,
  );
});

describe("in an untrusted workspace", () => {
  const trust = /^message .* needs a trusted workspace: .*\[Manage Workspace Trust\]/m;
  each(
    async () => {
      const opened = await inFolder(usual, sandbox());
      workspace.isTrusted = false;
      return opened;
    },
    {
      ...asEver,
      "boxwood.start": trust,
      "boxwood.attach": trust,
      "boxwood.openShell": trust,
      "boxwood.restart": trust,
      "boxwood.refresh": trust,
      // These run nothing of the folder's.
      "boxwood.stop": /^progress Stopping /m,
      "boxwood.remove": /^message Remove .*\[Remove\]/m,
      "boxwood.showLogs": /^channel Boxwood Sandbox Log: .*shop/m,
    },
    [methods.ensure, methods.restart, methods.refresh, methods.remove],
  );
});

describe("without an engine", () => {
  const error = rpcError({
    code: "engine.unavailable",
    message: "no engine answers at unix:///nonexistent/docker.sock",
    hint: "start Docker",
    actions: ["retry", "runDoctor"],
  });
  const refuse = (): never => {
    throw new Refusal(error);
  };
  const failed = { ...check, status: "failed", hint: "start Docker" };
  const next = /^message No engine answers at .* Start Docker\. .*\[Run Doctor\]/m;
  each(
    () =>
      inFolder({
        ...usual,
        [methods.list]: refuse,
        // Another object each time: one that several waited for is told once.
        [methods.ensure]: { ends: new Refusal({ ...error }) },
        [methods.prune]: { ends: new Refusal({ ...error }) },
        [methods.doctor]: { ends: { status: "failed", checks: [failed] } },
      }),
    {
      ...asEver,
      "boxwood.start": next,
      "boxwood.attach": next,
      "boxwood.openShell": next,
      "boxwood.stop": next,
      "boxwood.restart": next,
      "boxwood.refresh": next,
      "boxwood.remove": next,
      "boxwood.showLogs": next,
      "boxwood.cleanUp": next,
      "boxwood.doctor": /^pick Boxwood Doctor: 1 problem: .*Start Docker/m,
    },
  );
});

describe("without a server", () => {
  const error = rpcError({
    code: "daemon.unavailable",
    message: "the Boxwood server could not be started",
    actions: ["restartServer", "showLogs"],
  });
  const next = /^message The Boxwood server could not be started\. \[Restart Server\] \[Show Logs\]/m;
  each(
    () => {
      fake.folders(project);
      // Another object each time, as above.
      return openWithoutServer({ ...error });
    },
    Object.fromEntries(commands.map((id) => [id, next])) as Expected,
    Object.values(methods),
  );
});
