// How often things happened, and waiting for them to happen.
import { EventEmitter } from "node:events";

/** What is counted beside requests: a request to the endpoint `refresh` counts as `requests.refresh`. */
const EVENTS = ["signIns", "exchanges", "refusedCodes", "codeReuses", "refreshes", "refusedRefreshes", "graceRefreshes", "reuseDetections", "revocations", "tunnels", "refusedTunnels"];

export class Counters {
  #counts = new Map(EVENTS.map((name) => [name, 0]));
  #changes = new EventEmitter().setMaxListeners(0);

  count(name) {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    this.#changes.emit("change");
  }

  all() {
    return Object.fromEntries(this.#counts);
  }

  /** @returns {Promise<number>} the count, once it is `atLeast` that */
  reach(name, atLeast, ms) {
    const now = () => this.#counts.get(name) ?? 0;
    if (now() >= atLeast) return Promise.resolve(now());
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        this.#changes.off("change", look);
        settle(value);
      };
      const look = () => now() >= atLeast && done(resolve, now());
      const timer = setTimeout(() => done(reject, new Error(`waited ${ms} ms in vain for ${name} to reach ${atLeast}: it is ${now()}`)), ms);
      this.#changes.on("change", look);
    });
  }
}
