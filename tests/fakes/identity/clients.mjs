// Who may ask for tokens, where answers may be sent, and for what. Taken from the requests that the real claude makes.

/** The client that claude is. */
export const CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";
/** Where a code is shown to be copied, instead of being sent to a program that listens on the person's machine. */
export const CODE_PAGE = "https://platform.claude.com/oauth/code/callback";

export const INFERENCE = "user:inference";
export const PROFILE = "user:profile";
export const CREATE_KEY = "org:create_api_key";
export const CONNECTORS = "user:mcp_servers";
/** What a person may consent to. */
export const SCOPES = [
  CREATE_KEY,
  PROFILE,
  INFERENCE,
  "user:sessions:claude_code",
  CONNECTORS,
  "user:file_upload",
  "user:plugins",
  "user:projects:read",
  "user:projects:write",
  "user:privacy_consents:write",
  "org:desktop_config",
];
/** What a subscription gives of that; what belongs to organisations, its holder does not have. */
export const SUBSCRIPTION_SCOPES = SCOPES.filter((scope) => scope.startsWith("user:"));
/** What the console gives: keys are made there, nothing is inferred. */
export const CONSOLE_SCOPES = [CREATE_KEY, PROFILE];
/** What claude asks for at each refresh; tokens that have it all are refreshed in one request. */
export const LOGIN_SCOPES = [PROFILE, INFERENCE, "user:sessions:claude_code", CONNECTORS, "user:file_upload", "user:plugins"];

/** Whether a code may be sent there. */
export function isRedirect(address) {
  return address === CODE_PAGE || /^http:\/\/localhost:\d{1,5}\/callback$/.test(address ?? "");
}

/** "a b" as a list; undefined when the text holds a scope that does not exist. */
export function readScopes(text) {
  const scopes = (text ?? "").split(" ").filter(Boolean);
  return scopes.length > 0 && scopes.every((scope) => SCOPES.includes(scope)) ? [...new Set(scopes)] : undefined;
}
