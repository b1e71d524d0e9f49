// The real claude binary signs in to the imitated identity server, stays signed in and works, under the real names and over
// TLS. What is asserted of claude here is what the product builds on.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClaudeHome } from "./claude-home.mjs";
import { startIdentity } from "./identity.mjs";

/** What claude renews in time: it has less than five minutes. */
const NEARLY_OVER = 240;
const HOURS = 8 * 3600;

/** A server and homes that go with the test. */
async function world(t, options) {
  const notes = [];
  const identity = await startIdentity({ hasProxy: true, onRequest: (note) => notes.push(note), ...options });
  const { desk } = identity;
  const homes = [];
  t.after(async () => {
    await identity.close();
    await Promise.all(homes.map((home) => home.remove()));
  });
  const home = async (login) => {
    homes.push(await ClaudeHome.make(identity, login));
    return homes.at(-1);
  };
  /** A login whose access token is nearly over; what it is renewed to lasts. */
  const aging = (options = {}) => {
    desk.settings({ accessSeconds: NEARLY_OVER });
    const login = desk.issue(options);
    desk.settings({ accessSeconds: HOURS });
    return login;
  };
  const asked = (endpoint) => notes.filter((note) => note.endpoint === endpoint);
  /** Claude answers; if not, what it asked for belongs to what the test says. */
  const works = async (person, env) => {
    const done = await ask(person, env);
    const seen = notes.map(({ endpoint, status, auth = [] }) => [endpoint, status, ...auth.map(({ kind, state }) => `${kind}: ${state}`)].join(" "));
    assert.deepEqual({ ...done, seen }, { ...answered, seen });
  };
  return { desk, notes, home, aging, asked, works, count: (name) => desk.state().counters[name] };
}

const ask = (home, env) => home.run(["-p", "say hello"], env);
const answered = { status: 0, out: "hello", err: "" };
const ADDRESS = /https:\/\/\S+\/oauth\/authorize\?\S+/;

/** Signs in on a terminal; `paste` is what the person pastes, given what the page shows. */
async function signIn(t, desk, home, args = [], paste = (shown) => shown) {
  const terminal = home.terminal(["auth", "login", ...args]);
  t.after(() => terminal.close());
  const [url] = await terminal.waitFor(ADDRESS);
  await terminal.waitFor(/Paste code here/);
  terminal.type(`${paste(desk.signIn({ url }).paste)}\r`);
  const status = await terminal.wait();
  return { status, url, text: terminal.text() };
}

function assertBlank(login) {
  assert.deepEqual([login.accessToken, login.refreshToken, login.expiresAt], ["", "", 0]);
}

