// Decisions, rules and questions in words. Pure.
import { bytes, clock, escapeMarkdown, hostPort, plural, stamp } from "../format";
import type {
  EgressAction,
  EgressAnswer,
  EgressAsk,
  EgressDecision,
  EgressLayer,
  EgressRule,
  EgressVia,
  RuleHits,
} from "../generated/protocol";

/** What a button or a menu says for an answer. */
export const answerWords: Record<EgressAnswer, string> = {
  allowOnce: "Allow Once",
  allowSession: "Allow for Session",
  allowProject: "Allow in Project",
  deny: "Deny",
  denyAlways: "Always Deny",
};

/** The same on the buttons of a message: all five have to fit into its width. */
export const buttonWords: Record<EgressAnswer, string> = {
  allowOnce: "Allow Once",
  allowSession: "Session",
  allowProject: "Project",
  deny: "Deny",
  denyAlways: "Never",
};

export const answers = Object.keys(answerWords) as EgressAnswer[];

/** What became of it, for the word in the status bar after an answer. */
export const answeredWords: Record<EgressAnswer, string> = {
  allowOnce: "allowed this once",
  allowSession: "allowed until the sandbox stops",
  allowProject: "allowed in this project",
  deny: "denied for a minute",
  denyAlways: "always denied in this project",
};

export const layerWords: Record<EgressLayer, string> = {
  builtIn: "Built in",
  bypass: "Bypass",
  session: "This session",
  remembered: "This project, remembered",
  userDeny: "Denied in your file",
  request: "Editor settings and flags",
  project: "Project's file",
  user: "Your file",
  preset: "Presets",
  default: "No rule",
};

const viaWords: Record<EgressVia, string> = {
  dns: "name lookup",
  tls: "TLS",
  http: "HTTP",
  https: "HTTPS, opened by the gateway",
  connect: "proxy tunnel",
  socks: "SOCKS proxy",
  address: "own address",
};

export const actionWords: Record<EgressAction, string> = { allow: "allow", ask: "ask", deny: "deny" };

/** Whether a decision is a note about the policy, not about a connection. */
export function isNote({ host, layer }: EgressDecision): boolean {
  return host === "*" && layer === "bypass";
}

/** Decisions that say the same as one, with their counts added up; the newest first, as they came. */
export function folded(decisions: readonly EgressDecision[], most: number): EgressDecision[] {
  const rows = new Map<string, EgressDecision>();
  for (const decision of decisions) {
    const key = foldKey(decision);
    const newer = rows.get(key);
    if (!newer) rows.set(key, decision);
    else {
      rows.set(key, {
        ...newer,
        count: newer.count + decision.count,
        bytesUp: newer.bytesUp + decision.bytesUp,
        bytesDown: newer.bytesDown + decision.bytesDown,
      });
    }
  }
  return [...rows.values()].slice(0, most);
}

/** What a row of the list is about. */
export function foldKey(decision: EgressDecision): string {
  const { host, port, via, action, layer, reason = "", request = "" } = decision;
  return [host, port, via, action, layer, reason, request].join(" ");
}

export function decisionLabel(decision: EgressDecision): string {
  if (isNote(decision)) return "Policy bypass";
  return hostPort(decision.host, decision.port);
}

/** Beside the label: what became of it, how often, when. */
export function decisionDescription(decision: EgressDecision): string {
  const { action, via, count, atMs, reason, request } = decision;
  const isBlocked = action === "deny";
  const parts = isNote(decision)
    ? [isBlocked ? "ended" : "began"]
    : [
        ...(isBlocked ? [via === "dns" ? "lookup blocked" : "blocked"] : []),
        ...(reason !== undefined ? [reasonWords(reason)] : []),
        ...(request === undefined ? [] : [request]),
        ...(count > 1 ? [`×${count}`] : []),
      ];
  return [...parts, clock(atMs)].join(" · ");
}

export function decisionTooltip(decision: EgressDecision): string {
  const { action, layer, rule, reason, request, via, count, bytesUp, bytesDown, atMs } = decision;
  const rows: [string, string | undefined][] = [
    ["Decision", action === "deny" ? "blocked" : "allowed"],
    ["By", rule === undefined ? layerWords[layer] : `${rule}, ${layerWords[layer]}`],
    ["Reason", reason === undefined ? undefined : reasonWords(reason)],
    ["Request", request],
    ["Seen in", viaWords[via]],
    ["Times", count > 1 ? String(count) : undefined],
    ["Sent, received", bytesUp + bytesDown > 0 ? `${bytes(bytesUp)}, ${bytes(bytesDown)}` : undefined],
    ["At", stamp(atMs)],
  ];
  return [`**${escapeMarkdown(decisionLabel(decision))}**`, table(rows)].join("\n\n");
}

