// Which hosts a project's sandboxes get the person's git credentials for: answered, shown, taken back.
import * as vscode from "vscode";
import type { App } from "../app";
import { chooseProject, type Target } from "../choose";
import { baseName } from "../format";
import { methods, type GitAnswer } from "../generated/protocol";
import { cancelled, done, type Result } from "../result";
import { gitAnswerWords, gitApprovalRow, gitAskRow } from "../view/git";

const TITLE = "Git Credentials";
const WORD_MS = 5_000;

/** The handler behind the links of a question. */
export function answeringGit(answer: GitAnswer) {
  return async (app: App, { project, host }: Target): Promise<Result<unknown>> =>
    project === undefined || host === undefined ? gitCredentials(app, {}) : decide(app, project, host, answer);
}

async function decide(app: App, project: string, host: string, answer: GitAnswer): Promise<Result<unknown>> {
  app.log.info(`git credential of ${host}: ${answer}`);
  const result = await app.server.request(methods.gitDecide, { target: { project }, host, answer });
  if (result.kind !== "ok") return result;
  const word = `Git credential of ${host} ${gitAnswerWords[answer]} in '${baseName(project)}'`;
  vscode.window.setStatusBarMessage(`$(check) ${word}`, WORD_MS);
  return done;
}

export async function gitCredentials(app: App, target: Target): Promise<Result<unknown>> {
  const chosen = await chooseProject(app, target, TITLE);
  if (chosen.kind !== "ok") return chosen;
  const { project } = chosen.value;
  const report = await app.server.request(methods.gitApprovals, { project });
  if (report.kind !== "ok") return report;
  const { approvals, asks } = report.value;
  const title = `${TITLE}: '${baseName(project)}'`;
  const items = [...asks.map(gitAskRow), ...approvals.map(gitApprovalRow)];
  if (items.length === 0) {
    void vscode.window.showInformationMessage(
      `No git credential of yours was allowed or denied in '${baseName(project)}'. You are asked when git in its sandbox needs one.`,
    );
    return cancelled;
  }
  const host = await vscode.window.showQuickPick(items, {
    title,
    placeHolder: "Host whose answer to give or to change",
  });
  return host
    ? change(
        app,
        project,
        host.host,
        approvals.some((approval) => approval.host === host.host),
      )
    : cancelled;
}

async function change(app: App, project: string, host: string, isDecided: boolean): Promise<Result<unknown>> {
  const choice = (label: string, detail: string, answer?: GitAnswer) => ({ label, detail, answer });
  const items = [
    choice("$(pass) Allow", "Sandboxes of this project get the credential when git asks for it.", "allow"),
    choice("$(circle-slash) Deny", "They do not, and nobody is asked.", "deny"),
    ...(isDecided ? [choice("$(discard) Ask Again", "The next request asks you.")] : []),
  ];
  const picked = await vscode.window.showQuickPick(items, { title: `${TITLE}: ${host}` });
  if (!picked) return cancelled;
  if (picked.answer !== undefined) return decide(app, project, host, picked.answer);
  const result = await app.server.request(methods.gitRevoke, { target: { project }, host });
  if (result.kind !== "ok") return result;
  vscode.window.setStatusBarMessage(`$(check) You are asked again about ${host}`, WORD_MS);
  return done;
}
