// What is measured. Each scenario gives rows: ours, theirs where somebody has the like, and the aim.
import { inPool, inTurn, median, summary } from "./measure.mjs";
import { memory, processorUse } from "./processes.mjs";
import { timeToInitialize } from "./server.mjs";
import { stepTimes } from "./steps.mjs";
import { runLike } from "./twin.mjs";

const MB = 1_000_000;
/** How long the idle daemon is watched, seconds. */
const IDLE_SECONDS = 10;
/** Starts at a time when many sandboxes are made. */
const AT_A_TIME = 4;

/** A row of times: `most` is the largest ratio of ours to theirs that is aimed at. */
function against(what, samples, ours, theirs, most) {
  const row = { what, unit: "ms", ours: summary(samples[ours]), theirs: summary(samples[theirs]), rival: theirs };
  const ratio = row.ours.median / row.theirs.median;
  const aim = most === undefined ? {} : { aim: most, isMet: ratio <= most };
  return { ...row, ratio, ...aim };
}

/** A row without a rival: `most` is an amount in the row's unit. */
function alone(what, unit, samples, most) {
  const row = { what, unit, ours: summary(samples) };
  return most === undefined ? row : { ...row, aim: most, isMet: row.ours.median <= most };
}

/** `boxwood start` and `devcontainer up` of what runs already, and a command in it. */
export async function warm(bed, { rounds, mine, theirs }) {
  const { sandbox } = await bed.boxwoodJson("start", mine, "--detach");
  const devcontainer = bed.owns(containerOf((await bed.devcontainer("up", theirs)).stdout));

  const ensure = await inTurn(
    {
      boxwood: { once: async () => (await bed.boxwood("start", mine, "--detach")).ms },
      "devcontainer up": { once: async () => (await bed.devcontainer("up", theirs)).ms },
    },
    rounds,
  );
  const exec = await inTurn(
    {
      boxwood: { once: async () => (await bed.boxwood("exec", sandbox.id, "--", "true")).ms },
      "docker exec": { once: async () => (await bed.docker("exec", sandbox.container, "true")).ms },
      "devcontainer exec": { once: async () => (await bed.devcontainer("exec", theirs, "true")).ms },
    },
    rounds,
  );
  await bed.drop(devcontainer);
  return [
    against("start, sandbox runs", ensure, "boxwood", "devcontainer up", 1 / 15),
    against("exec true", exec, "boxwood", "docker exec", 1),
    against("exec true", exec, "boxwood", "devcontainer exec"),
  ];
}

/** The same where no container exists, but its image and the runtime volume do. */
export async function cold(bed, { rounds, mine, theirs, image }) {
  // Stays while the others come and go: the sources of its mounts have to.
  const { sandbox } = await bed.boxwoodJson("start", await bed.project("twin"), "--detach");
  const [twin] = JSON.parse((await bed.docker("inspect", sandbox.container)).stdout);
  // Afterwards, as with the others: an engine that has just removed a container is slower to start the next.
  const remove = () => bed.boxwood("remove", "--project", mine, "--yes");
  await remove();
  const samples = await inTurn(
    {
      boxwood: { once: async () => (await bed.boxwood("start", mine, "--detach")).ms, after: remove },
      "docker run": passing(bed, () => bed.docker("run", "--detach", image, "sleep", "infinity")),
      "docker run, as a sandbox": passing(bed, () => bed.docker(...runLike(twin))),
      "devcontainer up": passing(bed, () => bed.devcontainer("up", theirs), containerOf),
    },
    rounds,
  );
  await bed.boxwood("remove", sandbox.id, "--yes", "--purge-state");
  const what = "start, no container";
  const { steps, whole } = stepTimes(await bed.log(), { kind: "ensure", project: mine }, rounds);
  // The measured rounds and the operations in the log go in pairs.
  const outside = median(samples.boxwood.map((ms, index) => ms - whole[index]));
  return [
    { ...against(what, samples, "boxwood", "docker run", 1.5), steps, outside },
    against(what, samples, "boxwood", "docker run, as a sandbox"),
    against(what, samples, "boxwood", "devcontainer up"),
  ];
}

/** A contestant whose container is removed after each round. */
function passing(bed, make, idOf = (output) => output) {
  let container;
  return {
    once: async () => {
      const { ms, stdout } = await make();
      container = bed.owns(idOf(stdout));
      return ms;
    },
    after: () => bed.drop(container),
  };
}

/** What `devcontainer up` says last is a JSON object. */
function containerOf(output) {
  return JSON.parse(output.split("\n").at(-1)).containerId;
}

/** `boxwood list` of many sandboxes, and the daemon's memory with them. */
export async function many(bed, { rounds, sandboxes }) {
  const projects = await Promise.all(Array.from({ length: sandboxes }, (_, number) => bed.project(`many-${number}`)));
  await inPool(projects, AT_A_TIME, (folder) => bed.boxwood("start", folder, "--detach", "--memory", "512m", "--network", "none"));
  const listed = await bed.boxwoodJson("list");
  if (listed.length < sandboxes) throw new Error(`${listed.length} of ${sandboxes} sandboxes are listed`);
  const filter = await bed.label();
  const samples = await inTurn(
    {
      boxwood: { once: async () => (await bed.boxwood("list")).ms },
      "docker ps": { once: async () => (await bed.docker("ps", "--all", "--filter", filter)).ms },
    },
    rounds,
  );
  const { resident } = await memory(await bed.daemon());
  await inPool(projects, AT_A_TIME, (folder) => bed.boxwood("remove", "--project", folder, "--yes", "--purge-state"));
  return [
    against(`list, ${sandboxes} sandboxes`, samples, "boxwood", "docker ps"),
    alone(`daemon, resident memory with ${sandboxes} sandboxes`, "MB", [resident / MB]),
  ];
}

/** First answers of daemon and language server. */
export async function hello(bed, { rounds }) {
  const dockerVersion = { once: async () => (await bed.docker("version")).ms };
  const samples = await inTurn(
    {
      // The cheapest request that starts a daemon; `daemon status` would not.
      "daemon, cold": {
        before: () => bed.boxwood("daemon", "stop"),
        once: async () => (await bed.boxwood("stats", "--operations")).ms,
      },
      "daemon, warm": { once: async () => (await bed.boxwood("daemon", "status")).ms },
      lsp: { once: () => timeToInitialize(bed.boxwoodCommand("lsp"), { cwd: bed.root, env: bed.environment }) },
      "docker version": dockerVersion,
    },
    rounds,
  );
  return [
    against("hello of the daemon, started for it", samples, "daemon, cold", "docker version"),
    against("hello of the daemon, running", samples, "daemon, warm", "docker version"),
    against("lsp, until initialize is answered", samples, "lsp", "docker version"),
  ];
}

/** What the daemon costs while one sandbox runs and nobody asks for anything. */
export async function idle(bed, { mine }) {
  await bed.boxwood("start", mine, "--detach");
  const pid = await bed.daemon();
  const share = await processorUse(pid, IDLE_SECONDS);
  const { resident, proportional } = await memory(pid);
  return [
    alone("daemon, resident memory (VmRSS)", "MB", [resident / MB], 20),
    alone("daemon, proportional memory (PSS)", "MB", [proportional / MB]),
    alone(`daemon, processor over ${IDLE_SECONDS} s idle`, "% of one", [share]),
  ];
}
