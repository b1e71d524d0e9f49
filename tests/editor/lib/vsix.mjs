// Writes a VSIX by hand: a ZIP archive with a manifest. Used for the stand-in extension that proves the
// harness itself, without a packaging tool and without the extension under test.
import { writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const DOS_DATE = 0x5821; // 2024-01-01

function header(signature, fields) {
  const buffer = Buffer.alloc(4 + fields.reduce((sum, [size]) => sum + size, 0));
  let at = buffer.writeUInt32LE(signature);
  for (const [size, value] of fields) at = buffer.writeUIntLE(value, at, size);
  return buffer;
}

/** A ZIP archive of stored (uncompressed) entries, see APPNOTE.TXT 4.3. */
export function zip(entries) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, text] of Object.entries(entries)) {
    const data = Buffer.from(text);
    const path = Buffer.from(name);
    const common = [[2, 0], [2, 0], [2, 0], [2, DOS_DATE], [4, crc32(data)], [4, data.length], [4, data.length], [2, path.length], [2, 0]];
    const local = Buffer.concat([header(LOCAL, [[2, 20], ...common]), path, data]);
    directory.push(header(CENTRAL, [[2, 20], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), path);
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const count = Object.keys(entries).length;
  return Buffer.concat([...parts, central, header(END, [[2, 0], [2, 0], [2, count], [2, count], [4, central.length], [4, offset], [2, 0]])]);
}

const CONTENT_TYPES = `<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
  <Default Extension=".json" ContentType="application/json"/>
  <Default Extension=".js" ContentType="application/javascript"/>
  <Default Extension=".vsixmanifest" ContentType="text/xml"/>
</Types>`;

function vsixManifest({ name, publisher, version, displayName }) {
  return `<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id="${name}" Version="${version}" Publisher="${publisher}"/>
    <DisplayName>${displayName}</DisplayName>
    <Description xml:space="preserve">${displayName}</Description>
  </Metadata>
  <Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
  <Dependencies/>
  <Assets><Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/></Assets>
</PackageManifest>`;
}

/**
 * @param {string} file where to write
 * @param {object} manifest the extension's package.json
 * @param {string} source its main module, CommonJS
 */
export function writeVsix(file, manifest, source) {
  writeFileSync(
    file,
    zip({
      "[Content_Types].xml": CONTENT_TYPES,
      "extension.vsixmanifest": vsixManifest(manifest),
      "extension/package.json": JSON.stringify({ ...manifest, main: "./main.js" }, null, 2),
      "extension/main.js": source,
    }),
  );
}
