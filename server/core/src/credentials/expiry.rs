//! When a login ends, when to say so, and when an access token must be renewed and handed out.

use super::view::{Clock, LoginState, View};

const MINUTE_MS: i64 = 60 * 1000;
/// A day, milliseconds.
pub const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How many days ahead the end of a login is announced.
pub const WARN_DAYS: i64 = 7;
/// How long a token of `claude setup-token` works; Claude Code says a year.
pub const SETUP_TOKEN_MS: i64 = 365 * DAY_MS;
/// How close to its end Claude Code itself renews an access token.
pub const CLAUDE_RENEWS_MS: i64 = 5 * MINUTE_MS;
/// How long before its end a token is renewed for everybody: well before Claude Code, and long enough to try again often.
pub const LEAD_MS: i64 = 30 * MINUTE_MS;
/// How long before its end the login of Claude Code on this machine is renewed: what is not ours is left as it is, so it is
/// done when Claude Code itself would.
pub const HOST_LEAD_MS: i64 = 4 * MINUTE_MS;
/// First pause after a failure; it doubles up to [`LONGEST_PAUSE_MS`].
pub const FIRST_PAUSE_MS: i64 = 15 * 1000;
/// Longest pause between two attempts.
pub const LONGEST_PAUSE_MS: i64 = 5 * MINUTE_MS;

/// Whole days until a moment, rounded down; negative once it has passed.
#[must_use]
pub const fn days_left(end_ms: i64, now_ms: i64) -> i64 {
    end_ms.saturating_sub(now_ms).div_euclid(DAY_MS)
}

/// How long a login still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    /// It does not say.
    Unknown,
    /// It works for more than a week.
    Long,
    /// It ends within a week.
    Soon,
    /// It has ended.
    Over,
}

/// How long a login that ends at `end_ms` still works.
#[must_use]
pub const fn remaining(end_ms: Option<i64>, now_ms: i64) -> Remaining {
    match end_ms {
        None => Remaining::Unknown,
        Some(end) if end <= now_ms => Remaining::Over,
        Some(end) if end.saturating_sub(now_ms) <= WARN_DAYS * DAY_MS => Remaining::Soon,
        Some(_) => Remaining::Long,
    }
}

/// When the person must sign in again: the end of what renews, or of the access token where nothing renews it.
#[must_use]
pub const fn login_end(view: &View) -> Option<i64> {
    match view.state {
        LoginState::Full => view.refresh_expires_at_ms,
        LoginState::AccessOnly => view.expires_at_ms,
        LoginState::Absent | LoginState::Stub | LoginState::Blank => None,
    }
}

/// The one place whose login is renewed by the real `claude`, and what came of the last attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal<'a> {
    /// The login there.
    pub source: &'a View,
    /// When its access token was made, where that is known.
    pub renewed_at_ms: Option<i64>,
    /// How long before its end it is renewed at most: [`LEAD_MS`] or [`HOST_LEAD_MS`].
    pub lead_ms: i64,
    /// Attempts that failed since.
    pub failures: u32,
    /// When the last of them ended.
    pub failed_at_ms: Option<i64>,
}

/// What is to be done next about access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Have the real `claude` renew the login, now.
    Renew,
    /// Put the access token where another one is, now.
    HandOut,
    /// Nothing before this moment, milliseconds since 1970, unless a file changes.
    At(i64),
    /// Nothing, unless a file changes: the token does not say when it ends.
    Changed,
    /// Nothing can be done without the person: the login has ended, was refused or is not there.
    SignIn,
}

/// How long before its end a token is renewed: a quarter of its life, half an hour at most.
#[must_use]
pub const fn lead_ms(lifetime_ms: Option<i64>) -> i64 {
    match lifetime_ms {
        Some(lifetime) if lifetime > 0 && lifetime / 4 < LEAD_MS => lifetime / 4,
        _ => LEAD_MS,
    }
}

/// How long to wait after so many failures.
#[must_use]
pub const fn pause_ms(failures: u32) -> i64 {
    if failures == 0 {
        return 0;
    }
    let doublings = if failures > 10 { 10 } else { failures - 1 };
    let pause = FIRST_PAUSE_MS << doublings;
    if pause < LONGEST_PAUSE_MS { pause } else { LONGEST_PAUSE_MS }
}

