// Parts of the stand-in that keep no state of their own.
import { EventEmitter } from "./types";

export interface OutputChannel {
  text: string;
  isShown: boolean;
}

export function makeChannel(name: string, state: OutputChannel): unknown {
  const line = (text: string): void => {
    state.text += `${text}\n`;
  };
  return {
    name,
    append: (text: string) => (state.text += text),
    appendLine: line,
    replace: (text: string) => (state.text = text),
    clear: () => (state.text = ""),
    show: () => (state.isShown = true),
    hide: () => (state.isShown = false),
    dispose: () => undefined,
    trace: line,
    debug: line,
    info: line,
    warn: line,
    error: line,
  };
}

export function withResolvers<T>(): { promise: Promise<T>; resolve: (value?: T) => void } {
  let resolve: (value?: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle as (value?: T) => void;
  });
  return { promise, resolve };
}

/** A box that stays until a test, as a person, does something with it. */
export interface InputBox {
  title?: string;
  prompt?: string;
  password?: boolean;
  ignoreFocusOut?: boolean;
  validationMessage?: string;
  value: string;
  enabled: boolean;
  buttons: { tooltip?: string }[];
  isShown: boolean;
  type(text: string): void;
  press(tooltip: string): void;
  putAway(): void;
}

export function heldBox(): InputBox {
  const [accepted, changed] = [new EventEmitter<undefined>(), new EventEmitter<string>()];
  const [hidden, button] = [new EventEmitter<undefined>(), new EventEmitter<unknown>()];
  const box: InputBox & Record<string, unknown> = {
    value: "",
    enabled: true,
    buttons: [],
    isShown: false,
    onDidAccept: accepted.event,
    onDidChangeValue: changed.event,
    onDidHide: hidden.event,
    onDidTriggerButton: button.event,
    show: () => (box.isShown = true),
    dispose: () => {
      const wasShown = box.isShown;
      box.isShown = false;
      if (wasShown) hidden.fire(undefined);
    },
    type: (text) => {
      box.value = text;
      changed.fire(text);
      accepted.fire(undefined);
    },
    press: (tooltip) => {
      button.fire(box.buttons.find((candidate) => candidate.tooltip === tooltip));
    },
    putAway: () => {
      box.isShown = false;
      hidden.fire(undefined);
    },
  };
  return box;
}
