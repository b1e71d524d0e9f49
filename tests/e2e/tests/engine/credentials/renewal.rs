//! Logins that are renewed while sandboxes work with their access tokens.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use boxwood_e2e::identity::Identity;
use boxwood_e2e::world::repository;
use boxwood_e2e::{World, docker, until};
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialsStatus};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::{Value, json};

use crate::login::Signing;

/// How long an access token lives here. It is renewed when a quarter of that is left.
const LIFETIME: u64 = 40;
const SESSIONS: [&str; 2] = ["default", "other"];

/// A person whose sandboxes hold access tokens.
struct Renewing(Signing);

impl Renewing {
    fn new(arrange: impl FnOnce(&mut World, &Identity)) -> Self {
        let mut world = World::new();
        let identity = Identity::serve(&mut world);
        arrange(&mut world, &identity);
        let _ = identity.ask("settings", &json!({ "accessSeconds": LIFETIME }));
        let _ = world.boxwood(["list"]).run().ok();
        Self(Signing { world, identity })
    }

    fn start(&self, session: &str) -> SandboxInfo {
        self.0.world.start_with(["--session", session, "--network", "open"]).sandbox
    }

    fn choose_token(&self, source: &str) {
        let words = ["credentials", "mode", "token", "--source", source, "--new", "--yes", "--json"];
        let _ = self.0.world.boxwood(words).run().ok();
    }

    /// Has claude work in a sandbox.
    fn works(&self, session: &str) {
        let words = ["exec", "--session", session, "--", "claude", "-p", "say hello"];
        let done = self.0.world.boxwood(words).run();
        assert_eq!((done.status, done.out().trim()), (0, "hello"), "{}", done.told("claude in a sandbox"));
    }

    fn inside(&self, sandbox: &SandboxInfo) -> Value {
        login_in(&self.0.world.home_of(sandbox).join(".claude"))
    }

    fn status(&self, sandbox: &SandboxInfo) -> CredentialsStatus {
        let done = self.0.world.boxwood(["credentials", "status", "--sandbox", &sandbox.id, "--json"]).run();
        // What is not well has a status of its own, and is told all the same.
        serde_json::from_slice(&done.stdout).unwrap_or_else(|cause| panic!("{}: {cause}", done.told("has no result")))
    }

    fn wait_for(&self, counter: &str, at_least: u64) {
        let question = json!({ "counter": counter, "atLeast": at_least, "seconds": 100 });
        let _ = self.0.identity.ask("await", &question);
    }

    /// Waits until a sandbox has the token that its login has.
    fn has_newest(&self, sandbox: &SandboxInfo, login: &Path) -> String {
        until("the newest token", || {
            let (newest, inside) = (login_in(login), self.inside(sandbox));
            let is_same = newest["accessToken"].is_string() && newest["accessToken"] == inside["accessToken"];
            is_same.then(|| inside["accessToken"].as_str().expect("a token").to_owned())
        })
    }

    /// Nothing that renews a login is anywhere in a sandbox's home.
    fn holds_no_refresh_token(&self, sandbox: &SandboxInfo) {
        assert_eq!(self.inside(sandbox).get("refreshToken"), None);
        let secrets = self.0.identity.ask("secrets", &json!({}));
        let all = secrets.as_array().into_iter().flatten().filter(|secret| secret["kind"] == "refresh");
        for value in all.filter_map(|secret| secret["value"].as_str()) {
            let found = Command::new("grep").args(["-rlF", "--", value]).arg(self.0.world.home_of(sandbox)).output();
            assert_eq!(String::from_utf8_lossy(&found.expect("there is a grep").stdout), "");
        }
    }
}

impl Drop for Renewing {
    /// A test that failed shows what the daemon did.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = fs::read_dir(self.0.world.state().join("logs")).into_iter().flatten().flatten();
            logs.for_each(|log| eprintln!("{}", fs::read_to_string(log.path()).unwrap_or_default()));
        }
    }
}

fn login_in(directory: &Path) -> Value {
    let text = fs::read_to_string(directory.join(".credentials.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).unwrap_or_default()["claudeAiOauth"].take()
}

#[test]
fn two_sandboxes_go_on_while_the_one_login_is_renewed() {
    let renewing = Renewing::new(|_, _| ());
    renewing.0.sign_in();
    renewing.choose_token("loginHome");
    let login = renewing.0.world.state().join("logins/default/.claude");
    let sandboxes = SESSIONS.map(|session| renewing.start(session));
    let mut tokens = Vec::new();
    for round in 0..3 {
        let before = renewing.0.identity.count("refreshes");
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
    assert_eq!((renewing.0.identity.count("reuseDetections"), renewing.0.identity.count("refusedRefreshes")), (0, 0));
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
    renewing.0.sign_in();
    renewing.choose_token("loginHome");
    let login = renewing.0.world.state().join("logins/default/.claude");
    let sandbox = renewing.start(SESSIONS[0]);
    let before = renewing.has_newest(&sandbox, &login);
    let asked = renewing.0.identity.count("tunnels");
    let _ = renewing.0.identity.ask("fault", &json!({ "on": "refresh", "times": 1, "kind": "slow", "ms": 3000 }));
    let filter = renewing.0.world.filter().expect("there is a daemon");
    let renewal = until("a renewal", || docker::containers_of("renewal", &filter).pop());
    // It has asked, and has no answer yet.
    renewing.wait_for("tunnels", asked + 1);
    renewing.0.world.kill_daemon();
    assert!(docker::inspect(&renewal).is_some(), "claude goes on without the daemon");

    let _ = renewing.0.world.boxwood(["list"]).run().ok();
    let after = until("the token that came meanwhile", || {
        let token = login_in(&login)["accessToken"].as_str().unwrap_or_default().to_owned();
        (token != before && !token.is_empty()).then_some(token)
    });
    assert_ne!(after, before);
    let _ = renewing.has_newest(&sandbox, &login);
    renewing.works(SESSIONS[0]);
    until("the end of what was left", || docker::containers_of("renewal", &filter).is_empty().then_some(()));
    renewing.holds_no_refresh_token(&sandbox);
    assert_eq!((renewing.0.identity.count("reuseDetections"), renewing.0.identity.count("refusedRefreshes")), (0, 0));
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
    let login = renewing.0.world.home().join(".claude");
    fs::create_dir_all(&login).expect("a directory");
    let issued = json!({ "claudeAiOauth": renewing.0.identity.ask("issue", &json!({})) });
    fs::write(login.join(".credentials.json"), issued.to_string()).expect("written");
    renewing.choose_token("hostLogin");
    let sandbox = renewing.start(SESSIONS[0]);
    let first = renewing.has_newest(&sandbox, &login);
    renewing.works(SESSIONS[0]);
    let refreshes = renewing.0.identity.count("refreshes");
    renewing.wait_for("refreshes", refreshes + 1);
    until("another token", || (renewing.has_newest(&sandbox, &login) != first).then_some(()));
    renewing.works(SESSIONS[0]);
    renewing.holds_no_refresh_token(&sandbox);
    assert_eq!(renewing.0.identity.count("reuseDetections"), 0);

    // Signed out there, nothing is handed out any more, and the sandbox is told why.
    let _ = renewing.0.identity.ask("revoke", &json!({ "what": "refresh" }));
    let status = until("the end of the login", || {
        let status = renewing.status(&sandbox);
        (status.health == CredentialHealth::Expired).then_some(status)
    });
    assert!(status.next_step.is_some(), "{status:?}");
    assert_ne!(renewing.inside(&sandbox)["accessToken"], json!(""));
}
