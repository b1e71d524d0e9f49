// What the parts of the extension share. Made once per window, by extension.ts.
import type * as vscode from "vscode";
import type { Credentials } from "./credentials";
import type { Egress } from "./egress";
import type { LoginTerminal } from "./login";
import type { Operations } from "./operations";
import type { Server } from "./server";
import type { SignIn } from "./signIn";
import type { Store } from "./store";
import type { Terminals } from "./terminal";
import type { Projects } from "./projects";

export interface App {
  readonly server: Server;
  readonly store: Store;
  readonly operations: Operations;
  readonly terminals: Terminals;
  readonly projects: Projects;
  /** Follows connections of this window's sandboxes. */
  readonly egress: Egress;
  /** Knows how Claude's login is. */
  readonly credentials: Credentials;
  /** Signs in, with the person's browser and a box for the code. */
  readonly signIn: SignIn;
  /** Where the person signs in when that does not do. */
  readonly login: LoginTerminal;
  /** The extension's own log and the server's standard error. */
  readonly log: vscode.LogOutputChannel;
  /** What operations print: builds above all. */
  readonly output: vscode.OutputChannel;
  /** The main process of a sandbox, as Show Logs got it. */
  readonly sandboxLog: vscode.OutputChannel;
  /** A line per decision about a connection. */
  readonly egressLog: vscode.OutputChannel;
  readonly extensionId: string;
  /** Names of the server's settings, without the prefix. */
  readonly sandboxSettings: readonly string[];
  /** Aborted when the window closes. */
  readonly signal: AbortSignal;
}
