// What a docker command that does not end by itself has shown by the time that something appears.
import { spawn } from "node:child_process";

const LONGEST_MS = 120_000;

/** Runs `docker ...args` until its output, without terminal control sequences, matches `expected`; then ends it. */
export async function screenUntil(args, expected) {
  const child = spawn("docker", args, { stdio: ["ignore", "pipe", "pipe"] });
  let raw = "";
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`docker ${args.join(" ")}: ${why} before ${expected} appeared; it showed:\n${plain(raw).slice(-3000)}`));
      timer = setTimeout(() => fail(`${LONGEST_MS} ms passed`), LONGEST_MS);
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text) => {
          raw += text;
          if (expected.test(plain(raw))) resolve(plain(raw));
        });
      }
      child.on("error", reject);
      child.on("close", (code) => fail(`ended with ${code}`));
    });
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
  }
}

/** Cursor movements become spaces: full-screen programs write words that way. */
function plain(text) {
  return text.replace(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, "").replace(/\x1b\[[0-9;?>=]*[ -/]*[@-~]/g, " ").replace(/[ \r]+/g, " ");
}
