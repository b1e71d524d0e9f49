// A project's configuration that asks for more than the default: what it asks for, and the person's yes.
import * as vscode from "vscode";
import type { App } from "./app";
import { methods } from "./generated/protocol";
import { cancelled, done, type Result } from "./result";
import { baseName, sentence } from "./format";

const APPROVE = "Approve";
const OPEN = "Open File";

/**
 * Shows what the project's file widens and asks. The yes is bound to the content that the server reported: the server
 * refuses it when the file has changed since.
 */
export async function approveConfiguration(app: App, project: string): Promise<Result<undefined>> {
  const answer = await app.server.request(methods.getConfig, { project });
  if (answer.kind !== "ok") return answer;
  const report = answer.value;
  if (report.isApproved || report.contentHash === undefined) return done;

  const question = `The configuration of '${baseName(project)}' asks for more than the default. Approve it as it stands?`;
  const detail = report.widens.map((line) => `• ${sentence(line)}`).join("\n");
  let chosen = await vscode.window.showWarningMessage(question, { modal: true, detail }, APPROVE, OPEN);
  if (chosen === OPEN && report.projectFile !== undefined) {
    await vscode.window.showTextDocument(vscode.Uri.file(report.projectFile));
    // Not modal this time: the file is to be read first.
    chosen = await vscode.window.showWarningMessage(question, APPROVE);
  }
  if (chosen !== APPROVE) return cancelled;
  const approved = await app.server.request(methods.approveConfig, { project, contentHash: report.contentHash });
  return approved.kind === "ok" ? done : approved;
}
