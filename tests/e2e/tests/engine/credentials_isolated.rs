//! Signed in once: the real claude in several sandboxes that hold their login as 'isolated', which is one login in one login
//! home on the host.

mod ending;
mod hostile;
mod older;

use std::fs;
use std::path::PathBuf;

use boxwood_e2e::cli::Finished;
use boxwood_e2e::docker;
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::until;
use boxwood_protocol::credentials::{CredentialMode, CredentialSource, CredentialsStatus};
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::params::{EnsureAction, EnsureResult};
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};
use serde_json::{Value, json};

use crate::login::Signing;

/// Seconds of an access token that claude renews whenever it looks at it.
const NEARLY_OVER: u64 = 240;
const HOURS: u64 = 8 * 3600;
/// Where the login home is inside.
const INSIDE: &str = "/var/lib/boxwood/login";

impl Signing {
    /// Sandboxes that reach the imitation as the sign-in does.
    fn with_sandboxes() -> Self {
        let signing = Self::with(|world| world.set("BOXWOOD_KEYRING", "file"));
        signing.world.configure(&json!({ "network": "open", "env": { "HTTPS_PROXY": signing.identity.proxy } }));
        signing
    }

    fn start_session(&self, session: &str, further: &[&str]) -> EnsureResult {
        self.world.start_with([&["--session", session], further].concat())
    }

    fn ask_in(&self, session: &str, question: &str) -> Finished {
        self.world.boxwood(["exec", "--session", session, "--", "claude", "-p", question]).run()
    }

    /// Claude completes a turn.
    #[track_caller]
    fn works_in(&self, session: &str) {
        assert_eq!(self.ask_in(session, "say hello").ok().out().trim(), "hello", "{session}");
    }

    fn sh_in(&self, session: &str, script: &str) -> Finished {
        self.world.boxwood(["exec", "--session", session, "--", "sh", "-c", script]).run()
    }

    fn storage(&self, home: &str) -> PathBuf {
        self.world.state().join("logins").join(home).join(".claude")
    }

    fn login(&self, home: &str) -> Value {
        let text = fs::read(self.storage(home).join(".credentials.json")).expect("a login");
        serde_json::from_slice::<Value>(&text).expect("whole")["claudeAiOauth"].take()
    }

    fn sandbox(&self, session: &str) -> SandboxInfo {
        self.world.list().into_iter().find(|sandbox| sandbox.session == session).expect("it is there")
    }

    /// Also of one that is not well, which the status of the call says.
    fn status_of(&self, session: &str) -> CredentialsStatus {
        let id = self.sandbox(session).id;
        let asked = self.world.boxwood(["credentials", "status", "--json", "--sandbox", &id]).run();
        serde_json::from_slice(&asked.stdout).unwrap_or_else(|cause| panic!("{cause}: {}", asked.told("says nothing")))
    }

    /// What the engine says of the mounts and of the environment of a session's container.
    fn inspected(&self, session: &str) -> String {
        docker::inspect(&self.sandbox(session).container).expect("it is there").to_string()
    }

    fn lasts(&self, seconds: u64) {
        let _ = self.identity.ask("settings", &json!({ "accessSeconds": seconds }));
    }

    /// Nobody was logged out, and no refresh token was shown twice.
    #[track_caller]
    fn nobody_is_logged_out(&self) {
        for counter in ["reuseDetections", "graceRefreshes", "refusedRefreshes"] {
            assert_eq!(self.identity.count(counter), 0, "{counter}");
        }
    }
}

