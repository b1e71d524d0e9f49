//! What is told about credentials: made of marks and times only, and checked against every secret before it leaves.

use boxwood_protocol::credentials::{
    CredentialAccount, CredentialHealth, CredentialMode, CredentialSource, CredentialsStatus,
};

use super::expiry::{self, Remaining};
use super::file::CredentialFile;
use super::select::{Choice, Problem, Refusal};
use super::sync::Conflict;
use super::view::{Clock, LoginState, View};

/// Kinds of subscription that are shown by name; a file could say anything.
const SUBSCRIPTIONS: [&str; 5] = ["free", "pro", "max", "team", "enterprise"];

/// What the daemon knows of the credential in use.
#[derive(Debug, Default)]
pub struct Known<'a> {
    /// The sandbox, when it is about one.
    pub sandbox: Option<&'a str>,
    /// The credential file: the sandbox's own, the login home's or the host's, whichever the mode makes the one that
    /// matters. None for keys.
    pub login: Option<&'a CredentialFile>,
    /// `emailAddress` of `oauthAccount` in the `.claude.json` beside it.
    pub email: Option<&'a str>,
    /// When a token of `claude setup-token` was stored.
    pub stored_at_ms: Option<i64>,
    /// When the access token was last renewed.
    pub renewed_at_ms: Option<i64>,
    /// What keeps both sides from being made the same.
    pub conflict: Option<Conflict>,
    /// Attempts to renew that failed since.
    pub failures: u32,
    /// Whether nothing here renews it: the person's next use of Claude Code does.
    pub is_renewed_by_use: bool,
}

/// How the credentials are.
#[must_use]
pub fn status(choice: &Choice, known: &Known<'_>, clock: &Clock) -> CredentialsStatus {
    let view = known.login.map(CredentialFile::view);
    let end = end(choice, known, view.as_ref());
    let told = told(choice, known, view.as_ref(), end, clock);
    let in_use = choice.outcome.ok();
    CredentialsStatus {
        sandbox: known.sandbox.map(str::to_owned),
        source: in_use.map(|(source, _)| source),
        mode: in_use.map(|(_, mode)| mode),
        account: known.login.zip(view.as_ref()).and_then(|(file, view)| account(file, view, known.email)),
        expires_at_ms: end,
        days_left: end.map(|end| expiry::days_left(end, clock.now_ms)),
        last_refresh_ms: known.renewed_at_ms,
        health: told.health,
        detail: told.detail,
        next_step: told.next_step,
        is_in_conflict: known.conflict.is_some_and(Conflict::is_between_two),
        sources: choice.sources.clone(),
        modes: choice.modes.clone(),
        warnings: choice.warnings.clone(),
    }
}

fn end(choice: &Choice, known: &Known<'_>, view: Option<&View>) -> Option<i64> {
    match choice.outcome {
        Ok((CredentialSource::StoredLogin, _)) => {
            known.stored_at_ms.map(|stored| stored.saturating_add(expiry::SETUP_TOKEN_MS))
        }
        Ok((CredentialSource::LoginHome | CredentialSource::HostLogin, _)) | Err(Refusal::Nothing { .. }) => {
            view.and_then(expiry::login_end)
        }
        _ => None,
    }
}

struct Told {
    health: CredentialHealth,
    detail: String,
    next_step: Option<String>,
}

fn tell(health: CredentialHealth, detail: impl Into<String>, next_step: &str) -> Told {
    let next_step = (!next_step.is_empty()).then(|| next_step.to_owned());
    Told { health, detail: detail.into(), next_step }
}

const SIGN_IN: &str = "sign in with 'boxwood login', or inside with /login";

