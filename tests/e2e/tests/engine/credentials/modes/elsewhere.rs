//! Credentials that this machine has already: an endpoint of another provider, a helper, an environment without a person.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use boxwood_e2e::api::imitate;
use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::{World, docker};
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use serde_json::{Value, json};

use super::valid;

/// The name under which another provider answers.
const PROVIDER: &str = "models.test";
/// What it wants to be shown.
const TOKEN: &str = "token-of-another-provider-0123456789abcdef";

/// Another provider that speaks like Anthropic's API; it ends with this.
struct Provider {
    child: Child,
    record: PathBuf,
}

impl Provider {
    /// Starts one; gives its address on every address of the host too.
    fn serve(world: &World) -> (Self, u16) {
        let record = world.root().join("provider.jsonl");
        let (child, port) = imitate("0.0.0.0", TOKEN, &record);
        (Self { child, record }, port)
    }

    /// Kinds of the credentials on each question.
    fn presented(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(&self.record).unwrap_or_default();
        let requests = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let kinds = |request: Value| {
            let all = request["auth"].as_array().cloned().unwrap_or_default();
            all.iter().filter_map(|one| one["kind"].as_str()).map(str::to_owned).collect()
        };
        requests.filter(|request| request["path"].as_str() == Some("/v1/messages?beta=true")).map(kinds).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn another_providers_endpoint_gets_its_token_and_anthropics_gets_nothing() {
    let mut provider = None;
    let realm = Realm::with(|world| {
        let (served, port) = Provider::serve(world);
        provider = Some(served);
        world.set("ANTHROPIC_BASE_URL", format!("https://{PROVIDER}"));
        world.set("ANTHROPIC_AUTH_TOKEN", TOKEN);
        vec![(PROVIDER, port)]
    });
    let provider = provider.expect("it serves");
    let _ = realm.start();
    let status = realm.status();
    assert_eq!(
        (status.source, status.mode),
        (Some(CredentialSource::EnvironmentToken), Some(CredentialMode::Brokered))
    );
    realm.works("", "elsewhere");
    assert_eq!(provider.presented().last(), Some(&vec!["bearer".to_owned()]));
    assert!(realm.presented().is_empty(), "Anthropic's own API was asked nothing");
    let inside = realm.world.sh("cat ~/.claude/settings.json; env").ok().out();
    assert!(inside.contains(PROVIDER) && !inside.contains(TOKEN), "{inside}");
}

#[test]
fn a_stored_token_is_presented_at_an_address_of_the_persons_own_network() {
    let mut served = None;
    let realm = Realm::with(|world| {
        served = Some(Provider::serve(world));
        Vec::new()
    });
    let (provider, port) = served.expect("it serves");
    let url = format!("http://{}:{port}", docker::gateway());
    let _ = realm.world.boxwood(["credentials", "set", "auth-token", "--base-url", &url]).input(TOKEN).run().ok();
    let _ = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::StoredKey), Some(CredentialMode::Brokered)));
    realm.works("", "by-its-address");
    assert_eq!(provider.presented().last(), Some(&vec!["bearer".to_owned()]));
    let inside = realm.world.sh("cat ~/.claude/settings.json; env").ok().out();
    assert!(inside.contains("endpoint.boxwood.internal") && !inside.contains(TOKEN), "{inside}");
}

#[test]
fn what_the_persons_helper_prints_is_used_and_asked_for_again() {
    let realm = Realm::new();
    let first = realm.identity.key();
    let file = realm.world.home().join("key");
    fs::write(&file, &first).expect("written");
    let settings = json!({ "apiKeyHelper": format!("cat {}", file.display()) });
    fs::create_dir_all(realm.world.home().join(".claude")).expect("made");
    fs::write(realm.world.home().join(".claude/settings.json"), settings.to_string()).expect("written");
    let _ = realm.start();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::KeyHelper), Some(CredentialMode::Brokered)));
    realm.works("", "with-what-it-printed");
    assert_eq!(realm.presented().last(), Some(&[valid("x-api-key"), valid("bearer")].concat()));

    // What it printed before counts for some minutes, unless it is refused: then it is asked again while claude waits.
    let _ = realm.identity.ask("revoke", &json!({ "what": "key" }));
    fs::write(&file, realm.identity.key()).expect("written");
    let before = realm.presented().len();
    realm.works("", "with-what-it-prints-by-then");
    let presented = realm.presented();
    assert!(presented[before].iter().all(|(_, state)| state == "revoked"), "what it had printed: {presented:?}");
    assert_eq!(presented.last(), Some(&[valid("x-api-key"), valid("bearer")].concat()));

    let _ = realm.identity.ask("revoke", &json!({ "what": "key" }));
    fs::write(&file, realm.identity.key()).expect("written");
    // A daemon that was started anew has nothing that it printed before.
    let _ = realm.world.boxwood(["stop", "--json"]).run().ok();
    let _ = realm.world.boxwood(["daemon", "stop"]).run().ok();
    let _ = realm.start();
    realm.works("", "with-what-it-prints-now");
    assert_eq!(realm.identity.state_of(&first), "revoked");
}

#[test]
fn a_job_without_a_person_has_its_key_in_the_environment() {
    let mut realm = Realm::new();
    let key = realm.identity.key();
    realm.world.set("CI", "true");
    realm.world.set("ANTHROPIC_API_KEY", &key);
    let done = realm.world.boxwood(["start", "--json", "--env", "HTTPS_PROXY="]).run().ok();
    assert!(!done.err().contains(&key));
    realm.connect();
    let status = realm.status();
    assert_eq!((status.source, status.mode), (Some(CredentialSource::EnvironmentKey), Some(CredentialMode::Brokered)));
    realm.works("", "in-a-job");
    assert_eq!(realm.presented().last(), Some(&valid("x-api-key")));
}
