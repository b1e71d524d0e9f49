//! The API fails, is slow and breaks off behind the gateway, as it does for anybody: the turn of the real claude ends well, or
//! with words that say what was wrong, and what the sandbox works with is as good as before.

use boxwood_e2e::Finished;
use boxwood_e2e::identity_realm::Realm;
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialSource};
use serde_json::{Value, json};

/// Words enough that an answer is streamed in many pieces.
const WORDS: usize = 60;

/// What goes wrong once or twice and is over: its name, the fault, and how often the model is asked in the end.
fn passing() -> [(&'static str, Value, usize); 9] {
    let status = |status: u16| json!({ "times": 1, "kind": "status", "status": status });
    [
        (
            "too many requests",
            json!({ "times": 2, "kind": "status", "status": 429, "headers": { "retry-after": "1" } }),
            3,
        ),
        ("an error of the server", status(500), 2),
        ("a server out of order", status(503), 2),
        ("an overload", status(529), 2),
        ("a slow answer", json!({ "times": 1, "kind": "slow", "ms": 3000 }), 1),
        ("a connection that ends before the answer", json!({ "times": 1, "kind": "refuse" }), 2),
        ("an answer that is cut before its head", json!({ "times": 1, "kind": "cut", "bytes": 0 }), 2),
        ("an answer that is cut before its first word", json!({ "times": 1, "kind": "cut", "bytes": 100 }), 2),
        ("an answer that is cut between its words", json!({ "times": 1, "kind": "cut", "bytes": 1200 }), 2),
    ]
}

/// What lasts longer than claude's patience: its name, the fault, and what the words have to say.
fn lasting() -> [(&'static str, Value, &'static str); 5] {
    let status = |status: u16| json!({ "kind": "status", "status": status });
    [
        ("too many requests", json!({ "kind": "status", "status": 429, "headers": { "retry-after": "1" } }), "429"),
        ("an error of the server", status(500), "500"),
        ("an overload", status(529), "529"),
        ("a credential that is not taken for what it is", status(401), "401"),
        ("a connection that always ends", json!({ "kind": "refuse" }), "onnection"),
    ]
}

/// What a sandbox works with.
struct Held {
    realm: Realm,
    source: CredentialSource,
    mode: CredentialMode,
}

impl Held {
    /// A key, which the gateway has.
    fn key() -> Self {
        let realm = Realm::new();
        realm.keep("api-key", &realm.identity.key());
        let _ = realm.start();
        Self { realm, source: CredentialSource::StoredKey, mode: CredentialMode::Brokered }
    }

    /// An access token of a login that is renewed outside.
    fn token() -> Self {
        let realm = Realm::new();
        let _ = realm.world.list();
        realm.sign_in();
        realm.choose("token", "login-home");
        let _ = realm.start();
        Self { realm, source: CredentialSource::LoginHome, mode: CredentialMode::Token }
    }

    /// Has a question go wrong, by a claude that tries so often again. Gives what became of it, and how often the model was
    /// asked: each time with a credential that was good.
    fn asked(&self, what: &str, mut fault: Value, words: &str, retries: u8) -> (Finished, usize) {
        let realm = &self.realm;
        let before = realm.presented().len();
        fault["on"] = json!("messages");
        let _ = realm.identity.ask("fault", &fault);
        let variable = format!("CLAUDE_CODE_MAX_RETRIES={retries}");
        let done = realm.world.boxwood(["exec", "--", "env", &variable, "claude", "-p", words]).run();
        let _ = realm.identity.ask("clear", &json!({}));
        let presented = realm.presented().split_off(before);
        let is_good = presented.iter().all(|all| !all.is_empty() && all.iter().all(|(_, state)| state == "valid"));
        assert!(is_good, "{what}: {presented:?}");
        let status = realm.status();
        let is = (status.source, status.mode, status.health);
        assert_eq!(is, (Some(self.source), Some(self.mode), CredentialHealth::Ok), "after {what}: {status:?}");
        (done, presented.len())
    }

    /// What passes ends no turn.
    fn outlives_what_passes(&self) {
        for (at, (what, fault, times)) in passing().into_iter().enumerate() {
            let answer = format!("{}end-of-{at}", "word ".repeat(WORDS));
            let (done, asked) = self.asked(what, fault, &format!("say {answer}"), 4);
            assert_eq!((done.status, done.out().trim()), (0, answer.as_str()), "{}", done.told(what));
            assert_eq!(asked, times, "{what}: {:#?}", self.realm.seen());
        }
        self.nobody_was_logged_out();
    }

    /// What lasts ends the turn, with words that say what it was, and costs no more than the turn.
    fn outlives_what_lasts(&self) {
        for (what, fault, says) in lasting() {
            let (done, asked) = self.asked(what, fault, "say must-not-be-answered", 1);
            let told = done.out() + &done.err();
            assert!(done.status != 0 && told.contains(says), "{}", done.told(what));
            assert!(asked > 0, "{what}: the API was asked");
        }
        self.realm.works("", "after-all-of-it");
        self.nobody_was_logged_out();
    }

    fn nobody_was_logged_out(&self) {
        for counter in ["requests.refresh", "reuseDetections"] {
            assert_eq!(self.realm.identity.count(counter), 0, "{counter}: {:#?}", self.realm.seen());
        }
    }
}

#[test]
fn a_key_that_the_gateway_has_finishes_turns_whatever_passes() {
    Held::key().outlives_what_passes();
}

#[test]
fn a_key_that_the_gateway_has_outlives_turns_that_fail() {
    Held::key().outlives_what_lasts();
}

#[test]
fn a_token_inside_finishes_turns_whatever_passes() {
    Held::token().outlives_what_passes();
}

#[test]
fn a_token_inside_outlives_turns_that_fail() {
    Held::token().outlives_what_lasts();
}
