//! Which login goes where, case by case.

use serde_json::json;

use super::*;
use crate::credentials::CredentialFile;
use crate::credentials::testing::{ACCOUNT, DAY, HOUR, NOW, OTHER_ACCOUNT, blank, file, login};

fn nth(number: u32) -> View {
    login(number, Some(ACCOUNT), NOW + i64::from(number) * HOUR).view()
}

fn lent(number: u32) -> View {
    login(number, Some(ACCOUNT), NOW + i64::from(number) * HOUR).access_only().expect("a token").view()
}

/// Both sides had the logins up to `number`, one after the other.
fn agreed(number: u32) -> Record {
    let mut record = Record::default();
    (0..=number).for_each(|number| record.settle(&nth(number), &nth(number)));
    record
}

fn copy(from: Side) -> Decision {
    Decision::Copy { from, part: Part::Login, over: None }
}

fn lend(from: Side) -> Decision {
    Decision::Copy { from, part: Part::AccessToken, over: None }
}

/// Decides a few hours in, and the same with the sides exchanged.
fn check(host: &View, sandbox: &View, record: &Record, expected: &Decision) {
    let clock = Clock::at(NOW + 6 * HOUR);
    let ignore_over = |decision: Decision| match decision {
        Decision::Copy { from, part, .. } => Decision::Copy { from, part, over: None },
        decision => decision,
    };
    assert_eq!(&ignore_over(decide(Some(host), Some(sandbox), record, &clock)), expected, "{host:?} {sandbox:?}");
    let exchanged = match expected.clone() {
        Decision::Copy { from, part, over } => Decision::Copy { from: other(from), part, over },
        Decision::Conflict(Conflict::SignedOut(side)) => Decision::Conflict(Conflict::SignedOut(other(side))),
        Decision::Conflict(Conflict::Refused(side)) => Decision::Conflict(Conflict::Refused(other(side))),
        Decision::Conflict(Conflict::LooksOlder(side)) => Decision::Conflict(Conflict::LooksOlder(other(side))),
        Decision::Conflict(Conflict::Incomplete(side)) => Decision::Conflict(Conflict::Incomplete(other(side))),
        Decision::Conflict(Conflict::NewerToken(side)) => Decision::Conflict(Conflict::NewerToken(other(side))),
        decision => decision,
    };
    assert_eq!(ignore_over(decide(Some(sandbox), Some(host), record, &clock)), exchanged, "{sandbox:?} {host:?}");
}

#[test]
fn equal_is_nothing_and_nothing_is_nothing() {
    check(&nth(1), &nth(1), &Record::default(), &Decision::Keep(Kept::Equal));
    check(&View::absent(), &View::absent(), &agreed(1), &Decision::Keep(Kept::NoLogin));
    check(&lent(1), &View::absent(), &Record::default(), &Decision::Keep(Kept::NoLogin));
}

#[test]
fn a_side_without_a_login_gets_one_the_first_time() {
    let stub = file(&json!({"claudeAiOauth": {"subscriptionType": "max"}})).view();
    for empty in [View::absent(), stub, blank(None).view(), blank(Some(ACCOUNT)).view(), lent(1)] {
        check(&nth(1), &empty, &Record::default(), &copy(Side::Host));
    }
}

#[test]
fn the_side_that_changed_has_the_newer() {
    check(&nth(2), &nth(1), &agreed(1), &copy(Side::Host));
    check(&nth(3), &nth(1), &agreed(2), &copy(Side::Host));
    let within_skew = login(2, Some(ACCOUNT), NOW + HOUR - 60_000).view();
    check(&within_skew, &nth(1), &agreed(1), &copy(Side::Host));
}

#[test]
fn an_older_one_never_wins() {
    check(&nth(1), &nth(2), &agreed(2), &copy(Side::Sandbox));
    let unknown = login(99, Some(ACCOUNT), NOW - 3 * HOUR).view();
    check(&unknown, &nth(2), &agreed(2), &Decision::Conflict(Conflict::LooksOlder(Side::Host)));
    check(&nth(2), &nth(4), &Record::default(), &copy(Side::Sandbox));
    let close = login(98, Some(ACCOUNT), NOW + 2 * HOUR + 60_000).view();
    check(&nth(2), &close, &agreed(1), &Decision::Conflict(Conflict::Unclear));
}

