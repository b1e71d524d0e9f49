//! The sandbox has a login: its own, or a copy that is kept the same on both sides.

use boxwood_e2e::identity_host::HostClaude;
use boxwood_e2e::identity_realm::{Realm, stored};
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::until;
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use boxwood_protocol::params::EnsureResult;
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::json;

/// Signs in inside, as a person who attached to the sandbox does.
fn sign_in_inside(realm: &Realm) {
    let mut terminal = Terminal::open(&realm.world, "exec -- sh -c 'stty cols 400; exec claude auth login'");
    let address = |shown: &str| {
        let from = shown.find("https://claude.com/")?;
        let url: String = shown[from..].chars().take_while(|character| !character.is_whitespace()).collect();
        url.contains("code_challenge").then_some(url)
    };
    terminal.wait_for("Paste code here");
    let url = address(&terminal.shown()).unwrap_or_else(|| panic!("no address: {}", terminal.shown()));
    terminal.press(format!("{}\r", realm.identity.sign_in(&url)).as_bytes());
    assert_eq!(terminal.wait(), 0, "{}", terminal.shown());
}

#[test]
fn a_login_of_its_own_is_made_inside_and_survives_whatever_becomes_of_the_sandbox() {
    let realm = Realm::new();
    let sandbox = realm.start();
    assert_eq!(realm.status().source, None, "nobody is signed in");
    let _ = realm.is_refused("");
    sign_in_inside(&realm);
    realm.works("", "signed-in");
    let expire = || drop(realm.identity.ask("expire", &json!({ "what": "access" })));
    expire();
    realm.works("", "renewed-by-itself");

    let _: SandboxInfo = realm.world.boxwood(["stop", "--json"]).run().json();
    let _ = realm.start();
    expire();
    realm.works("", "after-a-stop");
    let _: EnsureResult = realm.world.boxwood(["refresh", "--json"]).run().json();
    realm.connect();
    expire();
    realm.works("", "after-a-refresh");
    let _ = realm.world.boxwood(["remove", "--json"]).run().ok();
    let _ = realm.start_with(&["--image", "debian:bookworm-slim"]);
    expire();
    realm.works("", "in-another-image");
    assert_eq!(realm.identity.count("refreshes"), 4);
    assert_eq!((realm.identity.count("signIns"), realm.identity.count("reuseDetections")), (1, 0));
    let home = realm.world.state().join("logins/default/.claude");
    assert!(stored(&home)["refreshToken"].is_string(), "it is in the login home");
    assert!(realm.login_in(&sandbox)["refreshToken"].is_null(), "and in no other place");
}

#[test]
fn a_login_that_is_kept_the_same_is_renewed_by_whoever_needs_it() {
    let realm = Realm::new();
    let host = HostClaude::new();
    realm.sign_in_host(&realm.identity.issue());
    realm.choose("sync", "host-login");
    let sandbox = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::HostLogin), Some(CredentialMode::Sync)));
    realm.works("", "with-the-copy");
    let same = || {
        until("both sides have the same login", || {
            let (inside, outside) = (realm.login_in(&sandbox), host.login(&realm));
            (inside["refreshToken"] == outside["refreshToken"]).then_some(())
        });
    };
    for round in 0..4 {
        same();
        let _ = realm.identity.ask("expire", &json!({ "what": "access" }));
        if round % 2 == 0 {
            realm.works("", "renewed-inside");
            same();
            host.works(&realm, "with-what-was-renewed-inside");
        } else {
            host.works(&realm, "renewed-outside");
            same();
            realm.works("", "with-what-was-renewed-outside");
        }
        assert_eq!(realm.identity.count("refreshes"), round + 1);
    }
    assert_eq!(realm.identity.count("reuseDetections"), 0);
    assert!(!realm.status().is_in_conflict);
}

#[test]
fn both_sides_of_a_login_that_is_kept_the_same_may_renew_it_at_once() {
    let realm = Realm::new();
    let host = HostClaude::new();
    realm.sign_in_host(&realm.identity.issue());
    realm.choose("sync", "host-login");
    let sandbox = realm.start();
    realm.works("", "with-the-copy");
    for round in 1..=4 {
        let _ = realm.identity.ask("expire", &json!({ "what": "access" }));
        // Whoever asks second would find the first still waiting for its answer.
        let _ = realm.identity.ask("fault", &json!({ "on": "refresh", "times": 2, "kind": "slow", "ms": 500 }));
        let inside = realm.asking("", "say renewed").spawn();
        let outside = host.call(&realm, &["-p", "say renewed"]).spawn();
        for done in [inside.wait(), outside.wait()] {
            let is_answered = done.status == 0 && done.out().trim() == "renewed";
            assert!(is_answered, "in round {round}: {}\n{:#?}", done.told("gave no answer"), realm.seen());
        }
        let _ = realm.identity.ask("clear", &json!({}));
        until("both sides have the same login", || {
            let (inside, outside) = (realm.login_in(&sandbox), host.login(&realm));
            (inside["refreshToken"] == outside["refreshToken"]).then_some(())
        });
        // Who was refused before and asks after may renew what was just renewed, which is good for once, too.
        assert!(realm.identity.count("refreshes") >= round, "{:#?}", realm.seen());
        let lost = (realm.identity.count("reuseDetections"), realm.identity.count("refusedRefreshes"));
        assert_eq!(lost, (0, 0), "in round {round}: {:#?}", realm.seen());
    }
    host.works(&realm, "still-signed-in");
    realm.works("", "still-signed-in");
}
