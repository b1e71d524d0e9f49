// The server's own clock, which a test sets. It runs with the machine's and is ahead of it or behind it.

export class Clock {
  #aheadMs = 0;

  /** Milliseconds since 1970. */
  now() {
    return Date.now() + this.#aheadMs;
  }

  advance(seconds) {
    this.#aheadMs += seconds * 1000;
  }

  /** How far it is ahead of the machine's clock. */
  get aheadSeconds() {
    return this.#aheadMs / 1000;
  }
}
