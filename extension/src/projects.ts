// The folders of this window as the server names them, and which of them is meant.
import { realpath } from "node:fs/promises";
import * as vscode from "vscode";
import { changeUnderWay, isRunning, primarySandbox, type Model } from "./model";
import { Emitter } from "./store";

export interface Project {
  /** Name of the workspace folder. */
  readonly name: string;
  /** Canonical path, the same that the server uses. */
  readonly path: string;
  readonly uri: vscode.Uri;
}

export class Projects {
  #projects: readonly Project[] = [];
  readonly #changed = new Emitter<readonly Project[]>();
  readonly #subscriptions: { dispose(): void }[];
  #loading: Promise<void>;

  constructor() {
    this.#loading = this.#load();
    this.#subscriptions = [
      vscode.workspace.onDidChangeWorkspaceFolders(() => {
        this.#loading = this.#load();
      }),
      vscode.window.onDidChangeActiveTextEditor(() => {
        this.#changed.emit(this.#projects);
      }),
    ];
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  onChange(listener: (projects: readonly Project[]) => void): { dispose(): void } {
    return this.#changed.on(listener);
  }

  get all(): readonly Project[] {
    return this.#projects;
  }

  /** All projects, once their canonical paths are known. */
  async loaded(): Promise<readonly Project[]> {
    await this.#loading;
    return this.#projects;
  }

  /**
   * The one that the status bar speaks of: where something runs or happens, else where there is a sandbox at all, else
   * any. Among equals the active editor's folder comes first, then the workspace's order.
   */
  shown(model: Model): Project | undefined {
    const active = vscode.window.activeTextEditor?.document.uri;
    const folder = active && vscode.workspace.getWorkspaceFolder(active)?.uri.toString();
    const inOrder = [...this.#projects].sort(
      (a, b) => Number(b.uri.toString() === folder) - Number(a.uri.toString() === folder),
    );
    const [first, ...others] = inOrder;
    return first && others.reduce((best, other) => (weight(model, other) > weight(model, best) ? other : best), first);
  }

  async #load(): Promise<void> {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === "file");
    this.#projects = await Promise.all(
      folders.map(async (folder) => ({
        name: folder.name,
        path: await canonical(folder.uri.fsPath),
        uri: folder.uri,
      })),
    );
    this.#changed.emit(this.#projects);
  }
}

/** How much there is to tell about a project. */
function weight(model: Model, { path }: Project): number {
  const sandbox = primarySandbox(model, path);
  if ((sandbox && isRunning(sandbox)) || changeUnderWay(model, path, sandbox?.id)) return 2;
  return sandbox ? 1 : 0;
}

/** A folder that is gone keeps its path; the server then says what is wrong with it. */
async function canonical(folder: string): Promise<string> {
  return realpath(folder).catch(() => folder);
}
