// Reads a ZIP archive, as far as extension packages use the format (APPNOTE.TXT 4.3): stored and deflated entries.
import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";

const END = 0x06054b50;
const CENTRAL = 0x02014b50;

/** @returns {Map<string, (() => Buffer) & { mode: number }>} the files by name, each to be read when wanted, with its permissions */
export function files(archive) {
  const bytes = readFileSync(archive);
  let end = bytes.length - 22;
  while (bytes.readUInt32LE(end) !== END) end -= 1;
  const found = new Map();
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left -= 1) {
    if (bytes.readUInt32LE(at) !== CENTRAL) throw new Error(`${archive}: entry expected at ${at}`);
    const [method, size] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 20)];
    const [name, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(at + field));
    const local = bytes.readUInt32LE(at + 42);
    const read = () => {
      const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
      const data = bytes.subarray(start, start + size);
      return method === 0 ? data : inflateRawSync(data);
    };
    // Unix has them in the upper half of what it may add.
    read.mode = bytes.readUInt32LE(at + 38) >>> 16;
    found.set(bytes.toString("utf8", at + 46, at + 46 + name), read);
    at += 46 + name + extra + comment;
  }
  return found;
}
