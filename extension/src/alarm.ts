// One message when the network policy of a sandbox of this window is not enforced as it was asked for.
import * as vscode from "vscode";
import type { App } from "./app";
import type { SandboxInfo } from "./generated/protocol";
import { changeUnderWay, isRunning, sandboxesOf, sandboxName } from "./model";
import { alarmText } from "./view/network";

/** A gateway that starts anew, or a check that is under way, is no alarm yet. */
const LASTING_MS = 4_000;

const [RESTART, STOP, SHOW] = ["Restart Sandbox", "Stop Sandbox", "Show Egress"];

export class AlarmMessages {
  readonly #app: App;
  readonly #subscriptions: { dispose(): void }[];
  /** The sandboxes with an alarm: the time until it is told, or that it was. */
  readonly #alarms = new Map<string, NodeJS.Timeout | "told">();

  constructor(app: App) {
    this.#app = app;
    const look = (): void => {
      this.#look();
    };
    this.#subscriptions = [app.store.onChange(look), app.projects.onChange(look)];
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    for (const id of [...this.#alarms.keys()]) this.#forget(id);
  }

  #look(): void {
    const { model } = this.#app.store;
    // Without a connection nothing is known; an alarm that was told is not told again after it.
    if (model.engine === undefined) return;
    const alarmed = this.#app.projects.all
      .flatMap(({ path }) => sandboxesOf(model, path))
      .filter((sandbox) => isRunning(sandbox) && sandbox.alarm !== undefined)
      .filter(({ id, project }) => !changeUnderWay(model, project, id));
    for (const id of this.#alarms.keys()) if (!alarmed.some((sandbox) => sandbox.id === id)) this.#forget(id);
    for (const { id } of alarmed) {
      if (this.#alarms.has(id)) continue;
      const timer = setTimeout(() => {
        const sandbox = this.#app.store.model.sandboxes.get(id);
        if (sandbox?.alarm === undefined) return;
        this.#alarms.set(id, "told");
        void tell(sandbox);
      }, LASTING_MS);
      timer.unref();
      this.#alarms.set(id, timer);
    }
  }

  #forget(id: string): void {
    const timer = this.#alarms.get(id);
    if (timer !== "told") clearTimeout(timer);
    this.#alarms.delete(id);
  }
}

async function tell(sandbox: SandboxInfo): Promise<void> {
  const isOpen = sandbox.enforcement === "off";
  const show = isOpen ? vscode.window.showErrorMessage : vscode.window.showWarningMessage;
  const what = isOpen ? "is not enforced" : "cannot be relied on";
  const chosen = await show(
    `The network policy of '${sandboxName(sandbox)}' ${what}. ${alarmText(sandbox)}`,
    ...(isOpen ? [STOP, RESTART, SHOW] : [RESTART, SHOW]),
  );
  const target = { sandboxId: sandbox.id, project: sandbox.project };
  if (chosen === RESTART) await vscode.commands.executeCommand("boxwood.restart", target);
  else if (chosen === STOP) await vscode.commands.executeCommand("boxwood.stop", target);
  else if (chosen === SHOW) await vscode.commands.executeCommand("boxwood.showEgress");
}
