// A template applied by the official CLI and one rendered by Boxwood are the same files.
import assert from "node:assert/strict";
import { cp, readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { Person } from "./lib/person.mjs";
import { startRegistry } from "./lib/registry.mjs";
import { SANDBOX, TEMPLATES, pinnedVersion, render } from "./lib/render.mjs";

let person;
let registry;

before(async () => {
  person = await Person.create();
  registry = await startRegistry(await person.directory("registry"));
  // The CLI reads the templates as the person, who may not be able to read the checkout.
  const templates = path.join(person.home, "templates");
  await cp(TEMPLATES, templates, { recursive: true });
  await person.owns(templates);
  const published = await person.must(["templates", "publish", "--registry", registry.host, "--namespace", "boxwood/templates", templates]);
  assert.deepEqual(Object.keys(published.json), [SANDBOX]);
});

after(async () => {
  await registry?.stop();
  await person?.remove();
});

/** Path, content and whether it is a program, of every file below `directory`. */
async function tree(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(async (entry) => {
    const file = path.join(entry.parentPath, entry.name);
    const executable = ((await stat(file)).mode & 0o111) !== 0;
    return { path: path.relative(directory, file), contents: await readFile(file, "utf8"), executable };
  });
  return byPath(await Promise.all(files));
}

function byPath(files) {
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

let count = 0;
async function applied(options) {
  const project = await person.directory(`applied ${(count += 1)}`);
  const reference = `${registry.host}/boxwood/templates/${SANDBOX}:latest`;
  await person.must(["templates", "apply", "--workspace-folder", project, "--template-id", reference, "--template-args", JSON.stringify(options)]);
  return tree(project);
}

test("with the defaults", async () => {
  assert.deepEqual(await applied({}), byPath(await render(SANDBOX)));
});

test("with every option chosen", async () => {
  const options = { baseImage: "ubuntu:24.04", claudeVersion: "2.1.197", memory: "16g" };
  assert.deepEqual(await applied(options), byPath(await render(SANDBOX, options)));
});

test("with values that need care", async () => {
  const options = { baseImage: "a b/é:{x},/*y*/ #%&&;|<>", memory: " 1g " };
  assert.deepEqual(await applied(options), byPath(await render(SANDBOX, options)));
});

test("the template's own default is the version that the product pins", async () => {
  const metadata = JSON.parse(await readFile(path.join(TEMPLATES, SANDBOX, "devcontainer-template.json"), "utf8"));
  assert.equal(metadata.options.claudeVersion.default, await pinnedVersion());
});
