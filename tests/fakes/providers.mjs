// How other providers ask for Claude: under their own paths, which name the model, and on Amazon Bedrock in frames of their own.
import { crc32 } from "node:zlib";

/** What a path of another provider asks for; null for any other path. */
export function asked(path) {
  const vertex = /^\/v1\/projects\/[^/]+\/locations\/[^/]+\/publishers\/anthropic\/models\/([^/:]+):(streamR|r)awPredict$/.exec(path);
  if (vertex) return { model: decodeURIComponent(vertex[1]), isStream: vertex[2] === "streamR", frame: null };
  const bedrock = /^\/model\/([^/]+)\/invoke(-with-response-stream)?$/.exec(path);
  if (bedrock) return { model: decodeURIComponent(bedrock[1]), isStream: bedrock[2] !== undefined, frame: eventFrame };
  return null;
}

const text = 7; // The type of a header's value.

function header(name, value) {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(Buffer.byteLength(value));
  return Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name), Buffer.from([text]), length, Buffer.from(value)]);
}

function number(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** One event in the frame in which Bedrock streams it: lengths, their checksum, headers, the event, the checksum of all of it. */
export function eventFrame(event) {
  const headers = Buffer.concat([header(":event-type", "chunk"), header(":content-type", "application/json"), header(":message-type", "event")]);
  const payload = Buffer.from(JSON.stringify({ bytes: Buffer.from(JSON.stringify(event)).toString("base64") }));
  const lengths = Buffer.concat([number(16 + headers.length + payload.length), number(headers.length)]);
  const before = Buffer.concat([lengths, number(crc32(lengths)), headers, payload]);
  return Buffer.concat([before, number(crc32(before))]);
}
