// A test whose failure leaves a picture of every open window in artifacts/editor.
import { test } from "node:test";

/**
 * @param {string} name
 * @param {() => import("./bed.mjs").Bed} bed asked when the test runs
 * @param {() => Promise<void>} body
 */
export function editorTest(name, bed, body, { timeout = 120_000 } = {}) {
  test(name, { timeout }, async () => {
    try {
      await body();
    } catch (error) {
      await bed().editor.screenshots(`failed ${name}`);
      throw error;
    }
  });
}
