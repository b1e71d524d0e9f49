// Where the time of an operation goes, from the daemon's log: each step writes a line when it ends.
import { median } from "./measure.mjs";

/**
 * @param {string} log JSON lines
 * @param {{kind: string, project: string}} which only operations of this kind for this project
 * @param {number} last how many of these, counted from the end
 * @returns {{steps: {step: string, median: number, samples: number[]}[], whole: number[]}} milliseconds of each step, in
 *   order, and of each operation
 */
export function stepTimes(log, { kind, project }, last) {
  const operations = new Map();
  for (const line of log.split("\n").filter(Boolean)) {
    const { message, span, step, timestamp, project: subject } = JSON.parse(line);
    if (span?.kind !== kind) continue;
    if (message === "began" && subject === project) operations.set(span.trace, []);
    if (["began", "step", "ended"].includes(message)) operations.get(span.trace)?.push({ name: step ?? message, at: microseconds(timestamp) });
  }
  const wanted = [...operations.values()].filter((marks) => marks.at(-1).name === "ended").slice(-last);
  const samples = new Map();
  for (const marks of wanted) {
    for (let index = 1; index < marks.length; index += 1) {
      const name = marks[index].name === "ended" ? "after the last step" : marks[index].name;
      samples.set(name, [...(samples.get(name) ?? []), (marks[index].at - marks[index - 1].at) / 1000]);
    }
  }
  const steps = [...samples].map(([step, all]) => ({ step, median: median(all), samples: all }));
  return { steps, whole: wanted.map((marks) => (marks.at(-1).at - marks[0].at) / 1000) };
}

/** Date knows milliseconds only. */
function microseconds(timestamp) {
  const [, upToSeconds, fraction = ""] = /^([^.]+?)(?:\.(\d+))?Z$/.exec(timestamp);
  return Date.parse(`${upToSeconds}Z`) * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}
