#!/usr/bin/env node
// A local imitation of what claude signs in to and works with: pages, tokens and the Messages API, over TLS with an
// authority of its own, under the real names. Tokens expire, rotate and are taken back as they would be; what else goes
// wrong is for a test to say. The model is that of messages-api.mjs.
//
//   node identity.mjs [--host 127.0.0.1] [--tls-port 0] [--plain-port 0] [--proxy] [--proxy-port 0] [--admin-port 0]
//                     [--ca FILE] [--record FILE] [--account EMAIL]... [--until-stdin-ends]
//
// Prints one line when everything listens: {"tls":N,"plain":N,"proxy":N|null,"admin":N,"ca":"FILE","hosts":[…]}.
// README.md says how to lead clients here, and what can be asked of the administrative port.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { closeServer, credentialHash, credentials, listen, readBody, sendError, sendJson, tooLarge } from "./http.mjs";
import { Accounts } from "./identity/accounts.mjs";
import { Authority } from "./identity/authority.mjs";
import { Clock } from "./identity/clock.mjs";
import { Counters } from "./identity/counters.mjs";
import { Desk, VERBS } from "./identity/desk.mjs";
import { Faults } from "./identity/faults.mjs";
import { createProxy } from "./identity/proxy.mjs";
import { cleanBody, cleanPath, Recorder } from "./identity/record.mjs";
import { HOSTS, routeOf } from "./identity/routes.mjs";
import { Vault } from "./identity/vault.mjs";
import { Model } from "./messages-api.mjs";

const SOMEBODY = "ada@example.test";

/** Everything that the servers share. */
function makeWorld(options) {
  const clock = new Clock();
  const counters = new Counters();
  const accounts = new Accounts();
  for (const email of options.accounts ?? [SOMEBODY]) accounts.add({ email });
  const vault = new Vault(clock, (event) => counters.count(event));
  return { clock, counters, accounts, vault, faults: new Faults(), model: new Model(options.answers), recorder: new Recorder(options) };
}

/** Notes a request when its answer begins, so that whoever has the answer finds the note. */
function noteAnswer(world, response, entry) {
  const { writeHead } = response;
  let isNoted = false;
  const note = (status) => {
    if (!isNoted) world.recorder.note({ ...entry, status });
    isNoted = true;
  };
  response.writeHead = (status, ...rest) => {
    note(status);
    return writeHead.call(response, status, ...rest);
  };
  response.once("close", () => note(null));
}

