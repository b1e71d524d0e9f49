// Finds and ends the processes of one test bed. They are told apart by a variable that only this bed's
// environment holds, so nothing of another bed, or of the person's own, is ever touched.
import { readdirSync, readFileSync } from "node:fs";
import { until } from "./wait.mjs";

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** A zombie keeps its /proc entry until its parent asks; it runs no more. */
export function isAlive(pid) {
  const stat = read(pid, "stat");
  return stat !== "" && !/^\d+ \(.*\) [ZX]/s.test(stat);
}

/**
 * @param {string} marker NAME=value as it stands in the environment of every process of the bed
 * @param {(argv: string[]) => boolean} matches
 * @returns {number[]} process ids, oldest first
 */
export function findProcesses(marker, matches) {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isAlive(pid))
    .filter((pid) => read(pid, "environ").split("\0").includes(marker))
    .filter((pid) => matches(read(pid, "cmdline").split("\0")))
    .sort((a, b) => a - b);
}

/** The role of a boxwood process: findProcesses(marker, role("lsp")). */
export function role(name) {
  return (argv) => /(^|\/)boxwood(\.exe)?$/.test(argv[0] ?? "") && argv[1] === name;
}

export function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

/** Kills without mercy and waits until it is gone. */
export async function kill(pid) {
  signal(pid, "SIGKILL");
  await until(`process ${pid} to be gone`, () => !isAlive(pid));
}
