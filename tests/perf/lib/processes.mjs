// What the system says of a process: memory and processor time.
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { run } from "./measure.mjs";

const KIB = 1024;

/** Resident memory in bytes: shared pages count whole. */
export function resident(pid) {
  return field(`/proc/${pid}/status`, "VmRSS");
}

/** Proportional memory in bytes: shared pages count by their share. Only told of one's own processes. */
export function proportional(pid) {
  return field(`/proc/${pid}/smaps_rollup`, "Pss");
}

async function field(file, name) {
  const text = await readFile(file, "utf8");
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text);
  if (!match) throw new Error(`${file} has no ${name}`);
  return Number(match[1]) * KIB;
}

/** Processor time of a process so far, in seconds. */
async function processorTime(pid) {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name stands in brackets and may hold anything; user and system time are the 14th and 15th field of all.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks / Number((await run(["getconf", "CLK_TCK"])).stdout);
}

/** Share of one processor, in percent, that a process uses over `seconds`. */
export async function processorUse(pid, seconds) {
  const before = await processorTime(pid);
  const began = process.hrtime.bigint();
  await pause(seconds * 1000);
  const elapsed = Number(process.hrtime.bigint() - began) / 1e9;
  return (100 * (await processorTime(pid) - before)) / elapsed;
}
