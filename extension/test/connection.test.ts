import { beforeEach, describe, expect, it, vi } from "vitest";
import * as vscode from "vscode";
import { connect } from "../src/connection";
import type { Connection } from "../src/server";
import { fake } from "./fake/vscode";

interface ErrorHandler {
  closed(): unknown;
}

/** What the editor's client does as far as it matters here: it tells the person what went wrong, unless kept from it. */
const client = vi.hoisted(() => ({
  start: (): Promise<void> => Promise.resolve(),
  handler: undefined as ErrorHandler | undefined,
  shown: [] as string[],
}));

vi.mock("vscode-languageclient/node", () => ({
  CloseAction: { DoNotRestart: 1 },
  ErrorAction: { Continue: 1 },
  ErrorCodes: { MessageWriteError: -32099, MessageReadError: -32098, PendingResponseRejected: -32097 },
  RevealOutputChannelOn: { Never: 4 },
  LanguageClient: class {
    constructor(_id: string, _name: string, _server: object, options: { errorHandler: ErrorHandler }) {
      client.handler = options.errorHandler;
    }
    error(message: string, _data: unknown, showNotification: boolean | "force" = true): void {
      if (showNotification !== false) client.shown.push(message);
    }
    async start(): Promise<void> {
      await client.start().catch((error: unknown) => {
        this.error("couldn't create connection to server.", error, "force");
        throw error;
      });
    }
    onNotification(): void {
      // Nothing is sent here.
    }
    dispose(): Promise<void> {
      return Promise.resolve();
    }
  },
}));

const closed = vi.fn();

function connected(): Promise<Connection> {
  const log = vscode.window.createOutputChannel("Boxwood", { log: true });
  const signal = new AbortController().signal;
  return connect({ command: "/bin/boxwood", log, signal, onEvent: vi.fn(), onClosed: closed });
}

beforeEach(() => {
  fake.reset();
  closed.mockReset();
  client.shown.length = 0;
  client.start = () => Promise.resolve();
});

describe("a server that cannot be started", () => {
  it("is an error of the extension's own, and not a message of the client's", async () => {
    client.start = () => Promise.reject(new Error("spawn EACCES"));
    await expect(connected()).rejects.toThrow("spawn EACCES");
    expect(client.shown).toEqual([]);
  });

  it("is said to have ended when it did, whatever the client makes of it", async () => {
    client.start = () => {
      client.handler?.closed();
      return Promise.reject(new Error("Pending response rejected since connection got disposed"));
    };
    await expect(connected()).rejects.toThrow("it ended at once");
    client.start = () => Promise.reject(Object.assign(new Error("write EPIPE"), { code: -32099 }));
    await expect(connected()).rejects.toThrow("it ended at once");
    client.start = () => {
      client.handler?.closed();
      return Promise.resolve();
    };
    await expect(connected()).rejects.toThrow("it ended at once");
    expect(client.shown).toEqual([]);
  });
});

describe("a server that ends", () => {
  it("is told of, unless that was asked for", async () => {
    await connected();
    client.handler?.closed();
    expect(closed).toHaveBeenCalledTimes(1);
    const second = await connected();
    await second.end();
    client.handler?.closed();
    expect(closed).toHaveBeenCalledTimes(1);
  });
});
