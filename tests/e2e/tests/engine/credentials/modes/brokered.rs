//! The gateway puts the credential on requests; the sandbox has a placeholder.

use boxwood_e2e::identity_realm::Realm;
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use serde_json::json;

use super::{replaced_in_flight, valid};

#[test]
fn a_key_that_is_taken_back_and_replaced_needs_no_restart() {
    let realm = Realm::new();
    let key = realm.identity.key();
    realm.keep("api-key", &key);
    let _ = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::StoredKey), Some(CredentialMode::Brokered)));
    realm.works("", "with-the-first-key");

    replaced_in_flight(&realm, "revoke", "key", || realm.keep("api-key", &realm.identity.key()));
    realm.works("", "with-the-second-key");
    let presented = realm.presented();
    assert_eq!((presented.first(), presented.last()), (Some(&valid("x-api-key")), Some(&valid("x-api-key"))));
}

#[test]
fn a_key_that_changes_in_the_middle_of_an_answer_counts_from_the_next_request_on() {
    let realm = Realm::new();
    realm.keep("api-key", &realm.identity.key());
    let _ = realm.start();
    // An answer of many pieces.
    let long = "word ".repeat(200);
    let answering = realm.asking("", &format!("[[pace:150]] say {long}")).spawn();
    let _ = realm.identity.ask("await", &json!({ "counter": "requests.messages", "atLeast": 1, "seconds": 60 }));
    let second = realm.identity.key();
    realm.keep("api-key", &second);
    let before = realm.presented().len();
    realm.works("", "with-the-second-key");
    let answered = answering.wait().ok();
    assert_eq!(answered.out().trim(), long.trim(), "the answer that was under way is whole");
    let requests = realm.requests();
    let messages: Vec<_> = requests.iter().filter(|request| request["endpoint"] == "messages").collect();
    assert_ne!(messages[0]["auth"][0]["hash"], messages[before]["auth"][0]["hash"]);
}

#[test]
fn what_an_agent_puts_on_a_request_is_replaced() {
    let realm = Realm::new();
    let (key, other) = (realm.identity.key(), realm.identity.key());
    realm.keep("api-key", &key);
    let _ = realm.start();
    realm.works("", "with-its-placeholder");
    let hash =
        realm.requests().iter().rfind(|request| request["endpoint"] == "messages").expect("asked")["auth"].clone();
    for variable in ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"] {
        let before = realm.presented().len();
        // A setting in the environment counts less than one in the settings, so those are not read.
        let script = format!("{variable}='{other}' claude --setting-sources '' -p 'say with-its-own'");
        let _ = realm.world.sh(&script);
        let requests = realm.requests();
        let asked: Vec<_> = requests.iter().filter(|request| request["endpoint"] == "messages").skip(before).collect();
        assert!(!asked.is_empty(), "{variable}: the model was asked");
        for request in asked {
            assert_eq!(request["auth"], hash, "{variable}");
        }
    }
}

#[test]
fn a_token_of_setup_token_is_put_on_requests_by_consent() {
    let realm = Realm::new();
    realm.keep("setup-token", &realm.identity.setup_token());
    let asked = ["credentials", "mode", "brokered", "--source", "stored-login", "--json"];
    let refused = realm.world.boxwood(asked).run();
    let refused = refused.refused(boxwood_protocol::ErrorCode::InvalidParams);
    assert!(refused.to_string().contains("Use it for yourself only"), "the person is told what it means: {refused}");
    realm.choose("brokered", "stored-login");
    let sandbox = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::StoredLogin), Some(CredentialMode::Brokered)));
    realm.works("", "with-a-token");
    assert_eq!(realm.presented().last(), Some(&valid("bearer")));
    assert!(realm.login_in(&sandbox)["accessToken"].as_str().expect("a placeholder").contains("placeholder"));

    replaced_in_flight(&realm, "expire", "access", || realm.keep("setup-token", &realm.identity.setup_token()));
    realm.works("", "with-the-next-token");
}
