// What a sandbox may reach: the view, answers, the bypass, and what would become of a host.
import * as vscode from "vscode";
import { decide, hostOf } from "../answer";
import type { App } from "../app";
import { chooseSandbox, type Target } from "../choose";
import { hostPort, plural } from "../format";
import { methods, type EgressAnswer, type SandboxInfo } from "../generated/protocol";
import { egressOf, sandboxName } from "../model";
import { cancelled, done, ok, type Result } from "../result";
import { answerWords, canBeAllowed, folded, isNote, ruleLabel } from "../view/egress";
import { ruleHost } from "../view/egressRows";
import { hasPolicy, isBypassed } from "../view/network";

const behindPolicy = { fits: hasPolicy, none: "No sandbox with a network policy is running." };

export async function showEgress(): Promise<Result<unknown>> {
  await vscode.commands.executeCommand("boxwood.egress.focus");
  return done;
}

export function showEgressLog(app: App): Promise<Result<unknown>> {
  app.egressLog.show(true);
  return Promise.resolve(done);
}

/** The handler of an answer: about what the row names, else about one of the hosts that wait. */
export function answering(answer: EgressAnswer) {
  return async (app: App, target: Target): Promise<Result<unknown>> => {
    const title = answerWords[answer];
    const sandbox = await chooseSandbox(app, target, { title, ...behindPolicy });
    if (sandbox.kind !== "ok") return sandbox;
    const sandboxId = sandbox.value.id;
    const { asks } = egressOf(app.store.model, sandboxId);
    const ask = asks.find(({ host, port }) => hostPort(host, port) === target.host);
    if (ask) return decide(app, { sandboxId, host: hostOf(app, sandboxId, ask, answer), answer });
    const host = target.host === undefined ? await chooseHost(app, sandbox.value, title) : ok(target.host);
    return host.kind === "ok" ? decide(app, { sandboxId, host: host.value, answer }) : host;
  };
}

export function allowHost(app: App, target: Target): Promise<Result<unknown>> {
  return choosing(app, target, "Allow Host", [
    { answer: "allowSession", label: "This Session", detail: "Until the sandbox stops" },
    { answer: "allowProject", label: "This Project", detail: "From now on, in every sandbox of the project" },
  ]);
}

export function denyHost(app: App, target: Target): Promise<Result<unknown>> {
  return choosing(app, target, "Deny Host", [
    { answer: "deny", label: "Now", detail: "What waits, and further connections for a minute" },
    { answer: "denyAlways", label: "This Project", detail: "From now on, in every sandbox of the project" },
  ]);
}

interface Extent extends vscode.QuickPickItem {
  readonly answer: EgressAnswer;
}

async function choosing(app: App, target: Target, title: string, extents: Extent[]): Promise<Result<unknown>> {
  const sandbox = await chooseSandbox(app, target, { title, ...behindPolicy });
  if (sandbox.kind !== "ok") return sandbox;
  const host = target.host === undefined ? await chooseHost(app, sandbox.value, title) : ok(target.host);
  if (host.kind !== "ok") return host;
  const extent = await vscode.window.showQuickPick(extents, {
    title: `${title}: ${host.value}`,
    placeHolder: "For how long",
  });
  if (!extent) return cancelled;
  return decide(app, { sandboxId: sandbox.value.id, host: host.value, answer: extent.answer });
}

/** A host that waits or was blocked, or one that is typed. */
async function chooseHost(app: App, sandbox: SandboxInfo, title: string): Promise<Result<string>> {
  const { asks, recent } = egressOf(app.store.model, sandbox.id);
  const blocked = folded(recent, recent.length).filter(
    (decision) => decision.action === "deny" && !isNote(decision) && canBeAllowed(decision),
  );
  const items = new Map([
    ...blocked.map(({ host, port }) => [hostPort(host, port), "blocked"] as const),
    ...asks.map(({ host, port }) => [hostPort(host, port), "waiting"] as const),
  ]);
  if (items.size > 0) {
    const other = { label: "$(edit) Another Host…", description: "" };
    const hosts = [...items].map(([label, description]) => ({ label, description }));
    const picked = await vscode.window.showQuickPick([...hosts, other], { title, placeHolder: "Host" });
    if (!picked) return cancelled;
    if (picked.label !== other.label) return ok(picked.label);
  }
  return typedHost(title, "name, *.name or name:port");
}

async function typedHost(title: string, prompt: string): Promise<Result<string>> {
  const typed = await vscode.window.showInputBox({
    title,
    prompt,
    placeHolder: "example.com",
    validateInput: (text) => (isHostLike(text.trim()) ? undefined : "Write a host, without a scheme or a path"),
  });
  const host = typed?.trim();
  return host === undefined || host === "" ? cancelled : ok(host);
}

