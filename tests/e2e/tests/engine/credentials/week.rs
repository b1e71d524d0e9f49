//! A week in twenty-one rounds of eight hours. In each of them every access token ends, and everybody works: three sandboxes
//! that hold logins in three ways, and Claude Code on the host. Some rounds have a network that lets them down.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use boxwood_e2e::identity_host::HostClaude;
use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::until;
use boxwood_e2e::world::program;
use serde_json::{Value, json};

/// The words by which claude goes on talking with a program for as long as that wants.
const TALKING: [&str; 6] = ["-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"];
const ROUNDS: u64 = 21;
const HOURS: u64 = 8;

/// A claude that runs the whole week; it ends with this.
struct Talk {
    child: Child,
    to: ChildStdin,
    from: RefCell<Lines<BufReader<ChildStdout>>>,
}

impl Talk {
    fn begin(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("claude starts");
        let (to, from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, to, from: RefCell::new(BufReader::new(from).lines()) }
    }

    /// In a sandbox of the realm.
    fn inside(realm: &Realm, session: &str) -> Self {
        let mut command = Command::new(program());
        command
            .args(["exec", "--session", session, "--", "claude"])
            .args(TALKING)
            .env_clear()
            .envs(realm.world.environment().iter().map(|(name, value)| (name, value)))
            .current_dir(realm.world.project());
        Self::begin(command)
    }

    /// Asks, without waiting for the answer.
    fn ask(&mut self, word: &str) {
        let content = json!([{ "type": "text", "text": format!("say {word}") }]);
        let message = json!({ "type": "user", "message": { "role": "user", "content": content } });
        writeln!(self.to, "{message}").and_then(|()| self.to.flush()).expect("claude listens");
    }

    /// The answer, or what went wrong.
    fn answer(&self) -> Result<String, String> {
        let mut from = self.from.borrow_mut();
        loop {
            let line = from.next().expect("claude goes on").expect("it can be read");
            let Ok(said) = serde_json::from_str::<Value>(&line) else { continue };
            if said["type"] == "result" {
                let text = said["result"].as_str().unwrap_or_default().to_owned();
                return if said["is_error"] == json!(false) { Ok(text) } else { Err(said.to_string()) };
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What goes wrong in a round, at the endpoint that renews.
fn fault(round: u64) -> Option<Value> {
    let fault = match round % 7 {
        1 => json!({ "on": "refresh", "times": 1, "kind": "status", "status": 503 }),
        3 => json!({ "on": "refresh", "times": 2, "kind": "slow", "ms": 1500 }),
        // The server has done what was asked, and nobody hears of it.
        4 => json!({ "on": "refresh", "times": 1, "kind": "cut", "bytes": 0 }),
        6 => json!({ "on": "refresh", "times": 1, "kind": "refuse" }),
        _ => return None,
    };
    Some(fault)
}

/// Has everybody of these work in this round, at the same time. Whoever a fault let down asks once more, as a person does.
fn all_work(realm: &Realm, round: u64, everybody: &mut [(&str, &mut Talk)]) {
    let word = |name: &str| format!("{name}-in-round-{round}");
    for (name, talk) in everybody.iter_mut() {
        talk.ask(&word(name));
    }
    let mut failed = Vec::new();
    for (name, talk) in everybody.iter_mut() {
        match talk.answer() {
            Ok(text) => assert_eq!(text.trim(), word(name)),
            Err(problem) => failed.push((*name, talk, problem)),
        }
    }
    for (name, talk, problem) in failed {
        assert!(fault(round).is_some(), "{name} failed in round {round}: {problem}\n{:#?}", realm.seen());
        talk.ask(&word(name));
        let again = talk.answer().unwrap_or_else(|problem| panic!("{name}, {round}: {problem}\n{:#?}", realm.seen()));
        // Claude Code may ask again what nobody answered, in one message with what is asked now.
        let answers = |line: &str| line.trim_start_matches("say ") == word(name);
        assert!(!again.is_empty() && again.trim().lines().all(answers), "{name}, {round}: {again}");
    }
}

#[test]
fn for_a_week_nobody_is_logged_out() {
    let realm = Realm::new();
    let host = HostClaude::new();
    realm.sign_in_host(&realm.identity.issue());
    let _ = realm.world.list();
    realm.sign_in();
    realm.choose("isolated", "login-home");
    let _ = realm.start_with(&["--session", "isolated"]);
    realm.choose("token", "login-home");
    let holder = realm.start_with(&["--session", "token"]);
    realm.choose("sync", "host-login");
    let copy = realm.start_with(&["--session", "sync"]);

    let mut isolated = Talk::inside(&realm, "isolated");
    let mut token = Talk::inside(&realm, "token");
    let mut sync = Talk::inside(&realm, "sync");
    let mut outside = Talk::begin(host.command(&realm, &TALKING));
    let valid = |token: &Value| realm.identity.state_of(token.as_str().unwrap_or_default()) == "valid";
    let mut lost = 0;
    for round in 0..ROUNDS {
        let _ = realm.identity.ask("advance", &json!({ "seconds": HOURS * 3600 }));
        let fault = fault(round);
        // Only an answer that was lost may be asked for again: whatever else presents a token a second time ends its login.
        let is_lost = fault.as_ref().is_some_and(|fault| fault["kind"] == "cut");
        lost += u64::from(is_lost);
        let _ = realm.identity.ask("settings", &json!({ "reuseGraceSeconds": if is_lost { 60 } else { 0 } }));
        if let Some(fault) = fault {
            let _ = realm.identity.ask("fault", &fault);
        }
        // Of the two sides of a login that is kept the same, the one or the other is first, or both are at once.
        let (first, second) = if round % 2 == 0 { (&mut outside, &mut sync) } else { (&mut sync, &mut outside) };
        let mut at_once = vec![("isolated", &mut isolated), ("first", first)];
        if round % 3 == 0 {
            at_once.push(("second", &mut *second));
        }
        all_work(&realm, round, &mut at_once);
        until("both sides have what was renewed", || {
            let (inside, out) = (realm.login_in(&copy), host.login(&realm));
            (inside["refreshToken"] == out["refreshToken"] && valid(&inside["accessToken"])).then_some(())
        });
        until("the renewed token is handed out", || valid(&realm.login_in(&holder)["accessToken"]).then_some(()));
        all_work(&realm, round, &mut [("token", &mut token), ("second", second)]);
        let _ = realm.identity.ask("clear", &json!({}));
    }
    drop((isolated, token, sync, outside));
    for counter in ["reuseDetections", "refusedRefreshes"] {
        assert_eq!(realm.identity.count(counter), 0, "{counter}: {:#?}", realm.seen());
    }
    assert_eq!(realm.identity.count("graceRefreshes"), lost, "{:#?}", realm.seen());
    assert!(realm.identity.count("refreshes") >= 2 * ROUNDS, "two logins were renewed in every round");
    assert_eq!(realm.identity.count("signIns"), 1);
    assert_eq!(realm.login_in(&holder).get("refreshToken"), None, "what renews it was never handed out");
    host.works(&realm, "still-signed-in");
}
