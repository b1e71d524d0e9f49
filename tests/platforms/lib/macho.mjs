// Reads programs of macOS: the headers of <mach-o/loader.h>, and the signature as <kern/cs_blobs.h> has it, by whose hashes the
// system judges each page before it runs it.
import { createHash } from "node:crypto";

const MAGIC = 0xfeedfacf;
const PROCESSORS = new Map([[0x0100000c, "arm64"], [0x01000007, "x64"]]);
const [LOAD_DYLIB, CODE_SIGNATURE, MAIN, BUILD_VERSION] = [0xc, 0x1d, 0x80000028, 0x32];
const [EMBEDDED_SIGNATURE, CODE_DIRECTORY] = [0xfade0cc0, 0xfade0c02];

const version = (number) => `${number >>> 16}.${(number >>> 8) & 0xff}`;
const text = (bytes, at) => bytes.toString("utf8", at, bytes.indexOf(0, at));

/** @returns {{ processor: string, isProgram: boolean, libraries: string[], platform: number, oldest: string, signature: Buffer }} */
export function read(bytes) {
  if (bytes.readUInt32LE(0) !== MAGIC) throw new Error("this is no program of macOS");
  const found = { processor: PROCESSORS.get(bytes.readUInt32LE(4)), isProgram: false, libraries: [] };
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left -= 1) {
    const command = bytes.readUInt32LE(at);
    if (command === MAIN) found.isProgram = bytes.readUInt32LE(12) === 2;
    if (command === LOAD_DYLIB) found.libraries.push(text(bytes, at + bytes.readUInt32LE(at + 8)));
    if (command === BUILD_VERSION) Object.assign(found, { platform: bytes.readUInt32LE(at + 8), oldest: version(bytes.readUInt32LE(at + 12)) });
    if (command === CODE_SIGNATURE) {
      const begin = bytes.readUInt32LE(at + 8);
      found.signature = bytes.subarray(begin, begin + bytes.readUInt32LE(at + 12));
    }
    at += bytes.readUInt32LE(at + 4);
  }
  return found;
}

/** The pages of a program whose signature does not fit them; all of them are fine when this is empty. */
export function unsigned(bytes, signature) {
  if (signature?.readUInt32BE(0) !== EMBEDDED_SIGNATURE) throw new Error("the program is not signed");
  for (let slot = 0; slot < signature.readUInt32BE(8); slot += 1) {
    const directory = signature.subarray(signature.readUInt32BE(16 + slot * 8));
    if (directory.readUInt32BE(0) !== CODE_DIRECTORY) continue;
    const [hashes, pages, limit] = [16, 28, 32].map((field) => directory.readUInt32BE(field));
    const [size, kind, page] = [directory[36], directory[37], 2 ** directory[39]];
    if (kind !== 2 || size !== 32 || pages !== Math.ceil(limit / page)) throw new Error("the signature is of another kind");
    return Array.from({ length: pages }, (_, index) => index).filter((index) => {
      const end = Math.min((index + 1) * page, limit);
      const hash = createHash("sha256").update(bytes.subarray(index * page, end)).digest();
      return !hash.equals(directory.subarray(hashes + index * size, hashes + (index + 1) * size));
    });
  }
  throw new Error("the signature says nothing of the program");
}
