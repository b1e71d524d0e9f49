// The side that claude speaks to: tokens for codes, new tokens for old ones, and whose they are.
import { sendError, sendJson } from "../http.mjs";
import { profileOf, rolesOf } from "./accounts.mjs";
import { CONNECTORS, CREATE_KEY, INFERENCE, PROFILE, readScopes } from "./clients.mjs";
import { Refusal } from "./vault.mjs";

/** What a request to the token endpoint says, whichever way it is written. */
export function tokenQuestion(body) {
  const isObject = body.json !== null && typeof body.json === "object" && !Array.isArray(body.json);
  return isObject ? body.json : Object.fromEntries(new URLSearchParams(body.text ?? ""));
}

function redeem(vault, asked) {
  switch (asked.grant_type) {
    case "authorization_code":
      return vault.exchange({
        code: asked.code,
        redirectUri: asked.redirect_uri,
        clientId: asked.client_id,
        verifier: asked.code_verifier,
        state: asked.state,
        expiresIn: asked.expires_in,
      });
    case "refresh_token": {
      const scopes = asked.scope ? readScopes(asked.scope) : null;
      if (scopes === undefined) throw new Refusal("invalid_scope", "Unknown scope");
      return vault.refresh({ token: asked.refresh_token, clientId: asked.client_id, scopes });
    }
    default:
      throw new Refusal("unsupported_grant_type", "grant_type has to be authorization_code or refresh_token");
  }
}

/** `/v1/oauth/token` */
export function token({ vault }, { body }, response) {
  try {
    sendJson(response, 200, redeem(vault, tokenQuestion(body)), { "cache-control": "no-store" });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    sendJson(response, error.status, { error: error.code, error_description: error.message });
  }
}

/** `/v1/oauth/token/revoke`: always answers the same, so that it tells nobody which tokens exist. */
export function revoke({ vault }, { body }, response) {
  vault.revoke(tokenQuestion(body).token);
  sendJson(response, 200, {});
}

const WORDS = {
  unknown: { bearer: [401, "Invalid bearer token"], "x-api-key": [401, "invalid x-api-key"] },
  expired: [401, "OAuth token has expired. Please obtain a new token or refresh your existing token."],
  revoked: [401, "OAuth access token has been revoked."],
};

function judge(vault, { kind, value }) {
  const secret = vault.find(value, kind === "bearer" ? "access" : "key");
  return { kind, secret, state: secret ? vault.stateOf(secret) : "unknown" };
}

/**
 * Whether a request may be answered. Every credential that it carries has to be good: what is left over beside a good
 * one shows that somebody forgot to take it away. (A key from an `apiKeyHelper` comes twice, in both headers.)
 * @returns the account, or the status and words of the refusal
 */
export function admit(vault, request, found, scope) {
  if (found.length === 0) return { refusal: [401, "x-api-key header is required"] };
  const different = found.filter(({ value }, index) => found.findIndex((other) => other.value === value) === index);
  const judged = different.map((credential) => judge(vault, credential));
  for (const { kind, state } of judged) {
    // Of a key that was taken back, nothing is known any more.
    if (state === "unknown" || (state !== "valid" && kind === "x-api-key")) return { refusal: WORDS.unknown[kind] };
    if (state !== "valid") return { refusal: WORDS[state] ?? WORDS.revoked };
  }
  const [{ kind, secret }] = judged;
  if (kind === "bearer") {
    const hasBeta = /(^|,)\s*oauth-2025-04-20\s*(,|$)/.test(request.headers["anthropic-beta"] ?? "");
    if (scope === INFERENCE && !hasBeta) return { refusal: [401, "OAuth authentication is currently not supported."] };
    if (scope && !secret.scopes.includes(scope)) return { refusal: [403, `OAuth token does not meet scope requirement ${scope}`] };
  }
  return { account: secret.family.account };
}

/** An endpoint that tells a token's owner something, if the token has the scope for it. */
function owned(scope, answer) {
  return (world, { request, found }, response) => {
    const { account, refusal } = admit(world.vault, request, found, scope);
    if (refusal) return sendError(response, ...refusal);
    return sendJson(response, 200, answer(account, world));
  };
}

export const profile = owned(PROFILE, profileOf);
export const profileOfKey = owned(null, profileOf);
export const roles = owned(PROFILE, rolesOf);
export const createKey = owned(CREATE_KEY, (account, { vault }) => ({ raw_key: vault.newKey(account) }));
/** Servers that the person connected on the web; nobody here has any. */
export const connectors = owned(CONNECTORS, () => ({ data: [], has_more: false, next_page: null }));
/** The rest of what is behind a sign-in: settings, limits, usage. There is nothing in it. */
export const sundryOfAccount = owned(null, () => ({}));
