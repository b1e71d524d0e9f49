// Where a test arranges the world and asks what has happened: each verb is a function of a plain object.
import { CLIENT_ID, INFERENCE, LOGIN_SCOPES, readScopes } from "./clients.mjs";
import { ENDPOINTS } from "./routes.mjs";
import { signIn } from "./sign-in.mjs";

const KINDS = ["access", "refresh", "key", "code"];

export class Desk {
  #world;

  constructor(world) {
    this.#world = world;
  }

  #account(email) {
    const account = this.#world.accounts.find(email);
    if (!account) throw new Error(`there is no account ${email}`);
    return account;
  }

  #chosen({ what = "access", email }) {
    if (what !== "all" && !KINDS.includes(what)) throw new Error(`'what' is one of all, ${KINDS.join(", ")}`);
    return this.#world.vault.all({ kind: what === "all" ? undefined : what, account: email && this.#account(email) });
  }

  /** The server's time, what was counted since the start, what is valid now and for whom, and what still goes wrong. */
  state() {
    const { clock, vault, accounts, faults, counters } = this.#world;
    const valid = (kind, account) => vault.all({ kind, account }).filter((secret) => vault.stateOf(secret) === "valid").length;
    const of = (account) => Object.fromEntries(KINDS.map((kind) => [kind, valid(kind, account)]));
    return {
      now: clock.now(),
      aheadSeconds: clock.aheadSeconds,
      settings: vault.settings,
      counters: counters.all(),
      valid: of(),
      accounts: accounts.all().map((account) => ({ ...account, valid: of(account) })),
      faults: faults.list(),
    };
  }

  /** Changes lifetimes and habits, for what is handed out from now on; see DEFAULTS in vault.mjs. */
  settings(changes) {
    const { vault } = this.#world;
    for (const [name, value] of Object.entries(changes)) {
      if (typeof value !== typeof vault.settings[name]) throw new Error(`there is no such setting: ${name}=${JSON.stringify(value)}`);
    }
    Object.assign(vault.settings, changes);
    return vault.settings;
  }

  /** Lets time pass on the server. */
  advance({ seconds }) {
    if (!Number.isFinite(seconds)) throw new Error("'seconds' is a number");
    this.#world.clock.advance(seconds);
    return { now: this.#world.clock.now() };
  }

  /** Has tokens reach their end now: {what: access|refresh|key|code|all, email} */
  expire(choice) {
    this.#world.vault.end(this.#chosen(choice), "expired");
    return {};
  }

  /** Takes tokens back: as `expire`. */
  revoke(choice) {
    this.#world.vault.end(this.#chosen(choice), "revoked");
    return {};
  }

  /** Has the next answers go wrong; see faults.mjs. */
  fault(fault) {
    const unknown = [fault.on ?? "*"].flat().find((name) => name !== "*" && !ENDPOINTS.includes(name));
    if (unknown) throw new Error(`there is no endpoint '${unknown}': ${ENDPOINTS.join(", ")}`);
    this.#world.faults.add(fault);
    return {};
  }

  /** Nothing goes wrong any more; what was held goes on. */
  clear() {
    this.#world.faults.clear();
    return {};
  }

  /** Another person: {email, name, organization, plan, role} */
  account(person) {
    if (typeof person.email !== "string") throw new Error("'email' is needed");
    return this.#world.accounts.add(person);
  }

  /** Does what a person does in the browser: {url: what claude printed, email} */
  signIn({ url, email }) {
    return signIn(this.#world, new URL(url), email);
  }

  /** A sign-in without its flow, in the form in which claude stores it: {email, scopes, setup} */
  issue({ email, scopes, setup = false }) {
    const wanted = setup ? [INFERENCE] : scopes ? readScopes(scopes.join(" ")) : LOGIN_SCOPES;
    if (!wanted) throw new Error(`a scope is unknown, or there is none: ${scopes}`);
    const account = this.#account(email);
    const grant = this.#world.vault.issue({ account, clientId: CLIENT_ID, scopes: wanted, expiresIn: setup ? this.#world.vault.settings.setupSeconds : undefined });
    const now = this.#world.clock.now();
    return {
      accessToken: grant.access_token,
      refreshToken: grant.refresh_token ?? null,
      expiresAt: now + grant.expires_in * 1000,
      ...(grant.refresh_token && { refreshTokenExpiresAt: now + this.#world.vault.settings.refreshSeconds * 1000 }),
      scopes: grant.scope.split(" "),
      subscriptionType: account.organization.plan.replace(/^claude_/, ""),
      rateLimitTier: "default_claude_max_5x",
      accountUuid: account.uuid,
      organizationUuid: account.organization.uuid,
    };
  }

  /** An API key: {email} */
  key({ email }) {
    return { key: this.#world.vault.newKey(this.#account(email)) };
  }

  /** Every secret there ever was, for searches of where they must not be. */
  secrets() {
    const { vault } = this.#world;
    return vault.all().map((secret) => ({ kind: secret.kind, value: secret.value, email: secret.family.account.email, family: secret.family.id, state: vault.stateOf(secret), issuedAt: secret.issuedAt, expiresAt: secret.expiresAt }));
  }

  /** Waits until something has been counted so often: {counter, atLeast, seconds} */
  async await({ counter, atLeast = 1, seconds = 30 }) {
    const count = await this.#world.counters.reach(counter, atLeast, seconds * 1000);
    return { count };
  }
}

/** The verbs that may be asked for from outside. */
export const VERBS = Object.getOwnPropertyNames(Desk.prototype).filter((name) => name !== "constructor");
