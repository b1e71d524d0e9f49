import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as vscode from "vscode";
import { methods, subscribeMethod } from "../src/generated/protocol";
import { failed, ok, type Result } from "../src/result";
import { Server, type Connection, type ConnectOptions } from "../src/server";
import { Store } from "../src/store";
import { fake } from "./fake/vscode";
import { rpcError, sandbox, settled, snapshot } from "./harness";

/** Runs of the server process, each of which a test can end. */
class Runs {
  readonly options: ConnectOptions[] = [];
  readonly asked: { method: string; params: object }[] = [];
  ended = 0;
  failures = 0;
  hangs = false;
  answer: () => Promise<unknown> = () => Promise.resolve([]);

  connect = (options: ConnectOptions): Promise<Connection> => {
    this.options.push(options);
    if (this.hangs) {
      return new Promise((_, reject) => {
        options.signal.addEventListener("abort", () => {
          reject(new Error("called off"));
        });
      });
    }
    if (this.failures > 0) {
      this.failures -= 1;
      return Promise.reject(new Error("spawn failed"));
    }
    return Promise.resolve({
      request: (method, params) => {
        this.asked.push({ method, params });
        return this.answer();
      },
      end: () => {
        this.ended += 1;
        return Promise.resolve();
      },
    });
  };

  crash(): void {
    this.options.at(-1)?.onClosed();
  }
}

let runs: Runs;
let store: Store;
let server: Server;
let found: Result<string>;

beforeEach(() => {
  fake.reset();
  vi.useFakeTimers();
  runs = new Runs();
  store = new Store();
  found = ok("/bin/boxwood");
  const log = vscode.window.createOutputChannel("Boxwood", { log: true });
  server = new Server({ store, log, find: () => Promise.resolve(found), connect: runs.connect });
});

afterEach(async () => {
  await server.dispose();
  vi.useRealTimers();
});

describe("a start", () => {
  it("happens once for all who want it", async () => {
    const results = await Promise.all([server.start(), server.start(), server.request(methods.list, {})]);
    expect(results.every((result) => result.kind === "ok")).toBe(true);
    expect(runs.options).toHaveLength(1);
    expect(store.model.server).toBe("running");
    expect(server.command).toBe("/bin/boxwood");
  });

  it("without a program says so at once, and tries again when asked again", async () => {
    found = failed(rpcError({ code: "daemon.unavailable", message: "no program" }));
    expect(await server.request(methods.list, {})).toMatchObject({ kind: "error" });
    expect(store.model).toMatchObject({ server: "failed", problem: { message: "no program" } });
    found = ok("/bin/boxwood");
    expect(await server.request(methods.list, {})).toMatchObject({ kind: "ok" });
    expect(store.model).not.toHaveProperty("problem");
  });

  it("that fails is repeated after pauses, and given up in the end", async () => {
    runs.failures = 100;
    const result = server.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toMatchObject({ kind: "error", error: { actions: ["restartServer", "showLogs"] } });
    expect(runs.options).toHaveLength(6);
    expect(store.model.server).toBe("failed");
  });

  it("that was given up is tried once by who asks, without a pause, and patiently by Restart Server", async () => {
    runs.failures = 100;
    const result = server.start();
    await vi.advanceTimersByTimeAsync(60_000);
    await result;
    for (const tries of [7, 8]) {
      expect(await server.request(methods.list, {})).toMatchObject({ kind: "error" });
      expect(runs.options).toHaveLength(tries);
    }
    const restarted = server.restart();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await restarted).toMatchObject({ kind: "error" });
    expect(runs.options).toHaveLength(14);
    runs.failures = 0;
    expect(await server.request(methods.list, {})).toMatchObject({ kind: "ok" });
    // What runs again is kept running as patiently as before.
    runs.failures = 1;
    runs.crash();
    await vi.advanceTimersByTimeAsync(500);
    expect(store.model.server).toBe("running");
  });

  it("believes a snapshot that is faster than the answer", async () => {
    const result = server.start();
    await settled();
    runs.options[0]?.onEvent(snapshot(sandbox()));
    await result;
    expect(store.model.sandboxes.size).toBe(1);
  });
});

