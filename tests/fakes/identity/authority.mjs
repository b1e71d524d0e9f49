// A certificate authority that lives as long as the process: X.509 in DER, written out here because Node signs and
// reads certificates but makes none, and a test should not depend on which tools a machine happens to have.
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createSecureContext } from "node:tls";

const DAY_MS = 24 * 60 * 60 * 1000;
const SEQUENCE = 0x30;
const SET = 0x31;
const OCTETS = 0x04;
const UTF8 = 0x0c;
const BITS = 0x03;
const INTEGER = 0x02;
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

// Object identifiers, encoded.
const ECDSA_SHA256 = Buffer.from("06082a8648ce3d040302", "hex");
const COMMON_NAME = Buffer.from("0603550403", "hex");
const SUBJECT_KEY = Buffer.from("0603551d0e", "hex");
const KEY_USAGE = Buffer.from("0603551d0f", "hex");
const SUBJECT_NAMES = Buffer.from("0603551d11", "hex");
const CONSTRAINTS = Buffer.from("0603551d13", "hex");
const AUTHORITY_KEY = Buffer.from("0603551d23", "hex");
const EXTENDED_USAGE = Buffer.from("0603551d25", "hex");
const SERVER = Buffer.from("06082b06010505070301", "hex");

function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

function time(ms) {
  // UTCTime: two digits of the year, enough until 2050.
  return der(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "").slice(2)}`));
}

function named(text) {
  return der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8, Buffer.from(text)))));
}

function extension(identifier, value, isCritical = false) {
  return der(SEQUENCE, identifier, ...(isCritical ? [TRUE] : []), der(OCTETS, value));
}

function pem(bytes) {
  return `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").match(/.{1,64}/g).join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** A new key, with what stands for it in certificates. */
function newKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const info = publicKey.export({ type: "spki", format: "der" });
  return { privateKey, info, id: createHash("sha1").update(info).digest() };
}

function certificate({ issuer, subject, info, extensions, signer }) {
  const serial = randomBytes(16);
  serial[0] = (serial[0] & 0x7f) | 0x40; // positive, and without a leading zero
  const now = Date.now();
  const algorithm = der(SEQUENCE, ECDSA_SHA256);
  const body = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.from([2]))), // version 3
    der(INTEGER, serial),
    algorithm,
    issuer,
    der(SEQUENCE, time(now - DAY_MS), time(now + 30 * DAY_MS)),
    subject,
    info,
    der(0xa3, der(SEQUENCE, ...extensions)),
  );
  return pem(der(SEQUENCE, body, algorithm, der(BITS, Buffer.from([0]), sign("sha256", body, signer))));
}

export class Authority {
  #key = newKey();
  #leafKey = newKey();
  #name = named(`Authority of a test ${randomBytes(4).toString("hex")}`);
  #contexts = new Map();

  constructor() {
    /** Its own certificate, PEM. */
    this.certificate = certificate({
      issuer: this.#name,
      subject: this.#name,
      info: this.#key.info,
      signer: this.#key.privateKey,
      extensions: [
        extension(CONSTRAINTS, der(SEQUENCE, TRUE), true),
        extension(KEY_USAGE, der(BITS, Buffer.from([1, 0x06])), true), // signs certificates and revocations
        extension(SUBJECT_KEY, der(OCTETS, this.#key.id)),
      ],
    });
  }

  /** A certificate for a server of this name, PEM. */
  certificateFor(name) {
    return certificate({
      issuer: this.#name,
      subject: named(name),
      info: this.#leafKey.info,
      signer: this.#key.privateKey,
      extensions: [
        extension(CONSTRAINTS, der(SEQUENCE), true),
        extension(KEY_USAGE, der(BITS, Buffer.from([7, 0x80])), true), // signs handshakes
        extension(EXTENDED_USAGE, der(SEQUENCE, SERVER)),
        extension(SUBJECT_NAMES, der(SEQUENCE, der(0x82, Buffer.from(name)))),
        extension(SUBJECT_KEY, der(OCTETS, this.#leafKey.id)),
        extension(AUTHORITY_KEY, der(SEQUENCE, der(0x80, this.#key.id))),
      ],
    });
  }

  /** What a TLS server needs to be called this name; the same one each time. */
  contextFor(name) {
    let context = this.#contexts.get(name);
    if (!context) {
      const key = this.#leafKey.privateKey.export({ type: "pkcs8", format: "pem" });
      context = createSecureContext({ key, cert: this.certificateFor(name), minVersion: "TLSv1.2" });
      this.#contexts.set(name, context);
    }
    return context;
  }
}
