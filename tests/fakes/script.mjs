// Decides what the imitation model answers. Pure: a request body goes in, a list of content blocks
// comes out, so the same prompt always gets the same answer and a test can say what it expects.
//
// Directives, all read from the newest message that a person typed:
//   say TEXT                 the answer is TEXT
//   [[tool:NAME {json}]]     call the tool NAME first; several directives are called one after another
//   [[status:529]]           answer with that HTTP status and an API error
//   [[pace:MS]]              wait MS milliseconds between the pieces of a streamed answer
//
// A test that needs natural prompts gives a table from prompt to directives; see `answers` in messages-api.mjs.

/** @returns the text a person typed, without what Claude Code adds around it. */
function typedText(message) {
  if (typeof message.content === "string") return stripReminders(message.content);
  const texts = message.content.filter((block) => block.type === "text").map((block) => block.text);
  return texts.map(stripReminders).filter((text) => text !== "").join("\n");
}

// Claude Code adds reminders, and asks on its own to go on where a streamed answer was cut off.
function stripReminders(text) {
  return text.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "").replace(/^Your response above was cut off mid-stream\.[\s\S]*/, "").trim();
}

function toolResults(message) {
  if (typeof message.content === "string") return 0;
  return message.content.filter((block) => block.type === "tool_result").length;
}

/** The newest typed text and how many tool results have come back since. */
export function conversationState(messages) {
  let results = 0;
  for (const message of [...messages].reverse()) {
    if (message.role !== "user") continue;
    results += toolResults(message);
    const text = typedText(message);
    if (text !== "" && toolResults(message) === 0) return { text, results };
  }
  return { text: "", results };
}

/** End of the JSON object that starts at `from`; -1 when it never closes. Brackets inside strings do not count. */
function jsonEnd(text, from) {
  let depth = 0;
  let inString = false;
  for (let i = from; i < text.length; i += 1) {
    const c = text[i];
    if (inString) {
      if (c === "\\") i += 1;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === "{" || c === "[") depth += 1;
    else if (c === "}" || c === "]") {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return -1;
}

/** Splits a prompt into its directives and the text that is left. */
export function parseDirectives(text) {
  const found = { tools: [], status: null, paceMs: 0, malformed: null, rest: "" };
  const opening = /\[\[(tool|status|pace):/g;
  let rest = "";
  let at = 0;
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    rest += text.slice(at, match.index);
    const end = match[1] === "tool" ? readTool(text, opening.lastIndex, found) : readNumber(text, opening.lastIndex, match[1], found);
    at = end;
    opening.lastIndex = end;
  }
  found.rest = (rest + text.slice(at)).trim();
  return found;
}

function readNumber(text, from, kind, found) {
  const match = /^(\d+)\]\]/.exec(text.slice(from));
  if (!match) {
    found.malformed = `[[${kind}:…]] needs a number`;
    return from;
  }
  if (kind === "status") found.status = Number(match[1]);
  else found.paceMs = Number(match[1]);
  return from + match[0].length;
}

function readTool(text, from, found) {
  const name = /^([A-Za-z0-9_-]+)\s*/.exec(text.slice(from));
  const start = name ? from + name[0].length : -1;
  const end = name && text[start] === "{" ? jsonEnd(text, start) : -1;
  if (end === -1 || text.slice(end, end + 2) !== "]]") {
    found.malformed = "[[tool:NAME {json}]] is not closed";
    return text.length;
  }
  try {
    found.tools.push({ name: name[1], input: JSON.parse(text.slice(start, end)) });
  } catch (error) {
    found.malformed = `[[tool:${name[1]} …]] holds invalid JSON: ${error.message}`;
  }
  return end + 2;
}

/** The smallest value that a JSON schema accepts, with `text` wherever a string is free. */
export function fillSchema(schema, text) {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([key]) => (schema.required ?? []).includes(key))
          .map(([key, value]) => [key, fillSchema(value, text)]),
      );
    case "array":
      return [];
    case "number":
    case "integer":
      return schema.minimum ?? 0;
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return text;
  }
}

/**
 * @param body a Messages API request body
 * @param nextDefault called when the prompt names no answer; gives the default text
 * @param answers directives for prompts that have none in themselves
 * @returns {{blocks: object[], stopReason: string, status: number|null, paceMs: number}}
 */
export function decide(body, nextDefault, answers = {}) {
  const { text, results } = conversationState(body.messages);
  const directives = parseDirectives(answers[text] ?? text);
  const answer = (blocks, stopReason = "end_turn") => ({ blocks, stopReason, status: directives.status, paceMs: directives.paceMs });
  const schema = body.output_config?.format?.schema ?? body.output_format?.schema;
  if (schema) return answer([{ type: "text", text: JSON.stringify(fillSchema(schema, "fake")) }]);
  if (directives.malformed) return answer([{ type: "text", text: `FAKE-ERROR ${directives.malformed}` }]);

  const tool = directives.tools[results];
  const offered = (body.tools ?? []).some((entry) => entry.name === tool?.name);
  if (tool && offered) return answer([{ type: "tool_use", ...tool }], "tool_use");
  // Side requests such as naming a conversation repeat the prompt but offer no tools: they get text.
  if (tool && (body.tools ?? []).length > 0) return answer([{ type: "text", text: `FAKE-ERROR no tool is called ${tool.name}` }]);

  const said = /^say\s+([\s\S]+)$/i.exec(directives.rest);
  return answer([{ type: "text", text: said ? said[1].trim() : nextDefault() }]);
}
