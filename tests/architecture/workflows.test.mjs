// The workflows, judged by the checker with which their host's own editor extension judges them, and by what a person who
// reads them relies on: they do what `make` does here, and what they use from elsewhere is exactly one version.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { TextDocument } from "vscode-languageserver-textdocument";
import { parse } from "yaml";
import "./json-imports.mjs";

const { validate } = await import("@actions/languageservice");
const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));
const DIRECTORY = path.join(REPOSITORY, ".github/workflows");
const workflows = readdirSync(DIRECTORY).map((name) => ({ name, text: readFileSync(path.join(DIRECTORY, name), "utf8") }));

/** @returns {Promise<string[]>} what is wrong with a workflow, empty when nothing is */
async function faults(name, text) {
  const document = TextDocument.create(`file:///.github/workflows/${name}`, "yaml", 1, text);
  return (await validate(document)).map(({ message }) => message);
}

/** Every step of every job. */
function steps(text) {
  return Object.values(parse(text).jobs).flatMap((job) => job.steps);
}

test("the checker finds faults", async () => {
  const text = "on: push\njobs:\n  one:\n    needs: two\n    runs-on: x\n    steps:\n      - run: echo ${{ nobody.knows }}\n        when: now\n";
  assert.deepEqual((await faults("faulty.yml", text)).toSorted(), [
    "The workflow must contain at least one job with no dependencies.",
    "Unexpected value 'when'",
    "Unrecognized named-value: 'nobody'",
    "Value 'two' is not valid",
  ]);
});

test("there are a test, a release and a publish workflow", () => {
  assert.deepEqual(workflows.map(({ name }) => name).toSorted(), ["publish-images.yml", "release.yml", "test.yml"]);
});

for (const { name, text } of workflows) {
  test(`${name} has no fault`, async () => assert.deepEqual(await faults(name, text), []));

  test(`${name} makes what make can make`, () => {
    const commands = steps(text).flatMap(({ run = "" }) => run.replaceAll(/\$\{\{.*?\}\}/g, "…").split("\n"));
    const targets = commands.filter((line) => line.startsWith("make ")).flatMap((line) => line.split(" ").slice(1));
    for (const target of targets.filter((one) => !one.includes("="))) {
      // Says what it would do, and fails for a target that there is not.
      execFileSync("make", ["--dry-run", target], { cwd: REPOSITORY, stdio: ["ignore", "ignore", "inherit"] });
    }
    assert.ok(targets.length > 0 || commands.includes("bash .ci/run"));
  });

  test(`${name} uses exact versions`, () => {
    for (const { uses } of steps(text).filter((step) => step.uses)) assert.match(uses, /^[\w-]+\/[\w-]+@v\d+\.\d+\.\d+$/);
  });
}
