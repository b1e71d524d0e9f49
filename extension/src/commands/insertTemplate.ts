// Insert Devcontainer Template: which one, its options, then what the server wrote.
import * as vscode from "vscode";
import type { App } from "../app";
import { chooseProject, type Target } from "../choose";
import { plural } from "../format";
import { methods, type TemplateInfo, type TemplateInsertResult } from "../generated/protocol";
import { cancelled, done, type Result } from "../result";
import { askOptions, type Options } from "../template";

const TITLE = "Insert Devcontainer Template";

export async function insertTemplate(app: App, target: Target): Promise<Result<unknown>> {
  const chosen = await chooseProject(app, target, TITLE);
  if (chosen.kind !== "ok") return chosen;
  const { project } = chosen.value;
  const templates = await app.server.request(methods.templates, {});
  if (templates.kind !== "ok") return templates;
  const template = await pickTemplate(templates.value);
  if (!template) return cancelled;
  const options = await askOptions(template);
  if (options.kind !== "ok") return options;
  const result = await insert(app, project, template, options.value);
  if (result.kind !== "ok") return result;
  await vscode.window.showTextDocument(vscode.Uri.file(result.value.open));
  // Not awaited: the files are there, the message may stay.
  void report(template, result.value);
  return done;
}

async function pickTemplate(templates: readonly TemplateInfo[]): Promise<TemplateInfo | undefined> {
  const items = templates.map((template) => ({
    label: template.name,
    description: template.id,
    detail: template.description,
    template,
  }));
  const picked = await vscode.window.showQuickPick(items, {
    title: TITLE,
    placeHolder: "Template",
    matchOnDetail: true,
  });
  return picked?.template;
}

function insert(
  app: App,
  project: string,
  template: TemplateInfo,
  options: Options,
): Promise<Result<TemplateInsertResult>> {
  return app.server.request(methods.insertTemplate, { project, template: template.id, options, dryRun: false });
}

async function report(template: TemplateInfo, { written, kept }: TemplateInsertResult): Promise<void> {
  if (kept.length === 0) {
    const text =
      written.length > 0
        ? `${template.name}: ${plural(written.length, "file")} written.`
        : `${template.name}: everything is there already.`;
    void vscode.window.showInformationMessage(text);
    return;
  }
  const names = kept.map((file) => vscode.workspace.asRelativePath(file)).join(", ");
  const compare = "Compare";
  const chosen = await vscode.window.showWarningMessage(
    `${template.name}: kept as you have it: ${names}. The template's version is beside it as *.boxwood-new.`,
    compare,
  );
  const file = chosen === compare ? await pickFile(kept) : undefined;
  if (file !== undefined) await compareWithNew(file);
}

async function pickFile(files: readonly string[]): Promise<string | undefined> {
  if (files.length === 1) return files[0];
  const items = files.map((file) => ({ label: vscode.workspace.asRelativePath(file), file }));
  return (await vscode.window.showQuickPick(items, { title: "Compare" }))?.file;
}

async function compareWithNew(file: string): Promise<void> {
  const name = vscode.workspace.asRelativePath(file);
  const [yours, theirs] = [vscode.Uri.file(file), vscode.Uri.file(`${file}.boxwood-new`)];
  await vscode.commands.executeCommand("vscode.diff", yours, theirs, `${name}: yours ↔ the template's`);
}
