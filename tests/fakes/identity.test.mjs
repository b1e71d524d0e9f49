// What the imitation of sign-in and tokens promises, to a client that is not claude.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { connect } from "node:tls";
import { Authority } from "./identity/authority.mjs";
import { API_HOST, BETA, Client, TOKEN_HOST } from "./identity/client.mjs";
import { startIdentity } from "./identity.mjs";

let identity;
let client;
let desk;
before(async () => {
  identity = await startIdentity({ accounts: ["ada@example.test", "bob@example.test"] });
  client = new Client(identity);
  ({ desk } = identity);
});
after(() => identity.close());
beforeEach(() => desk.settings({ accessSeconds: 28_800, reuseGraceSeconds: 0, revokesAccessOnRefresh: false, statesRefreshLifetime: true, mark: "" }));

const grow = (counter) => {
  const before = desk.state().counters[counter];
  return () => desk.state().counters[counter] - before;
};

/** A sign-in from its beginning to its tokens. */
async function signedIn(options) {
  const begun = client.begin(options);
  const { json } = await client.exchange(begun, desk.signIn({ url: begun.url, email: options?.email }).code);
  return json;
}

describe("the authority", () => {
  test("certifies names in certificates that hold up", () => {
    const authority = new Authority();
    const root = new X509Certificate(authority.certificate);
    const leaf = new X509Certificate(authority.certificateFor("api.anthropic.com"));
    assert.ok(root.ca && root.verify(root.publicKey));
    assert.ok(!leaf.ca && leaf.verify(root.publicKey) && leaf.checkIssued(root));
    assert.equal(leaf.checkHost("api.anthropic.com"), "api.anthropic.com");
    assert.equal(leaf.checkHost("claude.com"), undefined);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
    assert.ok(new Date(leaf.validFrom) < new Date() && new Date(leaf.validTo) > new Date());
    assert.notEqual(leaf.serialNumber, root.serialNumber);
  });

  test("is trusted only by who was told to, and certifies no other name", async () => {
    const outcome = (options) =>
      new Promise((resolve) => {
        const socket = connect({ host: "127.0.0.1", port: identity.ports.tls, ...options }, () => resolve(socket.authorized));
        socket.once("error", (error) => resolve(error.code));
        socket.once("close", () => resolve("closed"));
      });
    assert.equal(await outcome({ servername: API_HOST, ca: identity.certificate }), true);
    assert.equal(await outcome({ servername: API_HOST }), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    assert.notEqual(await outcome({ servername: "example.com", ca: identity.certificate }), true);
  });
});

describe("the pages", () => {
  const open = (address, options) => {
    const url = new URL(address);
    return client.ask(url.hostname, options?.form ? "POST" : "GET", url.pathname + url.search, options);
  };

  test("a person signs in and copies the code", async () => {
    const begun = client.begin({ login_hint: "bob@example.test" });
    const asked = await open(begun.url);
    assert.equal(asked.status, 200);
    assert.match(asked.text, /<option selected>bob@example\.test<\/option>/);
    const answered = await open(begun.url, { form: { email: "bob@example.test", decision: "yes" } });
    assert.equal(answered.status, 303);
    const shown = await open(answered.headers.location);
    const [, code, state] = /<code id="code">([^#<]+)#([^<]+)<\/code>/.exec(shown.text);
    assert.equal(state, begun.state);
    const { json } = await client.exchange(begun, code);
    assert.equal(json.account.email_address, "bob@example.test");
    assert.equal((await client.profile(json.access_token)).json.account.email, "bob@example.test");
  });

  test("a code goes to a program that listens, when there is one", async () => {
    const begun = client.begin({ redirectUri: "http://localhost:4321/callback" });
    const { headers } = await open(begun.url, { form: { decision: "yes" } });
    const location = new URL(headers.location);
    assert.equal(location.origin + location.pathname, "http://localhost:4321/callback");
    assert.equal((await client.exchange(begun, location.searchParams.get("code"))).status, 200);
  });

  test("a person who declines is sent back without a code", async () => {
    const begun = client.begin();
    const { headers } = await open(begun.url, { form: { decision: "no" } });
    assert.equal(new URL(headers.location).searchParams.get("error"), "access_denied");
    assert.match((await open(headers.location)).text, /access_denied/);
  });

  for (const [what, changes] of Object.entries({
    "another client": { client_id: "somebody" },
    "a foreign redirect": { redirectUri: "https://example.com/callback" },
    "no challenge": { code_challenge: "" },
    "a challenge in the clear": { code_challenge_method: "plain" },
    "no state": { state: "" },
    "an unknown scope": { scopes: ["user:everything"] },
    "another kind of answer": { response_type: "token" },
  })) {
    test(`${what} is refused before anybody is asked`, async () => {
      const { status, text } = await open(client.begin(changes).url);
      assert.equal(status, 400);
      assert.doesNotMatch(text, /<form/);
    });
  }

  test("what stands in an address is text on the page, not markup", async () => {
    const { text } = await open(`https://${TOKEN_HOST}/oauth/code/callback?code=%3Cscript%3E&state=%22x`);
    assert.match(text, /&lt;script&gt;#&quot;x/);
  });
});

describe("codes", () => {
  test("the verifier, the state, the client and the redirect have to be those of the beginning, and a try spends the code", async () => {
    for (const [changes, words] of [
      [{ code_verifier: "x".repeat(43) }, /verifier/],
      [{ code_verifier: undefined }, /verifier/],
      [{ state: "other" }, /[Ss]tate/],
      [{ client_id: "somebody" }, /[Cc]lient/],
      [{ redirect_uri: "http://localhost:1/callback" }, /[Rr]edirect/],
    ]) {
      const begun = client.begin();
      const { code } = desk.signIn({ url: begun.url });
      const refused = await client.exchange(begun, code, changes);
      assert.deepEqual([refused.status, refused.json.error], [401, "invalid_grant"]);
      assert.match(refused.json.error_description, words);
      assert.equal((await client.exchange(begun, code)).status, 401);
    }
  });

  test("a code that comes a second time ends what the first one brought", async () => {
    const begun = client.begin();
    const { code } = desk.signIn({ url: begun.url });
    const { json } = await client.exchange(begun, code);
    assert.equal((await client.message("say hi", json.access_token)).status, 200);
    const reuses = grow("codeReuses");
    assert.equal((await client.exchange(begun, code)).status, 401);
    assert.equal(reuses(), 1);
    assert.equal((await client.message("say hi", json.access_token)).status, 401);
    assert.equal((await client.refresh(json.refresh_token)).status, 400);
  });

  test("unknown and late ones are refused", async () => {
    const begun = client.begin();
    assert.equal((await client.exchange(begun, "nothing")).status, 401);
    const { code } = desk.signIn({ url: begun.url });
    desk.expire({ what: "code" });
    assert.match((await client.exchange(begun, code)).json.error_description, /expired/);
  });

  test("a subscription gives what is the person's, the console what makes keys", async () => {
    const scopes = ["org:create_api_key", "user:profile", "user:inference"];
    assert.equal((await signedIn({ scopes })).scope, "user:profile user:inference");
    const console = await signedIn({ scopes, host: TOKEN_HOST, path: "/oauth/authorize" });
    assert.equal(console.scope, "org:create_api_key user:profile");
    assert.equal((await client.message("say hi", console.access_token)).status, 403);
    const made = await client.ask(API_HOST, "POST", "/api/oauth/claude_cli/create_api_key", { headers: { authorization: `Bearer ${console.access_token}` } });
    assert.equal((await client.message("say hi", null, { headers: { "x-api-key": made.json.raw_key } })).status, 200);
  });

  test("tokens for inference alone last a year, cannot be renewed, and tell nothing of the person", async () => {
    const begun = client.begin({ scopes: ["user:inference"] });
    const { json } = await client.exchange(begun, desk.signIn({ url: begun.url }).code, { expires_in: 31_536_000 });
    assert.deepEqual([json.expires_in, json.scope, json.refresh_token], [31_536_000, "user:inference", undefined]);
    assert.equal((await client.message("say hi", json.access_token)).status, 200);
    const { status, json: refused } = await client.profile(json.access_token);
    assert.deepEqual([status, refused.error.type], [403, "permission_error"]);
  });
});

describe("refreshing", () => {
  test("each refresh token is good for once; the access token before lives on", async () => {
    const first = await signedIn();
    const refreshes = grow("refreshes");
    const { json: second } = await client.refresh(first.refresh_token);
    const { json: third } = await client.refresh(second.refresh_token);
    assert.equal(refreshes(), 2);
    assert.equal(new Set([first, second, third].flatMap((tokens) => [tokens.access_token, tokens.refresh_token])).size, 6);
    for (const tokens of [first, second, third]) assert.equal((await client.profile(tokens.access_token)).status, 200);
    desk.settings({ revokesAccessOnRefresh: true });
    const { json: fourth } = await client.refresh(third.refresh_token);
    assert.equal((await client.profile(third.access_token)).status, 401);
    assert.equal((await client.profile(fourth.access_token)).status, 200);
  });

  test("one that comes a second time ends every token of that sign-in, and of no other", async () => {
    const [first, other] = [await signedIn(), await signedIn()];
    const { json: second } = await client.refresh(first.refresh_token);
    const detections = grow("reuseDetections");
    const { status, json } = await client.refresh(first.refresh_token);
    assert.deepEqual([status, json.error], [400, "invalid_grant"]);
    assert.equal(detections(), 1);
    assert.equal((await client.refresh(second.refresh_token)).status, 400);
    assert.equal((await client.profile(second.access_token)).status, 401);
    assert.equal(detections(), 1, "what ended already is not detected again");
    assert.equal((await client.refresh(other.refresh_token)).status, 200);
  });

  test("within a time of grace it brings the same answer again", async () => {
    desk.settings({ reuseGraceSeconds: 60 });
    const first = await signedIn();
    const { json: second } = await client.refresh(first.refresh_token);
    assert.deepEqual((await client.refresh(first.refresh_token)).json, second);
    desk.advance({ seconds: 61 });
    assert.equal((await client.refresh(first.refresh_token)).status, 400);
    assert.equal((await client.refresh(second.refresh_token)).status, 400);
  });

  test("late, unknown, revoked and foreign ones are refused, in the words of the real server", async () => {
    const { refresh_token: token } = await signedIn();
    assert.equal((await client.refresh(token, { client_id: "somebody" })).json.error, "invalid_client");
    assert.equal((await client.refresh(token, { scope: "user:profile org:create_api_key" })).json.error, "invalid_scope");
    assert.equal((await client.refresh(token, { scope: "nonsense" })).json.error, "invalid_scope");
    assert.equal((await client.refresh(token, { grant_type: "password" })).json.error, "unsupported_grant_type");
    desk.expire({ what: "refresh" });
    assert.equal((await client.refresh(token)).json.error_description, "Refresh token expired");
    assert.equal((await client.refresh("sk-ant-ort01-nobody")).json.error_description, "Refresh token not found or invalid");
    assert.equal((await client.refresh(undefined)).json.error, "invalid_grant");
    const { refresh_token: revoked } = await signedIn();
    desk.revoke({ what: "refresh" });
    assert.equal((await client.refresh(revoked)).json.error, "invalid_grant");
  });

  test("fewer scopes may be asked for, and forms are read too", async () => {
    const { refresh_token: token } = await signedIn();
    const narrow = await client.refresh(token, { scope: "user:profile user:inference" });
    assert.equal(narrow.json.scope, "user:profile user:inference");
    const form = { grant_type: "refresh_token", refresh_token: narrow.json.refresh_token, client_id: "9d1c250a-e61b-44d9-88ed-5944d1962f5e" };
    assert.equal((await client.ask(TOKEN_HOST, "POST", "/v1/oauth/token", { form })).status, 200);
  });

  test("how long the refresh token lasts is said, unless the server keeps it to itself", async () => {
    assert.equal((await signedIn()).refresh_token_expires_in, 30 * 24 * 3600);
    desk.settings({ statesRefreshLifetime: false });
    assert.ok(!("refresh_token_expires_in" in (await signedIn())));
  });

  test("a token that is given back ends with everything of its sign-in", async () => {
    const tokens = await signedIn();
    const give = (token) => client.ask(TOKEN_HOST, "POST", "/v1/oauth/token/revoke", { body: { token, token_type_hint: "refresh_token" } });
    const { status, headers } = await give(tokens.refresh_token);
    assert.deepEqual([status, headers["request-id"]], [200, "req_fake"]);
    assert.equal((await client.profile(tokens.access_token)).status, 401);
    assert.equal((await give("nobody's")).status, 200, "nobody learns which tokens exist");
  });
});

describe("the API", () => {
  test("tokens are good until their end, in the time of the server", async () => {
    const { access_token: token } = await signedIn();
    assert.equal((await client.message("say hi", token)).json.content[0].text, "hi");
    desk.advance({ seconds: 28_799 });
    assert.equal((await client.message("say hi", token)).status, 200);
    desk.advance({ seconds: 2 });
    const { status, json, headers } = await client.message("say hi", token);
    assert.equal(status, 401);
    assert.match(json.error.message, /^OAuth token has expired/);
    assert.ok(Math.abs(new Date(headers.date) - desk.state().now) < 5000, "the server says its own time");
    assert.ok(new Date(headers.date) - Date.now() > 8 * 3600 * 1000 - 5000);
  });

  test("a revoked token is named so", async () => {
    const { access_token: token } = await signedIn();
    desk.revoke({ what: "access" });
    assert.match((await client.message("say hi", token)).json.error.message, /^OAuth access token has been revoked/);
  });

  test("nothing, nonsense, a token where a key belongs, and a token without its beta are refused", async () => {
    const { access_token: token, refresh_token: refresh } = await signedIn();
    for (const headers of [{}, { "x-api-key": "x" }, { authorization: "Bearer x", ...BETA }, { "x-api-key": token }, { authorization: `Bearer ${refresh}`, ...BETA }, { authorization: `Bearer ${token}` }]) {
      assert.equal((await client.message("say hi", null, { headers })).status, 401, JSON.stringify(Object.keys(headers)));
    }
  });

  test("keys open the model; what is left over beside a good credential spoils it", async () => {
    const { key } = desk.key({});
    const ask = async (headers) => (await client.message("say hi", null, { headers })).status;
    assert.equal(await ask({ "x-api-key": key }), 200);
    assert.equal(await ask({ "x-api-key": key, authorization: `Bearer ${key}` }), 200);
    assert.equal(await ask({ "x-api-key": key, authorization: "Bearer placeholder", ...BETA }), 401);
    assert.equal(await ask({ "x-api-key": "placeholder", authorization: `Bearer ${(await signedIn()).access_token}`, ...BETA }), 401);
    desk.revoke({ what: "key" });
    assert.equal(await ask({ "x-api-key": key }), 401);
  });

  test("each host has its own and nothing else", async () => {
    const { access_token: token } = await signedIn();
    const headers = { authorization: `Bearer ${token}`, ...BETA };
    for (const [host, method, path] of [
      [TOKEN_HOST, "POST", "/v1/messages"],
      ["claude.ai", "POST", "/v1/messages"],
      [API_HOST, "POST", "/v1/oauth/token"],
      ["claude.com", "GET", "/api/oauth/profile"],
      [API_HOST, "GET", "/cai/oauth/authorize"],
    ]) {
      assert.equal((await client.ask(host, method, path, { headers })).status, 404, `${host}${path}`);
    }
    assert.equal((await client.ask(API_HOST, "GET", "/api/hello")).status, 200);
    assert.equal((await client.ask(TOKEN_HOST, "GET", "/v1/oauth/hello")).status, 200);
  });
});
