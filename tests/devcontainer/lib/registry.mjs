// A real registry on a port of its own, for the official CLI to publish templates to and apply them from.
import { execFile, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const FETCH = fileURLToPath(new URL("../registry", import.meta.url));

/** Starts a registry that keeps its data in `directory`. The CLI speaks plain HTTP to the name localhost only. */
export async function startRegistry(directory) {
  const { stdout } = await promisify(execFile)(FETCH);
  const config = path.join(directory, "registry.yml");
  const data = path.join(directory, "registry");
  await mkdir(data);
  const settings = { version: 0.1, storage: { filesystem: { rootdirectory: data } }, http: { addr: "127.0.0.1:0" } };
  await writeFile(config, JSON.stringify(settings)); // JSON is YAML
  const child = spawn(stdout.trim(), ["serve", config], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const port = await listening(child, ended);
  return {
    host: `localhost:${port}`,
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

async function listening(child, ended) {
  const lines = createInterface({ input: child.stderr });
  const announced = new Promise((resolve) => {
    lines.on("line", (line) => {
      const match = /listening on 127\.0\.0\.1:(\d+)/.exec(line);
      if (match) resolve(match[1]);
    });
  });
  return Promise.race([announced, ended.then((code) => Promise.reject(new Error(`the registry ended with ${code}`)))]);
}
