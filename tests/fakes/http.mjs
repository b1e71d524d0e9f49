// What the imitated servers share: reading requests, answering them, and telling credentials apart without keeping them.
import { createHash } from "node:crypto";

const MAX_BODY_BYTES = 64 * 1024 * 1024;
const ERROR_TYPES = { 400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error" };

/** First 16 hex digits of the SHA-256 of a credential: enough to compare, useless to replay. */
export function credentialHash(value) {
  return createHash("sha256").update(value).digest("hex").slice(0, 16);
}

/** @returns {{kind: "x-api-key"|"bearer"|"aws-session", value: string}[]} every credential that a request carries */
export function credentials(headers) {
  const found = [];
  if (headers["x-api-key"]) found.push({ kind: "x-api-key", value: headers["x-api-key"] });
  const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? "");
  if (bearer) found.push({ kind: "bearer", value: bearer[1] });
  // What shows that an AWS key is temporary; what requests are signed with never goes out.
  const session = headers["x-amz-security-token"];
  if (session) found.push({ kind: "aws-session", value: session });
  return found;
}

/** @returns {Promise<{bytes?: number, json?: any, text?: string, invalid?: true, tooLarge?: true}>} */
export async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return { tooLarge: true };
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  try {
    return { bytes: size, text, json: size === 0 ? null : JSON.parse(text) };
  } catch {
    return { bytes: size, text, invalid: true };
  }
}

// Clients look at the request's id to tell the real server from something in between.
export const REQUEST_ID = { "request-id": "req_fake" };

export function sendJson(response, status, value, headers = {}) {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...REQUEST_ID, ...headers });
  response.end(text);
}

export function sendError(response, status, message, headers = {}) {
  sendJson(response, status, { type: "error", error: { type: ERROR_TYPES[status] ?? "api_error", message }, request_id: REQUEST_ID["request-id"] }, headers);
}

export function tooLarge(response) {
  sendError(response, 413, `request bodies may have ${MAX_BODY_BYTES} bytes`);
}

/**
 * Listens, on a port of the system's choice when `port` is 0 or left out.
 * @returns {Promise<number>} the port
 */
export async function listen(server, { port = 0, host = "127.0.0.1" } = {}) {
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return server.address().port;
}

/** Ends a server with everything that is connected to it. */
export function closeServer(server) {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
