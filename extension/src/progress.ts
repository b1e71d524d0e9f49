// The notification that shows an operation: its steps, how far it is, and a button to cancel it.
import * as vscode from "vscode";
import type { App } from "./app";
import type { Methods } from "./generated/protocol";
import { sentence } from "./format";
import type { OperationMethod } from "./operations";
import type { Result } from "./result";

export interface Watched<M extends OperationMethod> {
  readonly title: string;
  readonly method: M;
  readonly params: Methods[M]["params"];
  /** For what takes a moment and changes nothing: a word in the status bar instead of a notification. */
  readonly isQuiet?: boolean;
}

/** Runs an operation under a notification; its log lines go to the output channel. */
export async function operate<M extends OperationMethod>(
  app: App,
  { title, method, params, isQuiet = false }: Watched<M>,
): Promise<Result<Methods[M]["outcome"]>> {
  app.log.info(`${method} begins`);
  const { Notification, Window } = vscode.ProgressLocation;
  const options = { location: isQuiet ? Window : Notification, title, cancellable: !isQuiet };
  const result = await vscode.window.withProgress(options, (progress, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => {
      progress.report({ message: "Cancelling…" });
      abort.abort();
    });
    const meter = new Meter();
    return app.operations.run(method, params, {
      signal: AbortSignal.any([abort.signal, app.signal]),
      onEvent: (event) => {
        if (event.type === "operationOutput") app.output.append(lineOf(event.text));
        else if (!abort.signal.aborted) {
          app.log.info(`${method}: ${event.step}: ${event.message}`);
          progress.report({ message: sentence(event.message).replace(/\.$/, ""), increment: meter.advance(event) });
        }
      },
    });
  });
  app.log.info(`${method} ends: ${result.kind === "error" ? result.error.code : result.kind}`);
  return result;
}

/** Turns steps done, and the share of the one at hand, into the increments that a notification wants. */
export class Meter {
  #shown = 0;

  /** @returns by how many of 100 the bar moves; never back */
  advance({ done, total, percent }: { done: number; total: number; percent?: number }): number {
    if (total <= 0) return 0;
    const reached = Math.min(100, ((done + (percent ?? 0) / 100) / total) * 100);
    const increment = Math.max(0, reached - this.#shown);
    this.#shown += increment;
    return increment;
  }
}

function lineOf(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}