#[test]
fn times_that_contradict_each_other_are_not_believed() {
    let text = |expires: i64, ends: i64| {
        let tokens = json!({"accessToken": format!("a{expires}"), "refreshToken": "r", "expiresAt": expires,
            "refreshTokenExpiresAt": ends, "scopes": ["user:inference"], "accountUuid": ACCOUNT});
        file(&json!({ "claudeAiOauth": tokens })).view()
    };
    let (a, b) = (text(NOW + 8 * HOUR, NOW + 20 * DAY), text(NOW + 9 * HOUR, NOW + 19 * DAY));
    check(&a, &b, &Record::default(), &Decision::Conflict(Conflict::Unclear));
}

#[test]
fn another_account_is_never_written_over() {
    let other = login(5, Some(OTHER_ACCOUNT), NOW + 5 * HOUR).view();
    for own in [nth(1), blank(Some(ACCOUNT)).view(), lent(1)] {
        check(&other, &own, &Record::default(), &Decision::Conflict(Conflict::OtherAccount));
        check(&other, &own, &agreed(1), &Decision::Conflict(Conflict::OtherAccount));
    }
    check(&other, &blank(None).view(), &agreed(1), &Decision::Conflict(Conflict::OtherAccount));
    let unnamed = login(5, None, NOW + 5 * HOUR).view();
    check(&unnamed, &nth(1), &agreed(1), &Decision::Conflict(Conflict::AccountUnknown));
    // The daemon may know from elsewhere whose it is.
    let named = View { account: nth(1).account, ..unnamed };
    check(&named, &nth(1), &agreed(1), &copy(Side::Host));
}

#[test]
fn who_signed_out_is_not_signed_in_again() {
    check(&nth(1), &View::absent(), &agreed(1), &Decision::Conflict(Conflict::SignedOut(Side::Sandbox)));
    check(&nth(2), &View::absent(), &agreed(1), &Decision::Conflict(Conflict::SignedOut(Side::Sandbox)));
}

#[test]
fn who_was_refused_is_lent_a_token_until_there_is_a_newer_login() {
    let blank = blank(Some(ACCOUNT)).view();
    check(&nth(1), &blank, &agreed(1), &lend(Side::Host));
    check(&nth(1), &lent(1), &agreed(1), &Decision::Keep(Kept::Lent));
    check(&nth(2), &lent(1), &agreed(1), &copy(Side::Host));
    check(&nth(2), &blank, &agreed(1), &copy(Side::Host));
    let over = login(7, Some(ACCOUNT), NOW - 9 * HOUR).view();
    let mut record = Record::default();
    record.settle(&over, &over);
    check(&over, &blank, &record, &Decision::Conflict(Conflict::Refused(Side::Sandbox)));
}

#[test]
fn a_newer_token_means_that_the_login_was_renewed_elsewhere() {
    check(&nth(1), &lent(4), &agreed(1), &Decision::Conflict(Conflict::NewerToken(Side::Sandbox)));
}

#[test]
fn what_has_ended_is_not_handed_on() {
    let ended = login(1, Some(ACCOUNT), NOW - 31 * DAY).view();
    check(&ended, &View::absent(), &Record::default(), &Decision::Conflict(Conflict::NothingWorks));
    check(&ended, &nth(2), &Record::default(), &copy(Side::Sandbox));
    let unnamed = login(1, None, NOW - 31 * DAY).view();
    check(&unnamed, &nth(2), &Record::default(), &Decision::Conflict(Conflict::AccountUnknown));
    check(&nth(1), &blank(None).view(), &agreed(2), &Decision::Conflict(Conflict::NothingWorks));
    // Its access token is over, and what renews it is not: the other side would present a used one.
    let asleep = login(3, Some(ACCOUNT), NOW - 9 * HOUR).view();
    let before = login(2, Some(ACCOUNT), NOW - 17 * HOUR).view();
    let mut record = Record::default();
    record.settle(&before, &before);
    check(&asleep, &before, &record, &copy(Side::Host));
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let clock = Clock::at(NOW);
    let expect = |host: Seen<'_>, sandbox: Seen<'_>, side: Side| {
        let decision = decide(host, sandbox, &Record::default(), &clock);
        assert_eq!(decision, Decision::Conflict(Conflict::Unreadable(side)));
    };
    expect(None, Some(&nth(1)), Side::Host);
    expect(Some(&nth(1)), None, Side::Sandbox);
    let bare = file(&json!({"claudeAiOauth": {"accessToken": "", "refreshToken": "r"}})).view();
    check(&nth(1), &bare, &agreed(1), &Decision::Conflict(Conflict::Incomplete(Side::Sandbox)));
}

