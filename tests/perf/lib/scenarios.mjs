// What is measured. Each scenario gives rows: ours, theirs where somebody has the like, and the aim.
import { inPool, inTurn, median } from "./measure.mjs";
import { processorUse, proportional, resident } from "./processes.mjs";
import { against, alone } from "./rows.mjs";
import { timeToInitialize } from "./server.mjs";
import { stepTimes } from "./steps.mjs";
import { runLike } from "./twin.mjs";

const MB = 1_000_000;
/** Starts at a time when many sandboxes are made. */
const AT_A_TIME = 4;

/** `boxwood start` and `devcontainer up` of what runs already, and a command in it. */
export async function warm(bed, { rounds, mine, theirs }) {
  const { sandbox } = await bed.boxwoodJson("start", mine, "--detach");
  const devcontainer = containerOf((await bed.devcontainer("up", theirs)).stdout);

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
  // Without a gateway it does what `docker run` does, and is compared with that.
  const open = ["--network", "open"];
  const unfiltered = await bed.project("unfiltered");
  // Stays while the others come and go: the sources of its mounts have to.
  const { sandbox } = await bed.boxwoodJson("start", await bed.project("twin"), "--detach", ...open);
  const [twin] = JSON.parse((await bed.docker("inspect", sandbox.container)).stdout);
  await bed.boxwood("remove", "--project", mine, "--yes");
  const samples = await inTurn(
    {
      boxwood: sandboxed(bed, mine),
      "boxwood, open": sandboxed(bed, unfiltered, ...open),
      "docker run": passing(bed, () => bed.make("run", "--detach", image, "sleep", "infinity")),
      "docker run, as a sandbox": passing(bed, () => bed.make("run", ...runLike(twin))),
      "devcontainer up": passing(bed, () => bed.devcontainer("up", theirs), containerOf),
    },
    rounds,
  );
  await bed.boxwood("remove", sandbox.id, "--yes", "--purge-state");
  const log = await bed.log();
  const explained = (project, times) => {
    const { steps, whole } = stepTimes(log, { kind: "ensure", project }, rounds);
    // The measured rounds and the operations in the log go in pairs.
    return { steps, outside: median(times.map((ms, index) => ms - whole[index])) };
  };
  const filtered = "start, no container: verified gateway";
  const bare = "start, no container: --network open";
  return [
    { ...against(filtered, samples, "boxwood", "devcontainer up", 1), ...explained(mine, samples.boxwood) },
    against(filtered, samples, "boxwood", "docker run"),
    { ...against(bare, samples, "boxwood, open", "docker run", 1.5), ...explained(unfiltered, samples["boxwood, open"]) },
    against(bare, samples, "boxwood, open", "docker run, as a sandbox"),
    against(bare, samples, "boxwood, open", "devcontainer up"),
  ];
}

/** `boxwood start` of a project whose sandbox is removed after each round. */
function sandboxed(bed, folder, ...options) {
  return {
    once: async () => (await bed.boxwood("start", folder, "--detach", ...options)).ms,
    // Afterwards, as with the others: an engine that has just removed a container is slower to start the next.
    after: () => bed.boxwood("remove", "--project", folder, "--yes"),
  };
}

/** A contestant whose container is removed after each round. */
function passing(bed, make, idOf = (output) => output) {
  let container;
  return {
    once: async () => {
      const { ms, stdout } = await make();
      container = idOf(stdout);
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
  const memory = await resident(await bed.daemon());
  await inPool(projects, AT_A_TIME, (folder) => bed.boxwood("remove", "--project", folder, "--yes", "--purge-state"));
  return [
    against(`list, ${sandboxes} sandboxes`, samples, "boxwood", "docker ps"),
    alone(`daemon, resident memory with ${sandboxes} sandboxes`, "MB", [memory / MB]),
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
      lsp: { once: () => bed.during(() => timeToInitialize(bed.boxwoodCommand("lsp"), { cwd: bed.root, env: bed.environment })) },
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
export async function idle(bed, { mine, idleSeconds }) {
  await bed.boxwood("start", mine, "--detach");
  const pid = await bed.daemon();
  const share = await processorUse(pid, idleSeconds);
  return [
    alone("daemon, resident memory (VmRSS)", "MB", [(await resident(pid)) / MB], 20),
    alone("daemon, proportional memory (PSS)", "MB", [(await proportional(pid)) / MB]),
    alone(`daemon, processor over ${idleSeconds} s idle`, "% of one", [share]),
  ];
}
