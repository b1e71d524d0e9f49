//! Logins that are renewed while sandboxes work with their access tokens.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use boxwood_e2e::identity::Identity;
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::world::repository;
use boxwood_e2e::{World, docker, until};
use boxwood_protocol::SUBSCRIBE_METHOD;
use boxwood_protocol::contract::{LoginCode, StartLogin, Wait};
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialsStatus, Secret};
use boxwood_protocol::login::{LoginAsk, LoginCodeParams, LoginStartParams};
use boxwood_protocol::operation::{OperationParams, OutcomeKind};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::{Value, json};

/// How long an access token lives here. It is renewed when a quarter of that is left.
const LIFETIME: u64 = 40;
const SESSIONS: [&str; 2] = ["default", "other"];

/// A world, and what its claudes sign in to.
struct Renewing {
    world: World,
    identity: Identity,
}

impl Renewing {
    fn new(arrange: impl FnOnce(&mut World, &Identity)) -> Self {
        let mut world = World::new();
        let identity = Identity::serve(&mut world);
        arrange(&mut world, &identity);
        let _ = identity.ask("settings", &json!({ "accessSeconds": LIFETIME }));
        let _ = world.boxwood(["list"]).run().ok();
        Self { world, identity }
    }

    /// Signs in as a person does, with the real claude in its container.
    fn sign_in(&self) {
        let started = Rpc::open(&self.world).call::<StartLogin>(&LoginStartParams::default()).expect("it begins");
        let url = until("the question for the code", || {
            let mut rpc = Rpc::open(&self.world);
            let _ = rpc.ask(SUBSCRIBE_METHOD, &json!({}))?;
            let event = rpc.receive()?["params"]["result"].take();
            let asks: Vec<LoginAsk> = serde_json::from_value(event["logins"][&started.operation_id].clone()).ok()?;
            let url = asks.iter().find_map(|ask| match ask {
                LoginAsk::Url { url } => Some(url.clone()),
                _ => None,
            });
            url.filter(|_| asks.contains(&LoginAsk::WantsCode))
        });
        let code = Secret::new(self.identity.sign_in(&url));
        let params = LoginCodeParams { operation_id: started.operation_id.clone(), code };
        let _ = Rpc::open(&self.world).call::<LoginCode>(&params).expect("it is wanted");
        let end = Rpc::open(&self.world).call::<Wait>(&OperationParams { operation_id: started.operation_id });
        let end = end.expect("it ends");
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    }

    fn start(&self, session: &str) -> SandboxInfo {
        self.world.start_with(["--session", session, "--network", "open"]).sandbox
    }

    fn choose_token(&self, source: &str) {
        let words = ["credentials", "mode", "token", "--source", source, "--new", "--yes", "--json"];
        let _ = self.world.boxwood(words).run().ok();
    }

    /// Has claude work in a sandbox.
    fn works(&self, session: &str) {
        let words = ["exec", "--session", session, "--", "claude", "-p", "say hello"];
        let done = self.world.boxwood(words).run();
        assert_eq!((done.status, done.out().trim()), (0, "hello"), "{}", done.told("claude in a sandbox"));
    }

    fn inside(&self, sandbox: &SandboxInfo) -> Value {
        login_in(&self.world.home_of(sandbox).join(".claude"))
    }

    fn status(&self, sandbox: &SandboxInfo) -> CredentialsStatus {
        self.world.boxwood(["credentials", "status", "--sandbox", &sandbox.id, "--json"]).run().json()
    }

    fn wait_for(&self, counter: &str, at_least: u64) {
        let question = json!({ "counter": counter, "atLeast": at_least, "seconds": 100 });
        let _ = self.identity.ask("await", &question);
    }

    /// Waits until a sandbox has the token that its login has.
    fn has_newest(&self, sandbox: &SandboxInfo, login: &PathBuf) -> String {
        until("the newest token", || {
            let (newest, inside) = (login_in(login), self.inside(sandbox));
            let is_same = newest["accessToken"].is_string() && newest["accessToken"] == inside["accessToken"];
            is_same.then(|| inside["accessToken"].as_str().expect("a token").to_owned())
        })
    }

    /// Nothing that renews a login is anywhere in a sandbox's home.
    fn holds_no_refresh_token(&self, sandbox: &SandboxInfo) {
        assert_eq!(self.inside(sandbox).get("refreshToken"), None);
        let secrets = self.identity.ask("secrets", &json!({}));
        let all = secrets.as_array().into_iter().flatten().filter(|secret| secret["kind"] == "refresh");
        for value in all.filter_map(|secret| secret["value"].as_str()) {
            let found = Command::new("grep").args(["-rlF", "--", value]).arg(self.world.home_of(sandbox)).output();
            assert_eq!(String::from_utf8_lossy(&found.expect("there is a grep").stdout), "");
        }
    }
}

