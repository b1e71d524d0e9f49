// Rows of the report, from samples.
import { summary } from "./measure.mjs";

/** A row of times: `most` is the largest ratio of ours to theirs that is aimed at. */
export function against(what, samples, ours, theirs, most) {
  const row = { what, unit: "ms", ours: summary(samples[ours]), theirs: summary(samples[theirs]), rival: theirs };
  const ratio = row.ours.median / row.theirs.median;
  const aim = most === undefined ? {} : { aim: most, isMet: ratio <= most };
  return { ...row, ratio, ...aim };
}

/** A row without a rival: `most` is an amount in the row's unit. */
export function alone(what, unit, samples, most) {
  const row = { what, unit, ours: summary(samples) };
  return most === undefined ? row : { ...row, aim: most, isMet: row.ours.median <= most };
}
