//! What a person sees.

use boxwood_protocol::credentials::{CredentialAccount, CredentialMode};

use super::*;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("timestamp")
}

fn report(source: CredentialSource, title: &str, usage: CredentialUse, reason: &str) -> CredentialSourceReport {
    CredentialSourceReport { source, title: title.to_owned(), usage, reason: reason.to_owned() }
}

fn a_mode(mode: CredentialMode, holds: &str, is_default: bool, explanation: Option<&str>) -> CredentialModeReport {
    CredentialModeReport {
        mode,
        holds: holds.to_owned(),
        is_default,
        is_available: true,
        explanation: explanation.map(str::to_owned),
    }
}

fn signed_in() -> CredentialsStatus {
    CredentialsStatus {
        sandbox: Some("shop-0a1b2c3d".to_owned()),
        source: Some(CredentialSource::LoginHome),
        mode: Some(CredentialMode::Isolated),
        account: Some(CredentialAccount {
            id: Some("id".to_owned()),
            email: Some("ada@example.com".to_owned()),
            subscription: Some("max".to_owned()),
        }),
        expires_at_ms: Some(1_774_958_400_000),
        days_left: Some(29),
        last_refresh_ms: Some(1_772_366_400_000 - 3 * 3_600_000),
        health: CredentialHealth::Ok,
        detail: "signed in; held as 'isolated'".to_owned(),
        next_step: None,
        is_in_conflict: false,
        sources: vec![
            report(CredentialSource::StoredKey, "stored API key", CredentialUse::Absent, "not there: a key"),
            report(
                CredentialSource::LoginHome,
                "login made with Boxwood",
                CredentialUse::Chosen,
                "the first that is there",
            ),
            report(
                CredentialSource::HostLogin,
                "login of Claude Code on this machine",
                CredentialUse::ByChoice,
                "there, and used only when you choose it",
            ),
        ],
        modes: vec![
            a_mode(CredentialMode::Isolated, "a login of its own", true, None),
            a_mode(CredentialMode::Token, "what requests need", false, None),
            a_mode(CredentialMode::Sync, "a copy of the login", false, Some("Both sides renew it.")),
        ],
        warnings: Vec::new(),
    }
}

fn signed_out() -> CredentialsStatus {
    CredentialsStatus {
        sandbox: None,
        source: None,
        mode: None,
        account: None,
        expires_at_ms: None,
        days_left: None,
        last_refresh_ms: None,
        health: CredentialHealth::SignedOut,
        detail: "there is no login and no key".to_owned(),
        next_step: Some("sign in with 'boxwood login', or inside with /login".to_owned()),
        is_in_conflict: false,
        sources: vec![report(
            CredentialSource::StoredKey,
            "stored API key",
            CredentialUse::Absent,
            "not there: a key that you set",
        )],
        modes: Vec::new(),
        warnings: vec!["no keyring answers; a file for you alone takes its place".to_owned()],
    }
}

#[test]
fn a_login_is_told_with_its_sources_and_modes() {
    insta::assert_snapshot!(status(&signed_in(), Paint::new(false), now()), @r"
    login    signed in; held as 'isolated'
    account  ada@example.com, max
    source   login made with Boxwood
    mode     isolated: the sandbox holds a login of its own
    ends     2026-03-31, in 29 days
    renewed  3 h ago
    of       sandbox shop-0a1b2c3d

    SOURCE     USE        WHAT                                  WHY
    storedKey  none       stored API key                        not there: a key
    loginHome  used       login made with Boxwood               the first that is there
    hostLogin  by choice  login of Claude Code on this machine  there, and used only when you choose it

    MODE      USE         THE SANDBOX HOLDS
    isolated  used        a login of its own
    token     by choice   what requests need
    sync      asks first  a copy of the login
    ");
}

#[test]
fn whoever_begins_is_told_what_to_do() {
    insta::assert_snapshot!(status(&signed_out(), Paint::new(false), now()), @r"
    login  there is no login and no key
    of     new sandboxes
    next: sign in with 'boxwood login', or inside with /login
    warning: no keyring answers; a file for you alone takes its place

    SOURCE     USE   WHAT            WHY
    storedKey  none  stored API key  not there: a key that you set
    ");
}

#[test]
fn a_conflict_says_how_it_is_ended() {
    let mut conflict = signed_in();
    (conflict.health, conflict.is_in_conflict) = (CredentialHealth::Attention, true);
    conflict.detail = "both sides have a login".to_owned();
    let text = status(&conflict, Paint::new(false), now());
    assert!(text.contains("next: 'boxwood credentials resolve --keep host' or '--keep sandbox'"), "{text}");
}

#[test]
fn health_is_coloured_and_foreign_text_steers_no_terminal() {
    let check = |health, code: &str| {
        let mut shown = signed_in();
        (shown.health, shown.detail) = (health, "x\x1b[2J".to_owned());
        shown.sources[1].title = "t\x07".to_owned();
        let text = status(&shown, Paint::new(true), now());
        assert!(text.contains(&format!("\x1b[{code}mx\\u{{1b}}[2J")), "{text}");
        assert!(!text.contains('\x07'));
    };
    check(CredentialHealth::Ok, "32");
    check(CredentialHealth::Expiring, "33");
    check(CredentialHealth::Attention, "33");
    check(CredentialHealth::Expired, "1;31");
    check(CredentialHealth::Unreadable, "1;31");
    check(CredentialHealth::SignedOut, "1;31");
}

#[test]
fn an_end_is_told_as_coarsely_as_it_is_known() {
    let check = |at: Option<i64>, days: Option<i64>, expected: Option<&str>| {
        let known = CredentialsStatus { expires_at_ms: at, days_left: days, ..signed_in() };
        assert_eq!(end(&known).as_deref(), expected);
    };
    check(None, None, None);
    check(Some(0), Some(-2), Some("1970-01-01, it is over"));
    check(Some(i64::MAX), None, None);
    check(None, Some(0), Some("within a day"));
    check(None, Some(1), Some("in 1 day"));
}

#[test]
fn what_was_done_is_followed_by_how_it_is_now() {
    insta::assert_snapshot!(done("Signed out of stored API key", &signed_out(), Paint::new(false)), @r"
    Signed out of stored API key.
    There is no login and no key.
    next: sign in with 'boxwood login', or inside with /login
    ");
    assert_eq!(title(&signed_in(), CredentialSource::Vertex), "vertex");
    assert_eq!(of(None), "in new sandboxes");
}
