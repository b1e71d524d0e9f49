// What is said in each conversation. Every method of the contract occurs once at least, and the errors that a client has
// to tell apart. Parameters are complete, as the generated types want them.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { makeRepository } from "./conversation.mjs";

const HELLO = { client: "recorder", version: "1.0.0", protocol: 1 };

/** What a client asks before there is any sandbox, and how requests are refused. */
export async function questions(talk) {
  await talk.ask("boxwood/daemon/hello", HELLO);
  await talk.ask("boxwood/daemon/status", {});
  await talk.ask("boxwood/sandbox/list", {});
  await talk.ask("boxwood/sandbox/count", {});
  await talk.ask("boxwood/operation/list", {});
  await talk.ask("boxwood/operation/metrics", {});
  await talk.ask("boxwood/template/list", {});
  const project = await talk.bed.project("app");
  await talk.done("boxwood/doctor/run", { project });
  await talk.ask("boxwood/events/subscribe", { stats: [] });

  await talk.refused("boxwood/no/such", {});
  await talk.refused("boxwood/sandbox/list", { project: 7 });
  await talk.refused("boxwood/sandbox/list", { unknown: true });
  await talk.refused("boxwood/daemon/hello", { client: "recorder" });
  await talk.refused("boxwood/events/subscribe", { stats: "all" });
  await talk.refused("boxwood/sandbox/ensure", { project: path.join(talk.bed.root, "projects/absent") });
  await talk.refused("boxwood/sandbox/ensure", { project: "/" });
  await talk.refused("boxwood/sandbox/ensure", { project, session: "Not a name" });
  await talk.refused("boxwood/sandbox/inspect", { sandbox: "absent" });
  await talk.refused("boxwood/sandbox/stop", { project });
  await talk.refused("boxwood/operation/cancel", { operationId: "f".repeat(32) });
  await talk.refused("boxwood/operation/wait", { operationId: "f".repeat(32) });
  await talk.refused("boxwood/template/insert", { project, template: "absent", dryRun: false });
}

/** The life of a sandbox from its making to its removal. */
export async function lifecycle(talk) {
  const project = await talk.bed.project("app");
  await makeRepository(project);
  const { sandbox } = await talk.done("boxwood/sandbox/ensure", { project });
  const target = { sandbox: sandbox.id };
  await talk.done("boxwood/sandbox/ensure", { project, config: { memory: "2g" } });
  await talk.ask("boxwood/sandbox/list", { project });
  await talk.ask("boxwood/sandbox/count", {});
  await talk.ask("boxwood/sandbox/inspect", target);
  await talk.ask("boxwood/daemon/status", {});

  const script = 'printf "to standard output\\n"; printf "to standard error\\n" >&2; exit 3';
  await talk.done("boxwood/sandbox/exec", { target, command: ["sh", "-c", script] });
  await talk.done("boxwood/sandbox/exec", { target, command: ["pwd"], workdir: "/tmp" });
  await talk.done("boxwood/sandbox/stats", target);
  await talk.ask("boxwood/events/subscribe", { stats: [sandbox.id] });
  await talk.event(({ type }) => type === "stats");
  await talk.ask("boxwood/events/subscribe", { stats: [] });
  await talk.done("boxwood/sandbox/logs", { target, tail: 10 });
  await talk.ask("boxwood/sandbox/attach", { target, shell: false, resumeLast: true });
  await talk.ask("boxwood/sandbox/attach", { target, shell: true, resumeLast: false });

  await talk.done("boxwood/sandbox/stop", target);
  await talk.refused("boxwood/sandbox/attach", { target, shell: false, resumeLast: false });
  await talk.done("boxwood/sandbox/ensure", { project });
  await talk.done("boxwood/sandbox/restart", target);
  await talk.done("boxwood/sandbox/refresh", { project, config: { memory: "1g", cpus: 1.5 } });
  const { operationId } = await talk.ask("boxwood/sandbox/remove", { project, purgeState: true });
  await talk.ask("boxwood/operation/wait", { operationId });
  await talk.end(operationId);
  await talk.event(({ type }) => type === "sandboxRemoved");
  await talk.ask("boxwood/operation/metrics", {});
}

