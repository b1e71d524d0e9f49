// Times of commands, and what can be said of a handful of them.
import { spawn } from "node:child_process";

/** Longest that any one command may take, milliseconds: what hangs is a failure, not a measurement. */
const LONGEST_MS = 120_000;

/**
 * Runs a command to its end.
 * @returns {Promise<{ms: number, stdout: string}>} wall time from before the process exists until it has ended
 */
export function run([program, ...args], options = {}) {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint();
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: LONGEST_MS, killSignal: "SIGKILL", ...options });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
    let ms;
    child.on("error", reject);
    child.on("exit", () => (ms = Number(process.hrtime.bigint() - began) / 1e6));
    child.on("close", (code, signal) => {
      if (code === 0) return resolve({ ms, stdout: output.stdout.trim() });
      const said = (output.stderr + output.stdout).trim().slice(-2000);
      reject(new Error(`${[program, ...args].join(" ")}: ended with ${code ?? signal}\n${said}`));
    });
  });
}

/**
 * Measures contestants in turn, A, B, C, A, B, C, …, so that what else the machine does meets all of them alike. The
 * first round is thrown away: it pays for cold caches of the disk.
 * @param {Record<string, {once: () => Promise<number>, before?: () => Promise<unknown>, after?: () => Promise<unknown>}>} contestants
 *   `once` gives milliseconds; `before` and `after` are not part of them
 * @returns {Promise<Record<string, number[]>>} samples by contestant
 */
export async function inTurn(contestants, rounds) {
  const samples = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, { before, once, after }] of Object.entries(contestants)) {
      await before?.();
      const ms = await once();
      await after?.();
      if (round > 0) samples[name].push(ms);
    }
  }
  return samples;
}

/** Value that `share` of the samples do not exceed, by nearest rank. */
export function quantile(samples, share) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/** Median, 90th percentile, least and most of some samples. */
export function summary(samples) {
  return {
    median: median(samples),
    p90: quantile(samples, 0.9),
    min: Math.min(...samples),
    max: Math.max(...samples),
    samples,
  };
}

/** The middle one, or the mean of the two in the middle. */
export function median(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Goes through `items`, `width` of them at a time. After a failure nothing more is begun, and what runs is waited for. */
export async function inPool(items, width, work) {
  const left = items.values();
  let problem;
  const worker = async () => {
    for (const item of left) {
      if (problem) return;
      await work(item).catch((error) => (problem ??= error));
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (problem) throw problem;
}
