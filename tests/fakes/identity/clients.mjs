// Who may ask for tokens, where answers may be sent, and for what. Taken from the requests that the real claude makes.

/** The client that claude is. */
export const CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";
/** Where a code is shown to be copied, instead of being sent to a program that listens on the person's machine. */
export const CODE_PAGE = "https://platform.claude.com/oauth/code/callback";

export const INFERENCE = "user:inference";
export const PROFILE = "user:profile";
export const CREATE_KEY = "org:create_api_key";
/** What a person may consent to. */
export const SCOPES = [
  CREATE_KEY,
  PROFILE,
  INFERENCE,
  "user:sessions:claude_code",
  "user:mcp_servers",
  "user:file_upload",
  "user:plugins",
  "user:projects:read",
  "user:projects:write",
  "user:privacy_consents:write",
  "org:desktop_config",
];
/** What somebody who signs in with the settings of the real claude ends up with. */
export const LOGIN_SCOPES = SCOPES.slice(1, 7);

/** Whether a code may be sent there. */
export function isRedirect(address) {
  return address === CODE_PAGE || /^http:\/\/localhost:\d{1,5}\/callback$/.test(address ?? "");
}

/** "a b" as a list; undefined when the text holds a scope that does not exist. */
export function readScopes(text) {
  const scopes = (text ?? "").split(" ").filter(Boolean);
  return scopes.length > 0 && scopes.every((scope) => SCOPES.includes(scope)) ? [...new Set(scopes)] : undefined;
}