/** An operation that is cancelled, one that fails, and what is told of them. */
export async function operations(talk) {
  const project = await talk.bed.project("app");
  await talk.done("boxwood/sandbox/ensure", { project, session: "second", config: { network: "none", pids: 256 } });
  const target = { project, session: "second" };
  const { operationId } = await talk.ask("boxwood/sandbox/exec", { target, command: ["sh", "-c", "echo begun; exec sleep 600"] });
  await talk.event(({ type, ...event }) => type === "operationOutput" && event.operationId === operationId);
  await talk.ask("boxwood/operation/list", {});
  await talk.refused("boxwood/daemon/stop", { force: false });
  await talk.ask("boxwood/operation/cancel", { operationId });
  await talk.end(operationId);
  await talk.ask("boxwood/operation/cancel", { operationId });
  await talk.ask("boxwood/operation/wait", { operationId });

  await talk.done("boxwood/sandbox/exec", { target, command: ["no-such-program"] });
  await writeFile(path.join(project, "Dockerfile"), "FROM debian:bookworm-slim\nRUN echo this goes wrong; exit 7\n");
  await talk.ended("boxwood/sandbox/ensure", { project, session: "third", config: { dockerfile: "Dockerfile" } });
  await talk.done("boxwood/sandbox/prune", { dryRun: true });
  await talk.done("boxwood/sandbox/cleanupAll", { dryRun: true });
  await talk.done("boxwood/sandbox/remove", { ...target, purgeState: true });
}

/** What a sandbox may reach: asked for, waited for, decided, taken back. */
export async function egress(talk) {
  const project = await talk.bed.project("app");
  // Nobody answers at this address, which is set apart for documents.
  const hosts = { "held.example": "203.0.113.7" };
  const config = { network: "gateway", egress: { allow: ["allowed.example:8443"], deny: ["denied.example"], hosts } };
  const { sandbox } = await talk.done("boxwood/sandbox/ensure", { project, config });
  const target = { sandbox: sandbox.id };
  await talk.ask("boxwood/egress/policy", target);
  await talk.ask("boxwood/egress/test", { target, host: "allowed.example", port: 8443 });
  await talk.ask("boxwood/egress/test", { target, host: "denied.example" });
  await talk.ask("boxwood/egress/test", { target, host: "held.example", method: "GET", path: "/" });

  // The connection is held from when its host is known.
  const request = "exec 3<>/dev/tcp/held.example/80; printf 'GET / HTTP/1.1\\r\\nHost: held.example\\r\\n\\r\\n' >&3; cat <&3";
  const held = await talk.ask("boxwood/sandbox/exec", { target, command: ["bash", "-c", request] });
  await talk.event(({ type }) => type === "egressAsking");
  await talk.ask("boxwood/egress/asks", target);
  await talk.ask("boxwood/egress/decide", { target, host: "held.example:80", answer: "deny" });
  await talk.event(({ type }) => type === "egressAsked");
  await talk.event(({ type }) => type === "egressDecided");
  await talk.end(held.operationId);

  await talk.ask("boxwood/egress/decide", { target, host: "*.project.example", answer: "allowProject" });
  await talk.ask("boxwood/egress/forget", { target, host: "*.project.example" });
  await talk.ask("boxwood/egress/bypass", { target, seconds: 600 });
  await talk.ask("boxwood/egress/bypass", { target, seconds: 0 });
  await talk.refused("boxwood/egress/bypass", { target, seconds: 86_400 });
  await talk.refused("boxwood/egress/decide", { target, host: "not a host", answer: "allowOnce" });
  await talk.ask("boxwood/egress/log", { target, limit: 10, blocked: true });
  await talk.done("boxwood/sandbox/remove", { project, purgeState: true });
}

/** A project's configuration: read, refused, approved; and its devcontainer. */
export async function configuration(talk) {
  const project = await talk.bed.project("app");
  await talk.ask("boxwood/config/get", { project });
  const file = path.join(project, ".boxwood/sandbox.jsonc");
  await mkdir(path.dirname(file));
  await writeFile(file, '{ "memory": "lots" }\n');
  await talk.refused("boxwood/config/get", { project });
  await writeFile(file, '{\n  // More than the default.\n  "memory": "16g",\n  "image": "debian:bookworm-slim"\n}\n');
  const { contentHash } = await talk.ask("boxwood/config/get", { project });
  await talk.ended("boxwood/sandbox/ensure", { project });
  await talk.refused("boxwood/config/approve", { project, contentHash: "0".repeat(64) });
  await talk.ask("boxwood/config/approve", { project, contentHash });
  await talk.ask("boxwood/config/get", { project });

  const [template] = await talk.ask("boxwood/template/list", {});
  await talk.ask("boxwood/template/insert", { project, template: template.id, dryRun: true });
  await talk.ask("boxwood/template/insert", { project, template: template.id, dryRun: false });
  await talk.ask("boxwood/template/insert", { project, template: template.id, dryRun: false });
}

/** The image, and a daemon that is asked to leave while the editor wants no events. */
export async function leaving(talk) {
  await talk.done("boxwood/image/build", { variant: "slim", noCache: false });
  await talk.ask("boxwood/image/list", {});
  await talk.ask("boxwood/events/unsubscribe", {});
  await talk.ask("boxwood/daemon/stop", { force: false });
}
