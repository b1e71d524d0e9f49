// What the tests of commands share: a window in a folder, on a server where everything goes well.
import { handlers, runCommand, type CommandId } from "../src/commands";
import type { Target } from "../src/choose";
import { methods, type SandboxInfo } from "../src/generated/protocol";
import type { Result } from "../src/result";
import { fake } from "./fake/vscode";
import { openWindow, sandbox, settled, type Answers, type Window } from "./harness";

export const project = "/home/ada/shop";
export const ensured = { sandbox: sandbox(), action: "created", warnings: [] };

/** Every request answered well. */
export const well: Answers = {
  [methods.ensure]: { ends: ensured },
  [methods.refresh]: { ends: ensured },
  [methods.stop]: { ends: sandbox({ state: "stopped" }) },
  [methods.restart]: { ends: sandbox() },
  [methods.remove]: { ends: {} },
  [methods.logs]: { ends: { lines: ["one", "two"] } },
};

export async function run(opened: Window, id: CommandId, target: Target = {}): Promise<Result<unknown>> {
  const result = await runCommand(opened.app, handlers[id], target);
  await settled();
  return result;
}

export async function inFolder(answers: Answers = {}, ...sandboxes: SandboxInfo[]): Promise<Window> {
  fake.folders(project);
  return openWindow({ ...well, ...answers }, ...sandboxes);
}
