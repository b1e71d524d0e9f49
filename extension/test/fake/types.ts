// The values of the editor's API that have no behaviour of their own.
import path from "node:path";

export class Disposable {
  readonly #dispose: () => void;
  constructor(dispose: () => void) {
    this.#dispose = dispose;
  }
  static from(...parts: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const part of parts) part.dispose();
    });
  }
  dispose(): void {
    this.#dispose();
  }
}

export class EventEmitter<T> {
  readonly #listeners = new Set<(value: T) => unknown>();
  readonly event = (listener: (value: T) => unknown): Disposable => {
    this.#listeners.add(listener);
    return new Disposable(() => this.#listeners.delete(listener));
  };
  fire(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }
  dispose(): void {
    this.#listeners.clear();
  }
}

export class Uri {
  private constructor(
    readonly fsPath: string,
    readonly scheme = "file",
  ) {}
  static file(file: string): Uri {
    return new Uri(file);
  }
  static parse(address: string): Uri {
    const { protocol } = new URL(address);
    return new Uri(address.slice(protocol.length + 2), protocol.slice(0, -1));
  }
  static joinPath(base: Uri, ...parts: string[]): Uri {
    return new Uri(path.join(base.fsPath, ...parts));
  }
  toString(): string {
    return `${this.scheme}://${this.fsPath}`;
  }
}

export class ThemeColor {
  constructor(readonly id: string) {}
}

export class ThemeIcon {
  constructor(
    readonly id: string,
    readonly color?: ThemeColor,
  ) {}
}

export class MarkdownString {
  isTrusted: boolean | undefined;
  constructor(
    readonly value: string,
    readonly supportThemeIcons = false,
  ) {}
}

export enum TreeItemCollapsibleState {
  None = 0,
  Collapsed = 1,
  Expanded = 2,
}

export class TreeItem {
  id?: string;
  description?: string;
  contextValue?: string;
  iconPath?: ThemeIcon;
  tooltip?: MarkdownString;
  constructor(
    readonly label: string,
    readonly collapsibleState = TreeItemCollapsibleState.None,
  ) {}
}

export class CancellationTokenSource {
  readonly #emitter = new EventEmitter<undefined>();
  readonly token = { isCancellationRequested: false, onCancellationRequested: this.#emitter.event };
  cancel(): void {
    this.token.isCancellationRequested = true;
    this.#emitter.fire(undefined);
  }
  dispose(): void {
    this.#emitter.dispose();
  }
}

export enum ProgressLocation {
  Window = 10,
  Notification = 15,
}
export enum StatusBarAlignment {
  Left = 1,
}
export enum TerminalLocation {
  Panel = 1,
  Editor = 2,
}
export enum TerminalExitReason {
  Unknown = 0,
  Shutdown = 1,
  Process = 2,
  User = 3,
  Extension = 4,
}
export enum QuickPickItemKind {
  Separator = -1,
}
export enum ViewColumn {
  Active = -1,
  Beside = -2,
}
export const QuickInputButtons = { Back: { iconPath: new ThemeIcon("arrow-left") } };

export class StatusBarItem {
  text = "";
  isShown = false;
  tooltip?: MarkdownString;
  backgroundColor?: ThemeColor;
  accessibilityInformation?: { label: string };
  command?: string;
  constructor(readonly id: string) {}
  show(): void {
    this.isShown = true;
  }
  hide(): void {
    this.isShown = false;
  }
  dispose(): void {
    this.isShown = false;
  }
}
