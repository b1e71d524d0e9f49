import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { methods, type Event } from "../src/generated/protocol";
import type { OperationEvent } from "../src/operations";
import { fake } from "./fake/vscode";
import { ended, openWindow, Refusal, rpcError, sandbox, settled, snapshot, type Answers, type Window } from "./harness";

const params = { sandbox: "shop" };
const untouched = new AbortController().signal;

beforeEach(() => {
  fake.reset();
});

afterEach(() => {
  vi.useRealTimers();
});

async function run(answers: Answers, signal = untouched, onEvent?: (event: OperationEvent) => void) {
  const opened = await openWindow(answers);
  const result = opened.app.operations.run(methods.stop, params, { signal, ...(onEvent ? { onEvent } : {}) });
  return { ...opened, result };
}

describe("an operation", () => {
  it("gives what its end carries", async () => {
    const { result } = await run({ [methods.stop]: { ends: sandbox() } });
    expect(await result).toEqual({ kind: "ok", value: sandbox() });
  });

  it("that is refused never starts", async () => {
    const refuse = () => {
      throw new Refusal(rpcError({ code: "sandbox.busy" }));
    };
    const { result } = await run({ [methods.stop]: refuse });
    expect(await result).toMatchObject({ kind: "error", error: { code: "sandbox.busy" } });
  });

  it("that fails gives its error", async () => {
    const { result } = await run({ [methods.stop]: { ends: new Refusal(rpcError()) } });
    expect(await result).toEqual({ kind: "error", error: rpcError() });
  });

  it("that fails without a word is still an error", async () => {
    const { result, server } = await run({ [methods.stop]: { ends: undefined } });
    await settled();
    server.emit({ type: "operationEnded", end: ended({ outcome: "failed" }) });
    expect(await result).toMatchObject({ kind: "error", error: { code: "internal" } });
  });

  it("hears events that come before its id is known", async () => {
    const heard: string[] = [];
    const before: Partial<Event>[] = [
      { type: "operationProgress", step: "a", message: "first", done: 0, total: 2 },
      { type: "operationOutput", stream: "log", text: "line" },
    ];
    const { result } = await run({ [methods.stop]: { ends: sandbox(), before } }, untouched, (event) => {
      heard.push(event.type === "operationProgress" ? event.message : event.text);
    });
    await result;
    expect(heard).toEqual(["first", "line"]);
  });

  it("may end before its id is known", async () => {
    const { app, server } = await openWindow();
    server.answers[methods.stop] = () => {
      server.emit({ type: "operationEnded", end: ended({ operationId: "early", result: sandbox() }) });
      return { operationId: "early" };
    };
    const result = app.operations.run(methods.stop, params, { signal: untouched });
    expect(await result).toMatchObject({ kind: "ok" });
  });

  it("ends by asking when the event is lost", async () => {
    const answers = { [methods.stop]: { ends: undefined }, [methods.wait]: ended({ result: sandbox() }) };
    const { result } = await run(answers);
    expect(await result).toEqual({ kind: "ok", value: sandbox() });
  });
});

describe("cancelling", () => {
  it("asks the server, and waits for the one end", async () => {
    const abort = new AbortController();
    const { result, server } = await run({ [methods.stop]: { ends: undefined } }, abort.signal);
    await settled();
    abort.abort();
    await settled();
    expect(server.paramsOf(methods.cancel)).toEqual({ operationId: "op1" });
    server.emit({ type: "operationEnded", end: ended({ outcome: "cancelled" }) });
    expect(await result).toEqual({ kind: "cancelled" });
  });

  it("is asked for as soon as there is something to cancel", async () => {
    const abort = new AbortController();
    const { result, server } = await run({ [methods.stop]: { ends: undefined } }, abort.signal);
    abort.abort();
    await settled();
    expect(server.paramsOf(methods.cancel)).toEqual({ operationId: "op1" });
    server.emit({ type: "operationEnded", end: ended({ outcome: "cancelled" }) });
    await result;
  });

  it("may come too late", async () => {
    const abort = new AbortController();
    const { result, server } = await run({ [methods.stop]: { ends: undefined } }, abort.signal);
    await settled();
    abort.abort();
    server.emit({ type: "operationEnded", end: ended({ result: sandbox() }) });
    expect(await result).toMatchObject({ kind: "ok" });
  });

  it("does not hang when the server cannot be asked", async () => {
    const abort = new AbortController();
    const refuse = () => {
      throw new Refusal(rpcError({ code: "daemon.unavailable" }));
    };
    const { result } = await run({ [methods.stop]: { ends: undefined }, [methods.cancel]: refuse }, abort.signal);
    await settled();
    abort.abort();
    expect(await result).toEqual({ kind: "cancelled" });
  });

  it("does not hang when the start is not answered, and cancels it when it is", async () => {
    vi.useFakeTimers();
    let answer: (value: unknown) => void = () => undefined;
    const abort = new AbortController();
    const slow = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const { result, server } = await run({ [methods.stop]: slow }, abort.signal);
    await vi.advanceTimersByTimeAsync(10);
    abort.abort();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await result).toEqual({ kind: "cancelled" });
    answer({ operationId: "late" });
    await settled();
    expect(server.paramsOf(methods.cancel)).toEqual({ operationId: "late" });
  });

  it("before the start starts nothing", async () => {
    const { result, server } = await run({ [methods.stop]: { ends: sandbox() } }, AbortSignal.abort());
    expect(await result).toEqual({ kind: "cancelled" });
    expect(server.paramsOf(methods.stop)).toBeUndefined();
  });
});

describe("a daemon that is lost meanwhile", () => {
  let answers: unknown[];
  let opened: Window;

  async function lose(...waits: unknown[]) {
    vi.useFakeTimers();
    answers = waits;
    opened = await openWindow({
      [methods.stop]: { ends: undefined },
      [methods.wait]: () => {
        const next = answers.shift();
        if (next instanceof Refusal) throw next;
        return next;
      },
    });
    const result = opened.app.operations.run(methods.stop, params, { signal: untouched });
    await vi.advanceTimersByTimeAsync(10);
    return result;
  }

  const away = new Refusal(rpcError({ code: "daemon.unavailable" }));
  const unknown = new Refusal(rpcError({ code: "operation.notFound", message: "no operation op1" }));

  it("is asked again when it says that it is back", async () => {
    const pending = lose(away, ended({ result: sandbox() }));
    await vi.advanceTimersByTimeAsync(20);
    opened.server.emit(snapshot());
    expect(await pending).toMatchObject({ kind: "ok" });
  });

  it("is asked again after a while when nothing is heard", async () => {
    const pending = lose(away, away, ended({ result: sandbox() }));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await pending).toMatchObject({ kind: "ok" });
  });

  it("and has forgotten the operation has undone it", async () => {
    const pending = lose(away, unknown);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await pending).toMatchObject({
      kind: "error",
      error: { code: "operation.notFound", actions: ["retry", "showLogs"] },
    });
  });

  it("is not waited for without end", async () => {
    const pending = lose(...Array.from({ length: 50 }, () => away));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(await pending).toMatchObject({ kind: "error", error: { code: "daemon.unavailable" } });
  });
});
