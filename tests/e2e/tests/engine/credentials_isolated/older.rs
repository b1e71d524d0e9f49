//! Sandboxes of an older version, which had no login homes: a login stands in the sandbox's own home, and its container has
//! nothing mounted. Such a login moves to a login home when its container is replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use boxwood_e2e::cli::signal;
use boxwood_e2e::identity_realm::stored;
use boxwood_e2e::until;
use boxwood_e2e::world::is_alive;
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialSource};
use boxwood_protocol::params::EnsureAction;
use serde_json::{Value, json};

use super::INSIDE;
use crate::login::Signing;

/// How many moments a kill is tried at.
const MOMENTS: u32 = 3;

/// Writes a file for its owner alone, whole.
fn put(path: &Path, contents: &Value) {
    let new = path.with_extension("new");
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(&new, contents.to_string()).expect("written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("set");
    fs::rename(new, path).expect("renamed");
}

fn changed(path: &Path, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let mut contents: Value = serde_json::from_slice(&fs::read(path).expect("there")).expect("whole");
    change(contents.as_object_mut().expect("an object"));
    put(path, &contents);
}

impl Signing {
    fn claude_home(&self, session: &str) -> PathBuf {
        self.world.home_of(&self.sandbox(session)).join(".claude")
    }

    /// Makes the sandbox of a session one of an older version, that runs and holds this login. One that holds a key has
    /// nothing mounted either, so its container is what theirs were.
    fn make_older(&self, session: &str, login: &Value) {
        let _ = self.world.boxwood(["credentials", "set", "api-key"]).input("sk-ant-api03-of-another-time").run().ok();
        let started = self.start_session(session, &[]);
        if started.action == EnsureAction::Attached {
            let _ = self.world.boxwood(["restart", "--session", session, "--json"]).run().ok();
        }
        assert!(!self.inspected(session).contains(INSIDE), "{:?}", started.action);
        let _ = self.world.boxwood(["daemon", "stop"]).run().ok();
        let own = self.world.state().join("sandboxes").join(&started.sandbox.id);
        fs::remove_file(own.join("credentials.json")).expect("traces of the key");
        fs::remove_file(self.world.state().join("credentials/api-key")).expect("the key");
        changed(&own.join("sandbox.json"), |record| drop(record.remove("held")));
        let claude = own.join("home/.claude");
        fs::remove_file(claude.join(".boxwood-key")).expect("the key inside");
        changed(&claude.join("settings.json"), |settings| drop(settings.remove("apiKeyHelper")));
        put(&claude.join(".credentials.json"), &json!({ "claudeAiOauth": login, "mcpOAuth": { "own": 1 } }));
        let _ = self.world.list();
    }

    /// Where a refresh token stands: in the sandbox's home, and in login homes.
    fn places(&self, session: &str, token: &Value) -> (bool, Vec<String>) {
        self.places_of(&self.claude_home(session), token)
    }

    /// The same without a daemon, which might move it meanwhile.
    fn places_of(&self, own: &Path, token: &Value) -> (bool, Vec<String>) {
        let has = |home: &Path| &stored(home)["refreshToken"] == token;
        let logins = fs::read_dir(self.world.state().join("logins")).into_iter().flatten().flatten();
        let mut homes: Vec<String> = logins
            .filter(|entry| has(&entry.path().join(".claude")))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        homes.sort();
        (has(own), homes)
    }

    /// The session holds a login of its own from a login home, and works.
    #[track_caller]
    fn is_isolated(&self, session: &str) {
        let status = self.status_of(session);
        assert_eq!(
            (status.source, status.mode, status.health),
            (Some(CredentialSource::LoginHome), Some(CredentialMode::Isolated), CredentialHealth::Ok),
            "{status:?}"
        );
        assert!(self.inspected(session).contains(INSIDE));
        self.works_in(session);
    }
}

fn in_default(is_in_home: bool) -> (bool, Vec<String>) {
    (is_in_home, vec!["default".to_owned()])
}

#[test]
fn a_login_of_an_older_version_moves_once_and_is_everybodys() {
    let signing = Signing::with_sandboxes();
    let login = signing.identity.issue();
    signing.make_older("one", &login);
    let token = &login["refreshToken"];
    assert_eq!(signing.places("one", token), (true, Vec::new()));

    // It goes on as it is, until its container is replaced: by a start when it does not run, or by a restart.
    assert_eq!(signing.start_session("one", &[]).action, EnsureAction::Attached);
    signing.works_in("one");
    assert_eq!(signing.places("one", token), (true, Vec::new()));
    let _ = signing.world.boxwood(["stop", "--session", "one", "--json"]).run().ok();
    assert_eq!(signing.start_session("one", &[]).action, EnsureAction::Recreated);
    assert_eq!(signing.places("one", token), in_default(false));
    signing.is_isolated("one");
    let file = fs::metadata(signing.storage("default").join(".credentials.json")).expect("there");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);

    // What is renewed is what everybody has, and nothing ever goes back.
    let _ = signing.identity.ask("expire", &json!({ "what": "access" }));
    signing.works_in("one");
    let renewed = signing.login("default")["refreshToken"].clone();
    assert_ne!(&renewed, token);
    let _ = signing.start_session("two", &[]);
    signing.is_isolated("two");
    let _ = signing.world.boxwood(["restart", "--session", "one", "--json"]).run().ok();
    assert_eq!(signing.places("one", &renewed), in_default(false));
    signing.is_isolated("one");
    signing.nobody_is_logged_out();
    assert_eq!(signing.identity.count("signIns"), 0);
}