async function handle(world, request, response) {
  const host = (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  const url = new URL(request.url, `https://${host || "nobody"}`);
  const body = await readBody(request);
  const found = credentials(request.headers);
  const { endpoint, answer } = routeOf(host, { method: request.method, url, body });
  response.sendDate = false;
  response.setHeader("date", new Date(world.clock.now()).toUTCString());
  noteAnswer(world, response, {
    at: new Date().toISOString(),
    host,
    method: request.method,
    path: cleanPath(url),
    endpoint,
    auth: found.map(({ kind, value }) => {
      const secret = world.vault.find(value);
      return { kind, hash: credentialHash(value), state: secret ? world.vault.stateOf(secret) : "unknown", account: secret?.family.account.email ?? null };
    }),
    userAgent: request.headers["user-agent"] ?? null,
    body: cleanBody(body.json),
  });
  world.counters.count(`requests.${endpoint}`);
  if (body.tooLarge) return tooLarge(response);
  if (!(await world.faults.meet(endpoint, request, response))) return undefined;
  return answer(world, { request, url, body, found }, response);
}

function handler(world) {
  return (request, response) => {
    handle(world, request, response).catch((error) => {
      if (response.headersSent) response.destroy(error);
      else sendError(response, 500, error.message);
    });
  };
}

function createTls(world, authority) {
  const options = {
    ALPNProtocols: ["http/1.1"],
    SNICallback: (name, done) => (HOSTS.includes(name) ? done(null, authority.contextFor(name)) : done(new Error(`${name} is nobody here`))),
  };
  return createTlsServer(options, handler(world));
}

/** The desk behind a port: POST /VERB with a JSON object. */
function createAdmin(desk) {
  return createServer(async (request, response) => {
    const verb = new URL(request.url, "http://admin").pathname.slice(1);
    const body = await readBody(request);
    if (!VERBS.includes(verb)) return sendJson(response, 404, { error: `there is no '${verb}': ${VERBS.join(", ")}` });
    if (request.method !== "POST" || body.invalid) return sendJson(response, 400, { error: "POST a JSON object" });
    try {
      return sendJson(response, 200, await desk[verb](body.json ?? {}));
    } catch (error) {
      return sendJson(response, 400, { error: error.message });
    }
  });
}

/**
 * Starts everything inside this process.
 * @param {{host?: string, tlsPort?: number, plainPort?: number, hasProxy?: boolean, proxyPort?: number, adminPort?: number, ca?: string,
 *   record?: string, accounts?: string[], answers?: Record<string, string>, onRequest?: (entry: object) => void}} options
 *   ca: the file to write the authority's certificate to, one of its own unless given; answers: see messages-api.mjs
 * @returns {Promise<{ports: object, ca: string, certificate: string, desk: Desk, close: () => Promise<void>}>}
 */
export async function startIdentity(options = {}) {
  const world = makeWorld(options);
  const authority = new Authority();
  const desk = new Desk(world);
  const folder = options.ca ? null : mkdtempSync(path.join(tmpdir(), "boxwood-test-ca-"));
  const ca = options.ca ?? path.join(folder, "ca.pem");
  writeFileSync(ca, authority.certificate);
  const tls = createTls(world, authority);
  const plain = createServer(handler(world));
  const admin = createAdmin(desk);
  const proxy = options.hasProxy ? createProxy({ hosts: HOSTS, accept: (socket) => tls.emit("connection", socket), counters: world.counters, recorder: world.recorder }) : null;
  const { host } = options;
  const ports = {
    tls: await listen(tls, { host, port: options.tlsPort }),
    plain: await listen(plain, { host, port: options.plainPort }),
    proxy: proxy && (await listen(proxy.server, { host, port: options.proxyPort })),
    // Whoever reaches this one may have every secret: this machine only.
    admin: await listen(admin, { port: options.adminPort }),
  };
  const close = async () => {
    world.faults.clear();
    await Promise.all([tls, plain, admin].map(closeServer));
    await proxy?.close();
    if (folder) rmSync(folder, { recursive: true });
  };
  return { ports, ca, certificate: authority.certificate, desk, close };
}

async function main() {
  const port = { type: "string", default: "0" };
  const { values } = parseArgs({
    options: {
      host: { type: "string", default: "127.0.0.1" },
      "tls-port": port,
      "plain-port": port,
      "proxy-port": port,
      "admin-port": port,
      proxy: { type: "boolean", default: false },
      ca: { type: "string" },
      record: { type: "string" },
      account: { type: "string", multiple: true },
      // For callers that may be killed: the pipe ends with them.
      "until-stdin-ends": { type: "boolean", default: false },
    },
  });
  const identity = await startIdentity({
    host: values.host,
    tlsPort: Number(values["tls-port"]),
    plainPort: Number(values["plain-port"]),
    proxyPort: Number(values["proxy-port"]),
    adminPort: Number(values["admin-port"]),
    hasProxy: values.proxy,
    ca: values.ca,
    record: values.record,
    accounts: values.account,
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => identity.close().then(() => process.stdin.destroy()));
  if (values["until-stdin-ends"]) process.stdin.once("end", () => identity.close()).resume();
  console.log(JSON.stringify({ ...identity.ports, ca: identity.ca, hosts: HOSTS }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main().catch((error) => {
    console.error(`identity: ${error.message}`);
    process.exitCode = 1;
  });
}
