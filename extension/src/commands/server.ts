// Restart Server: ends the server process of this window and starts it anew. Sandboxes keep running.
import * as vscode from "vscode";
import type { App } from "../app";
import { done, type Result } from "../result";

export async function restartServer(app: App): Promise<Result<unknown>> {
  const restarted = await app.server.restart();
  if (restarted.kind !== "ok") return restarted;
  vscode.window.setStatusBarMessage("$(check) Boxwood server restarted", 3_000);
  return done;
}