#[test]
fn who_signed_in_once_is_signed_in_in_every_sandbox_even_when_all_renew_at_once() {
    let signing = Signing::with_sandboxes();
    signing.lasts(NEARLY_OVER);
    signing.sign_in();
    let _ = (signing.start_session("one", &[]), signing.start_session("two", &[]));
    let first = signing.login("default");
    signing.works_in("one");
    let renewed = signing.login("default");
    assert_ne!(first["refreshToken"], renewed["refreshToken"], "the one renewed it");
    signing.works_in("two");
    let refreshes = signing.identity.count("refreshes");
    assert!(refreshes >= 2, "{refreshes}");
    for _ in 0..2 {
        let at_once: Vec<_> = ["one", "two", "one", "two"]
            .map(|session| {
                let words = ["exec", "--session", session, "--", "claude", "-p", "say at-once"];
                signing.world.boxwood(words).spawn()
            })
            .into();
        for running in at_once {
            assert_eq!(running.wait().ok().out().trim(), "at-once");
        }
    }
    assert!(signing.identity.count("refreshes") > refreshes);
    // What lasts is renewed once, and the other finds it.
    signing.lasts(HOURS);
    signing.works_in("one");
    let refreshes = signing.identity.count("refreshes");
    signing.works_in("two");
    signing.works_in("one");
    assert_eq!(signing.identity.count("refreshes"), refreshes);
    signing.nobody_is_logged_out();
    assert_eq!(signing.identity.count("signIns"), 1);

    // Nobody else holds it: not the homes, and nothing that the engine shows.
    let token = signing.login("default")["refreshToken"].as_str().expect("a token").to_owned();
    for session in ["one", "two"] {
        let inside = format!("grep -rl -- '{token}' ~ {INSIDE} 2>/dev/null");
        assert_eq!(signing.sh_in(session, &inside).out(), format!("{INSIDE}/.claude/.credentials.json\n"));
        assert!(!signing.inspected(session).contains(&token));
        let status = signing.status_of(session);
        assert_eq!((status.source, status.mode), (Some(CredentialSource::LoginHome), Some(CredentialMode::Isolated)));
        assert_eq!(status.account.and_then(|account| account.email).as_deref(), Some("ada@example.test"));
    }
}

#[test]
fn a_login_outlives_the_container_the_image_and_the_runtime() {
    let signing = Signing::with_sandboxes();
    signing.sign_in();
    let _ = signing.start_session("one", &[]);
    signing.works_in("one");
    let again = |verb: &str| {
        let _ = signing.world.boxwood([verb, "--session", "one", "--json"]).run().ok();
    };
    again("stop");
    assert_eq!(signing.start_session("one", &[]).action, EnsureAction::Started);
    signing.works_in("one");
    again("restart");
    signing.works_in("one");
    again("refresh");
    signing.works_in("one");
    // Another C library, so another runtime volume.
    let refreshed: EnsureResult = signing
        .world
        .boxwood(["refresh", "--session", "one", "--json", "--image", docker::ensure_musl_image()])
        .run()
        .json();
    assert_eq!(refreshed.action, EnsureAction::Recreated);
    signing.works_in("one");
    again("remove");
    let _ = signing.start_session("one", &[]);
    signing.works_in("one");
    let _ = signing.world.boxwood(["remove", "--session", "one", "--purge-state", "--yes", "--json"]).run().ok();
    let _ = signing.start_session("one", &[]);
    signing.works_in("one");
    signing.nobody_is_logged_out();
    assert_eq!(signing.identity.count("signIns"), 1);
}

#[test]
fn a_change_of_the_mode_changes_what_is_mounted_and_back() {
    let signing = Signing::with_sandboxes();
    signing.sign_in();
    let _ = signing.start_session("one", &[]);
    let _ = signing.sh_in("one", "echo kept >~/note").ok();
    signing.works_in("one");
    assert!(signing.inspected("one").contains(INSIDE));
    let mode = |mode: &str| -> CredentialsStatus {
        signing
            .world
            .boxwood(["credentials", "mode", mode, "--json", "--yes", "--sandbox", &signing.sandbox("one").id])
            .run()
            .json()
    };
    let told = mode("token");
    assert!(told.warnings.iter().any(|warning| warning.contains("made anew")), "{told:?}");
    let inspected = signing.inspected("one");
    assert!(!inspected.contains(INSIDE) && !inspected.contains("CLAUDE_SECURESTORAGE_CONFIG_DIR"), "{inspected}");
    let refresh = signing.login("default")["refreshToken"].as_str().expect("a token").to_owned();
    let search = format!("ls -A {INSIDE}; grep -rl -- '{refresh}' ~ /var/lib; cat ~/note");
    assert_eq!(signing.sh_in("one", &search).out(), "kept\n");
    signing.works_in("one");

    // Also of one that does not run, which stays so.
    let _ = signing.world.boxwood(["stop", "--session", "one", "--json"]).run().ok();
    let told = mode("isolated");
    assert!(told.warnings.iter().any(|warning| warning.contains("made anew")), "{told:?}");
    assert_eq!(signing.sandbox("one").state, SandboxState::Stopped);
    assert!(signing.inspected("one").contains(INSIDE));
    assert_eq!(signing.start_session("one", &[]).action, EnsureAction::Started);
    assert_eq!(signing.sh_in("one", "cat ~/note; test -e ~/.claude/.credentials.json").out(), "kept\n");
    signing.works_in("one");
    signing.nobody_is_logged_out();
}

