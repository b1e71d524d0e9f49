// The view of what the sandboxes of this window reach: what waits, what was decided, the rules.
import * as vscode from "vscode";
import type { App } from "./app";
import { plural } from "./format";
import type { SandboxInfo } from "./generated/protocol";
import { isRunning, sandboxesOf } from "./model";
import { childrenOf, faceOf, shownSandboxes, type EgressRow, type RowFace } from "./view/egressRows";
import { waitingCount } from "./view/network";

/** Decisions can come in floods; the list is drawn anew at most so often. */
const REDRAW_MS = 150;

/** While something counts down, the list is drawn this often. */
const TICK_MS = 15_000;

export class EgressTree implements vscode.TreeDataProvider<EgressRow> {
  readonly #app: App;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<EgressRow>;
  readonly #subscriptions: { dispose(): void }[];
  #redraw: NodeJS.Timeout | undefined;
  readonly #tick: NodeJS.Timeout;
  #shown = "";
  #context = "";
  #waiting = 0;

  constructor(app: App) {
    this.#app = app;
    this.#view = vscode.window.createTreeView("boxwood.egress", { treeDataProvider: this, showCollapseAll: true });
    const update = (): void => {
      this.#update();
    };
    this.#subscriptions = [
      this.#view,
      this.#changed,
      app.store.onChange(update),
      app.projects.onChange(update),
      this.#view.onDidChangeVisibility(({ visible }) => {
        app.egress.setVisible(visible);
      }),
    ];
    this.#tick = setInterval(update, TICK_MS);
    this.#tick.unref();
    update();
  }

  dispose(): void {
    clearTimeout(this.#redraw);
    clearInterval(this.#tick);
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  getChildren(row?: EgressRow): EgressRow[] {
    const { model } = this.#app.store;
    if (model.engine?.isAvailable !== true) return [];
    return childrenOf(row, this.#sandboxes(), model, Date.now());
  }

  getTreeItem(row: EgressRow): vscode.TreeItem {
    const face = faceOf(row, this.#app.store.model, Date.now());
    const item = new vscode.TreeItem(face.label, collapsible[face.opens]);
    item.id = face.id;
    item.description = face.description;
    item.contextValue = face.context;
    item.accessibilityInformation = { label: [face.label, face.description].filter(Boolean).join(", ") };
    if (face.icon !== undefined) {
      item.iconPath = new vscode.ThemeIcon(
        face.icon,
        face.color === undefined ? undefined : new vscode.ThemeColor(face.color),
      );
    }
    return item;
  }

  /** Made when it is looked at. Hosts come from inside: no links that run commands. */
  resolveTreeItem(item: vscode.TreeItem, row: EgressRow): vscode.TreeItem {
    const { tooltip } = faceOf(row, this.#app.store.model, Date.now());
    if (tooltip !== undefined) item.tooltip = new vscode.MarkdownString(tooltip, true);
    return item;
  }

  /** The sandboxes of this window. */
  #sandboxes(): SandboxInfo[] {
    return this.#app.projects.all.flatMap(({ path }) => sandboxesOf(this.#app.store.model, path));
  }

  #update(): void {
    const { model } = this.#app.store;
    const sandboxes = this.#sandboxes();
    const shown = shownSandboxes(sandboxes);
    const context = shown.length > 0 ? "policy" : sandboxes.some(isRunning) ? "open" : "none";
    if (context !== this.#context) {
      this.#context = context;
      void vscode.commands.executeCommand("setContext", "boxwood.egress", context);
    }
    const waiting = shown.reduce((sum, { id }) => sum + waitingCount(model, id), 0);
    if (waiting !== this.#waiting) {
      this.#waiting = waiting;
      const tooltip = `${plural(waiting, "connection")} waiting for an answer`;
      this.#view.badge = waiting === 0 ? undefined : { value: waiting, tooltip };
    }
    this.#redraw ??= setTimeout(() => {
      this.#redraw = undefined;
      const drawn = JSON.stringify(this.#faces());
      if (drawn === this.#shown) return;
      this.#shown = drawn;
      this.#changed.fire(undefined);
    }, REDRAW_MS);
  }

  /** All that the list can show, also what is folded away; not the tooltips, which are made when they are looked at. */
  #faces(row?: EgressRow): RowFace[] {
    return this.getChildren(row).flatMap((child) => [
      { ...faceOf(child, this.#app.store.model, Date.now()), tooltip: "" },
      ...this.#faces(child),
    ]);
  }
}

const collapsible: Record<RowFace["opens"], vscode.TreeItemCollapsibleState> = {
  never: vscode.TreeItemCollapsibleState.None,
  closed: vscode.TreeItemCollapsibleState.Collapsed,
  open: vscode.TreeItemCollapsibleState.Expanded,
};
