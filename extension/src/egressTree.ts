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
  readonly #changed = new vscode.EventEmitter<EgressRow[] | undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<EgressRow>;
  readonly #subscriptions: { dispose(): void }[];
  #redraw: NodeJS.Timeout | undefined;
  readonly #tick: NodeJS.Timeout;
  /** Rows that stand for a place and not for what is there; the editor knows them again by being the same. */
  readonly #places = new Map<string, EgressRow>();
  #drawn: readonly Drawn[] = [];
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
    return childrenOf(row, this.#sandboxes(), model, Date.now()).map((child) => this.#place(child));
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
    const context = shown.length > 0 ? "policy" : emptyContext(sandboxes.filter(isRunning));
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
      const before = this.#drawn;
      this.#drawn = this.#draw();
      const changed = changedIn(before, this.#drawn);
      if (changed === "itself") this.#changed.fire(undefined);
      else if (changed.length > 0) this.#changed.fire(changed);
    }, REDRAW_MS);
  }

  #place(row: EgressRow): EgressRow {
    if (row.kind === "ask" || row.kind === "decision" || row.kind === "rule") return row;
    const key = JSON.stringify(row);
    const known = this.#places.get(key) ?? row;
    this.#places.set(key, known);
    return known;
  }

  /** All that the list can show, also what is folded away; not the tooltips, which are made when they are looked at. */
  #draw(row?: EgressRow): Drawn[] {
    return this.getChildren(row).map((child) => {
      const face = JSON.stringify({ ...faceOf(child, this.#app.store.model, Date.now()), tooltip: "" });
      return { row: child, face, children: this.#draw(child) };
    });
  }
}

/** Why there is nothing to show: no sandbox runs, its network is open, or it has none. */
function emptyContext(running: readonly SandboxInfo[]): "none" | "open" | "closed" {
  if (running.length === 0) return "none";
  return running.every(({ network }) => network === "none") ? "closed" : "open";
}

interface Drawn {
  readonly row: EgressRow;
  readonly face: string;
  readonly children: readonly Drawn[];
}

/**
 * The rows to draw anew, as few as possible: while a row is drawn, a click on what is below it finds nothing. "itself"
 * when it is the parent that has to be drawn.
 */
function changedIn(before: readonly Drawn[], after: readonly Drawn[]): EgressRow[] | "itself" {
  if (before.length !== after.length) return "itself";
  const changed: EgressRow[] = [];
  for (const [index, now] of after.entries()) {
    const old = before[index];
    if (old?.face === now.face) {
      const below = changedIn(old.children, now.children);
      changed.push(...(below === "itself" ? [now.row] : below));
    } else if (old?.row === now.row && isSame(old.face, now.face)) changed.push(now.row);
    else return "itself";
  }
  return changed;
}

/** Whether two faces are of one row for the editor. */
function isSame(a: string, b: string): boolean {
  const id = (face: string): unknown => (JSON.parse(face) as RowFace).id;
  return id(a) === id(b);
}

const collapsible: Record<RowFace["opens"], vscode.TreeItemCollapsibleState> = {
  never: vscode.TreeItemCollapsibleState.None,
  closed: vscode.TreeItemCollapsibleState.Collapsed,
  open: vscode.TreeItemCollapsibleState.Expanded,
};