fn told(choice: &Choice, known: &Known<'_>, view: Option<&View>, end: Option<i64>, clock: &Clock) -> Told {
    let (source, mode) = match choice.outcome {
        Ok(in_use) => in_use,
        // Somebody signed in inside, which needs nothing from out here.
        Err(Refusal::Nothing { .. }) if view.is_some_and(|view| !view.is_over(clock)) => {
            (CredentialSource::LoginHome, CredentialMode::Isolated)
        }
        Err(refusal) => return refused(refusal),
    };
    if let Some(conflict) = known.conflict {
        return tell(CredentialHealth::Attention, conflict.reason(), conflict.next_step());
    }
    let is_login = matches!(source, CredentialSource::LoginHome | CredentialSource::HostLogin);
    if is_login {
        match view.map(|view| (view.state, view.is_over(clock))) {
            None | Some((LoginState::Absent | LoginState::Stub, _)) => {
                return tell(CredentialHealth::SignedOut, "nobody is signed in", SIGN_IN);
            }
            Some((LoginState::Blank, _)) => {
                return tell(CredentialHealth::Expired, "the login was refused", SIGN_IN);
            }
            Some((LoginState::AccessOnly | LoginState::Full, true)) => {
                return tell(CredentialHealth::Expired, "the login has ended", SIGN_IN);
            }
            Some((LoginState::AccessOnly | LoginState::Full, false)) => {}
        }
    }
    let is_used_up = view.is_some_and(|view| view.is_access_over(clock));
    if is_login && mode == CredentialMode::Token && known.is_renewed_by_use && is_used_up {
        return tell(
            CredentialHealth::Attention,
            "the access token has ended, and Claude Code was not found here to renew it",
            "use Claude Code on this machine once; what it renews then goes to the sandboxes",
        );
    }
    // An access token alone lives for hours; that it ends soon is no news.
    let is_told_ahead = !is_login || view.is_some_and(|view| view.state == LoginState::Full);
    match (expiry::remaining(end, clock.now_ms), end) {
        (Remaining::Over, _) => tell(CredentialHealth::Expired, "the login has ended", SIGN_IN),
        (Remaining::Soon, Some(end)) if is_told_ahead => {
            let when = match expiry::days_left(end, clock.now_ms) {
                0 => "within a day".to_owned(),
                1 => "in 1 day".to_owned(),
                days => format!("in {days} days"),
            };
            tell(CredentialHealth::Expiring, format!("the login ends {when}"), "sign in again with 'boxwood login'")
        }
        _ if known.failures > 0 => tell(
            CredentialHealth::Attention,
            format!("the login could not be renewed, {} so far; it is tried again", times(known.failures)),
            "check the network; 'boxwood doctor' says more",
        ),
        _ if is_login => tell(CredentialHealth::Ok, format!("signed in; held as '{}'", mode.as_str()), ""),
        _ => tell(CredentialHealth::Ok, format!("there; held as '{}'", mode.as_str()), ""),
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn refused(refusal: Refusal) -> Told {
    let health = match refusal {
        Refusal::Nothing { .. } | Refusal::ChosenEmpty(_) => CredentialHealth::SignedOut,
        Refusal::Unusable(_, Problem::Locked | Problem::Away | Problem::Unreadable) => CredentialHealth::Unreadable,
        Refusal::Unusable(_, Problem::Ended) => CredentialHealth::Expired,
        Refusal::Unusable(..)
        | Refusal::NotServed(..)
        | Refusal::NeedsGateway(_)
        | Refusal::NeedsConsent(..)
        | Refusal::NeedsMode(_) => CredentialHealth::Attention,
    };
    tell(health, refusal.reason(), &refusal.next_step())
}

/// Whose login it is. What the file says of itself is shown only in forms that no token has, and not at all when it repeats
/// one.
fn account(file: &CredentialFile, view: &View, email: Option<&str>) -> Option<CredentialAccount> {
    let is_safe = |text: &&str| !file.is_given_away_by(text);
    let account = CredentialAccount {
        id: view.account.as_ref().map(|account| account.as_str()).filter(is_safe).map(str::to_owned),
        email: email.filter(|text| is_address(text)).filter(is_safe).map(str::to_owned),
        subscription: file
            .subscription()
            .map(|text| SUBSCRIPTIONS.into_iter().find(|known| *known == text).unwrap_or("other").to_owned()),
    };
    (account != CredentialAccount::default()).then_some(account)
}

/// Whether a text has the form of an address of electronic mail.
fn is_address(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let is_plain = |part: &str, more: &[char]| {
        !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || more.contains(&letter))
    };
    text.len() <= 254
        && !text.contains("sk-ant-")
        && is_plain(name, &['.', '+', '-', '_', '\''])
        && is_plain(domain, &['.', '-'])
        && domain.contains('.')
}

#[cfg(test)]
mod tests;
