// Replaces what differs from run to run and from machine to machine by something of the same form, so that a recording
// changes only when the conversation does, and says nothing of the machine it was made on.

const HOME = "/home/person";

/** Amounts that are measured, by name, and where a name has other meanings too, by what stands beside it. */
const MEASURED = {
  durationMs: 100,
  medianMs: 100,
  p95Ms: 100,
  maxMs: 100,
  uptimeSeconds: 5,
  atMs: 1_767_225_600_000,
  untilMs: 1_767_225_660_000,
  expiresAtMs: 1_769_817_600_000,
  lastRefreshMs: 1_767_225_600_000,
  daysLeft: 29,
  pid: 1234,
  processId: 1234,
  cpuPercent: 12.5,
  networkRxBytes: 1024,
  networkTxBytes: 1024,
  sizeBytes: 195_000_000,
  reclaimedBytes: 195_000_000,
};
const MEASURED_BESIDE = { cpuPercent: { memoryBytes: 1_048_576, pids: 3 }, uptimeSeconds: { memoryBytes: 16_777_216 } };
const FIXED = { version: "1.0.0", apiVersion: "1.41", build: "1.0.0+1", "dev.boxwood.owner": "1000", "dev.boxwood.version": "1.0.0" };

export function normalise(messages, { root, claude }) {
  const text = JSON.stringify(messages);
  const times = ranked(text);
  const versions = new Set(Array.from(text.matchAll(/"version":"([^"]+)"/g), ([, version]) => version));
  const names = new Names();
  const inText = (string) =>
    names.replace(
      string
        .replaceAll(`${root}/projects`, HOME)
        .replaceAll(`${root}/state`, `${HOME}/.local/state/boxwood`)
        .replaceAll(`${root}/runtime`, "/run/user/1000/boxwood")
        .replaceAll(`${root}/config`, `${HOME}/.config/boxwood`)
        .replaceAll(root, HOME)
        .replaceAll(claude, "2.0.0")
        .replace(/\b\d+[.]\d+[.]\d+(?:[+][\w.]+)?/g, (version) => (versions.has(version) ? FIXED.version : version))
        .replace(TIME, (time) => times.get(time))
        .replace(/\b(state|code_challenge)=[\w-]+/g, (_, name) => `${name}=the-${name}`)
        .replace(/\b\d{4}-\d{2}-\d{2}\b(?!T)/g, "2026-01-31")
        .replace(/\b\d+(\.\d+)? (B|[KMGT]i?B)\b/g, "10 GiB")
        .replace(/\b\d+ processors\b/g, "2 processors")
        .replace(/\b198\.1[89]\.\d+\.(\d+)\b/g, "198.18.0.$1")
        .replace(/^\d+:\d+$/, "1000:1000"),
    );
  return messages.map((message) => value(message, inText));
}

function value(of, inText, key) {
  if (typeof of === "string") return FIXED[key] ?? inText(of);
  if (Array.isArray(of)) return oneOfAKind(of.map((item) => value(item, inText)));
  if (of === null || typeof of !== "object") return of;
  const beside = Object.entries(MEASURED_BESIDE).find(([name]) => name in of)?.[1] ?? {};
  const entries = Object.entries(of).map(([name, item]) => {
    // Presets are data of their own; the first shows their form.
    if (name === "presets" && item.length > 1) return [name, value(item.slice(0, 1), inText)];
    // One that the daemon gave itself is a time.
    if (name === "serial" && item > MEASURED.atMs) return [name, MEASURED.atMs];
    if (name === "bypassUntilMs" && item > 0) return [name, MEASURED.untilMs];
    // What the browser showed; made-up ones tell what is wrong with them.
    if (name === "code" && "operationId" in of && item.length > LONGEST_WORD) return [name, "the-code#the-state"];
    if (typeof item === "number") return [name, beside[name] ?? MEASURED[name] ?? item];
    return [inText(name), value(item, inText, name)];
  });
  return Object.fromEntries(entries);
}

/** An engine that was used before has images of other versions too; one of each repository tells as much. */
function oneOfAKind(items) {
  const repository = (item) => /^(boxwood-[a-z]+):/.exec(item?.reference ?? item)?.[1];
  const names = items.map(repository);
  return items.filter((_, index) => names[index] === undefined || names.indexOf(names[index]) === index);
}

/** A made-up code is shorter than a real one. */
const LONGEST_WORD = 40;

const TIME = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z/g;

const ID = /\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{12})\b/g;

/** Times keep their order and lose everything else. */
function ranked(text) {
  const all = [...new Set(text.match(TIME))].sort();
  const start = Date.UTC(2026, 0, 1);
  return new Map(all.map((time, rank) => [time, new Date(start + rank * 1000).toISOString().replace(".000Z", "Z")]));
}

/** Hashes and ids, counted by length in the order in which they come. */
class Names {
  #known = new Map();
  #counts = new Map();

  replace(string) {
    return string
      .replace(ID, (id) => (id.includes("-") ? `00000000-0000-4000-8000-${this.#name(id.slice(-12))}` : this.#name(id)))
      .replace(/\bapp-([0-9a-f]{8})\b/g, (_, id) => `app-${this.#name(id)}`);
  }

  #name(id) {
    // Ids of one digit only are made up by the conversations themselves.
    if (/^(.)\1*$/.test(id)) return id;
    if (!this.#known.has(id)) {
      const count = (this.#counts.get(id.length) ?? 0) + 1;
      this.#counts.set(id.length, count);
      this.#known.set(id, count.toString(16).padStart(id.length, "0"));
    }
    return this.#known.get(id);
  }
}
