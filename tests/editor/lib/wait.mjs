// Waiting for what lies outside a browser page: processes, containers, files.
import { setTimeout as delay } from "node:timers/promises";

/**
 * How long a test waits for something that should be quick, and for something that may build an image. Far more than
 * either takes: these bounds end a wait in vain, and a busy machine is not a fault.
 */
export const SOON = 60_000;
export const LONG = 420_000;

/**
 * Asks `probe` until it answers with something truthy.
 * @param {string} what names the awaited state in the error
 * @param {() => unknown} probe
 * @param {{timeout?: number, every?: number}} options milliseconds
 */
export async function until(what, probe, { timeout = SOON, every = 50 } = {}) {
  const deadline = performance.now() + timeout;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeout} ms in vain for ${what}`);
    await delay(every);
  }
}
