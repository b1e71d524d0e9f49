// A stand-in for the editor with the behaviour that the extension relies on: what it shows is kept for a test to read,
// what it asks is answered by what a test has prepared. Named and shaped like the real module.
import path from "node:path";
import { heldBox, makeChannel, withResolvers, type InputBox, type OutputChannel } from "./parts";
import { CancellationTokenSource, Disposable, EventEmitter, StatusBarItem, TerminalExitReason, Uri } from "./types";

export * from "./types";
export type { InputBox } from "./parts";

type Answer = (items: unknown[]) => unknown;

interface Shown {
  kind: "information" | "warning" | "error";
  message: string;
  buttons: string[];
  detail?: string;
}

/** What tests prepare and read. */
export const fake = {
  messages: [] as Shown[],
  executed: [] as { command: string; args: unknown[] }[],
  opened: [] as string[],
  /** Addresses that were given to the browser, and whether it opens them. */
  browsed: [] as string[],
  hasBrowser: true,
  clipboard: "",
  terminals: [] as Terminal[],
  statusItems: [] as StatusBarItem[],
  channels: new Map<string, OutputChannel>(),
  views: new Map<string, TreeView>(),
  /** What stands in the status bar for a moment. */
  words: [] as string[],
  progress: [] as {
    title: string;
    reports: { message?: string; increment?: number }[];
    cancel: () => void;
    isOver: boolean;
  }[],
  /** Options of every input box. */
  inputs: [] as { title?: string; prompt?: string; password?: boolean }[],
  picks: [] as { title: string | undefined; items: { label: string; description?: string; detail?: string }[] }[],
  settings: new Map<string, { globalValue?: unknown; workspaceValue?: unknown }>(),
  /** Input boxes that stand there and wait for {@link InputBox.type}; none until a test holds them. */
  boxes: [] as InputBox[],
  holdsBoxes: false,
  /** Leaves messages without a button to press standing, until a test answers them. */
  holdsMessages: false,
  /** Presses this button of the next message that has it. */
  press: new Set<string>(),
  /** Chooses from the next lists: an index, a label's part, or undefined to dismiss. */
  choose: [] as (Answer | string | undefined)[],
  /** Calls back when a progress notification opens, so that a test can cancel it. */
  onProgress: undefined as ((cancel: () => void) => void) | undefined,
  reset(): void {
    for (const list of [fake.messages, fake.executed, fake.opened, fake.terminals, fake.statusItems]) list.length = 0;
    fake.progress.length = 0;
    fake.picks.length = 0;
    fake.inputs.length = 0;
    fake.choose.length = 0;
    fake.channels.clear();
    fake.views.clear();
    fake.words.length = 0;
    fake.settings.clear();
    fake.press.clear();
    registered.clear();
    fake.onProgress = undefined;
    fake.holdsMessages = false;
    fake.holdsBoxes = false;
    fake.boxes.length = 0;
    fake.browsed.length = 0;
    fake.hasBrowser = true;
    fake.clipboard = "";
    standing.length = 0;
    workspace.isTrusted = true;
    workspace.workspaceFolders = undefined;
    window.activeTextEditor = undefined;
    window.state.focused = true;
  },
  folders(...paths: string[]): void {
    workspace.workspaceFolders = paths.map((folder, index) => ({
      uri: Uri.file(folder),
      name: path.basename(folder),
      index,
    }));
    events.folders.fire(undefined);
  },
  /** Presses a button of the message that stands longest, or closes it. */
  answerMessage(button?: string): void {
    standing.shift()?.(button);
  },
  closeTerminal(terminal: Terminal, code: number, reason = TerminalExitReason.Process): void {
    terminal.exitStatus = { code, reason };
    fake.terminals.splice(fake.terminals.indexOf(terminal), 1);
    events.closedTerminal.fire(terminal);
  },
};

function channel(name: string): unknown {
  const state: OutputChannel = { text: "", isShown: false };
  fake.channels.set(name, state);
  return makeChannel(name, state);
}

