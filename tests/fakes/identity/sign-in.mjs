// The side that a person sees: may this client have that, and the code for it.
import { CLIENT_ID, CODE_PAGE, CONSOLE_SCOPES, isRedirect, readScopes, SUBSCRIPTION_SCOPES } from "./clients.mjs";
import { sendCode, sendConsent, sendWords } from "./pages.mjs";

/** Where people with a subscription sign in; the others sign in to the console. */
export const PEOPLE = ["claude.com", "claude.ai"];

/** @returns what a client asks for, and would get, or what is wrong with it */
function readQuestion({ hostname, searchParams: query }) {
  const given = PEOPLE.includes(hostname) ? SUBSCRIPTION_SCOPES : CONSOLE_SCOPES;
  const asked = {
    clientId: query.get("client_id"),
    redirectUri: query.get("redirect_uri"),
    challenge: query.get("code_challenge"),
    state: query.get("state"),
    scopes: readScopes(query.get("scope"))?.filter((scope) => given.includes(scope)),
    hint: query.get("login_hint"),
  };
  if (asked.clientId !== CLIENT_ID) return { problem: "no such client" };
  if (!isRedirect(asked.redirectUri)) return { problem: "the redirect address is not one of this client's" };
  if (query.get("response_type") !== "code") return { problem: "response_type has to be code" };
  if (query.get("code_challenge_method") !== "S256" || !/^[A-Za-z0-9_-]{43}$/.test(asked.challenge ?? "")) return { problem: "a code_challenge of the method S256 is needed" };
  if (!asked.state) return { problem: "a state is needed" };
  if (!asked.scopes?.length) return { problem: "there is no scope, or none that can be given here" };
  return asked;
}

/**
 * A person signs in at this address.
 * @returns {{code: string, state: string, paste: string, redirect: string}} what the person copies, and where a browser would go
 */
export function signIn({ vault, accounts }, url, email) {
  const asked = readQuestion(url);
  if (asked.problem) throw new Error(asked.problem);
  const account = accounts.find(email ?? asked.hint) ?? (email ? undefined : accounts.find());
  if (!account) throw new Error(`there is no account ${email}`);
  const code = vault.newCode({ account, ...asked });
  const redirect = new URL(asked.redirectUri);
  redirect.searchParams.set("code", code);
  redirect.searchParams.set("state", asked.state);
  return { code, state: asked.state, paste: `${code}#${asked.state}`, redirect: redirect.href };
}

function decline(url, response) {
  const { redirectUri, state } = readQuestion(url);
  const redirect = new URL(redirectUri);
  redirect.searchParams.set("error", "access_denied");
  redirect.searchParams.set("state", state);
  return goTo(response, redirect.href);
}

function goTo(response, address) {
  response.writeHead(303, { location: address, "content-length": 0, "cache-control": "no-store", "referrer-policy": "no-referrer" });
  response.end();
}

/** `/oauth/authorize`: the question, and the person's answer. */
export function authorize(world, { request, url, body }, response) {
  const asked = readQuestion(url);
  if (asked.problem) return sendWords(response, 400, "Invalid request", asked.problem);
  if (request.method === "GET") return sendConsent(response, { action: url.pathname + url.search, emails: world.accounts.all().map(({ email }) => email), ...asked });
  const answers = new URLSearchParams(body.text);
  if (answers.get("decision") !== "yes") return decline(url, response);
  return goTo(response, signIn(world, url, answers.get("email") ?? undefined).redirect);
}

/** Where a code arrives that no program listens for; part of {@link CODE_PAGE}. */
export function codePage(world, { url }, response) {
  const [code, state] = [url.searchParams.get("code"), url.searchParams.get("state")];
  if (!code || !state) return sendWords(response, 400, "Not signed in", url.searchParams.get("error") ?? "there is no code");
  return sendCode(response, code, state);
}

export const CODE_PATH = new URL(CODE_PAGE).pathname;
