// The tests that both users run are named one by one: each of them must be there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const tests = fileURLToPath(new URL("..", import.meta.url));
const sources = readdirSync(path.join(tests, "e2e/tests"), { recursive: true }).filter((name) => name.endsWith(".rs"));

for (const name of execFileSync(path.join(tests, "testbed/shares"), ["both"], { encoding: "utf8" }).trim().split("\n")) {
  test(`${name} is a test`, () => {
    const modules = name.split("::");
    const own = modules.pop();
    const files = sources.filter((file) => new RegExp(`^[^/]+/${modules.join("/")}(/mod)?\\.rs$`).test(file));
    const found = files.filter((file) => new RegExp(`#\\[test\\]\\s+fn ${own}\\(`).test(readFileSync(path.join(tests, "e2e/tests", file), "utf8")));
    assert.equal(found.length, 1, `${files.join()} has no ${own}`);
  });
}
