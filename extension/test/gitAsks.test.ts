import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GitAsks } from "../src/gitAsks";
import { methods, type GitAsk, type GitReport } from "../src/generated/protocol";
import { gitAskText } from "../src/view/git";
import { parseTarget } from "../src/choose";
import { inFolder, project, run } from "./commandHarness";
import { fake } from "./fake/vscode";
import { sandbox, snapshot, type Answers, type Window } from "./harness";

const here = sandbox();
const sandboxId = here.id;

function question(change: Partial<GitAsk> = {}): GitAsk {
  return { id: "ask1", host: "git.example", project, untilMs: Date.now() + 60_000, ...change };
}

function report(change: Partial<GitReport> = {}): GitReport {
  return { project, approvals: [], asks: [], ...change };
}

const parts: { dispose(): void }[] = [];

async function opened(answers: Answers = {}): Promise<Window> {
  const git: Answers = {
    [methods.gitApprovals]: report(),
    [methods.gitDecide]: report(),
    [methods.gitRevoke]: report(),
  };
  const window = await inFolder({ ...git, ...answers }, here);
  parts.push(new GitAsks(window.app));
  return window;
}

const standing = (): string[] => fake.progress.filter(({ isOver }) => !isOver).map(({ title }) => title);
const after = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** What the links of a question do: command and argument. */
const links = (text: string): [string, unknown][] =>
  [...text.matchAll(/\]\(command:([\w.]+)\?([^)\s]+)\)/g)].map(([, command = "", argument = ""]) => [
    command,
    (JSON.parse(decodeURIComponent(argument)) as unknown[])[0],
  ]);

beforeEach(() => {
  fake.reset();
  vi.useFakeTimers();
});

afterEach(() => {
  for (const part of parts.splice(0)) part.dispose();
  vi.useRealTimers();
});

describe("git that asks for a credential", () => {
  it("is told in a notification that stands until the question is over", async () => {
    const window = await opened();
    window.server.emit({ type: "gitAsking", sandboxId, ask: question() });
    window.server.emit({ type: "gitAsking", sandboxId, ask: question() });
    await after(30_000);
    expect(standing()).toEqual([gitAskText(question())]);
    window.server.emit({ type: "gitAsked", sandboxId, askId: "ask1" });
    await after(0);
    expect(standing()).toEqual([]);
  });

  it("goes with its time, and with the server", async () => {
    const window = await opened();
    window.server.emit({ type: "gitAsking", sandboxId, ask: question() });
    await after(60_000);
    expect(standing()).toEqual([]);
    window.server.emit({ type: "gitAsking", sandboxId, ask: question({ id: "ask2" }) });
    window.app.store.dispatch({ type: "server", phase: "connecting" });
    await after(0);
    expect(standing()).toEqual([]);
  });

  it("of another window's folder is not told here", async () => {
    const window = await opened();
    window.server.emit({ type: "gitAsking", sandboxId, ask: question({ project: "/home/ada/elsewhere" }) });
    expect(standing()).toEqual([]);
  });

  it("is told when the window opens, if it was asked before", async () => {
    const window = await opened({ [methods.gitApprovals]: report({ asks: [question()] }) });
    window.server.emit(snapshot(here));
    await after(1_000);
    expect(standing()).toEqual([gitAskText(question())]);
    expect(window.server.paramsOf(methods.gitApprovals)).toEqual({ project });
  });

  it("is asked for once, and again only for other folders", async () => {
    const window = await opened();
    const asked = (): number => window.server.asked.filter(({ method }) => method === methods.gitApprovals).length;
    window.server.emit(snapshot(here));
    await after(1_000);
    fake.folders(project);
    await window.app.projects.loaded();
    await after(1_000);
    expect(asked()).toBe(1);
    fake.folders(project, "/home/ada/garden");
    await window.app.projects.loaded();
    await after(1_000);
    expect(asked()).toBe(3);
  });

  it.each([
    ["boxwood.allowGitCredential", "allow", "$(check) Git credential of git.example allowed in 'shop'"],
    ["boxwood.denyGitCredential", "deny", "$(check) Git credential of git.example denied in 'shop'"],
  ] as const)("is answered by its link: %s", async (command, answer, word) => {
    const window = await opened();
    const link = links(gitAskText(question())).find(([name]) => name === command);
    await run(window, command, parseTarget(link?.[1]));
    expect(window.server.paramsOf(methods.gitDecide)).toEqual({ target: { project }, host: "git.example", answer });
    expect(fake.words).toEqual([word]);
  });

  it("has links that no name of a folder or host can change", () => {
    const odd = { project: "/home/a/it's (new) [x](command:evil)", host: "h)](command:evil)" };
    const text = gitAskText(question(odd));
    expect(links(text)).toEqual([
      ["boxwood.allowGitCredential", odd],
      ["boxwood.denyGitCredential", odd],
    ]);
  });
});

describe("Git Credentials", () => {
  const decided = report({
    approvals: [
      { host: "git.example", answer: "allow" },
      { host: "other.example:8443", answer: "deny" },
    ],
    asks: [question({ host: "new.example" })],
  });

  it("lists what waits and what was decided, and changes it", async () => {
    const window = await opened({ [methods.gitApprovals]: decided });
    fake.choose.push("other.example", "Allow");
    await run(window, "boxwood.gitCredentials");
    expect(fake.picks[0]?.items.map(({ label, description }) => `${label} ${description ?? ""}`)).toEqual([
      "$(question) new.example waits for your answer",
      "$(pass) git.example allowed",
      "$(circle-slash) other.example:8443 denied",
    ]);
    const params = { target: { project }, host: "other.example:8443", answer: "allow" };
    expect(window.server.paramsOf(methods.gitDecide)).toEqual(params);
  });

  it("takes a decision back, where there is one", async () => {
    const window = await opened({ [methods.gitApprovals]: decided });
    fake.choose.push("git.example", "Ask Again");
    await run(window, "boxwood.gitCredentials");
    expect(window.server.paramsOf(methods.gitRevoke)).toEqual({ target: { project }, host: "git.example" });
    fake.choose.push("new.example");
    await run(window, "boxwood.gitCredentials");
    expect(fake.picks.at(-1)?.items.map(({ label }) => label)).toEqual(["$(pass) Allow", "$(circle-slash) Deny"]);
  });

  it("says so when nothing was decided", async () => {
    const window = await opened();
    await run(window, "boxwood.gitCredentials");
    expect(fake.messages[0]?.message).toMatch(/^No git credential of yours was allowed or denied in 'shop'/);
  });
});
