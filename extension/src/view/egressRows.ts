// The rows of the egress view: what there is to show of the sandboxes of a window. Pure.
import { escapeMarkdown, hostPort, plural, timeLeft } from "../format";
import type { EgressAsk, EgressDecision, EgressLayer, RuleHits, SandboxInfo } from "../generated/protocol";
import { egressOf, sandboxName, type Model } from "../model";
import { unreachable } from "../result";
import {
  askDescription,
  canBeAllowed,
  decisionDescription,
  decisionLabel,
  decisionTooltip,
  defaultWords,
  foldKey,
  folded,
  isNote,
  layerWords,
  ruleDescription,
  ruleLabel,
  ruleTooltip,
} from "./egress";
import { alarmText, hasPolicy, isBypassed } from "./network";

/** Decisions that are listed. */
const MOST_RECENT = 50;

export type Section = "waiting" | "recent" | "rules";

/** A row; commands take it as their target: a sandbox, and a host as it is written in answers. */
export type EgressRow = { readonly sandboxId: string; readonly host?: string } & (
  | { readonly kind: "sandbox" | "alarm" | "bypass" | "default" }
  | { readonly kind: "section"; readonly section: Section }
  | { readonly kind: "ask"; readonly ask: EgressAsk }
  | { readonly kind: "decision"; readonly decision: EgressDecision }
  | { readonly kind: "layer"; readonly layer: EgressLayer; readonly preset?: string }
  | { readonly kind: "rule"; readonly hits: RuleHits }
);

export interface RowFace {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly icon?: string;
  /** Id of a theme colour for the icon. */
  readonly color?: string;
  /** What the menus go by. */
  readonly context: string;
  readonly tooltip?: string;
  readonly opens: "never" | "closed" | "open";
}

const RED = "list.errorForeground";
const YELLOW = "list.warningForeground";
const GREEN = "testing.iconPassed";

/** The sandboxes that the view is about. */
export function shownSandboxes(sandboxes: readonly SandboxInfo[]): SandboxInfo[] {
  return sandboxes.filter(hasPolicy);
}

/** @param sandboxes those of this window */
export function childrenOf(
  row: EgressRow | undefined,
  sandboxes: readonly SandboxInfo[],
  model: Model,
  nowMs: number,
): EgressRow[] {
  if (!row) {
    const shown = shownSandboxes(sandboxes);
    const [only] = shown;
    return only && shown.length === 1
      ? parts(only, nowMs)
      : shown.map(({ id }) => ({ kind: "sandbox", sandboxId: id }));
  }
  const { sandboxId } = row;
  const { asks, recent, report } = egressOf(model, sandboxId);
  switch (row.kind) {
    case "sandbox": {
      const sandbox = model.sandboxes.get(sandboxId);
      return sandbox ? parts(sandbox, nowMs) : [];
    }
    case "section":
      switch (row.section) {
        case "waiting":
          return asks.map((ask) => ({ kind: "ask", sandboxId, ask, host: hostPort(ask.host, ask.port) }));
        case "recent":
          return folded(recent, MOST_RECENT).map((decision) => ({
            kind: "decision",
            sandboxId,
            decision,
            ...(isNote(decision) ? {} : { host: hostPort(decision.host, decision.port) }),
          }));
        case "rules":
          return report ? [...layers(report.rules, sandboxId), { kind: "default", sandboxId }] : [];
        default:
          return unreachable(row.section);
      }
    case "layer":
      return (report?.rules ?? [])
        .filter(({ layer, preset }) => layer === row.layer && preset === row.preset)
        .map((hits) => ({ kind: "rule", sandboxId, hits, host: ruleHost(hits) }));
    case "alarm":
    case "bypass":
    case "default":
    case "ask":
    case "decision":
    case "rule":
      return [];
  }
}

function parts(sandbox: SandboxInfo, nowMs: number): EgressRow[] {
  const sandboxId = sandbox.id;
  const sections: Section[] = ["waiting", "recent", "rules"];
  return [
    ...(sandbox.alarm === undefined ? [] : [{ kind: "alarm", sandboxId } as const]),
    ...(isBypassed(sandbox, nowMs) ? [{ kind: "bypass", sandboxId } as const] : []),
    ...sections.map((section) => ({ kind: "section", sandboxId, section }) as const),
  ];
}

/** Layers and presets that have rules, the strongest first, as the server orders them. */
function layers(rules: readonly RuleHits[], sandboxId: string): EgressRow[] {
  const found = new Map<string, EgressRow>();
  for (const { layer, preset } of rules) {
    const key = `${layer} ${preset ?? ""}`;
    if (!found.has(key))
      found.set(key, { kind: "layer", sandboxId, layer, ...(preset === undefined ? {} : { preset }) });
  }
  return [...found.values()];
}

/** A rule's host as it is written to take a decision back. */
export function ruleHost({ rule: { host, ports } }: RuleHits): string {
  const [port] = ports ?? [];
  return port !== undefined && ports?.length === 1 ? hostPort(host, port) : host;
}

export function faceOf(row: EgressRow, model: Model, nowMs: number): RowFace {
  const face = bareFace(row, model, nowMs);
  return { ...face, id: `${row.sandboxId}/${face.id}` };
}