describe("signing in", { timeout: 900_000 }, () => {
  test("auth login takes the code from the page and keeps what it stands for", async (t) => {
    const { desk, notes, home, asked, count, works } = await world(t);
    const person = await home();
    const { status, text, url } = await signIn(t, desk, person);
    assert.equal(status, 0, text);
    assert.match(text, /Login successful/);
    assert.equal(new URL(url).searchParams.get("code_challenge_method"), "S256");
    const login = await person.login();
    const kept = desk.secrets().filter(({ state, kind }) => state === "valid" && kind !== "code").map(({ value }) => value);
    assert.deepEqual(kept, [login.accessToken, login.refreshToken]);
    assert.equal(login.subscriptionType, "max");
    assert.equal((await person.config()).oauthAccount.emailAddress, "ada@example.test");
    assert.deepEqual([count("signIns"), count("exchanges"), count("refusedTunnels")], [1, 1, 0]);
    assert.deepEqual(new Set(notes.map(({ endpoint }) => endpoint).filter((name) => name !== "account")), new Set(["exchange", "profile", "roles"]));
    for (const { value } of desk.secrets()) assert.ok(!JSON.stringify(notes).includes(value));

    const shown = await person.run(["auth", "status"]);
    const said = JSON.parse(shown.out);
    assert.deepEqual([shown.status, said.loggedIn, said.authMethod, said.email], [0, true, "claude.ai", "ada@example.test"]);
    await works(person);
    assert.equal(asked("messages").at(-1).auth[0].state, "valid");
  });

  test("a wrong code ends auth login, and nothing is kept", async (t) => {
    const { desk, home, count } = await world(t);
    const person = await home();
    const { status, text } = await signIn(t, desk, person, [], () => "wrong#code");
    assert.equal(status, 1);
    assert.match(text, /Couldn't log in: That code wasn't accepted/);
    assert.equal(count("refusedCodes"), 1);
    assert.equal(await person.login(), undefined);
    assert.equal((await person.run(["auth", "status"])).status, 1);
  });

  test("auth login sends the state that it began with, whatever state is pasted", async (t) => {
    const { desk, home } = await world(t);
    const { status } = await signIn(t, desk, await home(), [], (shown) => `${shown.split("#")[0]}#of-another-sign-in`);
    assert.equal(status, 0);
  });

  test("auth login --console keeps a key instead", async (t) => {
    const { desk, home, asked, works } = await world(t);
    const person = await home();
    const { status, text, url } = await signIn(t, desk, person, ["--console"]);
    assert.equal(status, 0, text);
    assert.equal(new URL(url).hostname, "platform.claude.com");
    assert.equal(await person.login(), undefined);
    const { primaryApiKey: key, customApiKeyResponses } = await person.config();
    assert.equal(key, desk.secrets().find(({ kind }) => kind === "key").value);
    assert.deepEqual(customApiKeyResponses.approved, [key.slice(-20)]);
    await works(person);
    assert.deepEqual(asked("messages").at(-1).auth.map(({ kind, state }) => [kind, state]), [["x-api-key", "valid"]]);
  });

  test("setup-token shows a token for a year, keeps nothing, and the token works until its end", async (t) => {
    const { desk, home, asked, count, works } = await world(t);
    const person = await home();
    const terminal = person.terminal(["setup-token"]);
    t.after(() => terminal.close());
    const [url] = await terminal.waitFor(ADDRESS);
    assert.equal(new URL(url).searchParams.get("scope"), "user:inference");
    await terminal.waitFor(/Paste code here/);
    terminal.type(desk.signIn({ url }).paste);
    await terminal.waitFor(/\*{20}/);
    terminal.type("\r");
    const [token] = await terminal.waitFor(/sk-ant-oat01-[\w-]+/);
    assert.equal(await terminal.wait(), 0);
    assert.match(terminal.text(), /Your OAuth token \(valid for 1 year\)/);
    assert.equal(await person.login(), undefined);
    const { value, expiresAt, issuedAt } = desk.secrets().find(({ kind, state }) => kind === "access" && state === "valid");
    assert.deepEqual([token, expiresAt - issuedAt], [value, 365 * 24 * 3600 * 1000]);
    assert.equal(asked("exchange")[0].body.expires_in, 31_536_000);

    const env = { CLAUDE_CODE_OAUTH_TOKEN: token };
    await works(person, env);
    desk.expire({ what: "access" });
    const { status, out } = await ask(person, env);
    assert.deepEqual([status, count("requests.refresh")], [1, undefined]);
    assert.match(out, /401 OAuth token has expired/);
  });

  test("a refresh token in the environment signs in without anybody, and is spent by it", async (t) => {
    const { desk, home, count } = await world(t);
    const { refreshToken, scopes } = desk.issue({});
    const person = await home();
    const env = { CLAUDE_CODE_OAUTH_REFRESH_TOKEN: refreshToken, CLAUDE_CODE_OAUTH_SCOPES: scopes.join(" ") };
    const { status, out } = await person.run(["auth", "login"], env);
    assert.deepEqual([status, out, count("refreshes")], [0, "Login successful.", 1]);
    assert.notEqual((await person.login()).refreshToken, refreshToken);
    assert.equal((await person.run(["auth", "login"], env)).status, 1);
    assert.equal(count("reuseDetections"), 1);
  });

  test("auth logout gives the login back", async (t) => {
    const { desk, home, count } = await world(t);
    const person = await home(desk.issue({}));
    assert.equal((await person.run(["auth", "logout"])).status, 0);
    assert.equal(await person.login(), undefined);
    assert.deepEqual([count("revocations"), desk.state().valid.access, desk.state().valid.refresh], [1, 0, 0]);
  });
});

