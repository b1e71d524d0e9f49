import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fetches } from "./lib/internet.mjs";
import { Lines } from "./lib/lines.mjs";
import { inPool, inTurn, median, quantile } from "./lib/measure.mjs";
import { comparison, figure, noteList } from "./lib/report.mjs";
import { against, alone } from "./lib/rows.mjs";
import { stepTimes } from "./lib/steps.mjs";
import { Tasks } from "./lib/tasks.mjs";
import { runLike } from "./lib/twin.mjs";

describe("samples", () => {
  it("have a median and quantiles by nearest rank", () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(quantile([10, 1, 9, 2, 8, 3, 7, 4, 6, 5], 0.9), 9);
    assert.equal(quantile([7], 0.9), 7);
  });

  it("are taken in turn, the first round is thrown away, and what surrounds them is not measured", async () => {
    const seen = [];
    const contestant = (name) => ({
      before: async () => seen.push(`before ${name}`),
      once: async () => seen.push(name),
      after: async () => seen.push(`after ${name}`),
    });
    const samples = await inTurn({ a: contestant("a"), b: contestant("b") }, 1);
    const round = ["before a", "a", "after a", "before b", "b", "after b"];
    assert.deepEqual(seen, [...round, ...round]);
    assert.deepEqual(samples, { a: [8], b: [11] });
  });
});

describe("a pool", () => {
  it("works on so many at a time and begins nothing after a failure", async () => {
    const running = { now: 0, most: 0, begun: 0 };
    const work = async (item) => {
      running.begun += 1;
      running.most = Math.max(running.most, ++running.now);
      await new Promise(setImmediate);
      running.now -= 1;
      if (item === 3) throw new Error("three");
    };
    await assert.rejects(inPool([1, 2, 3, 4, 5, 6, 7, 8], 2, work), /three/);
    assert.deepEqual(running, { now: 0, most: 2, begun: 4 });
  });
});

describe("what goes on", () => {
  it("is waited for before the end, after which nothing is begun", async () => {
    const tasks = new Tasks();
    const seen = [];
    let finish;
    const going = tasks.during(() => new Promise((resolve) => (finish = resolve)));
    const end = tasks.end(60_000).then(() => seen.push("end"));
    await assert.rejects(
      tasks.during(async () => seen.push("late")),
      /cleared away/,
    );
    seen.push("still going");
    finish("made");
    assert.equal(await going, "made");
    await end;
    assert.deepEqual(seen, ["still going", "end"]);
  });

  it("is broken off when it goes on for too long", async () => {
    const tasks = new Tasks();
    const broken = new Promise((_, reject) => tasks.signal.addEventListener("abort", () => reject(new Error("broken off"))));
    const going = assert.rejects(
      tasks.during(() => broken),
      /broken off/,
    );
    await tasks.end(1);
    await going;
  });
});

describe("a process that is talked with", () => {
  it("says lines, hears them, and its early end is an error with its own words", async () => {
    const script = `console.log("{}"); process.stdin.once("data", (text) => { console.log("heard " + text.toString().trim()); console.error("enough"); process.exit(3); });`;
    const lines = new Lines([process.execPath, "-e", script]);
    assert.equal(await lines.next(), "{}");
    lines.say("this");
    assert.equal(await lines.until((line) => line.startsWith("heard")), "heard this");
    await assert.rejects(lines.next(), /ended early\nenough/);
    await lines.close();
  });
});

describe("what curl tells", () => {
  it("is read in milliseconds, with the bytes that count", () => {
    const output = "1 0.002500 0.500000 32 0\n0 0.000250 0.000300 32 7";
    assert.deepEqual(fetches(output), [
      { connections: 1, first: 2.5, total: 500, bytes: 32 },
      { connections: 0, first: 0.25, total: 0.3, bytes: 32 },
    ]);
    assert.deepEqual(fetches(output, true).map(({ bytes }) => bytes), [0, 7]);
  });
});

