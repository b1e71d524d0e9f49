// What this window knows of a sandbox's connections, and how each message changes it. Pure, like model.ts.
import type { EgressAsk, EgressDecision, EgressReport, Event } from "./generated/protocol";

export interface Egress {
  /** What waits for the person, the oldest first. */
  readonly asks: readonly EgressAsk[];
  /** The last decisions, the newest first. */
  readonly recent: readonly EgressDecision[];
  /** The policy in force, as last asked for. */
  readonly report?: EgressReport;
}

/** Answers of the server that tell more than its events do. */
export type EgressAnswered =
  | { readonly type: "egressReport"; readonly sandboxId: string; readonly report: EgressReport }
  | { readonly type: "egressLog"; readonly sandboxId: string; readonly decisions: readonly EgressDecision[] };

export type EgressInput =
  Extract<Event, { type: "snapshot" | "egressDecided" | "egressAsking" | "egressAsked" }> | EgressAnswered;

export type EgressMap = ReadonlyMap<string, Egress>;

/** Decisions that are remembered for each sandbox. */
const KEPT = 200;

export const noEgress: Egress = { asks: [], recent: [] };

/** @returns the next state; the same object when nothing changed */
export function reduceEgress(map: EgressMap, input: EgressInput): EgressMap {
  if (input.type === "snapshot") {
    const { asks } = input;
    return new Map(
      input.sandboxes.map(({ id }) => [
        id,
        { ...(map.get(id) ?? noEgress), asks: Object.hasOwn(asks, id) ? (asks[id] ?? []) : [] },
      ]),
    );
  }
  const before = map.get(input.sandboxId) ?? noEgress;
  const after = changed(before, input);
  return after === before ? map : new Map(map).set(input.sandboxId, after);
}

function changed(egress: Egress, input: Exclude<EgressInput, { type: "snapshot" }>): Egress {
  switch (input.type) {
    case "egressDecided":
      return { ...egress, recent: merged(egress.recent, [input.decision]) };
    case "egressLog":
      return { ...egress, recent: merged(egress.recent, input.decisions) };
    case "egressReport":
      // Its questions are left: events tell them, and in order.
      return { ...egress, report: input.report };
    case "egressAsking": {
      const at = egress.asks.findIndex(({ id }) => id === input.ask.id);
      return { ...egress, asks: at < 0 ? [...egress.asks, input.ask] : egress.asks.with(at, input.ask) };
    }
    case "egressAsked":
      return egress.asks.some(({ id }) => id === input.askId)
        ? { ...egress, asks: egress.asks.filter(({ id }) => id !== input.askId) }
        : egress;
  }
}

/** What a sandbox that does not run any more leaves: its decisions. */
export function withoutConnections(map: EgressMap, sandboxId: string): EgressMap {
  const egress = map.get(sandboxId);
  if (!egress || (egress.asks.length === 0 && !egress.report)) return map;
  return new Map(map).set(sandboxId, { asks: [], recent: egress.recent });
}

/**
 * What tells one decision from another. One is told again under its number, with the bytes that its connections moved by
 * then.
 */
export function decisionKey({ atMs, serial, host }: EgressDecision): string {
  return `${atMs} ${serial} ${host}`;
}

/** Both lists as one: a decision that is in both counts once, as the later list has it. */
function merged(known: readonly EgressDecision[], more: readonly EgressDecision[]): EgressDecision[] {
  const all = new Map([...known, ...more].map((decision) => [decisionKey(decision), decision]));
  return [...all.values()].sort((a, b) => b.atMs - a.atMs || b.serial - a.serial).slice(0, KEPT);
}
