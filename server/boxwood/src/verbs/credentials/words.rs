//! Credentials in words. There is no value in what is shown, and what is shown has no control characters.

use boxwood_protocol::credentials::{
    CredentialHealth, CredentialModeReport, CredentialSource, CredentialSourceReport, CredentialUse, CredentialsStatus,
    StoredCredential,
};
use boxwood_protocol::params::SandboxRef;
use jiff::Timestamp;

use crate::output::table::{Cell, fields, one_line, table};
use crate::output::units::{count, span};
use crate::output::{Paint, Style};

/// What is kept.
pub(super) const fn kind(kind: StoredCredential) -> &'static str {
    match kind {
        StoredCredential::ApiKey => "API key",
        StoredCredential::AuthToken => "token of another provider",
        StoredCredential::SetupToken => "token of 'claude setup-token'",
    }
}

/// Which sandboxes a choice is for.
pub(super) fn of(target: Option<&SandboxRef>) -> String {
    match target.and_then(|target| target.sandbox.as_deref()) {
        Some(sandbox) => format!("in sandbox {}", one_line(sandbox)),
        None => "in new sandboxes".to_owned(),
    }
}

/// A source's name for a person.
pub(super) fn title(status: &CredentialsStatus, source: CredentialSource) -> String {
    let known = status.sources.iter().find(|report| report.source == source);
    one_line(known.map_or(source.as_str(), |report| &report.title))
}

const fn style(health: CredentialHealth) -> Style {
    match health {
        CredentialHealth::Ok => Style::Good,
        CredentialHealth::Expiring | CredentialHealth::Attention => Style::Warning,
        CredentialHealth::Expired | CredentialHealth::Unreadable | CredentialHealth::SignedOut => Style::Bad,
    }
}

/// What was done, and how things are then.
pub(super) fn done(what: &str, status: &CredentialsStatus, paint: Paint) -> String {
    let mut text = format!("{}.\n", paint.paint(Style::Good, &one_line(what)));
    text.push_str(&format!("{}.\n", paint.paint(style(status.health), &capital(&one_line(&status.detail)))));
    next(&mut text, status, paint);
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn next(text: &mut String, status: &CredentialsStatus, paint: Paint) {
    if let Some(step) = &status.next_step {
        text.push_str(&format!("{} {}\n", paint.paint(Style::Hint, "next:"), one_line(step)));
    }
}

/// Everything that is known.
pub(super) fn status(status: &CredentialsStatus, paint: Paint, now: Timestamp) -> String {
    let mut text = fields(paint, &pairs(status, now));
    next(&mut text, status, paint);
    if status.is_in_conflict {
        let both = "'boxwood credentials resolve --keep host' or '--keep sandbox' ends the conflict";
        text.push_str(&format!("{} {both}\n", paint.paint(Style::Hint, "next:")));
    }
    for warning in &status.warnings {
        text.push_str(&format!("{} {}\n", paint.paint(Style::Warning, "warning:"), one_line(warning)));
    }
    if !status.sources.is_empty() {
        text.push('\n');
        text.push_str(&sources(&status.sources, paint));
    }
    if !status.modes.is_empty() {
        text.push('\n');
        text.push_str(&modes(status, paint));
    }
    text
}

fn pairs(status: &CredentialsStatus, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let mut pairs = vec![("login", Cell::styled(style(status.health), &status.detail))];
    if let Some(account) = account(status) {
        pairs.push(("account", account.into()));
    }
    if let Some(source) = status.source {
        pairs.push(("source", title(status, source).into()));
    }
    if let Some(mode) = status.mode {
        let holds = status.modes.iter().find(|report| report.mode == mode).map(|report| report.holds.as_str());
        let holds = holds.map(|holds| format!(": the sandbox holds {holds}")).unwrap_or_default();
        pairs.push(("mode", format!("{}{holds}", mode.as_str()).into()));
    }
    if let Some(end) = end(status) {
        let style = if status.health == CredentialHealth::Ok { Style::Plain } else { style(status.health) };
        pairs.push(("ends", Cell::styled(style, end)));
    }
    if let Some(at) = status.last_refresh_ms {
        let seconds = now.as_millisecond().saturating_sub(at) / 1000;
        pairs.push(("renewed", format!("{} ago", span(seconds)).into()));
    }
    let whose = status.sandbox.as_ref().map_or_else(|| "new sandboxes".to_owned(), |id| format!("sandbox {id}"));
    pairs.push(("of", whose.into()));
    pairs
}

fn account(status: &CredentialsStatus) -> Option<String> {
    let account = status.account.as_ref()?;
    let name = account.email.as_ref().or(account.id.as_ref());
    let parts: Vec<&str> = name.into_iter().chain(&account.subscription).map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// When one must sign in again: the day, and how far off it is.
fn end(status: &CredentialsStatus) -> Option<String> {
    let day = status.expires_at_ms.and_then(|at| Timestamp::from_millisecond(at).ok());
    let day = day.map(|day| day.strftime("%Y-%m-%d").to_string());
    let left = status.days_left.map(|days| match days {
        ..0 => "it is over".to_owned(),
        0 => "within a day".to_owned(),
        days => format!("in {}", count(usize::try_from(days).unwrap_or_default(), "day", "days")),
    });
    let parts: Vec<String> = [day, left].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn sources(sources: &[CredentialSourceReport], paint: Paint) -> String {
    let row = |report: &CredentialSourceReport| {
        let (style, word) = match report.usage {
            CredentialUse::Chosen => (Style::Good, "used"),
            CredentialUse::Available => (Style::Plain, "there"),
            CredentialUse::ByChoice => (Style::Plain, "by choice"),
            CredentialUse::Unusable => (Style::Warning, "unusable"),
            CredentialUse::Absent => (Style::Dim, "none"),
        };
        let rest = if report.usage == CredentialUse::Absent { Style::Dim } else { Style::Plain };
        let name = if rest == Style::Dim { rest } else { Style::Head };
        vec![
            Cell::styled(name, report.source.as_str()),
            Cell::styled(style, word),
            Cell::styled(rest, &report.title),
            Cell::styled(rest, &report.reason),
        ]
    };
    table(paint, &["SOURCE", "USE", "WHAT", "WHY"], &sources.iter().map(row).collect::<Vec<_>>())
}

fn modes(status: &CredentialsStatus, paint: Paint) -> String {
    let row = |report: &CredentialModeReport| {
        let (style, word) = match (status.mode == Some(report.mode), report.is_available, report.is_default) {
            (true, ..) => (Style::Good, "used"),
            (_, false, _) => (Style::Dim, "not as it is"),
            (.., true) => (Style::Plain, "default"),
            _ if report.explanation.is_some() => (Style::Plain, "asks first"),
            _ => (Style::Plain, "by choice"),
        };
        vec![Cell::styled(Style::Head, report.mode.as_str()), Cell::styled(style, word), Cell::from(&report.holds)]
    };
    table(paint, &["MODE", "USE", "THE SANDBOX HOLDS"], &status.modes.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