const standing: ((button?: string) => void)[] = [];

const registered = new Map<string, (...args: unknown[]) => unknown>();

const events = {
  folders: new EventEmitter<undefined>(),
  editor: new EventEmitter<undefined>(),
  closedTerminal: new EventEmitter<Terminal>(),
  windowState: new EventEmitter<undefined>(),
  configuration: new EventEmitter<{ affectsConfiguration(name: string): boolean }>(),
};

export interface Terminal {
  creationOptions: Record<string, unknown>;
  exitStatus: { code: number; reason: TerminalExitReason } | undefined;
  shown: number;
  show(): void;
  dispose(): void;
}

export interface TreeView {
  onDidChangeVisibility: EventEmitter<{ visible: boolean }>["event"];
  badge?: { value: number; tooltip: string } | undefined;
  show?: (visible: boolean) => void;
  dispose(): void;
}

function message(kind: Shown["kind"]) {
  return (text: string, ...rest: unknown[]): Promise<string | undefined> => {
    const options = rest.find((part) => typeof part === "object") as { detail?: string } | undefined;
    const buttons = rest.filter((part): part is string => typeof part === "string");
    const { promise, resolve } = withResolvers<string | undefined>();
    fake.messages.push({ kind, message: text, buttons, ...(options?.detail ? { detail: options.detail } : {}) });
    const pressed = buttons.find((button) => fake.press.has(button));
    if (pressed !== undefined) fake.press.delete(pressed);
    if (pressed !== undefined || !fake.holdsMessages) resolve(pressed);
    else standing.push(resolve);
    return promise;
  };
}

function pick<T extends { label: string }>(items: readonly T[], title: string | undefined): T | undefined {
  fake.picks.push({ title, items: [...items] });
  const answer = fake.choose.shift();
  if (typeof answer === "function") return answer([...items]) as T | undefined;
  return answer === undefined ? undefined : items.find((item) => item.label.includes(answer));
}

/** A quick pick or input box: accepts what a test prepared as soon as it is shown. */
function quickInput(): Record<string, unknown> {
  const [accepted, hidden, button] = [
    new EventEmitter<undefined>(),
    new EventEmitter<undefined>(),
    new EventEmitter<unknown>(),
  ];
  const input = {
    items: undefined as { label: string }[] | undefined,
    value: "",
    title: undefined as string | undefined,
    selectedItems: [] as { label: string }[],
    buttons: [] as unknown[],
    onDidAccept: accepted.event,
    onDidHide: hidden.event,
    onDidTriggerButton: button.event,
    dispose: () => undefined,
    show(): void {
      if (fake.choose[0] === "<back>") {
        fake.choose.shift();
        button.fire(input.buttons[0]);
        return;
      }
      if (input.items) {
        const picked = pick(input.items, input.title);
        if (!picked) hidden.fire(undefined);
        else {
          input.selectedItems = [picked];
          accepted.fire(undefined);
        }
        return;
      }
      fake.picks.push({ title: input.title, items: [] });
      const typed = fake.choose.shift();
      if (typeof typed !== "string") hidden.fire(undefined);
      else {
        input.value = typed;
        accepted.fire(undefined);
      }
    },
  };
  return input;
}