describe("a process that ends by itself", () => {
  it("is started again, and what was known is forgotten until then", async () => {
    await server.start();
    runs.options[0]?.onEvent(snapshot(sandbox()));
    runs.crash();
    expect(store.model).toMatchObject({ server: "connecting" });
    expect(store.model.sandboxes.size).toBe(0);
    await vi.advanceTimersByTimeAsync(100);
    expect(store.model.server).toBe("running");
    runs.options[1]?.onEvent(snapshot(sandbox()));
    expect(store.model.sandboxes.size).toBe(1);
  });

  it("keeps requests waiting for the next one", async () => {
    await server.start();
    runs.crash();
    const request = server.request(methods.list, {});
    await vi.advanceTimersByTimeAsync(100);
    expect(await request).toEqual({ kind: "ok", value: [] });
  });

  it("fails the requests that it had", async () => {
    await server.start();
    let refuse: (error: Error) => void = () => undefined;
    runs.answer = () =>
      new Promise((_, reject) => {
        refuse = reject;
      });
    const request = server.request(methods.list, {});
    await settled();
    runs.crash();
    refuse(new Error("connection got disposed"));
    expect(await request).toMatchObject({ kind: "error", error: { code: "daemon.unavailable" } });
  });

  it("again and again is given up until someone asks", async () => {
    await server.start();
    for (let crash = 0; crash < 6; crash += 1) {
      runs.crash();
      await vi.advanceTimersByTimeAsync(15_000);
    }
    expect(store.model.server).toBe("failed");
    expect(runs.options).toHaveLength(6);
    expect(await server.request(methods.list, {})).toMatchObject({ kind: "ok" });
    expect(store.model.server).toBe("running");
  });

  it("after a long time is no reason to give up", async () => {
    await server.start();
    for (let crash = 0; crash < 20; crash += 1) {
      await vi.advanceTimersByTimeAsync(120_000);
      runs.crash();
    }
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.model.server).toBe("running");
  });

  it("is not started again by a window that closes", async () => {
    await server.start();
    runs.crash();
    await server.dispose();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(runs.options).toHaveLength(1);
    expect(await server.request(methods.list, {})).toEqual({ kind: "cancelled" });
  });
});

describe("a restart", () => {
  it("ends the process and starts another", async () => {
    await server.start();
    expect(await server.restart()).toMatchObject({ kind: "ok" });
    expect([runs.ended, runs.options.length]).toEqual([1, 2]);
  });

  it("does not listen to the one before", async () => {
    await server.start();
    await server.restart();
    runs.options[0]?.onEvent(snapshot(sandbox()));
    expect(store.model.sandboxes.size).toBe(0);
    runs.options[1]?.onEvent(snapshot(sandbox()));
    expect(store.model.sandboxes.size).toBe(1);
  });

  it("calls off a start that hangs", async () => {
    runs.hangs = true;
    const first = server.start();
    await settled();
    runs.hangs = false;
    expect(await server.restart()).toMatchObject({ kind: "ok" });
    expect(await first).toEqual({ kind: "cancelled" });
    expect(store.model.server).toBe("running");
  });

  it("does not wait for a pause to pass", async () => {
    await server.start();
    for (let crash = 0; crash < 4; crash += 1) {
      runs.crash();
      await vi.advanceTimersByTimeAsync(5_000);
    }
    runs.crash();
    const restarted = server.restart();
    await vi.advanceTimersByTimeAsync(0);
    expect(await restarted).toMatchObject({ kind: "ok" });
  });
});

describe("the wish for figures", () => {
  const wishes = (): unknown[] =>
    runs.asked.filter(({ method }) => method === subscribeMethod).map((ask) => ask.params);

  it("is sent when it changes, and again to the next process", async () => {
    await server.start();
    await server.showStatsOf(["a"]);
    await server.showStatsOf(["a"]);
    runs.crash();
    await vi.advanceTimersByTimeAsync(100);
    expect(wishes()).toEqual([{ stats: ["a"] }, { stats: ["a"] }]);
  });
});
