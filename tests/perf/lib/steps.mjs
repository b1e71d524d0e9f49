// Where the time of an operation goes, from the daemon's log: each step writes a line when it ends.
import { readFile } from "node:fs/promises";
import { median } from "./measure.mjs";

/**
 * @param {string} log JSON lines
 * @param {{kind: string, through: string}} wanted only operations of this kind that went through this step
 * @returns {{step: string, median: number, samples: number[]}[]} milliseconds of each step, in order; `before` and
 *   `after` are what lies before the first step begins and after the last
 */
export function stepTimes(log, { kind, through }) {
  const operations = new Map();
  for (const line of log.split("\n").filter(Boolean)) {
    const entry = JSON.parse(line);
    const span = entry.span;
    if (span?.kind !== kind || !["began", "step", "ended"].includes(entry.message)) continue;
    const marks = operations.get(span.trace) ?? [];
    operations.set(span.trace, [...marks, { name: entry.step ?? entry.message, at: microseconds(entry.timestamp) }]);
  }
  const samples = new Map();
  for (const marks of operations.values()) {
    if (!marks.some(({ name }) => name === through) || marks.at(-1).name !== "ended") continue;
    for (let index = 1; index < marks.length; index += 1) {
      const name = marks[index].name === "ended" ? "after the last step" : marks[index].name;
      samples.set(name, [...(samples.get(name) ?? []), (marks[index].at - marks[index - 1].at) / 1000]);
    }
  }
  return [...samples].map(([step, all]) => ({ step, median: median(all), samples: all }));
}

/** The current log; a run this short does not fill it. */
export async function readSteps(file, wanted) {
  return stepTimes(await readFile(file, "utf8"), wanted);
}

/** Date knows milliseconds only. */
function microseconds(timestamp) {
  const [, upToSeconds, fraction = ""] = /^([^.]+?)(?:\.(\d+))?Z$/.exec(timestamp);
  return Date.parse(`${upToSeconds}Z`) * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}
