// Doctor: examines the machine and shows each finding with its next step.
import * as vscode from "vscode";
import type { App } from "../app";
import type { Target } from "../choose";
import { plural, sentence } from "../format";
import { methods, type CheckStatus, type DoctorCheck, type DoctorReport } from "../generated/protocol";
import { operate } from "../progress";
import { done, type Result } from "../result";
import { environmentFrom } from "../settings";

export async function doctor(app: App, target: Target): Promise<Result<unknown>> {
  const project = target.project ?? app.projects.shown(app.store.model)?.path;
  const environment = environmentFrom(process.env);
  const result = await operate(app, {
    title: "Examining the engine, the image, the disk and the credentials",
    method: methods.doctor,
    params: { ...(project === undefined ? {} : { project }), ...(environment ? { environment } : {}) },
  });
  if (result.kind !== "ok") return result;
  const report = result.value;
  app.output.append(reportText(report));
  // Not awaited: the examination has ended, the list stays open for as long as it is read.
  void showReport(app, report);
  return done;
}

async function showReport(app: App, report: DoctorReport): Promise<void> {
  const items = report.checks.map((check) => ({
    label: `$(${icons[check.status]}) ${check.title}`,
    description: check.detail,
    ...(check.hint === undefined ? {} : { detail: `$(arrow-right) ${sentence(check.hint)}` }),
  }));
  const picked = await vscode.window.showQuickPick(items, {
    title: `Boxwood Doctor: ${summary(report)}`,
    placeHolder: "Choose a line to see the report as text",
    ignoreFocusOut: true,
    matchOnDescription: true,
  });
  if (picked) app.output.show(true);
}

const icons: Record<CheckStatus, string> = { ok: "pass", warning: "warning", failed: "error" };
const marks: Record<CheckStatus, string> = { ok: "ok     ", warning: "warning", failed: "FAILED " };

export function summary({ checks }: DoctorReport): string {
  const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
  const bad = count("failed");
  const odd = count("warning");
  if (bad === 0 && odd === 0) return "all is well";
  return [bad > 0 ? plural(bad, "problem") : "", odd > 0 ? plural(odd, "warning") : ""].filter(Boolean).join(", ");
}

export function reportText(report: DoctorReport): string {
  const lines = report.checks.map((check: DoctorCheck) => {
    const hint = check.hint === undefined ? "" : `\n         → ${sentence(check.hint)}`;
    return `${marks[check.status]}  ${check.title}: ${check.detail}${hint}`;
  });
  return `Boxwood Doctor: ${summary(report)}\n${lines.join("\n")}\n`;
}
