// Tests that are steps of one story in one editor.
import assert from "node:assert/strict";
import { test } from "node:test";

/**
 * @param {() => import("./bed.mjs").Bed} bed asked when a test runs
 * @returns a function like node's test. A failure leaves a picture of every open window in artifacts/editor, and the
 *   steps after it fail at once: each stands on what the one before left behind.
 */
export function story(bed) {
  let failed;
  return (name, body, { timeout = 300_000 } = {}) =>
    test(name, { timeout }, async () => {
      if (failed) assert.fail(`not tried, because "${failed}" failed`);
      try {
        await body();
      } catch (error) {
        failed = name;
        await bed().editor.screenshots(`failed ${name}`);
        throw error;
      }
    });
}
