// Every secret that was ever handed out, and what has become of it. Codes and refresh tokens are good for once: whoever
// shows one again ends everything that came from the same sign-in, as RFC 6749 (section 10.5) and RFC 9700 (section 4.14)
// want it. No network here, and time is what the server's clock says.
import { createHash, randomBytes } from "node:crypto";
import { ownerOf } from "./accounts.mjs";
import { CREATE_KEY, INFERENCE } from "./clients.mjs";

const HOUR = 3600;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

export const DEFAULTS = {
  codeSeconds: 600,
  accessSeconds: 8 * HOUR,
  refreshSeconds: 30 * DAY,
  /** Of tokens for `user:inference` alone; also the most that a client may ask for. */
  setupSeconds: YEAR,
  /** How long a refresh token may be shown again, as after an answer that was lost; it then brings the same answer. */
  reuseGraceSeconds: 0,
  /** Whether answers say how long the refresh token lasts. */
  statesRefreshLifetime: true,
  /** Whether a new access token ends the one before. */
  revokesAccessOnRefresh: false,
  /** Stands in every secret from now on, so that a search for leaks has one word to look for. */
  mark: "",
};

/** A request for tokens that is refused; `code` and `status` as RFC 6749 has them. */
export class Refusal extends Error {
  constructor(code, message, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export class Vault {
  #clock;
  #secrets = new Map();
  #families = 0;
  #onEvent;
  settings = { ...DEFAULTS };

  /** @param {(event: string) => void} onEvent is told what happened, in the words of the counters */
  constructor(clock, onEvent) {
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  #keep(kind, prefix, fields, seconds) {
    const mark = this.settings.mark && `${this.settings.mark}-`;
    const value = `${prefix}${mark}${randomBytes(48).toString("base64url")}`;
    const now = this.#clock.now();
    const secret = { kind, value, issuedAt: now, expiresAt: seconds === null ? null : now + seconds * 1000, ended: null, ...fields };
    this.#secrets.set(value, secret);
    return secret;
  }

  /** "valid", "expired", or why it ended: "used", "revoked", "reuse". */
  stateOf(secret) {
    if (secret.ended ?? secret.family?.ended) return secret.ended ?? secret.family.ended;
    return secret.expiresAt !== null && this.#clock.now() >= secret.expiresAt ? "expired" : "valid";
  }

  /** What is known of a secret, undefined when it is nobody's. */
  find(value, kind) {
    const secret = this.#secrets.get(value);
    return secret && (kind === undefined || secret.kind === kind) ? secret : undefined;
  }

  /** All of them, those of one account or kind when that is given. */
  all({ account, kind } = {}) {
    return [...this.#secrets.values()].filter((secret) => (!account || secret.family.account === account) && (!kind || secret.kind === kind));
  }

  #newFamily(account, scopes, clientId) {
    return { id: (this.#families += 1), account, scopes, clientId, ended: null };
  }

  /** A person said yes: the code that the client gets tokens for. */
  newCode({ account, scopes, clientId, redirectUri, challenge, state }) {
    this.#onEvent("signIns");
    const family = this.#newFamily(account, scopes, clientId);
    return this.#keep("code", "", { family, redirectUri, challenge, state }, this.settings.codeSeconds).value;
  }

  /** Tokens for a code. */
  exchange({ code, redirectUri, clientId, verifier, state, expiresIn }) {
    const secret = this.find(code, "code");
    const refuse = (message) => {
      this.#onEvent("refusedCodes");
      throw new Refusal("invalid_grant", message, 401);
    };
    if (!secret) refuse("Invalid authorization code");
    const was = this.stateOf(secret);
    if (was === "used") {
      this.#end(secret.family, "reuse");
      this.#onEvent("codeReuses");
    }
    if (was !== "valid") refuse(`Authorization code is ${was}`);
    // A wrong verifier spends the code too: otherwise it could be tried again and again.
    secret.ended = "used";
    const answer = createHash("sha256").update(verifier ?? "").digest("base64url");
    if (answer !== secret.challenge) refuse("Invalid code verifier");
    if (redirectUri !== secret.redirectUri) refuse("Redirect URI does not match");
    if (clientId !== secret.family.clientId) refuse("Client does not match");
    if (state !== secret.state) refuse("State does not match");
    this.#onEvent("exchanges");
    return this.#grant(secret.family, secret.family.scopes, expiresIn);
  }

  /** The next tokens for a refresh token, which is spent by this; for all its scopes unless some are named. */
  refresh({ token, clientId, scopes }) {
    const secret = this.find(token, "refresh");
    const refuse = (message, code = "invalid_grant") => {
      this.#onEvent("refusedRefreshes");
      throw new Refusal(code, message);
    };
    if (!secret) refuse("Refresh token not found or invalid");
    const was = this.stateOf(secret);
    if (was === "used") {
      if (this.#clock.now() < secret.usedAt + this.settings.reuseGraceSeconds * 1000) {
        this.#onEvent("graceRefreshes");
        return secret.successor;
      }
      this.#end(secret.family, "reuse");
      this.#onEvent("reuseDetections");
    }
    if (was === "expired") refuse("Refresh token expired");
    if (was !== "valid") refuse("Refresh token not found or invalid");
    if (clientId !== secret.family.clientId) refuse("Client does not match", "invalid_client");
    const wanted = scopes ?? secret.family.scopes;
    if (!wanted.every((scope) => secret.family.scopes.includes(scope))) refuse("Requested scopes exceed those granted", "invalid_scope");
    secret.ended = "used";
    secret.usedAt = this.#clock.now();
    if (this.settings.revokesAccessOnRefresh) for (const other of this.all({ kind: "access" })) if (other.family === secret.family) other.ended ??= "revoked";
    secret.successor = this.#grant(secret.family, wanted);
    this.#onEvent("refreshes");
    return secret.successor;
  }

  /** The answer that carries tokens. Those for inference alone last long and cannot be renewed. */
  #grant(family, scopes, expiresIn) {
    const isSetup = scopes.length === 1 && scopes[0] === INFERENCE;
    const seconds = isSetup ? Math.min(expiresIn ?? this.settings.accessSeconds, this.settings.setupSeconds) : this.settings.accessSeconds;
    const access = this.#keep("access", "sk-ant-oat01-", { family, scopes }, seconds);
    const answer = { token_type: "Bearer", access_token: access.value, expires_in: seconds, scope: scopes.join(" "), ...ownerOf(family.account) };
    if (isSetup) return answer;
    const refresh = this.#keep("refresh", "sk-ant-ort01-", { family }, this.settings.refreshSeconds);
    const lifetime = this.settings.statesRefreshLifetime ? { refresh_token_expires_in: this.settings.refreshSeconds } : {};
    return { ...answer, refresh_token: refresh.value, ...lifetime };
  }

  /** Tokens without a sign-in, for tests that begin after it. */
  issue({ account, clientId, scopes, expiresIn }) {
    return this.#grant(this.#newFamily(account, scopes, clientId), scopes, expiresIn);
  }

  newKey(account) {
    return this.#keep("key", "sk-ant-api03-", { family: this.#newFamily(account, [CREATE_KEY], null) }, null).value;
  }

  #end(family, why) {
    family.ended ??= why;
  }

  /** A client gives a token back: everything of that sign-in ends. */
  revoke(value) {
    const secret = this.find(value);
    if (!secret) return;
    this.#end(secret.family, "revoked");
    this.#onEvent("revocations");
  }

  /** Ends secrets from the side of the server: as if they were taken back, or as if their time had come. */
  end(secrets, how) {
    for (const secret of secrets) {
      if (this.stateOf(secret) !== "valid") continue;
      if (how === "expired") secret.expiresAt = this.#clock.now();
      else secret.ended = how;
    }
  }
}
