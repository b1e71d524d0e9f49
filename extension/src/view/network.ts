// How a sandbox's network is told of: a word for the status bar, lines for the tooltip. Pure.
import { escapeMarkdown, plural, sentence, timeLeft } from "../format";
import type { Network, SandboxInfo } from "../generated/protocol";
import { egressOf, isRunning, type Model } from "../model";
import { unreachable } from "../result";
import type { Severity } from "./status";

/** `alarm` is for a policy that is not enforced as it was asked for, `unchecked` for one that was not looked at yet. */
export type NetworkLabel = "enforced" | "open" | "no network" | "bypassed" | "alarm" | "unchecked";

export function networkLabel(sandbox: SandboxInfo, nowMs: number): NetworkLabel {
  if (sandbox.alarm !== undefined) return "alarm";
  if (isBypassed(sandbox, nowMs)) return "bypassed";
  if (sandbox.enforcement !== "off") return "enforced";
  return modeLabels[sandbox.network];
}

/** Of a sandbox where nothing is enforced. */
const modeLabels: Record<Network, NetworkLabel> = { gateway: "unchecked", open: "open", none: "no network" };

export function isBypassed({ bypassUntilMs }: SandboxInfo, nowMs: number): boolean {
  return bypassUntilMs !== undefined && bypassUntilMs > nowMs;
}

/** Whether there are connections to tell of: the sandbox runs behind a policy, or should. */
export function hasPolicy(sandbox: SandboxInfo): boolean {
  const { network, enforcement, alarm } = sandbox;
  return isRunning(sandbox) && (network === "gateway" || enforcement !== "off" || alarm !== undefined);
}

/** Connections of a sandbox that wait for the person. */
export function waitingCount(model: Model, sandboxId: string): number {
  return egressOf(model, sandboxId).asks.reduce((sum, ask) => sum + ask.waiting, 0);
}

/** What the status bar adds about the network of a sandbox that runs; what the person should act on comes first. */
export function networkSuffix(
  sandbox: SandboxInfo,
  model: Model,
  nowMs: number,
): { readonly words: string; readonly severity: Severity } {
  const label = networkLabel(sandbox, nowMs);
  if (label === "alarm") {
    // Open although a policy was asked for is worse than no network at all.
    return { words: "egress alarm", severity: sandbox.enforcement === "off" ? "error" : "warning" };
  }
  const waiting = waitingCount(model, sandbox.id);
  if (waiting > 0) return { words: `${waiting} waiting`, severity: "warning" };
  if (label === "bypassed") {
    return { words: `bypassed, ${timeLeft(sandbox.bypassUntilMs ?? 0, nowMs)} left`, severity: "warning" };
  }
  return { words: label, severity: "none" };
}

/** The network's part of the table about a sandbox. */
export function networkRows(sandbox: SandboxInfo, model: Model, nowMs: number): [string, string][] {
  const waiting = waitingCount(model, sandbox.id);
  return [
    ["Network", networkWords(sandbox)],
    ...(sandbox.blocked > 0 ? ([["Blocked", plural(sandbox.blocked, "connection")]] satisfies [string, string][]) : []),
    ...(waiting > 0 ? ([["Waiting", plural(waiting, "connection")]] satisfies [string, string][]) : []),
    ...(isBypassed(sandbox, nowMs)
      ? ([["Bypass", `${timeLeft(sandbox.bypassUntilMs ?? 0, nowMs)} left`]] satisfies [string, string][])
      : []),
  ];
}

/** The lines before the table, in Markdown: what is not as it should be. */
export function networkNotes(sandbox: SandboxInfo, nowMs: number): string[] {
  return [
    ...(sandbox.alarm === undefined ? [] : [`$(warning) Network: ${escapeMarkdown(sandbox.alarm)}`]),
    ...(isBypassed(sandbox, nowMs) ? ["$(unlock) The network policy is set aside; everything is let through"] : []),
  ];
}

/** An alarm as a sentence: the server's text says what "it", the sandbox, does. */
export function alarmText(sandbox: SandboxInfo): string {
  return sentence(sandbox.alarm ?? "");
}

function networkWords({ network, enforcement }: SandboxInfo): string {
  switch (enforcement) {
    case "outside":
      return "policy enforced outside the container";
    case "inside":
      return "policy enforced inside the container";
    case "off":
      return modeWords[network];
    default:
      return unreachable(enforcement);
  }
}

const modeWords: Record<Network, string> = {
  gateway: "policy not enforced at present",
  open: "open, no policy enforced",
  none: "none: no network at all",
};
