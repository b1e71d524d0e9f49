//! The real claude finishes turns through the gateway in every mode, while what it works with ends, is renewed, is taken
//! back and is replaced.

mod brokered;
mod elsewhere;
mod own;
mod token;

use boxwood_e2e::identity_realm::Realm;
use serde_json::json;

fn valid(kind: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), "valid".to_owned())]
}

/// What claude works with ends by `verb`; a question that is refused for it is answered once there is another.
#[track_caller]
fn replaced_in_flight(realm: &Realm, verb: &str, what: &str, replace: impl FnOnce()) {
    let _ = realm.identity.ask(verb, &json!({ "what": what }));
    let before = realm.presented().len();
    let asking = realm.asking("", "say asked-while-it-was-replaced").spawn();
    let refused = json!({ "counter": "requests.messages", "atLeast": before + 1, "seconds": 60 });
    let _ = realm.identity.ask("await", &refused);
    replace();
    let done = asking.wait().ok();
    assert_eq!(done.out().trim(), "asked-while-it-was-replaced", "{:#?}", realm.seen());
    let presented = realm.presented();
    assert!(
        presented[before].iter().all(|(_, state)| state != "valid"),
        "the first attempt was refused: {presented:?}"
    );
    assert!(presented.iter().flatten().all(|(_, state)| state != "unknown"), "a placeholder went out: {presented:?}");
}
