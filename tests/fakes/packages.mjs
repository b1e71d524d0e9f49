#!/usr/bin/env node
// Writes registries of one package, `left-over` 1.0.0, as trees of files that any web server can serve: npm, PyPI, crates
// and Debian.
//
//   node packages.mjs DIRECTORY
//
// Under DIRECTORY there are then `npm`, `pypi`, `crates` and `debian`, to be served at npm.test, pypi.test, crates.test and
// debian.test over TLS.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

const NAME = "left-over";
const VERSION = "1.0.0";
const SAYS = "left over";

const digest = (kind, bytes, encoding) => createHash(kind).update(bytes).digest(encoding);

/** A tar archive of text files: from path to contents. */
function tar(files) {
  const parts = [];
  for (const [path, text] of Object.entries(files)) {
    const contents = Buffer.from(text);
    const head = Buffer.alloc(512);
    const octal = (value, length) => `${value.toString(8).padStart(length - 1, "0")}\0`;
    head.write(path, 0);
    head.write(octal(0o644, 8), 100);
    head.write(octal(0, 8), 108);
    head.write(octal(0, 8), 116);
    head.write(octal(contents.length, 12), 124);
    head.write(octal(0, 12), 136);
    head.write("        ", 148);
    head.write("0", 156);
    head.write("ustar\0", 257);
    head.write("00", 263);
    head.write(`${head.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(head, contents, Buffer.alloc((512 - (contents.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A zip archive of text files, uncompressed. */
function zip(files) {
  const locals = [];
  const entries = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const [name, contents] = [Buffer.from(path), Buffer.from(text)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(contents), 10);
    common.writeUInt32LE(contents.length, 14);
    common.writeUInt32LE(contents.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, name, contents]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, rest, name]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** An archive of Unix, which a Debian package is. */
function ar(files) {
  const parts = [Buffer.from("!<arch>\n")];
  for (const [name, contents] of Object.entries(files)) {
    const head = `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(contents.length).padEnd(10)}\`\n`;
    parts.push(Buffer.from(head), contents, Buffer.alloc(contents.length % 2, "\n"));
  }
  return Buffer.concat(parts);
}

function npm(put) {
  const manifest = { name: NAME, version: VERSION, main: "index.js" };
  const archive = gzipSync(tar({ "package/package.json": JSON.stringify(manifest), "package/index.js": `module.exports = "${SAYS}";\n` }));
  const dist = { tarball: `https://npm.test/${NAME}/-/${NAME}-${VERSION}.tgz`, integrity: `sha512-${digest("sha512", archive, "base64")}` };
  put(`npm/${NAME}/-/${NAME}-${VERSION}.tgz`, archive);
  put(`npm/${NAME}/index.json`, JSON.stringify({ name: NAME, "dist-tags": { latest: VERSION }, versions: { [VERSION]: { ...manifest, dist } } }));
}

function pypi(put) {
  const module = NAME.replace("-", "_");
  const file = `${module}-${VERSION}-py3-none-any.whl`;
  const info = `${module}-${VERSION}.dist-info`;
  const wheel = zip({
    [`${module}.py`]: `SAYS = "${SAYS}"\n`,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${NAME}\nVersion: ${VERSION}\n`,
    [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    [`${info}/RECORD`]: `${module}.py,,\n${info}/METADATA,,\n${info}/WHEEL,,\n${info}/RECORD,,\n`,
  });
  put(`pypi/files/${file}`, wheel);
  put(`pypi/simple/${NAME}/index.html`, `<!DOCTYPE html><html><body><a href="../../files/${file}#sha256=${digest("sha256", wheel, "hex")}">${file}</a></body></html>\n`);
}

function crates(put) {
  const root = `${NAME}-${VERSION}`;
  const archive = gzipSync(
    tar({
      [`${root}/Cargo.toml`]: `[package]\nname = "${NAME}"\nversion = "${VERSION}"\nedition = "2021"\n`,
      [`${root}/src/lib.rs`]: `pub const SAYS: &str = "${SAYS}";\n`,
    }),
  );
  const line = { name: NAME, vers: VERSION, deps: [], cksum: digest("sha256", archive, "hex"), features: {}, yanked: false };
  put("crates/config.json", JSON.stringify({ dl: "https://crates.test/dl" }));
  put(`crates/le/ft/${NAME}`, `${JSON.stringify(line)}\n`);
  put(`crates/dl/${NAME}/${VERSION}/download`, archive);
}

function debian(put) {
  const control = `Package: ${NAME}\nVersion: ${VERSION}\nArchitecture: all\nMaintainer: nobody <nobody@debian.test>\nDescription: ${SAYS}\n`;
  const archive = ar({
    "debian-binary": Buffer.from("2.0\n"),
    "control.tar.gz": gzipSync(tar({ "./control": control })),
    "data.tar.gz": gzipSync(tar({ "./usr/share/left-over": SAYS })),
  });
  const file = `pool/${NAME}_${VERSION}_all.deb`;
  put(`debian/${file}`, archive);
  const entry = `${control}Filename: ${file}\nSize: ${archive.length}\nSHA256: ${digest("sha256", archive, "hex")}\n\n`;
  const sums = [];
  for (const machine of ["amd64", "arm64"]) {
    put(`debian/dists/stable/main/binary-${machine}/Packages`, entry);
    sums.push(` ${digest("sha256", entry, "hex")} ${entry.length} main/binary-${machine}/Packages`);
  }
  put("debian/dists/stable/Release", `Origin: test\nSuite: stable\nCodename: stable\nArchitectures: amd64 arm64\nComponents: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n${sums.join("\n")}\n`);
}

const [root] = process.argv.slice(2);
if (root === undefined) {
  console.error("usage: packages.mjs DIRECTORY");
  process.exit(2);
}
for (const write of [npm, pypi, crates, debian]) {
  write((path, contents) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, contents);
  });
}
