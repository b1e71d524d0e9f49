// Records conversations with the real server against the real engine, as README.md says. `npm run record` writes all,
// `npm run record -- lifecycle` one of them.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Conversation } from "./lib/conversation.mjs";
import { normalise } from "./lib/normalise.mjs";
import * as person from "./lib/person.mjs";
import * as sandboxes from "./lib/scripts.mjs";

const folder = fileURLToPath(new URL("./", import.meta.url));
const scripts = { ...sandboxes, ...person };
const known = Object.keys(scripts);
const wanted = process.argv.length > 2 ? process.argv.slice(2) : known;
for (const name of wanted) {
  if (!known.includes(name)) throw new Error(`there is no conversation '${name}'; there are ${known.join(", ")}`);
}

const { version } = JSON.parse(await readFile(path.join(folder, "../../images/claude.json"), "utf8"));
for (const name of wanted) {
  process.stderr.write(`record: ${name}\n`);
  const conversation = await Conversation.open(name, scripts[name].arrange);
  try {
    await scripts[name](conversation);
    await conversation.close();
    const messages = normalise(conversation.messages, { root: conversation.bed.root, claude: version });
    // A message a line, so that a difference shows which one it is.
    const lines = messages.map((message) => `  ${JSON.stringify(message)}`);
    await writeFile(path.join(folder, `${name}.json`), `[\n${lines.join(",\n")}\n]\n`);
  } finally {
    await conversation.clear();
  }
}