#[test]
fn a_copy_that_was_cut_short_is_made_or_found_made() {
    let (host, before) = (nth(2), nth(1));
    let clock = Clock::at(NOW + 6 * HOUR);
    let mut record = agreed(1);
    let decision = decide(Some(&host), Some(&before), &record, &clock);
    record.begin(&decision, &host, &before);
    record = Record::parse(&record.render());
    assert_eq!(decide(Some(&host), Some(&before), &record, &clock), decision, "not made yet: again");
    check(&host, &host, &record, &Decision::Keep(Kept::Equal));
    // Made, and renewed there before anybody looked.
    check(&host, &nth(3), &record, &copy(Side::Sandbox));
    let close = login(3, Some(ACCOUNT), NOW + 2 * HOUR + 1000).view();
    check(&host, &close, &record, &copy(Side::Sandbox));
    record.settle(&host, &host);
    check(&before, &host, &record, &copy(Side::Sandbox));
}

#[test]
fn the_person_has_the_last_word() {
    let clock = Clock::at(NOW + 6 * HOUR);
    let old = login(99, Some(ACCOUNT), NOW - 3 * HOUR).view();
    let mut record = agreed(2);
    record.retire(old.login.clone().expect("a mark"));
    let decision = settle_for(Side::Sandbox, Some(&nth(2)), Some(&old), &clock).expect("a copy");
    assert_eq!(decision, Decision::Copy { from: Side::Sandbox, part: Part::Login, over: nth(2).login });
    record.begin(&decision, &nth(2), &old);
    record.settle(&old, &old);
    check(&old, &nth(2), &record, &copy(Side::Host));
    assert_eq!(settle_for(Side::Host, Some(&blank(None).view()), Some(&old), &clock), Err(Conflict::NothingWorks));
    assert_eq!(settle_for(Side::Host, Some(&old), None, &clock), Err(Conflict::Unreadable(Side::Sandbox)));
    assert_eq!(settle_for(Side::Host, Some(&old), Some(&old), &clock), Ok(Decision::Keep(Kept::Equal)));
}

#[test]
fn a_record_holds_no_token_is_bounded_and_survives_what_it_does_not_know() {
    let mut record = agreed(300);
    assert_eq!(Record::parse(&record.render()), record);
    assert!(record.render().len() < 16 * 1024, "{}", record.render().len());
    assert!(!record.render().contains("sk-ant"));
    for broken in ["", "{", "[]", "{\"version\":2,\"retired\":[]}", "{\"version\":1,\"more\":1}"] {
        assert_eq!(Record::parse(broken), Record::default(), "{broken}");
    }
    // A sample of the form as it was first written.
    let first = r#"{"version":1,"agreed":"aa","account":"00000000-0000-4000-8000-000000000001","pending":{"login":"bb","over":"aa"},"retired":["cc"]}"#;
    assert_eq!(Record::parse(first).render(), first);
    record.settle(&nth(1), &View::absent());
    assert!(record.is_agreed(&nth(300).login.expect("a mark")), "different sides settle nothing");
}

#[test]
fn a_conflict_has_words_and_a_next_step() {
    for conflict in [
        Conflict::Unreadable(Side::Host),
        Conflict::Incomplete(Side::Sandbox),
        Conflict::OtherAccount,
        Conflict::AccountUnknown,
        Conflict::SignedOut(Side::Host),
        Conflict::Refused(Side::Sandbox),
        Conflict::LooksOlder(Side::Host),
        Conflict::Unclear,
        Conflict::NewerToken(Side::Host),
        Conflict::NothingWorks,
    ] {
        assert!(conflict.reason().len() > 10 && conflict.next_step().len() > 10, "{conflict:?}");
    }
    assert!(CredentialFile::default().is_empty());
}
