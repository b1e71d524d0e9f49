// Switch Credential Mode: what a sandbox holds of the credential, and which credential that is. Whatever a choice means is
// said before it is made.
import * as vscode from "vscode";
import type { App } from "../app";
import type { Target } from "../choose";
import { sentence } from "../format";
import {
  methods,
  type CredentialMode,
  type CredentialModeReport,
  type CredentialsSetModeParams,
  type CredentialsStatus,
  type CredentialSourceReport,
} from "../generated/protocol";
import { cancelled, type Result } from "../result";
import { modeRow, modeWords, type Row } from "../view/credentials";
import { change, ofWhom, statusOf } from "./credentials";

const TITLE = "Switch Credential Mode";

interface ModeItem extends Row {
  readonly mode: CredentialModeReport;
}

interface SourceItem extends Row {
  readonly other: CredentialSourceReport;
}

export async function switchCredentialMode(app: App, target: Target): Promise<Result<unknown>> {
  const asked = target.sandboxId === undefined ? app.credentials.target : { sandbox: target.sandboxId };
  const answer = await statusOf(app, asked);
  if (answer.kind !== "ok") return answer;
  const status = answer.value;
  const items = choices(status);
  if (items.length === 0) return offerLogin();
  const picked = await vscode.window.showQuickPick(items, {
    title: `${TITLE}: ${ofWhom(app, status)}`,
    placeHolder: "What the sandbox holds",
    matchOnDetail: true,
  });
  if (!picked) return cancelled;
  return "mode" in picked ? switchMode(app, status, picked.mode) : switchSource(app, status, picked.other);
}

/** The modes of the source in use, then the other sources that have something. */
export function choices(status: CredentialsStatus): (ModeItem | SourceItem)[] {
  const others = status.sources.filter(({ usage }) => usage === "available" || usage === "byChoice");
  return [
    ...status.modes.map((mode) => ({ ...modeRow(mode, status.mode), mode })),
    ...others.map((other) => ({
      label: `$(arrow-swap) Use: ${other.title}`,
      description: "another source",
      detail: sentence(other.reason),
      other,
    })),
  ];
}

async function offerLogin(): Promise<Result<unknown>> {
  const [signIn, setKey] = ["Sign In", "Set API Key"];
  const chosen = await vscode.window.showInformationMessage(
    "There is no credential whose mode could be chosen: sign in, or set an API key.",
    signIn,
    setKey,
  );
  if (chosen === signIn) await vscode.commands.executeCommand("boxwood.signIn");
  else if (chosen === setKey) await vscode.commands.executeCommand("boxwood.setApiKey");
  return cancelled;
}

async function switchMode(app: App, status: CredentialsStatus, report: CredentialModeReport): Promise<Result<unknown>> {
  const { mode, explanation, isAvailable } = report;
  if (!isAvailable) {
    const why = explanation ?? `It would hold ${report.holds}.`;
    void vscode.window.showInformationMessage(`'${mode}' is not possible for ${ofWhom(app, status)} as it is. ${why}`);
    return cancelled;
  }
  const consent = explanation !== undefined;
  if (consent && !(await isAgreed(app, status, mode, explanation))) return cancelled;
  return send(app, status, { ...(status.source === undefined ? {} : { source: status.source }), mode, consent });
}

/** How another source can be held is known to the server alone; what it asks consent for, it says in its refusal. */
async function switchSource(
  app: App,
  status: CredentialsStatus,
  { source, title, usage }: CredentialSourceReport,
): Promise<Result<unknown>> {
  const mode = usage === "byChoice" ? await chooseMode(title) : "default";
  if (mode === undefined) return cancelled;
  const params = { source, ...(mode === "default" ? {} : { mode }) };
  const first = await send(app, status, { ...params, consent: false });
  if (first.kind !== "error" || first.error.code !== "credentials.consent") return first;
  const { message, hint } = first.error;
  if (hint === undefined) return first;
  const explanation = `${sentence(message)} ${sentence(hint)}`;
  if (!(await isAgreed(app, status, mode === "default" ? title : mode, explanation))) return cancelled;
  return send(app, status, { ...params, consent: true });
}

async function chooseMode(title: string): Promise<CredentialMode | undefined> {
  const modes: CredentialMode[] = ["token", "sync", "brokered", "isolated"];
  const items = modes.map((mode) => ({ label: mode, detail: `${modeWords[mode]}.`, mode }));
  const picked = await vscode.window.showQuickPick(items, {
    title: `${TITLE}: ${title}`,
    placeHolder: "What the sandbox holds of it",
  });
  return picked?.mode;
}

async function isAgreed(app: App, status: CredentialsStatus, what: string, explanation: string): Promise<boolean> {
  const button = "Switch";
  const question = `Use '${what}' for ${ofWhom(app, status)}?`;
  return (await vscode.window.showWarningMessage(question, { modal: true, detail: explanation }, button)) === button;
}

function send(
  app: App,
  { sandbox }: CredentialsStatus,
  wish: Omit<CredentialsSetModeParams, "target">,
): Promise<Result<unknown>> {
  const params = { ...(sandbox === undefined ? {} : { target: { sandbox } }), ...wish };
  const word = wish.mode === undefined ? "Credential switched" : `Credential held as '${wish.mode}'`;
  return change(app, { title: "Switching the credential", method: methods.setCredentialMode, params }, word);
}