#[test]
fn a_source_that_appears_or_goes_before_a_start_leads_to_the_right_mounts() {
    let signing = Signing::with_sandboxes();
    let _ = signing.start_session("one", &[]);
    assert!(signing.inspected("one").contains(INSIDE));
    let _ = signing.world.boxwood(["stop", "--session", "one", "--json"]).run().ok();
    let key =
        |verb: &[&str]| signing.world.boxwood([&["credentials"], verb].concat()).input("sk-ant-api03-x").run().ok();
    let _ = key(&["set", "api-key"]);
    let started = signing.start_session("one", &[]);
    assert_eq!(started.action, EnsureAction::Recreated);
    assert!(!signing.inspected("one").contains(INSIDE));
    let _ = key(&["sign-out", "stored-key"]);
    let restarted = signing.world.boxwood(["restart", "--session", "one", "--json"]).run().ok();
    assert!(signing.inspected("one").contains(INSIDE), "{}", restarted.out());
}

#[test]
fn whoever_takes_the_login_away_waits_for_a_claude_that_renews_it() {
    let signing = Signing::with_sandboxes();
    signing.lasts(NEARLY_OVER);
    signing.sign_in();
    let _ = signing.start_session("one", &[]);
    let before = signing.login("default");
    let _ = signing.identity.ask("fault", &json!({ "on": "refresh", "times": 1, "kind": "stall" }));
    let renewing = signing.world.boxwood(["exec", "--session", "one", "--", "claude", "-p", "say hello"]).spawn();
    let _ = signing.identity.ask("await", &json!({ "counter": "requests.refresh", "atLeast": 1, "seconds": 60 }));
    assert!(signing.storage("default").join(".oauth_refresh.lock").is_dir(), "it holds the lock where all find it");
    signing.lasts(HOURS);
    let id = signing.start();
    signing.give(&id, &signing.identity.sign_in(&signing.asked(&id)));
    until("the end of the container in which somebody signs in", || signing.containers().is_empty().then_some(()));
    assert_eq!(signing.login("default"), before, "nothing is put there while claude renews what is there");
    let _ = signing.identity.ask("clear", &json!({}));
    let end = signing.end(&id);
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    // Had claude written afterwards, the new login would be gone.
    let after = signing.login("default");
    assert_eq!(signing.identity.count("signIns"), 2);
    let _ = renewing.wait();
    assert_ne!(before["refreshToken"], after["refreshToken"]);
    let replaced = signing.world.state().join("logins/.replaced-default/.credentials.json");
    let replaced: Value = serde_json::from_slice(&fs::read(replaced).expect("it is kept")).expect("whole");
    assert_ne!(replaced["claudeAiOauth"]["refreshToken"], before["refreshToken"], "the one before was renewed first");
    assert_eq!(signing.login("default")["refreshToken"], after["refreshToken"]);
    signing.works_in("one");
    signing.nobody_is_logged_out();
}

/// Signs in inside, on the terminal of one sandbox.
fn sign_in_inside(signing: &Signing, session: &str) {
    let mut terminal = Terminal::sized(&signing.world, &format!("attach --session {session}"), 800);
    terminal.wait_for("Not logged in");
    terminal.press(b"/login");
    terminal.wait_for("/login");
    terminal.press(b"\r");
    terminal.wait_for("Claude account with subscription");
    terminal.press(b"\r");
    terminal.wait_for("Paste code here");
    let shown = terminal.shown();
    let from = shown.rfind("https://claude.com/cai/oauth/authorize").expect("an address");
    let url = shown[from..].split_whitespace().next().expect("an address").to_owned();
    terminal.press(signing.identity.sign_in(&url).as_bytes());
    // What is pasted shows as stars; the Enter key belongs to it before they do.
    terminal.wait_for(&"*".repeat(40));
    terminal.press(b"\r");
    terminal.wait_for("Login successful");
}

