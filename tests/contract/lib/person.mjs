// What is said about the person: how Claude's login is, signing in, and git credentials of this machine.
import { chmod, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { hostAddress } from "../../editor/lib/docker.mjs";
import { startIdentity } from "../../fakes/identity.mjs";

const KEY = "sk-ant-api03-made-up-for-a-recording";
const EVE = "eve@example.test";

/** A bed without the machine's own keyring, in which nobody is signed in yet; people sign in to an imitation. */
async function signedOut(bed) {
  const host = await hostAddress();
  const identity = await startIdentity({ host, hasProxy: true, ca: path.join(bed.root, "identity.pem"), accounts: ["ada@example.test", EVE] });
  const config = path.join(bed.root, "config");
  await mkdir(config);
  const env = { HTTPS_PROXY: `http://${host}:${identity.ports.proxy}` };
  await writeFile(path.join(config, "sandbox.jsonc"), JSON.stringify({ env }));
  Object.assign(bed.environment, {
    BOXWOOD_KEYRING: "file",
    CLAUDE_CONFIG_DIR: path.join(bed.root, "person/.claude"),
    NODE_EXTRA_CA_CERTS: identity.ca,
  });
  await mkdir(bed.environment.CLAUDE_CONFIG_DIR, { recursive: true });
  return identity;
}

const STORED = ".credentials.json";

/** Has somebody be signed in to Claude Code in a configuration directory. */
async function holdLogin(directory, login) {
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, STORED), JSON.stringify({ claudeAiOauth: login }));
  await chmod(path.join(directory, STORED), 0o600);
}

/** Where the credential comes from and how it is held: none, a key, the login of this machine, and two that differ. */
export async function credentials(talk) {
  await talk.ask("boxwood/credentials/status", {});
  await talk.ask("boxwood/credentials/status", { environment: { ANTHROPIC_API_KEY: KEY } });
  await talk.refused("boxwood/credentials/status", { target: { sandbox: "absent" } });
  await talk.ended("boxwood/credentials/set", { kind: "apiKey", value: "two words" });
  await talk.done("boxwood/credentials/set", { kind: "apiKey", value: KEY });
  await talk.event(({ type }) => type === "credentialsChanged");
  await talk.ask("boxwood/credentials/status", {});
  await talk.done("boxwood/credentials/setMode", { source: "storedKey", mode: "brokered", consent: false });
  await talk.ended("boxwood/credentials/setMode", { source: "storedKey", mode: "token", consent: false });
  await talk.done("boxwood/credentials/signOut", { source: "storedKey" });
  await talk.ended("boxwood/credentials/signOut", { source: "keyHelper" });

  const { desk } = talk.arranged;
  await holdLogin(talk.bed.environment.CLAUDE_CONFIG_DIR, desk.issue({}));
  const project = await talk.bed.project("app");
  const { sandbox } = await talk.done("boxwood/sandbox/ensure", { project, config: { network: "none" } });
  const target = { sandbox: sandbox.id };
  const wish = { target, source: "hostLogin", mode: "sync" };
  await talk.ended("boxwood/credentials/setMode", { ...wish, consent: false });
  await talk.done("boxwood/credentials/setMode", { ...wish, consent: true });
  await talk.refused("boxwood/credentials/resolve", { target: { sandbox: "absent" }, keep: "host" });
  // Somebody else signs in inside.
  await holdLogin(path.join(talk.bed.state, "sandboxes", sandbox.id, "home/.claude"), desk.issue({ email: EVE }));
  await talk.ask("boxwood/credentials/status", { target });
  await talk.done("boxwood/credentials/resolve", { target, keep: "host" });
  await talk.done("boxwood/sandbox/remove", { project, purgeState: true });
}
credentials.arrange = signedOut;

/** Signing in: what is asked and answered, refused, given up, and somebody else's login. */
export async function login(talk) {
  const { desk } = talk.arranged;
  const asks = (operationId, type) =>
    talk.event((event) => event.type === "loginAsks" && event.operationId === operationId && event.ask.type === type).then(({ ask }) => ask);

  const first = await talk.ask("boxwood/login/start", { kind: "login", replace: false });
  await talk.refused("boxwood/login/start", { kind: "login", replace: false });
  const { url } = await asks(first.operationId, "url");
  await asks(first.operationId, "wantsCode");
  // Whoever comes later is told what is asked.
  await talk.ask("boxwood/events/subscribe", { stats: [] });
  await talk.ask("boxwood/login/code", { ...first, code: "somebody-elses#code" });
  await asks(first.operationId, "wrongCode");
  await talk.ask("boxwood/login/code", { ...first, code: desk.signIn({ url }).paste });
  await talk.end(first.operationId);
  await talk.ask("boxwood/credentials/status", {});
  await talk.refused("boxwood/login/code", { ...first, code: "too#late" });
  await talk.refused("boxwood/login/start", { kind: "login", replace: false });

  // Another account, which the person does not want after all.
  const second = await talk.ask("boxwood/login/start", { kind: "login", replace: true });
  const again = await asks(second.operationId, "url");
  await asks(second.operationId, "wantsCode");
  await talk.ask("boxwood/login/code", { ...second, code: desk.signIn({ url: again.url, email: EVE }).paste });
  await asks(second.operationId, "otherAccount");
  await talk.ask("boxwood/login/accept", { ...second, accept: false });
  await talk.end(second.operationId);

  const third = await talk.ask("boxwood/login/start", { kind: "console", replace: false });
  await asks(third.operationId, "wantsCode");
  await talk.ask("boxwood/operation/cancel", third);
  await talk.end(third.operationId);
}
login.arrange = signedOut;

/** Git in a sandbox asks for a credential; the person allows it, denies it and takes that back. */
export async function git(talk) {
  const project = await talk.bed.project("app");
  const { sandbox } = await talk.done("boxwood/sandbox/ensure", { project, config: { network: "open" } });
  const target = { sandbox: sandbox.id };
  await talk.ask("boxwood/git/approvals", target);
  // The way to the host is there a moment after the start.
  const fill = "until test -S /tmp/boxwood-$(id -u)/git.sock; do read -t 0.1 <> <(:); done; printf 'protocol=https\\nhost=git.example\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill";
  const asking = await talk.ask("boxwood/sandbox/exec", { target, command: ["bash", "-c", fill] });
  await talk.event(({ type }) => type === "gitAsking");
  await talk.ask("boxwood/git/approvals", { project });
  await talk.ask("boxwood/git/decide", { target, host: "git.example", answer: "allow" });
  await talk.event(({ type }) => type === "gitAsked");
  await talk.end(asking.operationId);
  await talk.ask("boxwood/git/decide", { target: { project }, host: "other.example:8443", answer: "deny" });
  await talk.refused("boxwood/git/decide", { target, host: "https://git.example/x", answer: "allow" });
  await talk.ask("boxwood/git/revoke", { target, host: "git.example" });
  await talk.refused("boxwood/git/revoke", { target, host: "git.example" });
  await talk.done("boxwood/sandbox/remove", { project, purgeState: true });
}
/** A person whose git knows a password for one host. */
git.arrange = async (bed) => {
  const file = path.join(bed.root, "gitconfig");
  const helper = "!f() { echo username=person; echo password=made-up; }; f";
  await writeFile(file, `[user]\n\tname = Person\n\temail = person@example.test\n[credential "https://git.example"]\n\thelper = "${helper}"\n`);
  Object.assign(bed.environment, { GIT_CONFIG_GLOBAL: file, GIT_CONFIG_NOSYSTEM: "1" });
};
