// Settings and the environment, as the server wants to be told of them.
import * as vscode from "vscode";
import type { Credentials, SandboxConfig } from "./generated/protocol";
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

/** The variables that Claude Code itself reads, by the name under which the server takes them. */
const credentialVariables: Readonly<Record<keyof Credentials, string>> = {
  apiKey: "ANTHROPIC_API_KEY",
  authToken: "ANTHROPIC_AUTH_TOKEN",
  oauthToken: "CLAUDE_CODE_OAUTH_TOKEN",
  baseUrl: "ANTHROPIC_BASE_URL",
};

/** @returns the credentials in the environment, or undefined when there are none */
export function credentialsFrom(env: NodeJS.ProcessEnv): Credentials | undefined {
  const entries = Object.entries(credentialVariables)
    .map(([field, variable]) => [field, env[variable]] as const)
    .filter(([, value]) => value !== undefined && value !== "");
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
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
