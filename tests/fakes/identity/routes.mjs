// Which host serves what. A request that goes to the wrong one finds nothing there, as on the real ones.
import { authorize, codePage, CODE_PATH, PEOPLE } from "./sign-in.mjs";
import { sendWords } from "./pages.mjs";
import { admit, connectors, createKey, profile, profileOfKey, revoke, roles, sundryOfAccount, token, tokenQuestion } from "./tokens.mjs";
import { INFERENCE } from "./clients.mjs";
import { sendError, sendJson } from "../http.mjs";

export const API = "api.anthropic.com";
const PLATFORM = ["platform.claude.com", "console.anthropic.com"];

/** Every name that the server answers to. */
export const HOSTS = [API, ...PLATFORM, ...PEOPLE];

const hello = (world, asked, response) => sendJson(response, 200, { message: "hello" });

function model(world, asked, response) {
  const { refusal } = admit(world.vault, asked.request, asked.found, INFERENCE);
  if (refusal) return sendError(response, ...refusal);
  return world.model.serve(asked.request, asked.url, asked.body, response);
}

const signedIn = (world, asked, response) => sendWords(response, 200, "Signed in", "You can close this page.");
const open = (world, { url }, response) => world.model.sundry(url, response);

// The first that fits. Flags, telemetry, probes and what is public are open to everybody, the rest of /api/ belongs to an account.
const ROUTES = [
  { hosts: [API], method: "GET", path: "/api/oauth/profile", endpoint: "profile", answer: profile },
  { hosts: [API], method: "GET", path: "/api/oauth/claude_cli/roles", endpoint: "roles", answer: roles },
  { hosts: [API], method: "POST", path: "/api/oauth/claude_cli/create_api_key", endpoint: "create_api_key", answer: createKey },
  // What a key from the console asks, which has no scopes.
  { hosts: [API], method: "GET", path: "/api/claude_cli_profile", endpoint: "profile", answer: profileOfKey },
  { hosts: [API], path: /^\/api\/(hello|eval|event_logging|directory)\b/, endpoint: "sundry", answer: open },
  { hosts: [API], path: /^\/api\//, endpoint: "account", answer: sundryOfAccount },
  { hosts: [API], method: "POST", path: "/v1/messages", endpoint: "messages", answer: model },
  { hosts: [API], method: "GET", path: "/v1/mcp_servers", endpoint: "connectors", answer: connectors },
  { hosts: [API], path: /^\/v1\/(models|messages)\b/, endpoint: "models", answer: model },
  { hosts: PLATFORM, method: "POST", path: "/v1/oauth/token", endpoint: "token", answer: token },
  { hosts: PLATFORM, method: "POST", path: "/v1/oauth/token/revoke", endpoint: "revoke", answer: revoke },
  { hosts: PLATFORM, path: "/v1/oauth/hello", endpoint: "sundry", answer: hello },
  { hosts: PLATFORM, path: "/oauth/authorize", endpoint: "authorize", answer: authorize },
  { hosts: PLATFORM, method: "GET", path: CODE_PATH, endpoint: "code", answer: codePage },
  { hosts: PLATFORM, method: "GET", path: /^\/(oauth\/code\/success|buy_credits)$/, endpoint: "pages", answer: signedIn },
  { hosts: PEOPLE, path: /^\/(cai\/)?oauth\/authorize$/, endpoint: "authorize", answer: authorize },
];

// What a refresh does is different enough from what a code does to be broken on its own.
const GRANTS = { authorization_code: "exchange", refresh_token: "refresh" };

/** @returns {{endpoint: string, answer: Function}} `elsewhere` when nothing is there */
export function routeOf(host, { method, url, body }) {
  const fits = ({ hosts, method: wanted, path }) => hosts.includes(host) && (!wanted || wanted === method) && (typeof path === "string" ? path === url.pathname : path.test(url.pathname));
  const route = ROUTES.find(fits);
  if (!route) return { endpoint: "elsewhere", answer: (world, asked, response) => sendError(response, 404, `${host} has no ${url.pathname}`) };
  if (route.endpoint !== "token") return route;
  return { ...route, endpoint: GRANTS[tokenQuestion(body).grant_type] ?? "token" };
}

/** Names of endpoints, for faults. */
export const ENDPOINTS = [...new Set([...ROUTES.map(({ endpoint }) => endpoint), ...Object.values(GRANTS), "elsewhere"])];
