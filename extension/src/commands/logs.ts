// Show Logs: what the main process of a sandbox wrote.
import type { App } from "../app";
import { chooseSandbox, type Target } from "../choose";
import { methods } from "../generated/protocol";
import { done, type Result } from "../result";
import { operate } from "../progress";

const LINES = 1_000;

export async function showLogs(app: App, target: Target): Promise<Result<unknown>> {
  const sandbox = await chooseSandbox(app, target, { title: "Show Logs", none: "There is no sandbox yet." });
  if (sandbox.kind !== "ok") return sandbox;
  const { id, container } = sandbox.value;
  const logs = await operate(app, {
    title: `Reading the log of ${container}`,
    method: methods.logs,
    params: { target: { sandbox: id }, tail: LINES },
    isQuiet: true,
  });
  if (logs.kind !== "ok") return logs;
  const { lines } = logs.value;
  const text = lines.length > 0 ? lines.join("\n") : "Nothing has been written yet.";
  app.sandboxLog.replace(`${container}\n\n${text}\n`);
  app.sandboxLog.show(true);
  return done;
}