fn login_in(directory: &std::path::Path) -> Value {
    let text = fs::read_to_string(directory.join(".credentials.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).unwrap_or_default()["claudeAiOauth"].take()
}

#[test]
fn two_sandboxes_go_on_while_the_one_login_is_renewed() {
    let renewing = Renewing::new(|_, _| ());
    renewing.sign_in();
    renewing.choose_token("loginHome");
    let login = renewing.world.state().join("logins/default/.claude");
    let sandboxes = SESSIONS.map(|session| renewing.start(session));
    let mut tokens = Vec::new();
    for round in 0..3 {
        let before = renewing.identity.count("refreshes");
        for (session, sandbox) in SESSIONS.into_iter().zip(&sandboxes) {
            tokens.push(renewing.has_newest(sandbox, &login));
            renewing.works(session);
            renewing.holds_no_refresh_token(sandbox);
        }
        if round < 2 {
            renewing.wait_for("refreshes", before + 1);
        }
    }
    tokens.sort();
    tokens.dedup();
    assert!(tokens.len() >= 3, "{} tokens", tokens.len());
    assert_eq!((renewing.identity.count("reuseDetections"), renewing.identity.count("refusedRefreshes")), (0, 0));
    let status = renewing.status(&sandboxes[0]);
    assert_eq!((status.mode, status.health), (Some(CredentialMode::Token), CredentialHealth::Ok), "{status:?}");
    assert!(
        status.last_refresh_ms.is_some_and(|last| status.expires_at_ms.is_some_and(|end| last < end)),
        "{status:?}"
    );
}

#[test]
fn a_daemon_that_is_killed_while_a_login_is_renewed_costs_nobody_the_login() {
    let renewing = Renewing::new(|_, _| ());
    renewing.sign_in();
    renewing.choose_token("loginHome");
    let login = renewing.world.state().join("logins/default/.claude");
    let sandbox = renewing.start(SESSIONS[0]);
    let before = renewing.has_newest(&sandbox, &login);
    let asked = renewing.identity.count("requests.refresh");
    let _ = renewing.identity.ask("fault", &json!({ "on": "refresh", "times": 1, "kind": "slow", "ms": 5000 }));
    let filter = renewing.world.filter().expect("there is a daemon");
    let renewal = until("a renewal", || docker::containers_of("renewal", &filter).pop());
    renewing.wait_for("requests.refresh", asked + 1);
    renewing.world.kill_daemon();
    assert!(docker::inspect(&renewal).is_some(), "claude goes on without the daemon");

    let _ = renewing.world.boxwood(["list"]).run().ok();
    let after = until("the token that came meanwhile", || {
        let token = login_in(&login)["accessToken"].as_str().unwrap_or_default().to_owned();
        (token != before && !token.is_empty()).then_some(token)
    });
    assert_ne!(after, before);
    let _ = renewing.has_newest(&sandbox, &login);
    renewing.works(SESSIONS[0]);
    until("the end of what was left", || docker::containers_of("renewal", &filter).is_empty().then_some(()));
    renewing.holds_no_refresh_token(&sandbox);
    assert_eq!((renewing.identity.count("reuseDetections"), renewing.identity.count("refusedRefreshes")), (0, 0));
}

#[test]
fn the_login_of_this_machine_is_renewed_by_its_own_claude() {
    let renewing = Renewing::new(|world, identity| {
        let tools = world.root().join("tools");
        fs::create_dir(&tools).expect("a directory");
        let script =
            "import { claudeBinary } from './tests/fakes/claude-binary.mjs'; console.log(await claudeBinary())";
        let found = Command::new("node").args(["--input-type=module", "-e", script]).current_dir(repository()).output();
        let found = String::from_utf8(found.expect("node starts").stdout).expect("a path");
        symlink(found.trim(), tools.join("claude")).expect("linked");
        let path = std::env::var("PATH").unwrap_or_default();
        world.set("PATH", format!("{}:{path}", tools.display()));
        world.set("HTTPS_PROXY", identity.proxy.clone());
    });
    let login = renewing.world.home().join(".claude");
    fs::create_dir_all(&login).expect("a directory");
    let issued = json!({ "claudeAiOauth": renewing.identity.ask("issue", &json!({})) });
    fs::write(login.join(".credentials.json"), issued.to_string()).expect("written");
    renewing.choose_token("hostLogin");
    let sandbox = renewing.start(SESSIONS[0]);
    let first = renewing.has_newest(&sandbox, &login);
    renewing.works(SESSIONS[0]);
    let refreshes = renewing.identity.count("refreshes");
    renewing.wait_for("refreshes", refreshes + 1);
    until("another token", || (renewing.has_newest(&sandbox, &login) != first).then_some(()));
    renewing.works(SESSIONS[0]);
    renewing.holds_no_refresh_token(&sandbox);
    assert_eq!(renewing.identity.count("reuseDetections"), 0);

    // Signed out there, nothing is handed out any more, and the sandbox is told why.
    let _ = renewing.identity.ask("revoke", &json!({ "what": "refresh" }));
    let status = until("the end of the login", || {
        let status = renewing.status(&sandbox);
        (status.health == CredentialHealth::Expired).then_some(status)
    });
    assert!(status.next_step.is_some(), "{status:?}");
    assert_ne!(renewing.inside(&sandbox)["accessToken"], json!(""));
}
