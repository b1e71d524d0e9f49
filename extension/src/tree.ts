// The view of all sandboxes, this window's first.
import * as vscode from "vscode";
import type { App } from "./app";
import { baseName, escapeMarkdown } from "./format";
import type { SandboxInfo } from "./generated/protocol";
import { changeUnderWay, sandboxName, sorted, type Model } from "./model";
import { details, sandboxFace } from "./view/status";

/** A row; commands take it as their target. */
export interface Row {
  readonly sandboxId: string;
}

export class SandboxTree implements vscode.TreeDataProvider<Row> {
  readonly #app: App;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #subscriptions: { dispose(): void }[];
  #shown = "";
  #context = "";

  constructor(app: App) {
    this.#app = app;
    const view = vscode.window.createTreeView("boxwood.sandboxes", { treeDataProvider: this });
    const update = (): void => {
      this.#update();
    };
    this.#subscriptions = [view, this.#changed, app.store.onChange(update), app.projects.onChange(update)];
    update();
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  getChildren(row?: Row): Row[] {
    if (row) return [];
    const { model } = this.#app.store;
    if (model.engine?.isAvailable !== true) return [];
    return this.#ordered(model).map(({ id }) => ({ sandboxId: id }));
  }

  getTreeItem({ sandboxId }: Row): vscode.TreeItem {
    const { model } = this.#app.store;
    const sandbox = model.sandboxes.get(sandboxId);
    if (!sandbox) return new vscode.TreeItem(sandboxId);
    const name = sandboxName(sandbox);
    const item = new vscode.TreeItem(name);
    const words = stateWords(sandbox, model);
    item.id = sandbox.id;
    item.description = `${words} · ${sandbox.project}`;
    item.iconPath = rowIcon(sandbox, model);
    item.contextValue = `sandbox.${sandbox.state}`;
    item.accessibilityInformation = { label: `${name}, ${words}` };
    return item;
  }

  /** Made when it is looked at, so that figures do not redraw the list. */
  resolveTreeItem(item: vscode.TreeItem, { sandboxId }: Row): vscode.TreeItem {
    const { model } = this.#app.store;
    const sandbox = model.sandboxes.get(sandboxId);
    if (sandbox) {
      const lines = [
        `**${escapeMarkdown(baseName(sandbox.project))}** ${stateWords(sandbox, model)}`,
        escapeMarkdown(sandbox.project),
        ...details(sandbox, model),
      ];
      item.tooltip = new vscode.MarkdownString(lines.join("\n\n"), true);
    }
    return item;
  }

  #ordered(model: Model): SandboxInfo[] {
    const here = new Set(this.#app.projects.all.map((project) => project.path));
    const all = sorted(model.sandboxes.values());
    return [...all.filter(({ project }) => here.has(project)), ...all.filter(({ project }) => !here.has(project))];
  }

  #update(): void {
    const { model } = this.#app.store;
    const engine = model.engine ? (model.engine.isAvailable ? "available" : "unavailable") : "unknown";
    // Connected means that the first snapshot is there; until then nothing is known to be missing.
    const server = model.server === "running" && !model.engine ? "connecting" : model.server;
    if (this.#context !== `${server} ${engine}`) {
      this.#context = `${server} ${engine}`;
      void vscode.commands.executeCommand("setContext", "boxwood.server", server);
      void vscode.commands.executeCommand("setContext", "boxwood.engine", engine);
    }
    const shown = this.getChildren()
      .map((row) => JSON.stringify(this.getTreeItem(row)))
      .join("\n");
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#changed.fire(undefined);
  }
}

function stateWords(sandbox: SandboxInfo, model: Model): string {
  const change = changeUnderWay(model, sandbox.project, sandbox.id);
  return change ? (change.message ?? change.kind) : sandboxFace(sandbox).words;
}

function rowIcon(sandbox: SandboxInfo, model: Model): vscode.ThemeIcon {
  if (changeUnderWay(model, sandbox.project, sandbox.id)) return new vscode.ThemeIcon("loading~spin");
  const face = sandboxFace(sandbox);
  const color =
    face.severity === "error"
      ? "list.errorForeground"
      : face.severity === "warning"
        ? "list.warningForeground"
        : sandbox.state === "running"
          ? "testing.iconPassed"
          : undefined;
  return new vscode.ThemeIcon(face.icon, color === undefined ? undefined : new vscode.ThemeColor(color));
}