describe("staying signed in", { timeout: 900_000 }, () => {
  test("what is nearly over is renewed before it is used, once", async (t) => {
    const { desk, home, aging, asked, count, works } = await world(t);
    const before = aging();
    const person = await home(before);
    await works(person);
    assert.deepEqual([count("refreshes"), count("reuseDetections")], [1, 0]);
    const after = await person.login();
    assert.ok(after.accessToken !== before.accessToken && after.refreshToken !== before.refreshToken);
    assert.ok(after.expiresAt > before.expiresAt + (HOURS - 3600) * 1000);
    assert.equal(desk.secrets().find(({ value }) => value === before.refreshToken).state, "used");
    await works(person);
    assert.equal(count("refreshes"), 1);
    assert.equal(asked("messages").length, 2);
  });

  test("several processes of one home renew one after the other", async (t) => {
    const { home, aging, count } = await world(t);
    const person = await home(aging());
    assert.deepEqual(await Promise.all([ask(person), ask(person), ask(person)]), [answered, answered, answered]);
    assert.deepEqual([count("refreshes"), count("reuseDetections")], [1, 0]);
  });

  test("of two holders of one refresh token the second blanks what it kept, and the first is out as well", async (t) => {
    const { home, aging, count, works } = await world(t);
    const shared = aging();
    const [first, second] = [await home(shared), await home(shared)];
    await works(first);
    const { status, out } = await ask(second);
    assert.equal(status, 1);
    assert.match(out, /OAuth session expired and could not be refreshed/);
    assertBlank(await second.login());
    assert.equal(count("reuseDetections"), 1);
    assert.equal((await ask(first)).status, 1);
    assertBlank(await first.login());
  });

  test("a new token that is lost on the way costs the login, unless the server is patient", async (t) => {
    for (const reuseGraceSeconds of [0, 60]) {
      const { desk, home, aging, count } = await world(t);
      desk.settings({ reuseGraceSeconds });
      const person = await home(aging());
      desk.fault({ on: "refresh", times: 1, kind: "cut", bytes: 0 });
      const { status } = await ask(person);
      if (reuseGraceSeconds === 0) {
        assert.deepEqual([status, count("reuseDetections")], [1, 1]);
        assertBlank(await person.login());
      } else {
        assert.deepEqual([status, count("reuseDetections"), count("graceRefreshes")], [0, 0, 1]);
      }
    }
  });

  test("a token endpoint that is out of order for a moment costs nothing", async (t) => {
    for (const fault of [{ kind: "status", status: 500 }, { kind: "status", status: 429, headers: { "retry-after": "1" } }, { kind: "refuse" }]) {
      const { desk, home, aging, count, works } = await world(t);
      const person = await home(aging());
      desk.fault({ on: "refresh", times: 1, ...fault });
      await works(person);
      assert.deepEqual([count("refreshes"), count("reuseDetections")], [1, 0]);
    }
  });

  test("a login with fewer scopes than claude asks for is renewed with those that it has", async (t) => {
    const { home, aging, asked, works } = await world(t);
    const person = await home(aging({ scopes: ["user:profile", "user:inference"] }));
    await works(person);
    assert.deepEqual(asked("refresh").map(({ status }) => status), [400, 200]);
    assert.deepEqual((await person.login()).scopes, ["user:profile", "user:inference"]);
  });

  test("a refresh token at its end is told apart from one that was taken away", async (t) => {
    const { desk, home } = await world(t);
    const person = await home(desk.issue({}));
    desk.expire({ what: "all" });
    const { status, out } = await ask(person);
    assert.equal(status, 1);
    assert.match(out, /reached its time limit/);
    const login = await person.login();
    assertBlank(login);
    assert.equal(login.loginEnded, "time_limit");
  });
});

describe("working", { timeout: 900_000 }, () => {
  test("a turn is streamed, with a login, a key, or a key that a helper knows", async (t) => {
    const { desk, home, asked, works } = await world(t);
    const { key } = desk.key({});
    const helped = await home();
    await helped.settings({ apiKeyHelper: `echo ${key}` });
    await works(await home(desk.issue({})));
    await works(await home(), { ANTHROPIC_API_KEY: key });
    await works(helped);
    assert.ok(asked("messages").every(({ host, body, status }) => host === "api.anthropic.com" && body.stream === true && status === 200));
    assert.deepEqual(asked("messages").map(({ auth }) => auth.map(({ kind }) => kind).join()), ["bearer", "x-api-key", "x-api-key,bearer"]);
  });

  test("a token that is refused in flight is renewed, and the turn completed", async (t) => {
    for (const end of ["expire", "revoke"]) {
      const { desk, home, asked, count, works } = await world(t);
      const person = await home(desk.issue({}));
      desk[end]({ what: "access" });
      await works(person);
      assert.equal(count("refreshes"), 1);
      assert.equal(asked("messages").at(-1).status, 200);
    }
  });

  test("a login without a refresh token is left alone when it is refused", async (t) => {
    const { desk, home, count, works } = await world(t);
    const short = desk.issue({});
    delete short.refreshToken;
    const person = await home(short);
    await works(person);
    desk.expire({ what: "access" });
    const { status, out } = await ask(person);
    assert.equal(status, 1);
    assert.match(out, /401 OAuth token has expired/);
    assert.equal((await person.login()).accessToken, short.accessToken);
    assert.equal(count("requests.refresh"), undefined);
  });

  for (const [what, fault] of Object.entries({
    "too many requests": { times: 2, kind: "status", status: 429, headers: { "retry-after": "1" } },
    "an error of the server": { times: 1, kind: "status", status: 500 },
    "an overload": { times: 1, kind: "status", status: 529 },
    "a connection that ends before the answer": { times: 1, kind: "refuse" },
    "an answer that is cut before its first word": { times: 1, kind: "cut", bytes: 100 },
    // Claude then asks the same again, or to go on where it was cut: it depends on what it had read.
    "an answer that is cut after its last word": { times: 1, kind: "cut", bytes: 740 },
    "a slow answer": { times: 1, kind: "slow", ms: 2000 },
  })) {
    test(`${what} does not end the turn`, async (t) => {
      const { desk, home, asked, works } = await world(t);
      const person = await home(desk.issue({}));
      desk.fault({ on: "messages", ...fault });
      await works(person);
      assert.equal(asked("messages").length, fault.kind === "slow" ? 1 : fault.times + 1);
    });
  }
});