export const window = {
  state: { focused: true },
  activeTextEditor: undefined as { document: { uri: Uri } } | undefined,
  get terminals(): Terminal[] {
    return fake.terminals;
  },
  onDidChangeActiveTextEditor: events.editor.event,
  onDidChangeWindowState: events.windowState.event,
  onDidCloseTerminal: events.closedTerminal.event,
  createOutputChannel: channel,
  showInformationMessage: message("information"),
  showWarningMessage: message("warning"),
  showErrorMessage: message("error"),
  setStatusBarMessage: (text: string) => {
    fake.words.push(text);
    return new Disposable(() => undefined);
  },
  showQuickPick: <T extends { label: string }>(items: readonly T[], options?: { title?: string }) =>
    Promise.resolve(pick(items, options?.title)),
  createQuickPick: () => Object.assign(quickInput(), { items: [] }),
  createInputBox: () => {
    if (!fake.holdsBoxes) return quickInput();
    const box = heldBox();
    fake.boxes.push(box);
    return box;
  },
  showTextDocument: (uri: Uri) => {
    fake.opened.push(uri.fsPath);
    return Promise.resolve();
  },
  createStatusBarItem: (id: string): StatusBarItem => {
    const item = new StatusBarItem(id);
    fake.statusItems.push(item);
    return item;
  },
  createTreeView: (id: string): TreeView => {
    const visibility = new EventEmitter<{ visible: boolean }>();
    const view = { onDidChangeVisibility: visibility.event, dispose: () => undefined };
    const show = (visible: boolean): void => {
      visibility.fire({ visible });
    };
    fake.views.set(id, Object.assign(view, { show, badge: undefined }));
    return fake.views.get(id) ?? view;
  },
  showInputBox: (options: {
    title?: string;
    prompt?: string;
    password?: boolean;
    validateInput?: (text: string) => string | undefined;
  }) => {
    const { title, validateInput } = options;
    fake.inputs.push(options);
    fake.picks.push({ title, items: [] });
    const typed = fake.choose.shift();
    if (typeof typed !== "string") return Promise.resolve(undefined);
    // The real one does not let go of what is not valid.
    return Promise.resolve(validateInput?.(typed) === undefined ? typed : undefined);
  },
  createTerminal: (options: Record<string, unknown>): Terminal => {
    const terminal: Terminal = {
      creationOptions: options,
      exitStatus: undefined,
      shown: 0,
      show: () => (terminal.shown += 1),
      dispose: () => {
        fake.closeTerminal(terminal, 1, TerminalExitReason.Extension);
      },
    };
    fake.terminals.push(terminal);
    return terminal;
  },
  withProgress: async <T>(
    { title }: { title: string },
    task: (progress: { report(value: { message?: string; increment?: number }): void }, token: unknown) => Promise<T>,
  ): Promise<T> => {
    const source = new CancellationTokenSource();
    const reports: { message?: string; increment?: number }[] = [];
    const cancel = (): void => {
      source.cancel();
    };
    const shown = { title, reports, cancel, isOver: false };
    fake.progress.push(shown);
    const running = task({ report: (value) => reports.push(value) }, source.token);
    fake.onProgress?.(cancel);
    return running.finally(() => {
      shown.isOver = true;
    });
  },
};

export const workspace = {
  isTrusted: true,
  workspaceFolders: undefined as { uri: Uri; name: string; index: number }[] | undefined,
  onDidChangeWorkspaceFolders: events.folders.event,
  onDidChangeConfiguration: events.configuration.event,
  getWorkspaceFolder: (uri: Uri) =>
    workspace.workspaceFolders?.find((folder) => uri.fsPath.startsWith(`${folder.uri.fsPath}/`)),
  asRelativePath: (file: string) => path.basename(file),
  getConfiguration: (section: string) => ({
    get: (name: string, otherwise: unknown) => fake.settings.get(`${section}.${name}`)?.globalValue ?? otherwise,
    inspect: (name: string) => fake.settings.get(`${section}.${name}`),
  }),
};

export const env = {
  openExternal: (uri: Uri) => {
    fake.browsed.push(uri.toString());
    return Promise.resolve(fake.hasBrowser);
  },
  clipboard: {
    writeText: (text: string) => {
      fake.clipboard = text;
      return Promise.resolve();
    },
  },
};

export const commands = {
  registerCommand: (id: string, handler: (...args: unknown[]) => unknown) => {
    registered.set(id, handler);
    return new Disposable(() => registered.delete(id));
  },
  executeCommand: (command: string, ...args: unknown[]): Promise<unknown> => {
    fake.executed.push({ command, args });
    return Promise.resolve(registered.get(command)?.(...args));
  },
};
