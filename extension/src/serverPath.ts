// Where the server program is: the setting, else the one in the extension, else the PATH.
import { access, chmod, constants } from "node:fs/promises";
import path from "node:path";
import type { RpcError } from "./generated/protocol";
import { failed, ok, type Result } from "./result";

export interface Places {
  /** The setting `boxwood.editor.serverPath`; empty when not set. */
  readonly setting: string;
  /** Folder of the extension. */
  readonly extensionPath: string;
  readonly env: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
}

/** @returns an absolute path of a program that exists */
export async function findServer(places: Places): Promise<Result<string>> {
  const program = places.platform === "win32" ? "boxwood.exe" : "boxwood";
  if (places.setting !== "") {
    const file = expandHome(places.setting, places.env);
    return (await isExecutable(file)) ? ok(file) : failed(missing(`there is no program at '${file}'`));
  }
  const bundled = path.join(places.extensionPath, "server", program);
  if (await isExecutable(bundled)) return ok(bundled);
  if (await madeExecutable(bundled)) return ok(bundled);
  const delimiter = places.platform === "win32" ? ";" : ":";
  for (const folder of (places.env.PATH ?? places.env.Path ?? "").split(delimiter)) {
    // A relative entry would depend on the open folder, whose files nobody has vouched for.
    if (!path.isAbsolute(folder)) continue;
    const file = path.join(folder, program);
    if (await isExecutable(file)) return ok(file);
  }
  return failed(missing("'boxwood' is neither in the extension nor on the PATH"));
}

function missing(found: string): RpcError {
  return {
    code: "daemon.unavailable",
    message: `the Boxwood server could not be started: ${found}`,
    hint: "install the extension made for this platform, or set boxwood.editor.serverPath to the program",
    actions: ["openSettings", "restartServer"],
    causes: [],
  };
}

function expandHome(file: string, env: NodeJS.ProcessEnv): string {
  const home = env.HOME ?? env.USERPROFILE;
  return home !== undefined && /^~[\\/]/.test(file) ? path.join(home, file.slice(2)) : file;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Some ways of installing an extension lose the permission to execute. */
async function madeExecutable(file: string): Promise<boolean> {
  return chmod(file, 0o755).then(
    () => true,
    () => false,
  );
}
