// What it costs to keep a key outside the sandbox, for a request and for each event of a stream, and how soon a sandbox has
// what changed of the login on the host.
import { watch } from "node:fs";
import { copyFile, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { Internet, Visitor } from "./internet.mjs";
import { inTurn, median } from "./measure.mjs";
import { against, alone } from "./rows.mjs";

/** Name of a server that takes the key, and of one that is no matter of the key's. */
const API = "api.test";
const PASSED = "passed.test";
const KEY = "sk-ant-api03-of-the-measurement";
const PLACEHOLDER = "placeholder";
const LOGIN = ".credentials.json";
/** Longest that a change may take to arrive, milliseconds: what hangs is a failure. */
const LONGEST_MS = 10_000;

export async function credentials(bed, setting) {
  return [...(await requests(bed, setting)), ...(await changes(bed, setting))];
}

/** Requests through a gateway that puts the key on, through one that passes TLS on, and directly. */
async function requests(bed, { image, rounds, requests: count }) {
  const folder = await bed.project("credentials");
  const internet = await Internet.open(bed);
  await internet.equip(folder);
  const egress = { default: "deny", allow: [PASSED], hosts: { [API]: internet.address, [PASSED]: internet.address } };
  await mkdir(path.join(folder, ".boxwood"));
  await writeFile(path.join(folder, ".boxwood/sandbox.jsonc"), JSON.stringify({ network: "gateway", egress }));
  bed.environment.NODE_EXTRA_CA_CERTS = path.join(folder, "authority.pem");
  await bed.boxwood("daemon", "stop");
  Object.assign(bed.environment, { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: `https://${API}` });
  const { sandbox } = await bed.boxwoodJson("start", folder, "--detach", "--approve-config");
  for (const name of ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]) delete bed.environment[name];
  await copyFile(path.join(bed.state, "sandboxes", sandbox.id, "authority.pem"), path.join(folder, "own-authority.pem"));
  await internet.connect(`boxwood-gateway-${sandbox.id}`);
  const neighbour = await internet.neighbour(image, folder, [API, PASSED]);
  const inside = new Visitor(bed, sandbox.container, folder);
  const outside = new Visitor(bed, neighbour, folder);
  const ways = {
    brokered: await way(inside, API, "own-authority.pem", KEY),
    gateway: await way(inside, PASSED, "authority.pem", PLACEHOLDER),
    direct: await way(outside, API, "authority.pem", PLACEHOLDER, internet.address),
  };
  // Each way is gone once in a round, and gives both samples.
  const events = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  const samples = await inTurn(
    Object.fromEntries(
      Object.entries(ways).map(([name, go]) => [
        name,
        {
          once: async () => {
            const told = await go(count);
            events[name].push(median(told.events));
            return median(told.requests);
          },
        },
      ]),
    ),
    rounds,
  );
  // The first round is thrown away, as everywhere.
  for (const values of Object.values(events)) values.shift();
  await bed.boxwood("remove", sandbox.id, "--yes", "--purge-state");
  await bed.drop(neighbour);
  await internet.close();
  return [
    more(against("API request, the key put on by the gateway", samples, "brokered", "direct")),
    more(against("API request, TLS passed on", samples, "gateway", "direct")),
    more(against("token of a streamed answer, the key put on by the gateway", events, "brokered", "direct")),
    more(against("token of a streamed answer, TLS passed on", events, "gateway", "direct")),
  ];
}

/** How to ask a server from somewhere; `key` is what must arrive there. */
async function way(visitor, name, authority, key, address) {
  const to = `${address ?? (await visitor.exec("./attack", "own", name)).trim()}:443`;
  return async (count) => {
    const told = JSON.parse(await visitor.exec("./attack", "stream", to, name, String(count), authority));
    if (!told.answer.includes(JSON.stringify(key))) throw new Error(`another key arrived at ${name}: ${told.answer}`);
    return told;
  };
}

function more(row) {
  const difference = row.ours.median - row.theirs.median;
  return { ...row, note: `${Math.abs(difference).toFixed(3)} ms ${difference < 0 ? "less" : "more"} than directly` };
}

/** From a change of the login on the host until a sandbox has it, in the modes in which it gets it. */
async function changes(bed, { rounds }) {
  const home = path.join(bed.root, "claude");
  await mkdir(home, { mode: 0o700 });
  bed.environment.CLAUDE_CONFIG_DIR = home;
  await put(home, 0);
  await bed.boxwood("daemon", "stop");
  const folder = await bed.project("login");
  const { sandbox } = await bed.boxwoodJson("start", folder, "--detach");
  const inside = path.join(bed.state, "sandboxes", sandbox.id, "home/.claude");
  const rows = [];
  let number = 1;
  for (const mode of ["token", "sync"]) {
    await bed.boxwood("credentials", "mode", mode, "--source", "hostLogin", "--sandbox", sandbox.id, "--yes");
    const times = [];
    for (let round = 0; round <= rounds; round += 1, number += 1) {
      const arrived = arrival(inside, token(number));
      const began = process.hrtime.bigint();
      await put(home, number);
      await arrived;
      if (round > 0) times.push(Number(process.hrtime.bigint() - began) / 1e6);
    }
    rows.push(alone(`login renewed on the host, until the sandbox has it, '${mode}'`, "ms", times, 100));
  }
  delete bed.environment.CLAUDE_CONFIG_DIR;
  await bed.boxwood("remove", sandbox.id, "--yes", "--purge-state");
  await bed.boxwood("daemon", "stop");
  return rows;
}

const token = (number) => `sk-ant-oat01-measured-${number}-`;

/** Puts a login in its place as Claude Code does: whole. */
async function put(home, number) {
  const hours = (count) => Date.now() + count * 3_600_000 + number * 60_000;
  const login = {
    accessToken: token(number),
    refreshToken: `sk-ant-ort01-measured-${number}-`,
    expiresAt: hours(8),
    refreshTokenExpiresAt: hours(720),
    scopes: ["user:inference", "user:profile"],
    subscriptionType: "max",
    accountUuid: "00000000-0000-4000-8000-000000000001",
  };
  const file = path.join(home, LOGIN);
  await writeFile(`${file}.new`, JSON.stringify({ claudeAiOauth: login }), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Resolves when the login in a directory has this token. */
function arrival(directory, wanted) {
  return new Promise((resolve, reject) => {
    const watcher = watch(directory);
    const end = setTimeout(() => finish(new Error(`${wanted} did not arrive within ${LONGEST_MS} ms`)), LONGEST_MS);
    const finish = (problem) => {
      clearTimeout(end);
      watcher.close();
      if (problem) reject(problem);
      else resolve();
    };
    const look = async () => {
      const text = await readFile(path.join(directory, LOGIN), "utf8").catch(() => "");
      if (text.includes(wanted)) finish();
    };
    watcher.on("change", look);
    watcher.on("error", finish);
  });
}
