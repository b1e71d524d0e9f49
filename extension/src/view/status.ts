// What the status bar says, for every state. Pure: the same model gives the same item.
import type { Health, SandboxInfo, SandboxState } from "../generated/protocol";
import { baseName, bytes, escapeMarkdown, sentence } from "../format";
import { changeUnderWay, primarySandbox, sandboxesOf, type ChangingKind, type Model } from "../model";
import { unreachable } from "../result";
import { loginLine } from "./credentials";
import { networkNotes, networkRows, networkSuffix } from "./network";

export type Severity = "none" | "warning" | "error";

export interface StatusView {
  readonly text: string;
  readonly severity: Severity;
  /** For screen readers: the same without icons. */
  readonly label: string;
  /** Markdown, with theme icons. */
  readonly tooltip: string;
}

interface Face {
  readonly icon: string;
  readonly words: string;
  readonly severity?: Severity;
  /** Speaks of one sandbox, not of the window. */
  readonly isOfSandbox?: boolean;
}

export const startText = "Start Claude Sandbox";

/**
 * @param project canonical path of this window's project, when a folder is open
 * @param folder its name, in a window of several folders; there it says whose sandbox it is
 */
export function statusView(
  model: Model,
  project: string | undefined,
  folder?: string,
  nowMs: number = Date.now(),
): StatusView {
  const face = windowFace(model, project, nowMs);
  const isAbout = folder !== undefined && face.isOfSandbox === true;
  const words = face.words === startText ? startText : `Claude: ${face.words}`;
  return {
    text: `$(${face.icon}) ${words}${isAbout ? ` (${folder})` : ""}`,
    severity: face.severity ?? "none",
    label:
      face.words === startText
        ? "Boxwood: no sandbox, start one"
        : `Boxwood sandbox${isAbout ? ` of ${folder}` : ""}, ${words}`,
    tooltip: [tooltip(model, project, words, nowMs), ...loginLine(model.credentials)].join("\n\n"),
  };
}

function windowFace(model: Model, project: string | undefined, nowMs: number): Face {
  switch (model.server) {
    case "failed":
      return { icon: "error", words: "no server", severity: "error" };
    case "connecting":
      return { icon: "loading~spin", words: "connecting" };
    case "running":
      if (!model.engine) return { icon: "loading~spin", words: "connecting" };
  }
  if (!model.engine.isAvailable) return { icon: "error", words: "no engine", severity: "error" };
  if (project === undefined) return { icon: "vm-outline", words: startText };
  const sandbox = primarySandbox(model, project);
  const change = changeUnderWay(model, project, sandbox?.id);
  if (change) return { icon: "loading~spin", words: changeWords[change.kind], isOfSandbox: true };
  return sandbox
    ? { ...withNetwork(sandboxFace(sandbox), sandbox, model, nowMs), isOfSandbox: true }
    : { icon: "vm-outline", words: startText };
}

/** State and health of a sandbox that runs, and beside them how its network is. */
function withNetwork(face: Face, sandbox: SandboxInfo, model: Model, nowMs: number): Face {
  if (sandbox.state !== "running") return face;
  const network = networkSuffix(sandbox, model, nowMs);
  return { ...face, words: `${face.words} · ${network.words}`, severity: graver(face.severity, network.severity) };
}

function graver(a: Severity = "none", b: Severity = "none"): Severity {
  const order: Severity[] = ["none", "warning", "error"];
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

const changeWords: Record<ChangingKind, string> = {
  ensure: "starting",
  stop: "stopping",
  restart: "restarting",
  refresh: "refreshing",
  remove: "removing",
};

/** Icon and word of a sandbox, also for the list of all. */
export function sandboxFace(sandbox: { state: SandboxState; health: Health }): Face {
  switch (sandbox.state) {
    case "creating":
      return { icon: "vm", words: "creating" };
    case "running":
      return runningFace(sandbox.health);
    case "paused":
      return { icon: "debug-pause", words: "paused", severity: "warning" };
    case "stopped":
      return { icon: "vm-outline", words: "stopped" };
    case "failed":
      return { icon: "error", words: "failed", severity: "error" };
    default:
      return unreachable(sandbox.state);
  }
}

function runningFace(health: Health): Face {
  switch (health) {
    case "none":
      return { icon: "vm-running", words: "running" };
    case "starting":
      return { icon: "vm", words: "starting" };
    case "healthy":
      return { icon: "vm-running", words: "healthy" };
    case "unhealthy":
      return { icon: "warning", words: "unhealthy", severity: "warning" };
    default:
      return unreachable(health);
  }
}

function tooltip(model: Model, project: string | undefined, words: string, nowMs: number): string {
  if (model.server === "failed") return reason("$(error) **Boxwood server not running**", model.problem?.message);
  if (!model.engine) return "Connecting to the Boxwood server";
  if (!model.engine.isAvailable) return reason("$(error) **No container engine**", model.engine.problem);
  if (project === undefined) return "Open a folder to start a Claude sandbox";
  const sandbox = primarySandbox(model, project);
  const change = changeUnderWay(model, project, sandbox?.id);
  const title = `**${escapeMarkdown(baseName(project))}** ${escapeMarkdown(words)}`;
  const now = change?.message === undefined ? [] : [escapeMarkdown(sentence(change.message))];
  if (!sandbox) return [title, ...now, ...(change ? [] : ["No sandbox for this project yet"])].join("\n\n");
  const others = sandboxesOf(model, project).length - 1;
  return [
    title,
    ...now,
    ...details(sandbox, model, nowMs),
    ...(others > 0 ? [`${others} more in this project`] : []),
    "Click for the menu",
  ].join("\n\n");
}

/** The lines about one sandbox, also for the list of all. */
export function details(sandbox: SandboxInfo, model: Model, nowMs: number = Date.now()): string[] {
  const sample = model.stats.get(sandbox.id);
  const rows: [string, string][] = [
    ["Image", sandbox.image],
    ["Claude Code", sandbox.claudeVersion],
    ...(sample
      ? ([
          ["CPU", `${sample.cpuPercent.toFixed(sample.cpuPercent < 10 ? 1 : 0)} %`],
          ["Memory", `${bytes(sample.memoryBytes)} of ${bytes(sample.memoryLimitBytes)}`],
          ["Processes", String(sample.pids)],
        ] satisfies [string, string][])
      : []),
    ...networkRows(sandbox, model, nowMs),
    ...(sandbox.session === "default" ? [] : ([["Session", sandbox.session]] satisfies [string, string][])),
    ...(sandbox.lifetime === "ephemeral"
      ? ([["Lifetime", "ephemeral, removed when Claude ends"]] satisfies [string, string][])
      : []),
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${escapeMarkdown(value)} |`);
  return [
    ...(sandbox.detail === undefined ? [] : [`$(info) ${escapeMarkdown(sentence(sandbox.detail))}`]),
    ...networkNotes(sandbox, nowMs),
    ...(sandbox.isOutdated ? ["$(sync) Its configuration has changed; Refresh applies it"] : []),
    ["| | |", "|---|---|", ...table].join("\n"),
  ];
}

function reason(title: string, detail: string | undefined): string {
  return detail === undefined ? title : `${title}\n\n${escapeMarkdown(sentence(detail))}`;
}
