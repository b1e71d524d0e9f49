//! A key in a keyring that is locked while sandboxes work with it: what they hold stays, it is said what is wrong, and
//! once it is open everything goes on.

use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::keyring::Keyring;
use boxwood_protocol::credentials::{CredentialHealth, CredentialMode, CredentialSource};
use boxwood_protocol::params::EnsureResult;
use boxwood_protocol::sandbox::SandboxDetail;
use serde_json::json;

const NEXT_STEP: &str = "unlock the keyring and try again";

/// A sandbox that works with a key from the keyring.
fn working() -> (Keyring, Realm) {
    let keyring = Keyring::new();
    let realm = Realm::with(|world| {
        keyring.serve(world);
        Vec::new()
    });
    realm.keep("api-key", &realm.identity.key());
    assert!(!realm.world.state().join("credentials/api-key").exists(), "it is in the keyring");
    let _ = realm.start();
    realm.works("", "with-the-key");
    (keyring, realm)
}

#[track_caller]
fn is_locked(realm: &Realm) {
    let status = realm.status();
    assert_eq!((status.health, status.next_step.as_deref()), (CredentialHealth::Unreadable, Some(NEXT_STEP)));
}

#[track_caller]
fn is_open(realm: &Realm) {
    let status = realm.status();
    let held = (status.health, status.source, status.mode);
    let expected = (CredentialHealth::Ok, Some(CredentialSource::StoredKey), Some(CredentialMode::Brokered));
    assert_eq!(held, expected, "{status:?}");
}

fn container(realm: &Realm) -> String {
    realm.world.boxwood(["inspect", "--json"]).run().json::<SandboxDetail>().container_id
}

#[test]
fn what_a_running_sandbox_holds_stays_while_the_keyring_is_locked() {
    let (keyring, realm) = working();
    let before = container(&realm);
    keyring.lock();
    is_locked(&realm);
    realm.works("", "while-it-is-locked");
    let _ = realm.world.boxwood(["restart", "--json"]).run().ok();
    assert_eq!(container(&realm), before, "nothing has changed for which it would have to be another one");
    realm.works("", "started-anew");
    let _ = realm.world.boxwood(["refresh", "--json"]).run().ok();
    realm.connect();
    realm.works("", "made-anew");
    // The next daemon cannot have it, and the gateway has it still.
    realm.world.kill_daemon();
    is_locked(&realm);
    realm.works("", "with-another-daemon");
    keyring.unlock();
    is_open(&realm);
    realm.works("", "once-it-is-open");
}

#[test]
fn a_sandbox_that_was_started_while_the_keyring_was_locked_works_once_it_is_open() {
    let (keyring, realm) = working();
    let before = container(&realm);
    let _ = realm.world.boxwood(["stop", "--json"]).run().ok();
    keyring.lock();
    let warnings = realm.world.boxwood(["start", "--json"]).run().json::<EnsureResult>().warnings;
    assert!(warnings.iter().any(|warning| warning.contains(NEXT_STEP)), "{warnings:?}");
    assert_eq!(container(&realm), before, "it is the same one");
    is_locked(&realm);
    // Nobody starts it again: a request that is refused has the key fetched, and claude tries until it is there.
    let refused = json!({ "counter": "requests.messages", "atLeast": realm.presented().len() + 1, "seconds": 60 });
    let asking = realm.asking("", "say asked-while-it-was-locked").spawn();
    let _ = realm.identity.ask("await", &refused);
    keyring.unlock();
    is_open(&realm);
    assert_eq!(asking.wait().ok().out().trim(), "asked-while-it-was-locked", "{:#?}", realm.seen());
    realm.works("", "without-a-start");
}

#[test]
fn a_keyring_that_goes_with_the_persons_session_takes_nothing_with_it() {
    let (keyring, realm) = working();
    let before = container(&realm);
    drop(keyring);
    let status = realm.status();
    assert_eq!(status.health, CredentialHealth::Unreadable, "{status:?}");
    assert!(status.next_step.is_some_and(|step| step.contains("so that the keyring answers")));
    let _ = realm.world.boxwood(["restart", "--json"]).run().ok();
    assert_eq!(container(&realm), before);
    realm.works("", "without-a-keyring");
    // What the person ends is ended all the same, and does not come back with it.
    let _ = realm.world.boxwood(["credentials", "sign-out", "stored-key", "--json"]).run().ok();
    assert_eq!(realm.status().health, CredentialHealth::SignedOut);
    let _ = realm.is_refused("");
}