#[test]
fn a_login_of_an_older_version_takes_the_place_of_no_other() {
    let signing = Signing::with_sandboxes();
    signing.sign_in();
    let everybodys = signing.login("default")["refreshToken"].clone();
    let own = signing.identity.issue();
    signing.make_older("one", &own);
    let id = signing.sandbox("one").id;
    let _ = signing.world.boxwood(["restart", "--session", "one", "--json"]).run().ok();
    assert_eq!(signing.places("one", &everybodys), in_default(false), "the person's stays where it is");
    assert_eq!(signing.places("one", &own["refreshToken"]), (false, vec![id.clone()]), "the sandbox keeps its own");
    signing.is_isolated("one");

    // One of the same account that was renewed where logins are now is newer than what is found in the home once more.
    let _ = signing.identity.ask("expire", &json!({ "what": "access" }));
    signing.works_in("one");
    let renewed = signing.login(&id)["refreshToken"].clone();
    assert_ne!(renewed, own["refreshToken"]);
    signing.make_older("one", &own);
    let _ = signing.world.boxwood(["restart", "--session", "one", "--json"]).run().ok();
    assert_eq!(signing.places("one", &renewed), (false, vec![id]));
    assert_eq!(signing.places("one", &own["refreshToken"]), (false, Vec::new()), "what is over is nowhere");
    signing.is_isolated("one");
    let _ = signing.start_session("two", &[]);
    signing.is_isolated("two");
    let everybodys = signing.login("default")["refreshToken"].clone();
    assert_eq!(signing.places("two", &everybodys), in_default(false));
    signing.nobody_is_logged_out();
}

#[test]
fn a_login_of_an_older_version_is_in_one_place_whenever_the_daemon_is_killed() {
    let signing = Signing::with_sandboxes();
    signing.make_older("one", &signing.identity.issue());
    let restart = ["restart", "--session", "one", "--json"];
    let begun = Instant::now();
    let _ = signing.world.boxwood(restart).run().ok();
    let whole = begun.elapsed();
    signing.is_isolated("one");
    for moment in (1..=MOMENTS).map(|at| whole * at / MOMENTS) {
        let login = signing.identity.issue();
        fs::remove_dir_all(signing.world.state().join("logins")).expect("there");
        signing.make_older("one", &login);
        let (pid, home) = (signing.world.daemon().expect("it runs").pid, signing.claude_home("one"));
        let call = signing.world.boxwood(restart).spawn();
        // The moment itself is what is tested; nothing announces it.
        std::thread::sleep(moment);
        signal(pid, "KILL");
        until("the daemon's death", || (!is_alive(pid)).then_some(()));
        let (is_in_home, homes) = signing.places_of(&home, &login["refreshToken"]);
        assert_eq!(homes.len() + usize::from(is_in_home), 1, "{moment:?}: {is_in_home}, {homes:?}");
        drop(call.wait());
        let _ = signing.world.list();
        until("the repair", || {
            let journal = fs::read_dir(signing.world.state().join("journal")).map(Iterator::count).unwrap_or_default();
            (journal == 0 && signing.world.containers().len() == 1).then_some(())
        });
        let _ = signing.start_session("one", &[]);
        signing.works_in("one");
        let _ = signing.world.boxwood(restart).run().ok();
        signing.is_isolated("one");
        assert_eq!(signing.places("one", &login["refreshToken"]), in_default(false), "{moment:?} of {whole:?}");
    }
    signing.nobody_is_logged_out();
}