/** A decision as a line of the output channel. */
export function decisionLine(name: string, decision: EgressDecision): string {
  const { action, layer, rule, reason, request, via, count, atMs } = decision;
  if (isNote(decision)) {
    return `${stamp(atMs)} ${name}: ${action === "deny" ? "the bypass ended" : "the policy is bypassed"}`;
  }
  const why = [
    rule === undefined ? layerWords[layer].toLowerCase() : `${rule}, ${layerWords[layer].toLowerCase()}`,
    ...(reason === undefined ? [] : [reasonWords(reason)]),
    viaWords[via],
  ].join("; ");
  const what = [action === "deny" ? "BLOCKED" : "allowed", decisionLabel(decision), ...(request ? [request] : [])];
  return `${stamp(atMs)} ${name}: ${what.join(" ")} (${why})${count > 1 ? ` ×${count}` : ""}`;
}

export function askDescription({ waiting }: EgressAsk): string {
  return waiting > 1 ? `${plural(waiting, "connection")} waiting` : "waiting";
}

/** A rule's host with its ports. */
export function ruleLabel({ host, ports }: EgressRule): string {
  return ports === undefined || ports.length === 0
    ? host
    : `${hostPort(host, ports[0] ?? 0)}${ports
        .slice(1)
        .map((port) => `,${port}`)
        .join("")}`;
}

export function ruleDescription({ rule, hits }: RuleHits): string {
  return [
    actionWords[rule.action],
    ...(rule.methods ? [rule.methods.join(", ")] : []),
    ...(rule.paths ? [rule.paths.join(", ")] : []),
    ...(hits > 0 ? [plural(hits, "hit")] : []),
  ].join(" · ");
}

export function ruleTooltip({ rule, hits, layer, preset }: RuleHits): string {
  const rows: [string, string | undefined][] = [
    ["Action", actionWords[rule.action]],
    ["From", preset === undefined ? layerWords[layer] : `Preset ${preset}`],
    ["Ports", rule.ports?.join(", ") ?? (rule.action === "allow" ? "80 and 443" : "all")],
    ["Methods", rule.methods?.join(", ")],
    ["Paths", rule.paths?.join(", ")],
    ["Private addresses", rule.private === true ? "allowed" : undefined],
    ["Requests", rule.inspect === true ? "opened and compared with the connection" : undefined],
    ["Hits", String(hits)],
  ];
  return [`**${escapeMarkdown(rule.host)}**`, table(rows)].join("\n\n");
}

/** What becomes of hosts that no rule names. */
export const defaultWords: Record<EgressAction, string> = {
  allow: "allowed",
  ask: "you are asked",
  deny: "blocked",
};

/** Why a connection was refused by no rule; the gateway has it as a word for programs. */
const reasons: Readonly<Record<string, string>> = {
  answered: "you said no",
  "bad-host": "neither a name nor an address",
  "bad-request": "the request can be read in two ways",
  "bypass-began": "the bypass began",
  "bypass-ended": "the bypass ended",
  "credentials-exposed": "the credentials put on it would be shown on the way",
  "credentials-unseen": "credentials are put on its requests, and these cannot be seen",
  "encrypted-hello": "the program hides the host's name",
  "given-up": "the program gave up before you answered",
  "http2-in-clear": "HTTP/2 without TLS cannot be judged",
  "lookup-failed": "nobody says where the name leads",
  "malformed-hello": "its first TLS message cannot be read",
  "name-mismatch": "the connection was made for another host",
  "never-allowed": "no policy can allow it",
  "no-authority": "its TLS cannot be opened here",
  "no-name": "it does not say which host it is for",
  "no-policy": "the gateway has no policy yet",
  "not-found": "the name leads nowhere",
  "private-address": "a private address, and no rule allows that",
  revoked: "cut, it is no longer allowed",
  timeout: "nobody answered in time",
  "too-fast": "connections come too fast",
  "too-many-connections": "too many connections are open",
  "too-many-waiting": "too many wait for an answer already",
  "unknown-protocol": "neither TLS nor HTTP",
  unreachable: "nobody answers there",
  "upload-limit": "it sent more than one connection may",
};

export function reasonWords(reason: string): string {
  return Object.hasOwn(reasons, reason) ? (reasons[reason] ?? reason) : reason.replaceAll("-", " ");
}

/** These say that somebody was asked, or should have been; the others would be said of an allowed host as well. */
const undecided = new Set(["answered", "given-up", "revoked", "timeout", "too-many-waiting"]);

/** Whether allowing the host would have let the connection through. */
export function canBeAllowed({ reason }: EgressDecision): boolean {
  return reason === undefined || undecided.has(reason);
}

function table(rows: readonly [string, string | undefined][]): string {
  const lines = rows.filter((row): row is [string, string] => row[1] !== undefined);
  return ["| | |", "|---|---|", ...lines.map(([name, value]) => `| ${name} | ${escapeMarkdown(value)} |`)].join("\n");
}
