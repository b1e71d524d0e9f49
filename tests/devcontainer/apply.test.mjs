// A template that the official CLI applies and one that Boxwood inserts are the same files.
import assert from "node:assert/strict";
import { cp, readFile, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { SANDBOX, TEMPLATES, insert, pinnedVersion } from "./lib/boxwood.mjs";
import { Person } from "./lib/person.mjs";
import { startRegistry } from "./lib/registry.mjs";

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
  return (await Promise.all(files)).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

let count = 0;
async function applied(options) {
  const project = await person.directory(`applied ${(count += 1)}`);
  const reference = `${registry.host}/boxwood/templates/${SANDBOX}:latest`;
  await person.must(["templates", "apply", "--workspace-folder", project, "--template-id", reference, "--template-args", JSON.stringify(options)]);
  return tree(project);
}

async function inserted(options) {
  const project = await person.directory(`inserted ${count}`);
  await insert(project, SANDBOX, options);
  return tree(project);
}

const cases = {
  "the defaults": {},
  "every option chosen": { baseImage: "ubuntu:24.04", claudeVersion: "2.1.197", memory: "16g" },
  "values that need care": { baseImage: "a b/é:{x},/*y*/ #%&&;|<>=", memory: " 1g " },
};
for (const [name, options] of Object.entries(cases)) {
  test(`with ${name}`, async () => assert.deepEqual(await applied(options), await inserted(options)));
}

test("inserting changes no file that is there", async () => {
  const project = await person.directory("theirs");
  const file = (name) => path.join(project, ".devcontainer", name);
  await insert(project, SANDBOX, {});
  await writeFile(file("Dockerfile"), "FROM scratch\n");
  const { kept, unchanged } = await insert(project, SANDBOX, {});
  assert.deepEqual(kept, [file("Dockerfile")]);
  assert.equal(unchanged.length, 3);
  assert.equal(await readFile(file("Dockerfile"), "utf8"), "FROM scratch\n");
  const source = await readFile(path.join(TEMPLATES, SANDBOX, ".devcontainer/Dockerfile"), "utf8");
  assert.equal(await readFile(file("Dockerfile.boxwood-new"), "utf8"), source);
});

test("the template's own default is the version that the product pins", async () => {
  const metadata = JSON.parse(await readFile(path.join(TEMPLATES, SANDBOX, "devcontainer-template.json"), "utf8"));
  assert.equal(metadata.options.claudeVersion.default, await pinnedVersion());
});
