import { beforeEach, describe, expect, it, vi } from "vitest";
import * as vscode from "vscode";
import { Terminals, type TerminalEnded } from "../src/terminal";
import { fake, TerminalExitReason } from "./fake/vscode";
import { sandbox } from "./harness";

let ended: ReturnType<typeof vi.fn<(ended: TerminalEnded) => void>>;
let terminals: Terminals;

beforeEach(() => {
  fake.reset();
  ended = vi.fn();
  terminals = new Terminals(ended);
});

function open(place: "editor" | "beside" | "panel" = "editor", kind: "claude" | "shell" = "claude") {
  terminals.open(sandbox(), kind, "/bin/boxwood", place);
  const terminal = fake.terminals.at(-1);
  if (!terminal) throw new Error("no terminal was made");
  return terminal;
}

describe("a terminal", () => {
  it.each([
    ["editor", { viewColumn: vscode.ViewColumn.Active }],
    ["beside", { viewColumn: vscode.ViewColumn.Beside }],
    ["panel", vscode.TerminalLocation.Panel],
  ] as const)("opens in the %s", (place, location) => {
    expect(open(place).creationOptions.location).toEqual(location);
  });

  it("is one per sandbox and kind", () => {
    open();
    open();
    open("editor", "shell");
    expect(fake.terminals.map(({ shown }) => shown)).toEqual([2, 1]);
    expect([terminals.has(sandbox().id, "claude"), terminals.has("other", "claude")]).toEqual([true, false]);
  });

  it("is known again after the window was reloaded", () => {
    open();
    new Terminals(ended).open(sandbox(), "claude", "/bin/boxwood", "editor");
    expect(fake.terminals).toHaveLength(1);
  });

  it("is closed before its container goes away, without a complaint", () => {
    open();
    open("editor", "shell");
    terminals.close("other");
    expect(fake.terminals).toHaveLength(2);
    terminals.close(sandbox().id);
    expect(fake.terminals).toEqual([]);
    expect(ended).not.toHaveBeenCalled();
  });

  it("is made anew when its program has ended", () => {
    open().exitStatus = { code: 1, reason: TerminalExitReason.Process };
    open();
    expect(fake.terminals).toHaveLength(2);
  });
});

describe("the end of a terminal", () => {
  it.each([
    ["its program failed", 69, TerminalExitReason.Process, 1],
    ["its program ended well", 0, TerminalExitReason.Process, 0],
    ["the person closed it", 1, TerminalExitReason.User, 0],
    ["the window closed", 1, TerminalExitReason.Shutdown, 0],
  ])("when %s", (_, code, reason, times) => {
    fake.closeTerminal(open(), code, reason);
    expect(ended).toHaveBeenCalledTimes(times);
  });

  it("says whose it was", () => {
    fake.closeTerminal(open(), 69);
    expect(ended).toHaveBeenCalledWith({ sandbox: sandbox(), kind: "claude", exitCode: 69 });
  });

  it("of another's is nothing to us", () => {
    const other = {
      creationOptions: {},
      exitStatus: undefined,
      shown: 0,
      show: () => undefined,
      dispose: () => undefined,
    };
    fake.terminals.push(other);
    fake.closeTerminal(other, 1);
    expect(ended).not.toHaveBeenCalled();
  });
});
