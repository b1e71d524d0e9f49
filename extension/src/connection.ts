// One run of the server process, spoken to through the editor's language client.
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  ErrorCodes,
  LanguageClient,
  RevealOutputChannelOn,
  type LanguageClientOptions,
} from "vscode-languageclient/node";
import { eventMethod } from "./generated/protocol";
import type { Connection, ConnectOptions } from "./server";
import { isRecord } from "./wire";

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 2_000;

/** The files that the server has something to say about. */
const documents = ["**/.boxwood/sandbox.jsonc", "**/devcontainer.json", "**/.devcontainer.json"];

/**
 * What the client has to say goes to the log only. Its own messages would stand beside the extension's, which name the
 * next step.
 */
class SilentClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

export async function connect(options: ConnectOptions): Promise<Connection> {
  let isEnding = false;
  let isClosed = false;
  const hasEnded = (): boolean => isClosed;
  const clientOptions: LanguageClientOptions = {
    documentSelector: documents.map((pattern) => ({ scheme: "file", pattern })),
    outputChannel: options.log,
    // A trace would write down whole requests, and some carry credentials.
    traceOutputChannel: silentChannel(),
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationFailedHandler: () => false,
    // Starting anew is decided in one place, server.ts, with pauses and an end.
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        isClosed = true;
        if (!isEnding) options.onClosed();
        return { action: CloseAction.DoNotRestart, handled: true, message: "The server process has ended." };
      },
    },
  };
  const client = new SilentClient("boxwood", "Boxwood", { command: options.command, args: ["lsp"] }, clientOptions);
  client.onNotification(eventMethod, (event: unknown) => {
    options.onEvent(event);
  });
  const end = async (): Promise<void> => {
    isEnding = true;
    // The client notes the loss of a connection only after it has told of it.
    if (isClosed) await new Promise((resolve) => setImmediate(resolve));
    // A server that does not stop in time, or had not started, is left to the client's own clean-up.
    await client.dispose(STOP_TIMEOUT_MS).catch((error: unknown) => {
      options.log.debug(`the server did not stop by itself: ${String(error)}`);
    });
  };
  try {
    await Promise.race([client.start(), tooLate(options.signal)]);
    // The client may count as started although the process has ended meanwhile.
    if (hasEnded()) throw new Error();
  } catch (error) {
    await end();
    throw hasEnded() || isCutOff(error) ? new Error("it ended at once") : error;
  }
  return {
    request: (method, params, signal) => {
      const source = new vscode.CancellationTokenSource();
      const cancel = (): void => {
        source.cancel();
      };
      signal?.addEventListener("abort", cancel, { once: true });
      return client.sendRequest<unknown>(method, params, source.token).finally(() => {
        signal?.removeEventListener("abort", cancel);
        source.dispose();
      });
    },
    end,
  };
}

/** Which of these a request ends in, when the process does, depends on what the client notices first. */
function isCutOff(error: unknown): boolean {
  const codes: unknown[] = [
    ErrorCodes.MessageWriteError,
    ErrorCodes.MessageReadError,
    ErrorCodes.PendingResponseRejected,
  ];
  return isRecord(error) && codes.includes(error.code);
}

/** Rejects when a start is no longer wanted, or takes so long that it will not happen. */
function tooLate(signal: AbortSignal): Promise<never> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
  return new Promise((_, reject) => {
    const refuse = (): void => {
      reject(new Error(signal.aborted ? "the start was called off" : "the server did not answer in time"));
    };
    if (limit.aborted) refuse();
    else limit.addEventListener("abort", refuse, { once: true });
  });
}

function silentChannel(): vscode.OutputChannel {
  const nothing = (): void => undefined;
  const silent: Omit<vscode.OutputChannel, "show"> = {
    name: "Boxwood (no trace)",
    append: nothing,
    appendLine: nothing,
    replace: nothing,
    clear: nothing,
    hide: nothing,
    dispose: nothing,
  };
  return Object.assign(silent, { show: nothing });
}
