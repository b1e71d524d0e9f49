// An answer of the person about a host, given to the server.
import * as vscode from "vscode";
import type { App } from "./app";
import { hostPort } from "./format";
import { methods, type EgressAnswer, type EgressAsk } from "./generated/protocol";
import { egressOf } from "./model";
import { done, type Result } from "./result";
import { answeredWords, answerWords } from "./view/egress";

/** How long the word about an answer stands in the status bar. */
const WORD_MS = 4_000;

export interface Decision {
  readonly sandboxId: string;
  /** `name`, `*.name` or `name:port`. */
  readonly host: string;
  readonly answer: EgressAnswer;
}

/** Tells the server what the person decided. An answer to a question that is over is not an error: it says so. */
export async function decide(app: App, decision: Decision): Promise<Result<undefined>> {
  const { sandboxId, host, answer } = decision;
  app.log.info(`${host}: ${answerWords[answer]}`);
  const result = await app.server.request(methods.egressDecide, { target: { sandbox: sandboxId }, host, answer });
  if (result.kind === "ok") {
    app.store.dispatch({ type: "egressReport", sandboxId, report: result.value });
    vscode.window.setStatusBarMessage(`$(check) ${host} ${answeredWords[answer]}`, WORD_MS);
    return done;
  }
  if (result.kind === "error" && result.error.code === "egress.nothing" && answer === "allowOnce") {
    return tooLate(app, decision);
  }
  return result;
}

async function tooLate(app: App, { sandboxId, host }: Decision): Promise<Result<undefined>> {
  const later = ["allowSession", "allowProject"] satisfies EgressAnswer[];
  const chosen = await vscode.window.showInformationMessage(
    `The connection to ${host} no longer waits. To let the next one through, allow the host for longer.`,
    ...later.map((answer) => answerWords[answer]),
  );
  const answer = later.find((candidate) => answerWords[candidate] === chosen);
  return answer ? decide(app, { sandboxId, host, answer }) : done;
}

/**
 * The host as an answer names it, never more than the person saw: exactly what waits when it is about the moment. For
 * longer it is the host's web ports together, as a person means it, and any other port by itself.
 */
export function hostOf(app: App, sandboxId: string, { host, port }: EgressAsk, answer: EgressAnswer): string {
  const exactly = hostPort(host, port);
  if (answer === "allowOnce" || answer === "deny") return exactly;
  const isWeb = (candidate: number): boolean => candidate === 80 || candidate === 443;
  const others = egressOf(app.store.model, sandboxId).asks.filter((ask) => ask.host === host);
  // Without a port the server takes all ports that wait.
  return isWeb(port) && others.every((ask) => isWeb(ask.port)) ? host : exactly;
}
