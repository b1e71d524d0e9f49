//! What is told about credentials, and that no value is.

use boxwood_protocol::credentials::Secret;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::credentials::select::{Finding, Found, Wish, choose};
use crate::credentials::source::SOURCES;
use crate::credentials::sync::Side;
use crate::credentials::testing::{ACCOUNT, DAY, HOUR, NOW, blank, file, login};

fn in_use(source: CredentialSource) -> Choice {
    choose(&[Finding { source, found: Found::Usable }], &Wish::default(), true, false)
}

fn health(choice: &Choice, known: &Known<'_>, now_ms: i64) -> (CredentialHealth, String, bool) {
    let status = status(choice, known, &Clock::at(now_ms));
    (status.health, status.detail, status.next_step.is_some())
}

#[test]
fn a_login_is_told_with_what_is_left_of_it() {
    let held = login(1, Some(ACCOUNT), NOW);
    let known = Known { login: Some(&held), email: Some("me@mail.example"), ..Known::default() };
    let told = status(&in_use(CredentialSource::LoginHome), &known, &Clock::at(NOW + DAY));
    assert_eq!((told.health, told.days_left), (CredentialHealth::Ok, Some(29)));
    assert_eq!(told.expires_at_ms, Some(NOW + 30 * DAY));
    let account = told.account.expect("an account");
    assert_eq!(account.id.as_deref(), Some(ACCOUNT));
    assert_eq!((account.email.as_deref(), account.subscription.as_deref()), (Some("me@mail.example"), Some("max")));
    assert_eq!((told.next_step, told.mode), (None, Some(CredentialMode::Isolated)));
}

#[test]
fn the_end_is_told_a_week_ahead() {
    let (choice, held) = (in_use(CredentialSource::LoginHome), login(1, Some(ACCOUNT), NOW));
    let check = |now_ms: i64, expected: CredentialHealth, words: &str| {
        let known = Known { login: Some(&held), ..Known::default() };
        let (health, detail, has_step) = health(&choice, &known, now_ms);
        assert!(health == expected && detail.contains(words), "{health:?} {detail}");
        assert_eq!(has_step, expected != CredentialHealth::Ok, "{detail}");
    };
    check(NOW + 22 * DAY, CredentialHealth::Ok, "signed in");
    check(NOW + 23 * DAY, CredentialHealth::Expiring, "in 7 days");
    check(NOW + 28 * DAY + HOUR, CredentialHealth::Expiring, "in 1 day");
    check(NOW + 29 * DAY + HOUR, CredentialHealth::Expiring, "within a day");
    check(NOW + 31 * DAY, CredentialHealth::Expired, "ended");
}

#[test]
fn a_stored_token_ends_a_year_after_it_was_stored() {
    let known = Known { stored_at_ms: Some(NOW), ..Known::default() };
    let told = status(&in_use(CredentialSource::StoredLogin), &known, &Clock::at(NOW + 360 * DAY));
    assert_eq!((told.health, told.days_left), (CredentialHealth::Expiring, Some(5)));
    let key = status(&in_use(CredentialSource::StoredKey), &known, &Clock::at(NOW));
    assert_eq!((key.health, key.days_left, key.expires_at_ms), (CredentialHealth::Ok, None, None), "a key has no end");
}

#[test]
fn a_token_that_only_the_persons_own_use_renews_is_told_when_it_has_ended() {
    let held = login(1, Some(ACCOUNT), NOW);
    let wish = Wish { source: Some(CredentialSource::HostLogin), mode: Some(CredentialMode::Token), consent: true };
    let found = [Finding { source: CredentialSource::HostLogin, found: Found::Usable }];
    let choice = choose(&found, &wish, true, false);
    let check = |is_renewed_by_use, now_ms: i64, expected: CredentialHealth| {
        let known = Known { login: Some(&held), is_renewed_by_use, ..Known::default() };
        let (health, detail, has_step) = health(&choice, &known, now_ms);
        assert_eq!((health, has_step), (expected, expected != CredentialHealth::Ok), "{detail}");
    };
    check(true, NOW + HOUR, CredentialHealth::Ok);
    check(true, NOW + 9 * HOUR, CredentialHealth::Attention);
    check(false, NOW + 9 * HOUR, CredentialHealth::Ok);
}

