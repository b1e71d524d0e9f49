// Settings and the environment, as the server wants to be told of them.
import * as vscode from "vscode";
import {
  type ClientEnvironment,
  type CredentialsParams,
  credentialVariables,
  type SandboxConfig,
  type SandboxRef,
} from "./generated/protocol";
import { isRecord } from "./wire";

export type TerminalPlace = "editor" | "beside" | "panel";

/** How a connection that waits is told: in a message that can be answered, or only by counts. */
export type EgressNotifications = "ask" | "badge";

const EDITOR_PREFIX = "boxwood.editor.";

/** Names of the server's settings, from the manifest, where they are generated. */
export function sandboxSettings(manifest: unknown): string[] {
  const path = ["contributes", "configuration", "properties"];
  const properties = path.reduce((value, key) => (isRecord(value) ? value[key] : undefined), manifest);
  return Object.keys(isRecord(properties) ? properties : {})
    .filter((setting) => !setting.startsWith(EDITOR_PREFIX))
    .map((setting) => setting.slice("boxwood.".length));
}

export interface EditorConfig {
  readonly config: SandboxConfig;
  /** Settings that a folder's or workspace's file sets and that are therefore left out. */
  readonly ignored: readonly string[];
}

/**
 * What the person has set, and only that. Values from files of the project itself are left out: the place for them
 * is `.boxwood/sandbox.jsonc`, whose content the person approves.
 */
export function sandboxConfig(settings: readonly string[]): EditorConfig {
  const section = vscode.workspace.getConfiguration("boxwood");
  const config: Record<string, unknown> = {};
  const ignored: string[] = [];
  for (const setting of settings) {
    const found = section.inspect(setting);
    if (isSet(found?.globalValue)) config[setting] = found?.globalValue;
    if (isSet(found?.workspaceValue) || isSet(found?.workspaceFolderValue)) ignored.push(`boxwood.${setting}`);
  }
  return { config: config, ignored };
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** @returns Claude Code's variables in the environment, or undefined when there are none */
export function environmentFrom(env: NodeJS.ProcessEnv): ClientEnvironment | undefined {
  const entries = credentialVariables.flatMap((name) => {
    const value = env[name];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** What is asked about a sandbox's credentials, or about those of new ones. Never logged. */
export function credentialsParams(target: SandboxRef | undefined): CredentialsParams {
  const environment = environmentFrom(process.env);
  return { ...(target ? { target } : {}), ...(environment ? { environment } : {}) };
}

export function serverPathSetting(): string {
  return vscode.workspace.getConfiguration("boxwood").get<string>("editor.serverPath", "").trim();
}

export function terminalPlace(): TerminalPlace {
  return vscode.workspace.getConfiguration("boxwood").get<TerminalPlace>("editor.terminalLocation", "editor");
}

export function egressNotifications(): EgressNotifications {
  return vscode.workspace.getConfiguration("boxwood").get<EgressNotifications>("editor.egressNotifications", "ask");
}
