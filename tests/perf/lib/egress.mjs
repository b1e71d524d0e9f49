// What the gateway costs who goes through it, beside a container that goes directly to the same server, and what the
// gateway itself takes.
import { copyFile, mkdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { Crowd } from "./crowd.mjs";
import { ECHO_PORT, Internet, Visitor } from "./internet.mjs";
import { inTurn, median } from "./measure.mjs";
import { processorUse, resident } from "./processes.mjs";
import { Policy } from "./policy.mjs";
import { against, alone } from "./rows.mjs";

const MB = 1_000_000;
/** Name of a server whose TLS passes through, and of one whose TLS the gateway opens. */
const PASSED = "passed.test";
const OPENED = "opened.test";
/** Name of what may be reached now and then. */
const ECHO = "echo.test";
const NAMES = [PASSED, OPENED, ECHO];
/** File that is sent, and the one with the authority by which the gateway opens TLS. */
const UPLOAD = "upload";
const OWN_AUTHORITY = "own-authority.pem";

export async function egress(bed, setting) {
  const scene = await prepare(bed, setting);
  const { sandbox, internet, neighbour, server } = scene;
  const started = await resident(server);
  await internet.connect(scene.gateway);
  const rows = [...(await latency(scene, setting)), ...(await throughput(scene, setting))];
  const crowds = await flows(scene, setting);
  rows.push(crowds.row, ...(await policy(bed, scene, setting)));
  // What is measured is what is kept when nothing has happened for a while.
  const share = await processorUse(server, setting.idleSeconds);
  rows.push(
    alone("gateway, resident memory: just started", "MB", [started / MB], 8),
    alone(`gateway, resident memory: ${setting.flows} TLS connections`, "MB", crowds.memory),
    alone("gateway, resident memory: idle afterwards", "MB", [(await resident(server)) / MB], 8),
    alone(`gateway, processor over ${setting.idleSeconds} s idle`, "% of one", [share]),
  );
  await bed.boxwood("remove", sandbox.id, "--yes", "--purge-state");
  await bed.drop(neighbour);
  await internet.close();
  return rows;
}

/** A server, a sandbox behind its gateway and a container beside it. */
async function prepare(bed, { image, bytes }) {
  const folder = await bed.project("egress");
  const internet = await Internet.open(bed);
  await internet.equip(folder);
  await writeFile(path.join(folder, UPLOAD), "");
  await truncate(path.join(folder, UPLOAD), bytes);
  await mkdir(path.join(folder, ".boxwood"));
  await writeFile(path.join(folder, ".boxwood/sandbox.jsonc"), JSON.stringify(settings(internet.address)));
  // A gateway that opens TLS checks the server's certificate. Whom it trusts the daemon learns when it starts.
  bed.environment.NODE_EXTRA_CA_CERTS = path.join(folder, "authority.pem");
  await bed.boxwood("daemon", "stop");
  const { sandbox } = await bed.boxwoodJson("start", folder, "--detach", "--approve-config");
  await copyFile(path.join(bed.state, "sandboxes", sandbox.id, "authority.pem"), path.join(folder, OWN_AUTHORITY));
  const gateway = `boxwood-gateway-${sandbox.id}`;
  const server = Number((await bed.docker("inspect", "--format", "{{.State.Pid}}", gateway)).stdout);
  const neighbour = await internet.neighbour(image, folder, NAMES);
  const visitors = { gateway: new Visitor(bed, sandbox.container, folder), direct: new Visitor(bed, neighbour, folder) };
  return { folder, internet, sandbox, gateway, server, neighbour, visitors };
}

/** Settings of the project. The limits are out of the way: what is measured is the gateway. */
function settings(address) {
  const egress = {
    default: "deny",
    allow: [PASSED],
    rules: [{ host: OPENED, action: "allow", inspect: true }],
    hosts: Object.fromEntries(NAMES.map((name) => [name, address])),
    limits: { connections: 4096, connectionsPerSecond: 100_000 },
  };
  return { network: "gateway", egress };
}

/** Until the first byte of an answer: of a new connection, and of one that is there. */
async function latency({ visitors }, { rounds, requests }) {
  const typical = (visit) => ({ once: async () => median((await visit()).map(({ first }) => first)) });
  const fresh = (visitor, name, authority) =>
    typical(async () => made(await visitor.fetch([`https://${name}/`], { times: requests, authority }), 1));
  const kept = (visitor, name, authority) =>
    typical(async () => {
      const urls = Array.from({ length: requests + 1 }, () => `https://${name}/`);
      // The first one makes the connection.
      return made((await visitor.fetch(urls, { authority })).slice(1), 0);
    });
  const contestants = (kind) => ({
    gateway: kind(visitors.gateway, PASSED),
    "gateway, opened": kind(visitors.gateway, OPENED, OWN_AUTHORITY),
    direct: kind(visitors.direct, PASSED),
  });
  const rows = [];
  for (const [what, kind] of Object.entries({ "new TLS connection": fresh, "kept-alive TLS": kept })) {
    const samples = await inTurn(contestants(kind), rounds);
    rows.push(
      adding(against(`first byte, ${what}`, samples, "gateway", "direct")),
      adding(against(`first byte, ${what}, opened by the gateway`, samples, "gateway, opened", "direct")),
    );
  }
  return rows;
}

/** Sees to it that as many connections were made as meant. */
function made(visits, connections) {
  const other = visits.find((visit) => visit.connections !== connections);
  if (other) throw new Error(`a fetch made ${other.connections} connections instead of ${connections}`);
  return visits;
}

function adding(row) {
  const more = row.ours.median - row.theirs.median;
  return { ...row, note: `${Math.abs(more).toFixed(2)} ms ${more < 0 ? "less" : "more"} than directly` };
}

/** How long much takes, in and out. */
async function throughput({ visitors }, { rounds, bytes }) {
  const carry = (visitor, url, options) => ({
    once: async () => {
      const [visit] = await visitor.fetch([url], options);
      if (visit.bytes !== bytes) throw new Error(`${url}: ${visit.bytes} bytes were carried instead of ${bytes}`);
      return visit.total;
    },
  });
  const ways = {
    download: [`/down?bytes=${bytes}`, {}],
    upload: ["/", { upload: UPLOAD }],
  };
  const rows = [];
  for (const [scheme, words] of Object.entries({ https: "TLS", http: "HTTP in the clear" })) {
    for (const [way, [place, options]] of Object.entries(ways)) {
      const url = `${scheme}://${PASSED}${place}`;
      const contestants = Object.entries(visitors).map(([name, visitor]) => [name, carry(visitor, url, options)]);
      const samples = await inTurn(Object.fromEntries(contestants), rounds);
      const row = against(`${way} of ${bytes / MB} MB, ${words}`, samples, "gateway", "direct");
      const speed = ({ median: ms }) => (bytes / MB / (ms / 1000)).toFixed(0);
      rows.push({ ...row, note: `${speed(row.ours)} MB/s through the gateway, ${speed(row.theirs)} MB/s directly` });
    }
  }
  return rows;
}

/** Many connections at once: how long until each has had an answer, and the gateway's memory while they are open. */
async function flows(scene, { rounds, flows: count }) {
  const memory = [];
  const contestant = (visitor, addressOf, look) => {
    let crowd;
    return {
      once: async () => {
        crowd = await Crowd.gather(visitor, await addressOf(), PASSED, count);
        await look();
        return crowd.ms;
      },
      after: () => crowd.leave(),
    };
  };
  const { gateway, direct } = scene.visitors;
  const samples = await inTurn(
    {
      gateway: contestant(
        gateway,
        () => gateway.exec("./attack", "own", PASSED),
        async () => memory.push((await resident(scene.server)) / MB),
      ),
      direct: contestant(
        direct,
        () => scene.internet.address,
        () => {},
      ),
    },
    rounds,
  );
  return { row: against(`${count} TLS connections at once, all answered`, samples, "gateway", "direct"), memory };
}

/** How soon another policy is in force while many connections are open, which it must leave alone. */
async function policy(bed, { folder, sandbox, neighbour, internet, visitors }, { rounds, flows: count }) {
  const visitor = visitors.gateway;
  const crowd = await Crowd.gather(visitor, await visitor.exec("./attack", "own", PASSED), PASSED, count);
  const talk = await Policy.open(bed, folder);
  const times = { allowed: [], cut: [] };
  for (let round = 0; round <= rounds; round += 1) {
    const allowed = await talk.allow(`${ECHO}:${ECHO_PORT}`);
    const flow = await talk.flow(visitor, ECHO, ECHO_PORT);
    const cut = await talk.forget(`${ECHO}:${ECHO_PORT}`, flow);
    // The first round is thrown away, as everywhere.
    if (round === 0) continue;
    times.allowed.push(allowed);
    times.cut.push(cut);
  }
  await talk.close();
  const samples = await inTurn(
    {
      boxwood: {
        before: () => bed.boxwood("egress", "forget", "*", sandbox.id),
        once: async () => (await bed.boxwood("egress", "allow", `${ECHO}:${ECHO_PORT}`, sandbox.id, "--for-session")).ms,
      },
      "docker network connect": {
        before: () => bed.docker("network", "disconnect", internet.network, neighbour),
        once: async () => (await internet.connect(neighbour)).ms,
      },
    },
    rounds,
  );
  await crowd.again();
  await crowd.leave();
  const among = `${count} connections open`;
  return [
    alone(`policy allows more, until in force, ${among}`, "ms", times.allowed, 50),
    alone(`policy allows less, until the flow is cut, ${among}`, "ms", times.cut, 50),
    against(`egress allow, the whole command, ${among}`, samples, "boxwood", "docker network connect"),
  ];
}
