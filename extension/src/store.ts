// Holds the one model of this window and tells whoever shows it when it changes.
import { emptyModel, reduce, type Input, type Model } from "./model";

export type Listener<T> = (value: T) => void;

/** A list of listeners, usable without an editor. */
export class Emitter<T> {
  readonly #listeners = new Set<Listener<T>>();

  on(listener: Listener<T>): { dispose(): void } {
    this.#listeners.add(listener);
    return {
      dispose: () => {
        this.#listeners.delete(listener);
      },
    };
  }

  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }
}

export class Store {
  #model = emptyModel;
  readonly #changed = new Emitter<Model>();
  readonly #inputs = new Emitter<{ readonly input: Input; readonly before: Model }>();

  get model(): Model {
    return this.#model;
  }

  dispatch(input: Input): void {
    const before = this.#model;
    const next = reduce(before, input);
    this.#model = next;
    this.#inputs.emit({ input, before });
    if (next !== before) this.#changed.emit(next);
  }

  onChange(listener: Listener<Model>): { dispose(): void } {
    return this.#changed.on(listener);
  }

  /** Every input, after it took effect, with the state from before. */
  onInput(listener: (input: Input, before: Model) => void): { dispose(): void } {
    return this.#inputs.on(({ input, before }) => {
      listener(input, before);
    });
  }
}
