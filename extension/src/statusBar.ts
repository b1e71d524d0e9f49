// The status bar item of this window, and the wish for figures of the sandbox that it shows. Claude's login has an item of
// its own beside it as long as something is wrong with it.
import * as vscode from "vscode";
import type { App } from "./app";
import { primarySandbox } from "./model";
import { loginItem } from "./view/credentials";
import { statusView, type Severity } from "./view/status";

/** While a bypass counts down, the time that is left is shown anew this often. */
const TICK_MS = 15_000;

export class StatusBar {
  readonly #app: App;
  readonly #item: vscode.StatusBarItem;
  readonly #login: vscode.StatusBarItem;
  readonly #subscriptions: { dispose(): void }[];
  readonly #tick: NodeJS.Timeout;
  #tooltip = "";
  #loginShown = "";

  constructor(app: App) {
    this.#app = app;
    this.#item = vscode.window.createStatusBarItem("boxwood.status", vscode.StatusBarAlignment.Left, 40);
    this.#item.name = "Claude Sandbox";
    this.#item.command = "boxwood.showMenu";
    this.#login = vscode.window.createStatusBarItem("boxwood.login", vscode.StatusBarAlignment.Left, 39);
    this.#login.name = "Claude Login";
    this.#login.command = "boxwood.showMenu";
    const update = (): void => {
      this.#update();
      this.#updateLogin();
    };
    this.#subscriptions = [
      this.#item,
      this.#login,
      app.store.onChange(update),
      app.projects.onChange(update),
      vscode.window.onDidChangeWindowState(update),
    ];
    this.#tick = setInterval(() => {
      const isCounting = [...app.store.model.sandboxes.values()].some(
        ({ bypassUntilMs }) => bypassUntilMs !== undefined,
      );
      if (isCounting) update();
    }, TICK_MS);
    this.#tick.unref();
    update();
    this.#item.show();
  }

  dispose(): void {
    clearInterval(this.#tick);
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #update(): void {
    const { model } = this.#app.store;
    const { projects } = this.#app;
    const shown = projects.shown(model);
    const project = shown?.path;
    const view = statusView(model, project, projects.all.length > 1 ? shown?.name : undefined);
    this.#item.text = view.text;
    this.#item.backgroundColor = background(view.severity);
    this.#item.accessibilityInformation = { label: view.label, role: "button" };
    if (view.tooltip !== this.#tooltip) {
      this.#tooltip = view.tooltip;
      const markdown = new vscode.MarkdownString(view.tooltip, true);
      // Text from the engine and the project is in it: no links that run commands.
      markdown.isTrusted = false;
      this.#item.tooltip = markdown;
    }
    const sandbox = project === undefined ? undefined : primarySandbox(model, project);
    // A window that nobody looks at does not make the engine count.
    const isWanted = sandbox?.state === "running" && vscode.window.state.focused;
    void this.#app.server.showStatsOf(isWanted ? [sandbox.id] : []);
  }

  #updateLogin(): void {
    const view = loginItem(this.#app.store.model.credentials);
    // Figures come every second; what somebody reads is not drawn anew for them.
    const shown = JSON.stringify(view ?? "");
    if (shown === this.#loginShown) return;
    this.#loginShown = shown;
    if (!view) {
      this.#login.hide();
      return;
    }
    this.#login.text = view.text;
    this.#login.backgroundColor = background(view.severity);
    this.#login.accessibilityInformation = { label: view.label, role: "button" };
    const markdown = new vscode.MarkdownString(view.tooltip, true);
    markdown.isTrusted = false;
    this.#login.tooltip = markdown;
    this.#login.show();
  }
}

function background(severity: Severity): vscode.ThemeColor | undefined {
  switch (severity) {
    case "none":
      return undefined;
    case "warning":
      return new vscode.ThemeColor("statusBarItem.warningBackground");
    case "error":
      return new vscode.ThemeColor("statusBarItem.errorBackground");
  }
}
