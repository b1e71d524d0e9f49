// A client as claude is one, for tests of the imitation itself, and for what a browser would do.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:https";
import { CLIENT_ID, CODE_PAGE, LOGIN_SCOPES } from "./clients.mjs";

export const TOKEN_HOST = "platform.claude.com";
export const API_HOST = "api.anthropic.com";
export const BETA = { "anthropic-beta": "oauth-2025-04-20" };

export class Client {
  #port;
  #ca;

  /** @param {{ports: {tls: number}, certificate: string}} identity as startIdentity gives it */
  constructor({ ports, certificate }) {
    this.#port = ports.tls;
    this.#ca = certificate;
  }

  /** @returns {Promise<{status: number, headers: object, text: string, json: any}>} rejected when the connection ends early */
  async ask(host, method, path, { headers = {}, body, form } = {}) {
    const text = form ? new URLSearchParams(form).toString() : body === undefined ? undefined : JSON.stringify(body);
    const kind = form ? "application/x-www-form-urlencoded" : "application/json";
    const asked = request({ host: "127.0.0.1", port: this.#port, servername: host, ca: this.#ca, agent: false, method, path, headers: { host, ...(text !== undefined && { "content-type": kind }), ...headers } });
    asked.end(text);
    const [response] = await once(asked, "response");
    const chunks = [];
    for await (const chunk of response) chunks.push(chunk);
    const answer = Buffer.concat(chunks).toString("utf8");
    const isJson = response.headers["content-type"] === "application/json";
    return { status: response.statusCode, headers: response.headers, text: answer, json: isJson ? JSON.parse(answer) : undefined };
  }

  /** What a sign-in begins with: the address to open, and what has to be kept until the code comes. */
  begin({ scopes = LOGIN_SCOPES, redirectUri = CODE_PAGE, host = "claude.com", path = "/cai/oauth/authorize", ...changes } = {}) {
    const verifier = randomBytes(32).toString("base64url");
    const state = randomBytes(16).toString("base64url");
    const query = new URLSearchParams({
      code: "true",
      client_id: CLIENT_ID,
      response_type: "code",
      redirect_uri: redirectUri,
      scope: scopes.join(" "),
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
      state,
      ...changes,
    });
    return { url: `https://${host}${path}?${query}`, verifier, state, redirectUri };
  }

  /** Asks for the tokens that a code stands for. */
  exchange(begun, code, changes = {}) {
    const body = { grant_type: "authorization_code", code, redirect_uri: begun.redirectUri, client_id: CLIENT_ID, code_verifier: begun.verifier, state: begun.state, ...changes };
    return this.ask(TOKEN_HOST, "POST", "/v1/oauth/token", { body });
  }

  refresh(token, changes = {}) {
    return this.ask(TOKEN_HOST, "POST", "/v1/oauth/token", { body: { grant_type: "refresh_token", refresh_token: token, client_id: CLIENT_ID, ...changes } });
  }

  /** Asks the model, with an access token unless other headers are given. */
  message(text, token, { headers = { authorization: `Bearer ${token}`, ...BETA }, ...extra } = {}) {
    return this.ask(API_HOST, "POST", "/v1/messages?beta=true", { headers, body: { model: "m", max_tokens: 100, messages: [{ role: "user", content: text }], ...extra } });
  }

  profile(token) {
    return this.ask(API_HOST, "GET", "/api/oauth/profile", { headers: { authorization: `Bearer ${token}` } });
  }
}
