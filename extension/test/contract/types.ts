// Holds values against the generated types, by writing them down as source and asking the compiler.
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export interface TypedValue {
  /** Where the value comes from. */
  readonly at: string;
  /** A type of the generated module. */
  readonly type: string;
  readonly value: unknown;
}

const generated = fileURLToPath(new URL("../../src/generated/protocol.ts", import.meta.url));

const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  types: [],
  lib: ["lib.es5.d.ts"],
  module: ts.ModuleKind.Preserve,
  target: ts.ScriptTarget.ES2022,
};

/** Parsed once: the generated types and the compiler's own. */
const sources = new Map<string, ts.SourceFile>();

/** @returns what the compiler says against each value, with its place */
export function typeProblems(values: readonly TypedValue[]): string[] {
  const file = path.join(path.dirname(generated), "values.ts");
  const head = 'import type * as Protocol from "./protocol";\n';
  const lines = values.map(({ type, value }, index) => {
    // A line each, so that the line of a complaint names the value.
    const source = value === undefined ? "undefined" : JSON.stringify(value);
    return `export const v${index}: Protocol.${type} = ${source.replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029")};`;
  });
  const text = head + lines.join("\n");
  const host = ts.createCompilerHost(options);
  const library = host.getSourceFile.bind(host);
  const [fileExists, readFile] = [host.fileExists.bind(host), host.readFile.bind(host)];
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? text : readFile(name));
  host.getSourceFile = (name, target, ...rest) => {
    if (name === file) return ts.createSourceFile(name, text, target);
    const parsed = sources.get(name) ?? library(name, target, ...rest);
    if (parsed) sources.set(name, parsed);
    return parsed;
  };
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const line = diagnostic.file?.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line ?? 0;
    const at = values[line - 1]?.at ?? "the generated types";
    return `${at}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, " ")}`;
  });
}
