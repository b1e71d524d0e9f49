// Git in a sandbox of this window asks for a credential of this machine: a notification that stands for as long as the
// question waits, with an answer for each way. It is withdrawn when the question is over, wherever that was decided.
//
// The editor takes back no message with buttons, and hides it after seconds. A notification of progress it keeps and
// takes back, and commands can be linked in it.
import * as vscode from "vscode";
import type { App } from "./app";
import { methods, type GitAsk } from "./generated/protocol";
import { gitAskText } from "./view/git";

/** Reports of several changes in a row are one. */
const SOON_MS = 100;

export class GitAsks {
  readonly #app: App;
  readonly #subscriptions: { dispose(): void }[];
  /** Questions that stand there, and what takes them away. */
  readonly #open = new Map<string, () => void>();
  #soon: NodeJS.Timeout | undefined;
  /** The folders that were asked about. */
  #folders = "";

  constructor(app: App) {
    this.#app = app;
    this.#subscriptions = [
      app.store.onInput((input) => {
        if (input.type === "gitAsking") this.#show(input.ask);
        else if (input.type === "gitAsked") this.#over(input.askId);
        else if (input.type === "server") this.#overAll();
        // What was asked while nobody listened.
        else if (input.type === "snapshot") this.#catchUp();
      }),
      app.projects.onChange((projects) => {
        // Told also when another editor is looked at.
        if (JSON.stringify(projects.map(({ path }) => path)) !== this.#folders) this.#catchUp();
      }),
    ];
  }

  dispose(): void {
    clearTimeout(this.#soon);
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#overAll();
  }

  #show(ask: GitAsk): void {
    if (this.#open.has(ask.id) || !this.#app.projects.all.some(({ path }) => path === ask.project)) return;
    const shown = new Promise<void>((resolve) => {
      // Its time is over at the latest then, also when nobody says so.
      const timer = setTimeout(resolve, Math.max(0, ask.untilMs - Date.now()));
      timer.unref();
      this.#open.set(ask.id, () => {
        clearTimeout(timer);
        resolve();
      });
    });
    const options = { location: vscode.ProgressLocation.Notification, title: gitAskText(ask) };
    void vscode.window.withProgress(options, () => shown).then(() => this.#open.delete(ask.id));
  }

  #over(askId: string): void {
    this.#open.get(askId)?.();
    this.#open.delete(askId);
  }

  #overAll(): void {
    for (const askId of [...this.#open.keys()]) this.#over(askId);
  }

  #catchUp(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (this.#app.store.model.server === "running") void this.#askAll();
    }, SOON_MS).unref();
  }

  async #askAll(): Promise<void> {
    const paths = (await this.#app.projects.loaded()).map(({ path }) => path);
    this.#folders = JSON.stringify(paths);
    for (const path of paths) {
      const report = await this.#app.server.request(methods.gitApprovals, { project: path });
      // A folder without a sandbox has no questions, and one that cannot be asked about none to show.
      if (report.kind !== "ok") continue;
      for (const ask of report.value.asks) this.#show(ask);
    }
  }
}