#[test]
fn what_is_wrong_is_told_with_a_next_step() {
    let home = in_use(CredentialSource::LoginHome);
    let (refused, lent) = (blank(Some(ACCOUNT)), login(1, None, NOW).access_only().expect("a token"));
    let check = |choice: &Choice, known: &Known<'_>, expected: CredentialHealth, words: &str| {
        let (health, detail, has_step) = health(choice, known, NOW);
        assert!(health == expected && detail.contains(words) && has_step, "{health:?} {detail}");
    };
    check(&home, &Known::default(), CredentialHealth::SignedOut, "nobody");
    check(&home, &Known { login: Some(&refused), ..Known::default() }, CredentialHealth::Expired, "refused");
    let failing = Known { login: Some(&lent), failures: 3, ..Known::default() };
    check(&home, &failing, CredentialHealth::Attention, "3 times");
    let conflict = Known { login: Some(&lent), conflict: Some(Conflict::SignedOut(Side::Sandbox)), ..Known::default() };
    check(&home, &conflict, CredentialHealth::Attention, "signed out");
    let nothing = choose(&[], &Wish::default(), true, false);
    check(&nothing, &Known::default(), CredentialHealth::SignedOut, "no login");
    let locked = Finding { source: CredentialSource::StoredKey, found: Found::Unusable(Problem::Locked) };
    let locked = choose(&[locked], &Wish::default(), true, false);
    check(&locked, &Known::default(), CredentialHealth::Unreadable, "locked");
    // Somebody signed in inside although nothing was found out here.
    let own = login(1, Some(ACCOUNT), NOW);
    let (told, ..) = health(&nothing, &Known { login: Some(&own), ..Known::default() }, NOW);
    assert_eq!(told, CredentialHealth::Ok);
    let (told, ..) = health(&home, &Known { login: Some(&lent), ..Known::default() }, NOW + 7 * HOUR);
    assert_eq!(told, CredentialHealth::Ok, "a token that is renewed every few hours always ends soon");
}

#[test]
fn only_addresses_are_addresses() {
    for good in ["a@b.example", "first.last+tag@mail.b.example", "o'neil@b.example", "ü@b.example"] {
        assert!(is_address(good), "{good}");
    }
    for wrong in
        ["", "a", "a@b", "@b.example", "a@", "a b@c.example", "a@b.example\n", "<a@b.example>", "sk-ant-x@b.example"]
    {
        assert!(!is_address(wrong), "{wrong}");
    }
}

#[test]
fn the_form_for_scripts_is_stable() {
    let held = login(1, Some(ACCOUNT), NOW);
    let known = Known { login: Some(&held), sandbox: Some("id"), renewed_at_ms: Some(NOW), ..Known::default() };
    let mut told = status(&in_use(CredentialSource::LoginHome), &known, &Clock::at(NOW));
    told.sources.truncate(1);
    told.modes.truncate(1);
    insta::assert_json_snapshot!(told);
}

/// A file whose fields, known and unknown, may each hold one of the secrets.
fn leaky() -> impl Strategy<Value = (Vec<String>, serde_json::Value, String)> {
    let secret = prop_oneof![
        "sk-ant-oat01-[a-zA-Z0-9_-]{12,24}",
        "[a-zA-Z0-9_-]{12,32}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}"
    ];
    let secrets = prop::collection::vec(secret, 4);
    (secrets, prop::collection::vec(0..6_usize, 5), 0..8_usize).prop_map(|(secrets, picks, email)| {
        let pick = |at: usize, otherwise: &str| secrets.get(picks[at]).cloned().unwrap_or_else(|| otherwise.to_owned());
        let value = json!({
            "claudeAiOauth": {
                "accessToken": secrets[0], "refreshToken": secrets[1], "expiresAt": NOW + 8 * HOUR,
                "scopes": ["user:inference", pick(0, "user:profile")],
                "subscriptionType": pick(1, "max"), "rateLimitTier": pick(2, "tier"),
                "accountUuid": pick(3, ACCOUNT), "organizationUuid": pick(4, ACCOUNT),
                "unknown": { "deep": [secrets[2]] },
            },
            "pluginSecrets": { "p": secrets[3] },
        });
        let email = match secrets.get(email) {
            Some(secret) => format!("{secret}@mail.example"),
            None => "me@mail.example".to_owned(),
        };
        (secrets, value, email)
    })
}

proptest! {
    /// Whatever stands in the file and wherever a secret strayed to: none of it is told.
    #[test]
    fn no_secret_is_told(
        (secrets, value, email) in leaky(), source in 0..SOURCES.len(), hours in -10..1000_i64, failures in 0..2_u32,
    ) {
        let held = file(&value);
        let source = SOURCES[source].source;
        let mode = crate::credentials::source::of(source).and_then(|entry| entry.services.first()).map(|it| it.mode);
        let wish = Wish { source: Some(source), mode, consent: true };
        let choice = choose(&[Finding { source, found: Found::Usable }], &wish, true, false);
        let known = Known { login: Some(&held), email: Some(&email), failures, ..Known::default() };
        let told = status(&choice, &known, &Clock::at(NOW + hours * HOUR));
        let json = serde_json::to_string(&told).expect("JSON");
        let debug = format!("{told:?} {choice:?} {held:?} {:?} {:?}", held.view(), Secret::new(secrets[0].clone()));
        for secret in &secrets {
            prop_assert!(!json.contains(secret.as_str()), "{} in {}", secret, json);
            prop_assert!(!debug.contains(secret.as_str()) || debug.contains(&format!("AccountId(\"{secret}")), "{}", secret);
        }
    }
}