/** What cannot be a host is said at once; the server knows the rest. */
export function isHostLike(text: string): boolean {
  return text !== "" && !/[\s/@?#]/.test(text);
}

export async function forgetHost(app: App, target: Target): Promise<Result<unknown>> {
  const title = "Forget Decision";
  const sandbox = await chooseSandbox(app, target, { title, ...behindPolicy });
  if (sandbox.kind !== "ok") return sandbox;
  const sandboxId = sandbox.value.id;
  const host = target.host === undefined ? await chooseDecided(app, sandboxId, title) : ok(target.host);
  if (host.kind !== "ok") return host;
  const result = await app.server.request(methods.egressForget, { target: { sandbox: sandboxId }, host: host.value });
  if (result.kind === "ok") app.store.dispatch({ type: "egressReport", sandboxId, report: result.value });
  return result;
}

async function chooseDecided(app: App, sandboxId: string, title: string): Promise<Result<string>> {
  const report = await app.server.request(methods.egressPolicyOf, { sandbox: sandboxId });
  if (report.kind !== "ok") return report;
  const kept = report.value.rules.filter(({ layer }) => layer === "session" || layer === "remembered");
  if (kept.length === 0) {
    void vscode.window.showInformationMessage("Nothing was decided for this sandbox or its project.");
    return cancelled;
  }
  const items = kept.map((hits) => ({
    label: ruleLabel(hits.rule),
    description: hits.rule.action,
    host: ruleHost(hits),
  }));
  const all = { label: "$(clear-all) Everything", description: plural(kept.length, "decision"), host: "*" };
  const picked = await vscode.window.showQuickPick([...items, all], { title, placeHolder: "Decision" });
  return picked ? ok(picked.host) : cancelled;
}

const bypassTimes = [
  { label: "10 minutes", seconds: 600 },
  { label: "1 hour", seconds: 3_600 },
];

export async function bypassEgress(app: App, target: Target): Promise<Result<unknown>> {
  const title = "Bypass Egress";
  const sandbox = await chooseSandbox(app, target, { title, ...behindPolicy });
  if (sandbox.kind !== "ok") return sandbox;
  const picked = await vscode.window.showQuickPick(bypassTimes, { title, placeHolder: "For how long" });
  if (!picked) return cancelled;
  const bypass = "Bypass";
  const chosen = await vscode.window.showWarningMessage(
    `Set aside the network policy of '${sandboxName(sandbox.value)}' for ${picked.label}?`,
    {
      modal: true,
      detail:
        "Whatever runs in the sandbox can then reach every public host, also what you deny, and send there what it can read. Private addresses stay closed, each connection is still recorded, and you can end it at any time.",
    },
    bypass,
  );
  return chosen === bypass ? setBypass(app, sandbox.value, picked.seconds) : cancelled;
}

export async function endBypass(app: App, target: Target): Promise<Result<unknown>> {
  const sandbox = await chooseSandbox(app, target, {
    title: "End Bypass",
    fits: (candidate) => isBypassed(candidate, Date.now()),
    none: "No sandbox's network policy is bypassed.",
  });
  return sandbox.kind === "ok" ? setBypass(app, sandbox.value, 0) : sandbox;
}

async function setBypass(app: App, { id }: SandboxInfo, seconds: number): Promise<Result<unknown>> {
  const result = await app.server.request(methods.egressBypass, { target: { sandbox: id }, seconds });
  if (result.kind === "ok") app.store.dispatch({ type: "egressReport", sandboxId: id, report: result.value });
  return result;
}

export async function testHost(app: App, target: Target): Promise<Result<unknown>> {
  const title = "Test Host";
  const sandbox = await chooseSandbox(app, target, { title, ...behindPolicy });
  if (sandbox.kind !== "ok") return sandbox;
  const typed = target.host === undefined ? await typedHost(title, "name, address or name:port") : ok(target.host);
  if (typed.kind !== "ok") return typed;
  const verdict = await app.server.request(methods.egressTest, {
    target: { sandbox: sandbox.value.id },
    host: typed.value,
  });
  if (verdict.kind !== "ok") return verdict;
  const [allow, deny] = ["Allow…", "Deny…"];
  const show =
    verdict.value.action === "allow" ? vscode.window.showInformationMessage : vscode.window.showWarningMessage;
  const chosen = await show(
    `${typed.value} would be ${verdict.value.explanation}`,
    verdict.value.action === "allow" ? deny : allow,
  );
  const next = { sandboxId: sandbox.value.id, host: typed.value };
  if (chosen === allow) return allowHost(app, next);
  return chosen === deny ? denyHost(app, next) : done;
}