function bareFace(row: EgressRow, model: Model, nowMs: number): RowFace {
  const sandbox = model.sandboxes.get(row.sandboxId);
  switch (row.kind) {
    case "sandbox": {
      const label = sandbox ? sandboxName(sandbox) : row.sandboxId;
      const description = sandbox?.project ?? "";
      return { id: "", label, description, icon: "vm", context: "egress.sandbox", opens: "open" };
    }
    case "alarm": {
      const isOpen = sandbox?.enforcement === "off";
      const text = sandbox ? alarmText(sandbox) : "";
      return {
        id: "alarm",
        label: isOpen ? "Policy not enforced" : "Network alarm",
        description: text,
        icon: "warning",
        color: isOpen ? RED : YELLOW,
        context: "egress.alarm",
        tooltip: escapeMarkdown(text),
        opens: "never",
      };
    }
    case "bypass":
      return {
        id: "bypass",
        label: "Policy bypassed",
        description: `${timeLeft(sandbox?.bypassUntilMs ?? 0, nowMs)} left`,
        icon: "unlock",
        color: YELLOW,
        context: "egress.bypass",
        opens: "never",
      };
    case "section":
      return sectionFace(row.section, row.sandboxId, model);
    case "ask":
      return {
        id: `ask/${row.ask.id}`,
        label: hostPort(row.ask.host, row.ask.port),
        description: askDescription(row.ask),
        icon: "bell-dot",
        color: YELLOW,
        context: "egress.ask",
        tooltip: `${escapeMarkdown(row.host ?? "")}: ${plural(row.ask.waiting, "connection")} held for another ${timeLeft(row.ask.untilMs, nowMs)}`,
        opens: "never",
      };
    case "decision": {
      const { decision } = row;
      const isBlocked = decision.action === "deny";
      return {
        id: `recent/${foldKey(decision)}`,
        label: decisionLabel(decision),
        description: decisionDescription(decision),
        icon: isNote(decision) ? (isBlocked ? "lock" : "unlock") : isBlocked ? "error" : "pass",
        color: isNote(decision) ? YELLOW : isBlocked ? RED : GREEN,
        context: decisionContext(decision),
        tooltip: decisionTooltip(decision),
        opens: "never",
      };
    }
    case "layer":
      return layerFace(row.layer, row.preset, row.sandboxId, model);
    case "rule": {
      const { hits } = row;
      const { rule, layer } = hits;
      const isKept = layer === "session" || layer === "remembered";
      return {
        id: `rule/${layer}/${hits.preset ?? ""}/${JSON.stringify(rule)}`,
        label: ruleLabel(rule),
        description: ruleDescription(hits),
        icon: rule.action === "allow" ? "pass" : rule.action === "deny" ? "circle-slash" : "question",
        context: isKept ? "egress.rule.kept" : "egress.rule.fixed",
        tooltip: ruleTooltip(hits),
        opens: "never",
      };
    }
    case "default": {
      const action = egressOf(model, row.sandboxId).report?.default ?? "ask";
      const icon = action === "allow" ? "pass" : action === "deny" ? "circle-slash" : "question";
      return {
        id: "default",
        label: "Everything else",
        description: defaultWords[action],
        icon,
        context: "egress.default",
        opens: "never",
      };
    }
    default:
      return unreachable(row);
  }
}

function decisionContext(decision: EgressDecision): string {
  if (isNote(decision)) return "egress.note";
  if (decision.action !== "deny") return "egress.allowed";
  return canBeAllowed(decision) ? "egress.blocked" : "egress.refused";
}

function sectionFace(section: Section, sandboxId: string, model: Model): RowFace {
  const { asks, recent, report } = egressOf(model, sandboxId);
  const common = { id: section, context: `egress.section.${section}` };
  // The editor keeps a row folded that had nothing in it before; as another row it opens when there is something.
  const empty = { ...common, id: `${section}/empty`, opens: "never" } as const;
  switch (section) {
    case "waiting": {
      const count = asks.reduce((sum, ask) => sum + ask.waiting, 0);
      const description = count === 0 ? "nothing" : plural(count, "connection");
      const waiting = { label: "Waiting", description };
      return count === 0 ? { ...empty, ...waiting } : { ...common, ...waiting, opens: "open" };
    }
    case "recent": {
      const counts = report ? [`${report.allowed} allowed`, `${report.blocked} blocked`] : [];
      const description =
        recent.length === 0 && !counts.some((words) => !words.startsWith("0 ")) ? "nothing yet" : counts.join(", ");
      const listed = { label: "Recent", description };
      return recent.length === 0 ? { ...empty, ...listed } : { ...common, ...listed, opens: "open" };
    }
    case "rules": {
      const description = report ? `default: ${report.default}` : "";
      const rules = { label: "Rules", description };
      return report ? { ...common, ...rules, opens: "closed" } : { ...empty, ...rules };
    }
    default:
      return unreachable(section);
  }
}

function layerFace(layer: EgressLayer, preset: string | undefined, sandboxId: string, model: Model): RowFace {
  const { report } = egressOf(model, sandboxId);
  const rules = (report?.rules ?? []).filter((rule) => rule.layer === layer && rule.preset === preset);
  const hits = rules.reduce((sum, rule) => sum + rule.hits, 0);
  const about = report?.presets.find(({ name }) => name === preset)?.description;
  return {
    id: `layer/${layer}/${preset ?? ""}`,
    label: preset === undefined ? layerWords[layer] : `Preset ${preset}`,
    description: [plural(rules.length, "rule"), ...(hits > 0 ? [plural(hits, "hit")] : [])].join(" · "),
    context: "egress.layer",
    ...(about === undefined ? {} : { tooltip: escapeMarkdown(about) }),
    // What the person decided is few and what matters; the rest can be long.
    opens: layer === "session" || layer === "remembered" ? "open" : "closed",
  };
}