describe("rows", () => {
  it("are met when the median is within the aim, and say nothing without one", () => {
    const samples = { ours: [10, 10, 40], theirs: [10, 20, 20] };
    assert.equal(against("a", samples, "ours", "theirs", 0.5).isMet, true);
    assert.equal(against("a", samples, "ours", "theirs", 0.4).isMet, false);
    assert.equal(against("a", samples, "ours", "theirs").isMet, undefined);
    assert.equal(alone("a", "MB", [9, 7, 8], 8).isMet, true);
    assert.equal(alone("a", "MB", [9, 7, 8], 7).isMet, false);
    assert.equal(noteList([{ what: "a", note: "b" }, { what: "c" }]), "- a: b");
  });
});

describe("the daemon's log", () => {
  const line = (trace, at, message, more = {}) =>
    JSON.stringify({ timestamp: `2026-01-01T00:00:00.${at}Z`, message, span: { kind: "ensure", trace }, ...more });

  it("tells what each step of the last operations of a project took", () => {
    const log = [
      line("x", "000000", "began", { project: "/other" }),
      line("a", "000000", "began", { project: "/p" }),
      line("a", "001500", "step", { step: "create" }),
      line("a", "900000", "ended"),
      line("b", "000000", "began", { project: "/p" }),
      line("b", "010000", "step", { step: "create" }),
      line("b", "030250", "step", { step: "start" }),
      line("b", "030500", "ended"),
      line("c", "000000", "began", { project: "/p" }),
      JSON.stringify({ timestamp: "2026-01-01T00:00:01Z", message: "listening" }),
    ].join("\n");
    assert.deepEqual(stepTimes(log, { kind: "ensure", project: "/p" }, 1), {
      steps: [
        { step: "create", median: 10, samples: [10] },
        { step: "start", median: 20.25, samples: [20.25] },
        { step: "after the last step", median: 0.25, samples: [0.25] },
      ],
      whole: [30.5],
    });
  });
});

describe("the report", () => {
  it("gives ratios below a half as fractions, and says what is met", () => {
    const one = { median: 10, p90: 12, samples: [10, 12] };
    const ten = { median: 1000, p90: 1200, samples: [1000, 1200] };
    const rows = [
      { what: "fast", unit: "ms", ours: one, theirs: ten, rival: "docker", ratio: 0.01, aim: 1 / 15, isMet: true },
      { what: "slow", unit: "ms", ours: ten, theirs: ten, rival: "docker", ratio: 1, aim: 0.9, isMet: false },
      { what: "alone", unit: "MB", ours: { median: 17.25, p90: 17.25, samples: [17.25] } },
    ];
    const cells = comparison(rows).split("\n").map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim()));
    assert.deepEqual(cells.slice(2), [
      ["fast", "10.0 ms (12.0)", "1000 ms (1200) docker", "1/100", "≤ 1/15.0", "yes"],
      ["slow", "1000 ms (1200)", "1000 ms (1200) docker", "1.00", "≤ 0.90", "no"],
      ["alone", "17.3 MB", "–", "–", "–", "–"],
    ]);
    assert.equal(figure(0.123), "0.12");
  });
});

describe("a container like a sandbox", () => {
  it("has its limits, mounts and command", () => {
    const args = runLike({
      Path: "/keep",
      Args: ["keep"],
      Config: { User: "1:2", WorkingDir: "/p", Env: ["A=b"], Image: "sha256:1", Healthcheck: { Test: ["CMD", "/keep", "health"], Interval: 3 } },
      HostConfig: {
        Memory: 10, MemorySwap: 10, PidsLimit: 5, CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges"],
        Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
        Mounts: [{ Type: "volume", Source: "v", Target: "/v", ReadOnly: true, VolumeOptions: { NoCopy: true } }],
      },
    });
    for (const expected of ["--memory=10", "--ulimit=nofile=1:2", "--mount=type=volume,source=v,target=/v,readonly,volume-nocopy", "--user=1:2"]) {
      assert.ok(args.includes(expected), expected);
    }
    assert.deepEqual(args.slice(-3), ["--health-interval=3ns", "sha256:1", "keep"]);
  });
});
