// What goes on at the moment, so that nothing is cleared away while it is still being made.
import { setMaxListeners } from "node:events";

export class Tasks {
  #going = new Set();
  #isOver = false;
  #breaking = new AbortController();

  constructor() {
    // Any number of processes may run at a time.
    setMaxListeners(0, this.#breaking.signal);
  }

  /** Aborted when what goes on is no longer waited for. */
  get signal() {
    return this.#breaking.signal;
  }

  /** Does something, unless it is over. */
  async during(work) {
    if (this.#isOver) throw new Error("nothing more is begun: it is being cleared away");
    const going = work();
    const ended = going.then(
      () => {},
      () => {},
    );
    this.#going.add(ended);
    await ended;
    this.#going.delete(ended);
    return going;
  }

  /** Begins nothing more and waits for what goes on; after `mostMs` breaks it off. */
  async end(mostMs) {
    this.#isOver = true;
    const timer = setTimeout(() => this.#breaking.abort(), mostMs);
    await Promise.all(this.#going);
    clearTimeout(timer);
  }
}
