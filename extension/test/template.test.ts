import { beforeEach, describe, expect, it } from "vitest";
import { handlers, runCommand } from "../src/commands";
import { methods, type TemplateInfo, type TemplateInsertResult } from "../src/generated/protocol";
import { fake } from "./fake/vscode";
import { openWindow, settled } from "./harness";

const project = "/home/ada/shop";
const file = `${project}/.devcontainer/devcontainer.json`;
const template: TemplateInfo = {
  id: "claude",
  name: "Claude Code",
  description: "Claude Code in a devcontainer",
  options: [
    { id: "variant", description: "Base image", default: "bookworm", proposals: ["bookworm", "trixie"] },
    { id: "name", description: "Name of the container", default: "dev", proposals: [] },
  ],
};
const written: TemplateInsertResult = { written: [file], unchanged: [], kept: [], open: file };

beforeEach(() => {
  fake.reset();
  fake.folders(project);
});

async function insert(choices: (string | undefined)[], result = written, info = template) {
  const { app, server } = await openWindow({ [methods.templates]: [info], [methods.insertTemplate]: result });
  fake.choose.push(...choices);
  const outcome = await runCommand(app, handlers["boxwood.insertTemplate"], {});
  await settled();
  return { outcome, params: server.paramsOf(methods.insertTemplate) };
}

describe("Insert Devcontainer Template", () => {
  it("writes the template with its defaults and opens the file", async () => {
    const { params } = await insert(["Claude Code", "Use defaults"]);
    expect(params).toEqual({ project, template: "claude", options: {}, dryRun: false });
    expect(fake.opened).toEqual([file]);
    expect(fake.messages).toEqual([{ kind: "information", message: "Claude Code: 1 file written.", buttons: [] }]);
  });

  it("asks each option, with a way back", async () => {
    const { params } = await insert(["Claude Code", "Choose", "trixie", "<back>", "bookworm", "box"]);
    expect(params?.options).toEqual({ variant: "bookworm", name: "box" });
    expect(fake.picks.slice(2).map(({ title }) => title)).toEqual([
      "Claude Code (1/2)",
      "Claude Code (1/2)",
      "Claude Code (2/2)",
    ]);
  });

  it("asks nothing of a template without options", async () => {
    const { params } = await insert(["Claude Code"], written, { ...template, options: [] });
    expect(params?.options).toEqual({});
  });

  it.each([
    ["at the template", [undefined]],
    ["at the defaults", ["Claude Code", undefined]],
    ["at an option", ["Claude Code", "Choose", "trixie", undefined]],
  ])("writes nothing when dismissed %s", async (_, choices) => {
    const { outcome, params } = await insert(choices);
    expect(outcome).toEqual({ kind: "cancelled" });
    expect(params).toBeUndefined();
  });

  it("says what was kept, and compares it", async () => {
    fake.press.add("Compare");
    await insert(["Claude Code", "Use defaults"], { ...written, written: [], kept: [file] });
    expect(fake.messages[0]?.message).toContain("kept as you have it: devcontainer.json");
    const [{ command, args } = { command: "", args: [] }] = fake.executed;
    expect(command).toBe("vscode.diff");
    expect(args.slice(0, 2).map(String)).toEqual([`file://${file}`, `file://${file}.boxwood-new`]);
  });

  it("says when all is there already", async () => {
    await insert(["Claude Code", "Use defaults"], { ...written, written: [], unchanged: [file] });
    expect(fake.messages[0]?.message).toBe("Claude Code: everything is there already.");
  });
});