#[test]
fn who_signs_in_inside_one_sandbox_is_signed_in_in_the_others_and_signs_out_of_all() {
    let signing = Signing::with_sandboxes();
    let _ = (signing.start_session("one", &[]), signing.start_session("two", &[]));
    let refused = signing.ask_in("two", "say hello");
    assert!(refused.out().contains("Not logged in"), "{}", refused.told("says something else"));
    sign_in_inside(&signing, "one");
    signing.works_in("two");
    signing.works_in("one");
    let _ = signing.start_session("three", &[]);
    signing.works_in("three");
    assert_eq!(signing.identity.count("signIns"), 1);
    let status = signing.status_of("two");
    assert_eq!((status.source, status.mode), (Some(CredentialSource::LoginHome), Some(CredentialMode::Isolated)));
    let whose = signing.status_of("one").account.and_then(|account| account.email);
    assert_eq!(whose.as_deref(), Some("ada@example.test"));

    let _ = signing.world.boxwood(["credentials", "sign-out", "login-home"]).run().ok();
    for session in ["one", "two", "three"] {
        let refused = signing.ask_in(session, "say hello");
        assert!(refused.out().contains("Not logged in"), "{}", refused.told("says something else"));
    }
    signing.nobody_is_logged_out();
}

#[test]
fn what_a_sandbox_puts_into_the_login_home_leads_nowhere_and_is_told() {
    let signing = Signing::with_sandboxes();
    signing.sign_in();
    let _ = signing.start_session("one", &[]);
    let outside = signing.world.root().join("outside.json");
    fs::write(
        &outside,
        r#"{"claudeAiOauth":{"accessToken":"of-the-host","refreshToken":"r","scopes":["user:inference"]}}"#,
    )
    .expect("written");
    let before = fs::read_to_string(&outside).expect("there");
    let link = format!("ln -sf {} {INSIDE}/.claude/.credentials.json", outside.display());
    let whole = format!(
        "rm -rf {INSIDE}/.claude; rmdir {INSIDE}/.claude; mv {INSIDE}/.claude {INSIDE}/x; ls -Ad {INSIDE}/.claude"
    );
    assert_eq!(signing.sh_in("one", &whole).out(), format!("{INSIDE}/.claude\n"), "the directory stays what it is");
    assert!(signing.storage("default").is_dir() && !signing.storage("default").is_symlink());

    let problem_with = |script: &str| {
        let _ = signing.sh_in("one", script).ok();
        let status = signing.status_of("one");
        let said = format!("{status:?}");
        assert!(!said.contains("of-the-host"), "{said}");
        let login =
            status.sources.iter().find(|report| report.source == CredentialSource::LoginHome).expect("a report");
        assert_eq!(login.reason, "it cannot be read", "{script}: {said}");
        assert!(said.contains(".credentials.json"), "it is named: {said}");
    };
    problem_with(&link);
    for script in [
        format!("rm -f {INSIDE}/.claude/.credentials.json; mkfifo {INSIDE}/.claude/.credentials.json"),
        format!("rm -f {INSIDE}/.claude/.credentials.json; truncate -s 5G {INSIDE}/.claude/.credentials.json"),
        format!(
            "echo '{{\"claudeAiOauth\"' >{INSIDE}/.claude/n; mv {INSIDE}/.claude/n {INSIDE}/.claude/.credentials.json"
        ),
    ] {
        problem_with(&script);
    }
    // The person signs in again, or out, whatever is there.
    let _ = signing.sh_in("one", &link).ok();
    signing.sign_in();
    signing.works_in("one");
    let _ = signing.sh_in("one", &link).ok();
    let _ = signing.world.boxwood(["credentials", "sign-out", "login-home"]).run().ok();
    assert!(!signing.storage("default").join(".credentials.json").is_symlink());
    assert_eq!(fs::read_to_string(&outside).expect("there"), before);
}