/// What is to be done next for sandboxes that were handed `handed`. What is new is handed out before anything is renewed.
#[must_use]
pub fn next(renewal: &Renewal<'_>, handed: &[View], clock: &Clock) -> Due {
    let source = renewal.source;
    let is_new = |view: &View| source.access.is_some() && view.access != source.access;
    if !source.is_access_over(clock) && handed.iter().any(is_new) {
        return Due::HandOut;
    }
    let Some(end) = source.expires_at_ms.filter(|_| source.access.is_some()) else {
        return if source.is_over(clock) { Due::SignIn } else { Due::Changed };
    };
    match source.state {
        LoginState::Full if !source.is_over(clock) => renew_at(renewal, end, clock),
        // Nothing renews it; whether there is another one is looked at when it ends.
        LoginState::AccessOnly if !source.is_over(clock) => Due::At(end.saturating_add(clock.skew_ms)),
        _ => Due::SignIn,
    }
}

fn renew_at(renewal: &Renewal<'_>, end_ms: i64, clock: &Clock) -> Due {
    let lifetime = renewal.renewed_at_ms.map(|made| end_ms.saturating_sub(made));
    let wanted = end_ms.saturating_sub(lead_ms(lifetime).min(renewal.lead_ms));
    // A failure in the future is one from before the clock was set back, and says nothing.
    let failed = renewal.failed_at_ms.filter(|failed| *failed <= clock.now_ms);
    let allowed = failed.map_or(i64::MIN, |failed| failed.saturating_add(pause_ms(renewal.failures)));
    match wanted.max(allowed) {
        due if due <= clock.now_ms => Due::Renew,
        due => Due::At(due),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credentials::testing::{ACCOUNT, DAY, HOUR, NOW, blank, login};

    fn renewal(source: &View) -> Renewal<'_> {
        Renewal { source, renewed_at_ms: Some(NOW), lead_ms: LEAD_MS, failures: 0, failed_at_ms: None }
    }

    fn at(source: &View, handed: &[View], now_ms: i64) -> Due {
        next(&renewal(source), handed, &Clock::at(now_ms))
    }

    #[test]
    fn days_are_whole_and_rounded_down() {
        let check = |distance: i64, expected: i64| assert_eq!(days_left(NOW + distance, NOW), expected, "{distance}");
        check(0, 0);
        check(DAY - 1, 0);
        check(DAY, 1);
        check(30 * DAY, 30);
        check(-1, -1);
        assert_eq!(days_left(i64::MAX, i64::MIN), i64::MAX / DAY);
    }

    #[test]
    fn the_end_is_announced_a_week_ahead() {
        let check = |end: Option<i64>, expected| assert_eq!(remaining(end, NOW), expected, "{end:?}");
        check(None, Remaining::Unknown);
        check(Some(NOW + 8 * DAY), Remaining::Long);
        check(Some(NOW + 7 * DAY + 1), Remaining::Long);
        check(Some(NOW + 7 * DAY), Remaining::Soon);
        check(Some(NOW + 1), Remaining::Soon);
        check(Some(NOW), Remaining::Over);
    }

    #[test]
    fn a_login_ends_with_what_renews_it() {
        let full = login(1, Some(ACCOUNT), NOW);
        assert_eq!(login_end(&full.view()), Some(NOW + 30 * DAY));
        assert_eq!(login_end(&full.access_only().expect("a token").view()), Some(NOW + 8 * HOUR));
        assert_eq!(login_end(&blank(None).view()), None);
    }

    #[test]
    fn a_token_is_renewed_half_an_hour_ahead_and_then_handed_out() {
        let (old, new) = (login(1, Some(ACCOUNT), NOW), login(2, Some(ACCOUNT), NOW + 7 * HOUR));
        let handed = [old.access_only().expect("a token").view()];
        let (old, new) = (old.view(), new.view());
        let due = NOW + 8 * HOUR - LEAD_MS;
        assert_eq!(at(&old, &handed, NOW), Due::At(due));
        assert_eq!(at(&old, &handed, due - 1), Due::At(due));
        assert_eq!(at(&old, &handed, due), Due::Renew);
        assert_eq!(at(&old, &handed, NOW + 20 * DAY), Due::Renew, "after a long sleep");
        assert_eq!(at(&old, &[], NOW), Due::At(due));
        assert_eq!(at(&new, &handed, due), Due::HandOut);
        assert_eq!(at(&old, &[View::absent()], NOW), Due::HandOut, "a new sandbox");
    }

    #[test]
    fn the_login_of_this_machine_is_renewed_when_claude_itself_would() {
        let source = login(1, Some(ACCOUNT), NOW).view();
        let due = |lifetime: i64| {
            let renewed_at_ms = source.expires_at_ms.map(|end| end - lifetime);
            let renewal = Renewal { renewed_at_ms, lead_ms: HOST_LEAD_MS, ..renewal(&source) };
            next(&renewal, &[], &Clock::at(NOW))
        };
        assert_eq!(due(8 * HOUR), Due::At(NOW + 8 * HOUR - HOST_LEAD_MS));
        assert_eq!(due(4 * MINUTE_MS), Due::At(NOW + 8 * HOUR - MINUTE_MS), "a short one at a quarter of its life");
        const { assert!(HOST_LEAD_MS < CLAUDE_RENEWS_MS) };
    }

    #[test]
    fn what_cannot_be_renewed_is_told() {
        assert_eq!(at(&login(1, Some(ACCOUNT), NOW).view(), &[], NOW + 31 * DAY), Due::SignIn);
        for nothing in [View::absent(), blank(Some(ACCOUNT)).view()] {
            assert_eq!(at(&nothing, &[], NOW), Due::SignIn, "{nothing:?}");
            let handed = [login(1, Some(ACCOUNT), NOW).view()];
            assert_eq!(at(&nothing, &handed, NOW), Due::SignIn, "a good token is not replaced by none");
        }
        let token = login(1, Some(ACCOUNT), NOW).access_only().expect("a token").view();
        assert!(matches!(at(&token, &[], NOW), Due::At(end) if end >= NOW + 8 * HOUR));
        assert_eq!(at(&token, &[], NOW + 9 * HOUR), Due::SignIn);
        let endless = View { expires_at_ms: None, ..token };
        assert_eq!(at(&endless, &[], NOW), Due::Changed);
    }

    #[test]
    fn a_failure_is_followed_by_a_pause_that_grows() {
        let source = login(1, Some(ACCOUNT), NOW).view();
        let due = NOW + 8 * HOUR - LEAD_MS;
        let check = |failures: u32, failed: i64, now: i64, expected: Due| {
            let renewal = Renewal { failures, failed_at_ms: Some(failed), ..renewal(&source) };
            assert_eq!(next(&renewal, &[], &Clock::at(now)), expected, "{failures}");
        };
        check(1, due, due + 1, Due::At(due + 15_000));
        check(2, due, due + 1, Due::At(due + 30_000));
        check(1, due, due + 15_000, Due::Renew);
        check(9, due, due + 1, Due::At(due + LONGEST_PAUSE_MS));
        check(u32::MAX, due, due + LONGEST_PAUSE_MS, Due::Renew);
        check(3, due + DAY, due, Due::Renew);
    }

    proptest! {
        /// Following the schedule, nobody's token gets so close to its end that Claude Code would renew it, as long as an
        /// attempt succeeds within the time that is left for them.
        #[test]
        fn nobody_comes_close_to_the_end(lifetime in 40 * MINUTE_MS..12 * HOUR, failing in 0..6_u32, days in 1..3_i64) {
            let make = |number: u32, made: i64| View {
                expires_at_ms: Some(made + lifetime), ..login(number, Some(ACCOUNT), made).view()
            };
            let (mut now, mut number, mut made) = (NOW, 1, NOW);
            let (mut failures, mut failed_at) = (0, None);
            let mut source = make(number, made);
            let mut handed = vec![View::absent()];
            let mut steps = 0;
            while now < NOW + days * DAY {
                steps += 1;
                prop_assert!(steps < 2000, "the schedule does not go round in circles");
                let renewal = Renewal {
                    source: &source,
                    renewed_at_ms: Some(made),
                    lead_ms: LEAD_MS,
                    failures,
                    failed_at_ms: failed_at,
                };
                match next(&renewal, &handed, &Clock::at(now)) {
                    Due::HandOut => handed = vec![source.clone()],
                    Due::At(then) => {
                        prop_assert!(then > now);
                        now = then;
                    }
                    Due::Renew if failures < failing => {
                        failures += 1;
                        failed_at = Some(now);
                    }
                    Due::Renew => {
                        (number, made, failures, failed_at) = (number + 1, now, 0, None);
                        source = make(number, made);
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
                if let Some(end) = handed[0].expires_at_ms {
                    let margin = if failing <= 4 && lifetime >= 2 * HOUR { CLAUDE_RENEWS_MS } else { 0 };
                    prop_assert!(end - now > margin, "{} ms left", end - now);
                }
            }
        }
    }
}
