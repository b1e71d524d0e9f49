//! The sandbox holds what requests need, and nothing that renews it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use boxwood_e2e::identity_host::HostClaude;
use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::until;
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use boxwood_protocol::params::EnsureResult;
use serde_json::json;

use super::{replaced_in_flight, valid};

#[test]
fn a_key_is_in_a_file_that_is_replaced_with_it() {
    let realm = Realm::new();
    realm.keep("api-key", &realm.identity.key());
    realm.choose("token", "stored-key");
    let sandbox = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::StoredKey), Some(CredentialMode::Token)));
    realm.works("", "with-the-first-key");
    let mut second = String::new();
    replaced_in_flight(&realm, "revoke", "key", || {
        second = realm.identity.key();
        realm.keep("api-key", &second);
    });
    realm.works("", "with-the-second-key");
    let file = realm.world.home_of(&sandbox).join(".claude/.boxwood-key");
    assert_eq!(fs::read_to_string(&file).expect("there").trim(), second);
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    // Its helper gives it, and what a helper gives goes out in both forms.
    assert_eq!(realm.presented().last(), Some(&[valid("x-api-key"), valid("bearer")].concat()));
}

#[test]
fn a_token_of_setup_token_works_until_its_end_and_is_replaced() {
    let realm = Realm::new();
    realm.keep("setup-token", &realm.identity.setup_token());
    let sandbox = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::StoredLogin), Some(CredentialMode::Token)));
    realm.works("", "with-the-first-token");
    let mut second = String::new();
    replaced_in_flight(&realm, "expire", "access", || {
        second = realm.identity.setup_token();
        realm.keep("setup-token", &second);
    });
    realm.works("", "with-the-second-token");
    let login = realm.login_in(&sandbox);
    assert_eq!((&login["accessToken"], login.get("refreshToken")), (&json!(second), None));
    assert_eq!(realm.identity.count("requests.refresh"), 0, "nobody tried to renew it");
}

#[test]
fn the_hosts_login_is_handed_out_without_what_renews_it() {
    let realm = Realm::new();
    let host = HostClaude::new();
    realm.sign_in_host(&realm.identity.issue());
    realm.choose("token", "host-login");
    let sandbox = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::HostLogin), Some(CredentialMode::Token)));
    realm.works("", "with-the-first-token");
    // Claude Code on the host renews when it is refused; the sandbox gets what it then has.
    for round in 0..3 {
        let _ = realm.identity.ask("expire", &json!({ "what": "access" }));
        host.works(&realm, "renewed-by-the-host");
        let renewed = host.login(&realm)["accessToken"].clone();
        until("the new token inside", || (realm.login_in(&sandbox)["accessToken"] == renewed).then_some(()));
        realm.works("", &format!("with-token-{round}"));
    }
    let login = realm.login_in(&sandbox);
    assert_eq!(login.get("refreshToken"), None, "what renews it is not inside");
    assert_eq!(realm.identity.count("refreshes"), 3);
    assert_eq!(realm.identity.count("reuseDetections"), 0);
}

#[test]
fn the_setting_for_the_hosts_login_is_explained_when_it_begins_to_count() {
    let realm = Realm::new();
    realm.sign_in_host(&realm.identity.issue());
    let words = ["start", "--detach", "--env", "HTTPS_PROXY=", "--host-login"];
    let explanation = "Whatever runs in the sandbox can use your subscription until the token ends.";
    let started = realm.world.boxwood(words).run().ok();
    assert!(started.err().contains(explanation), "{}", started.told("explained nothing"));
    let sandbox = realm.world.list().remove(0);
    realm.world.forget_image(&sandbox.image);
    realm.connect();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::HostLogin), Some(CredentialMode::Token)));
    realm.works("", "by-the-setting");
    assert_eq!(realm.login_in(&sandbox).get("refreshToken"), None);
    // What was said is not said again.
    let _ = realm.world.boxwood(["stop", "--json"]).run().ok();
    let warnings = realm.world.boxwood(["start", "--json"]).run().json::<EnsureResult>().warnings;
    assert!(!warnings.iter().any(|warning| warning.contains(explanation)), "{warnings:?}");
    assert_eq!(realm.status().source, Some(CredentialSource::HostLogin));
    // The setting is the person's, so what ends a choice says that it goes on.
    let ended = realm.world.boxwood(["credentials", "sign-out", "host-login"]).run().ok();
    assert!(ended.err().contains("the setting 'hostLogin'"), "{}", ended.told("said nothing of the setting"));
}
