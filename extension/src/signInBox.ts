// The box in which the code of a sign-in is typed. What is in it is hidden, and gone as soon as it was given.
import * as vscode from "vscode";

export interface SignInBox {
  /** Asks for the code, or again, with what is wrong with the one that was given. */
  ask(isOpened: boolean, fault?: string): void;
  show(): void;
  dispose(): void;
}

export interface Answering {
  give(code: string): Promise<void>;
  open(): Promise<void>;
  copy(): Promise<void>;
  /** The person closed it. */
  putAway(): void;
}

const PASTE = "Sign in in the browser. In the end it shows a code: copy it, and paste it here.";
const UNOPENED =
  "The browser was not opened: copy the address with the button above, and open it yourself. In the end the page shows a code: paste it here.";
const EMPTY = "Paste the code that the browser shows in the end";

export function codeBox(answering: Answering): SignInBox {
  const box = vscode.window.createInputBox();
  const open = { iconPath: new vscode.ThemeIcon("link-external"), tooltip: "Open the Address Again" };
  const copy = { iconPath: new vscode.ThemeIcon("copy"), tooltip: "Copy the Address" };
  box.title = "Sign in to Claude";
  box.placeholder = "Code from the browser";
  box.password = true;
  box.ignoreFocusOut = true;
  box.buttons = [copy, open];
  let isOurs = false;
  const dispose = (): void => {
    isOurs = true;
    box.dispose();
  };
  box.onDidTriggerButton((button) => {
    void (button === open ? answering.open() : answering.copy());
  });
  box.onDidChangeValue(() => {
    box.validationMessage = undefined;
  });
  box.onDidAccept(() => {
    const code = box.value.trim();
    if (!box.enabled) return;
    if (code === "") {
      box.validationMessage = EMPTY;
      return;
    }
    box.value = "";
    box.enabled = false;
    box.busy = true;
    void answering.give(code);
  });
  box.onDidHide(() => {
    if (isOurs) return;
    dispose();
    answering.putAway();
  });
  return {
    ask(isOpened, fault) {
      box.prompt = isOpened ? PASTE : UNOPENED;
      box.validationMessage = fault;
      box.enabled = true;
      box.busy = false;
      box.show();
    },
    show() {
      box.show();
    },
    dispose,
  };
}
