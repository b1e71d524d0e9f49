// Measures Boxwood beside docker and the devcontainer CLI, in one run, and prints ratios. README.md says how.
//
// Never fails for being slow: a machine that does other things would decide that. It fails when something does not work.
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, loadavg, totalmem } from "node:os";
import path from "node:path";
import { Bed, REPOSITORY } from "./lib/bed.mjs";
import { credentials } from "./lib/credentials.mjs";
import { egress } from "./lib/egress.mjs";
import { comparison, figure, noteList, operationTable, stepTable } from "./lib/report.mjs";
import { cold, hello, idle, many, warm } from "./lib/scenarios.mjs";

const isSmoke = process.argv.includes("--smoke");
const usual = process.env.FULL ? 30 : 10;
const rounds = count("BOXWOOD_PERF_RUNS", isSmoke ? 2 : usual);
const sandboxes = count("BOXWOOD_PERF_SANDBOXES", isSmoke ? 6 : 50);
/** How much of everything is done: requests for a sample, bytes of a transfer, connections at once, seconds of watching. */
const amounts = {
  requests: isSmoke ? 5 : 20,
  bytes: isSmoke ? 32_000_000 : 512_000_000,
  flows: 1000,
  idleSeconds: isSmoke ? 2 : 10,
};

const scenarios = { warm, cold, idle, hello, many, egress, credentials };
const wanted = chosen(process.argv) ?? Object.keys(scenarios);

/** Names after `--only`, separated by commas. */
function chosen(words) {
  const at = words.indexOf("--only");
  if (at < 0) return undefined;
  const names = (words[at + 1] ?? "").split(",");
  const unknown = names.filter((name) => !Object.hasOwn(scenarios, name));
  if (unknown.length > 0) throw new Error(`--only takes some of ${Object.keys(scenarios).join(",")}`);
  return names;
}

function count(name, otherwise) {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} is a whole number from 1 up`);
  return value;
}

const say = (line) => process.stderr.write(`perf: ${line}\n`);

async function measure(bed) {
  const began = new Date().toISOString();
  const load = loadavg()[0];
  const mine = await bed.project("mine");
  say("starting a first sandbox, which builds what is missing");
  const sandbox = await bed.firstStart(mine);
  if (sandbox.enforcement !== "outside") throw new Error(`by default there is no verified gateway: ${sandbox.enforcement}`);
  const theirs = await bed.project("theirs", sandbox.image);
  const setting = { rounds, sandboxes, ...amounts, mine, theirs, image: sandbox.image };
  const rows = [];
  for (const name of wanted) {
    say(`${name}, ${rounds} rounds`);
    rows.push(...(await scenarios[name](bed, setting)));
  }
  const operations = await bed.boxwoodJson("stats", "--operations");
  const engine = (await bed.docker("version", "--format", "{{.Server.Version}}")).stdout;
  const machine = { processors: cpus().length, model: cpus()[0].model, memoryBytes: totalmem(), engine, node: process.version, loadBefore: load, loadAfter: loadavg()[0] };
  return { began, rounds, sandboxes, machine, image: sandbox.image, rows, operations };
}

function print({ rounds, machine, image, rows, operations }) {
  const load = `load ${figure(machine.loadBefore)} before and ${figure(machine.loadAfter)} after`;
  const explained = rows.filter(({ steps }) => steps).flatMap(({ what, steps, outside }) => [
    `Where the time of "${what}" goes, by the daemon's log:`,
    stepTable(steps),
    `The command's process and its conversation with the daemon take ${figure(outside)} ms more.`,
  ]);
  const parts = [
    comparison(rows),
    `${rounds} rounds in turn, medians, in brackets the 90th percentile. Image ${image}, engine ${machine.engine}, ${machine.processors} processors, ${load}.`,
    noteList(rows),
    ...explained,
    "All operations of this run, as `boxwood stats --operations` tells:",
    operationTable(operations),
  ];
  process.stdout.write(`\n${parts.filter(Boolean).join("\n\n")}\n`);
}

const bed = await Bed.create("perf");
let clearing;
const clear = () => (clearing ??= bed.clear());
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    say(`${signal}: clearing away`);
    clear().finally(() => process.exit(1));
  });
}

let problems;
try {
  const result = await measure(bed);
  print(result);
  const artifacts = path.join(REPOSITORY, "artifacts");
  await mkdir(artifacts, { recursive: true });
  await writeFile(path.join(artifacts, "perf.json"), `${JSON.stringify(result, null, 2)}\n`);
  say("written to artifacts/perf.json");
} finally {
  problems = await clear();
  for (const problem of problems) say(`could not be cleared away: ${problem.message}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;
