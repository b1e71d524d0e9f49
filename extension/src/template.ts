// The options of a template, asked one after the other with a way back.
import * as vscode from "vscode";
import type { TemplateInfo, TemplateOption } from "./generated/protocol";
import { cancelled, ok, type Result } from "./result";

export type Options = Record<string, string>;

const DEFAULTS = "$(check) Use defaults";
const CHOOSE = "$(settings) Choose options…";

export async function askOptions(template: TemplateInfo): Promise<Result<Options>> {
  if (template.options.length === 0) return ok({});
  const defaults = template.options.map((option) => `${option.id}: ${option.default || "none"}`).join(", ");
  const how = await vscode.window.showQuickPick([{ label: DEFAULTS, detail: defaults }, { label: CHOOSE }], {
    title: template.name,
  });
  if (!how) return cancelled;
  return how.label === DEFAULTS ? ok({}) : askEach(template);
}

async function askEach(template: TemplateInfo): Promise<Result<Options>> {
  const { options } = template;
  const chosen: Options = {};
  let step = 0;
  for (let option = options[step]; option; option = options[step]) {
    const title = `${template.name} (${step + 1}/${options.length})`;
    const current = chosen[option.id] ?? option.default;
    const answer = await ask(option, { title, current, hasBack: step > 0 });
    if (answer === undefined) return cancelled;
    if (answer === back) step -= 1;
    else {
      chosen[option.id] = answer;
      step += 1;
    }
  }
  return ok(chosen);
}

const back = Symbol("back");

interface Step {
  readonly title: string;
  readonly current: string;
  readonly hasBack: boolean;
}

/** @returns the value, the wish to go back, or undefined when dismissed */
function ask(option: TemplateOption, step: Step): Promise<string | typeof back | undefined> {
  return option.proposals.length > 0 ? askProposal(option, step) : askText(option, step);
}

function askProposal(option: TemplateOption, step: Step): Promise<string | typeof back | undefined> {
  const input = vscode.window.createQuickPick();
  input.items = option.proposals.map((value) => ({
    label: value,
    ...(value === option.default ? { description: "default" } : {}),
  }));
  input.activeItems = input.items.filter((item) => item.label === step.current);
  return answered(input, option, step, () => input.selectedItems[0]?.label);
}

function askText(option: TemplateOption, step: Step): Promise<string | typeof back | undefined> {
  const input = vscode.window.createInputBox();
  input.value = step.current;
  return answered(input, option, step, () => input.value);
}

function answered(
  input: vscode.QuickPick<vscode.QuickPickItem> | vscode.InputBox,
  option: TemplateOption,
  step: Step,
  value: () => string | undefined,
): Promise<string | typeof back | undefined> {
  input.title = step.title;
  input.placeholder = option.description;
  if ("prompt" in input) input.prompt = option.description;
  input.ignoreFocusOut = true;
  if (step.hasBack) input.buttons = [vscode.QuickInputButtons.Back];
  return new Promise((resolve) => {
    const finish = (answer: string | typeof back | undefined): void => {
      resolve(answer);
      input.dispose();
    };
    input.onDidAccept(() => {
      const answer = value();
      if (answer !== undefined) finish(answer);
    });
    input.onDidTriggerButton(() => {
      finish(back);
    });
    input.onDidHide(() => {
      finish(undefined);
    });
    input.show();
  });
}
