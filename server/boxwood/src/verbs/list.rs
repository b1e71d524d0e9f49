//! `list`.

use boxwood_protocol::config::Network;
use boxwood_protocol::contract::List;
use boxwood_protocol::params::SandboxFilter;
use boxwood_protocol::sandbox::{Enforcement, Health, SandboxInfo, SandboxState};
use jiff::Timestamp;

use super::Outcome;
use crate::args::ListArguments;
use crate::context::Context;
use crate::output::table::{Cell, table};
use crate::output::units::age;
use crate::output::{Paint, Style};

pub(super) async fn list(arguments: &ListArguments, context: &Context) -> Outcome {
    let project = context.global.project.as_ref().map(|_| context.project()).transpose()?;
    let connection = context.connect().await?;
    let mut sandboxes = connection.call::<List>(&SandboxFilter { project }).await?;
    if let Some(session) = &context.global.session {
        sandboxes.retain(|sandbox| sandbox.session == *session);
    }
    if sandboxes.is_empty() {
        context.screen.note("There are no sandboxes. 'boxwood start' in a project directory makes one.");
    }
    context.screen.show(&sandboxes, |paint| match (arguments.quiet, sandboxes.is_empty()) {
        (true, _) => sandboxes.iter().map(|sandbox| format!("{}\n", sandbox.id)).collect(),
        (false, true) => String::new(),
        (false, false) => words(&sandboxes, paint, Timestamp::now()),
    })?;
    Ok(0)
}

fn words(sandboxes: &[SandboxInfo], paint: Paint, now: Timestamp) -> String {
    let rows: Vec<Vec<Cell>> = sandboxes
        .iter()
        .map(|sandbox| {
            let image =
                if sandbox.is_outdated { format!("{} (outdated)", sandbox.image) } else { sandbox.image.clone() };
            vec![
                Cell::styled(Style::Head, &sandbox.id),
                state(sandbox.state),
                health(sandbox),
                network(sandbox),
                age(&sandbox.created_at, now).into(),
                image.into(),
                (&sandbox.project).into(),
            ]
        })
        .collect();
    table(paint, &["SANDBOX", "STATE", "HEALTH", "NETWORK", "AGE", "IMAGE", "PROJECT"], &rows)
}

/// A state in words.
pub(super) fn state(state: SandboxState) -> Cell {
    match state {
        SandboxState::Creating => Cell::styled(Style::Warning, "creating"),
        SandboxState::Running => Cell::styled(Style::Good, "running"),
        SandboxState::Paused => Cell::styled(Style::Warning, "paused"),
        SandboxState::Stopped => Cell::styled(Style::Dim, "stopped"),
        SandboxState::Failed => Cell::styled(Style::Bad, "failed"),
    }
}

/// A health in words, with the reason for a bad one.
pub(super) fn health(sandbox: &SandboxInfo) -> Cell {
    let (style, word) = match sandbox.health {
        Health::None => (Style::Dim, "-"),
        Health::Starting => (Style::Warning, "starting"),
        Health::Healthy => (Style::Good, "healthy"),
        Health::Unhealthy => (Style::Bad, "unhealthy"),
    };
    match &sandbox.detail {
        Some(detail) if word == "-" => Cell::styled(style, detail),
        Some(detail) => Cell::styled(style, format!("{word}: {detail}")),
        None => Cell::styled(style, word),
    }
}

/// Where the network policy of a running sandbox is enforced, and what there is to know of it.
fn network(sandbox: &SandboxInfo) -> Cell {
    if sandbox.state != SandboxState::Running {
        return Cell::styled(Style::Dim, "-");
    }
    let (style, word) = match (sandbox.network, sandbox.enforcement) {
        (Network::None, _) => (Style::Good, "none"),
        (_, Enforcement::Outside) => (Style::Good, "outside"),
        (_, Enforcement::Inside) => (Style::Warning, "inside"),
        (Network::Open, Enforcement::Off) => (Style::Warning, "open"),
        (Network::Gateway, Enforcement::Off) => (Style::Warning, "not enforced"),
    };
    let mut text = word.to_owned();
    if sandbox.blocked > 0 {
        text.push_str(&format!(", {} blocked", sandbox.blocked));
    }
    if sandbox.bypass_until_ms.is_some() {
        text.push_str(", bypassed");
    }
    match (&sandbox.alarm, sandbox.bypass_until_ms) {
        (Some(_), _) => Cell::styled(Style::Bad, format!("{text}, ALARM")),
        (None, Some(_)) => Cell::styled(Style::Warning, text),
        (None, None) => Cell::styled(style, text),
    }
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::config::Lifetime;

    use super::*;

    fn sandbox(id: &str, state: SandboxState, health: Health, detail: Option<&str>) -> SandboxInfo {
        SandboxInfo {
            id: id.to_owned(),
            container: format!("boxwood-{id}"),
            project: format!("/home/u/{id}\nproject"),
            session: "default".to_owned(),
            state,
            health,
            detail: detail.map(str::to_owned),
            lifetime: Lifetime::Persistent,
            network: Network::Open,
            enforcement: Enforcement::Off,
            alarm: None,
            blocked: 0,
            bypass_until_ms: None,
            image: "boxwood/slim:1".to_owned(),
            claude_version: "2.1.0".to_owned(),
            created_at: "2026-03-01T09:00:00Z".to_owned(),
            started_at: None,
            exit_code: None,
            is_outdated: state == SandboxState::Stopped,
        }
    }

    #[test]
    fn sandboxes_are_listed_in_columns() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("timestamp");
        let sandboxes = [
            sandbox("shop-0a1b2c3d", SandboxState::Running, Health::Healthy, None),
            sandbox("a-ffffffff", SandboxState::Failed, Health::None, Some("killed for want of memory")),
            sandbox("b-00000000", SandboxState::Stopped, Health::None, None),
        ];
        insta::assert_snapshot!(words(&sandboxes, Paint::new(false), now), @r"
        SANDBOX        STATE    HEALTH                     NETWORK  AGE  IMAGE                      PROJECT
        shop-0a1b2c3d  running  healthy                    open     3 h  boxwood/slim:1             /home/u/shop-0a1b2c3d\nproject
        a-ffffffff     failed   killed for want of memory  -        3 h  boxwood/slim:1             /home/u/a-ffffffff\nproject
        b-00000000     stopped  -                          -        3 h  boxwood/slim:1 (outdated)  /home/u/b-00000000\nproject
        ");
    }

    #[test]
    fn a_network_is_told_in_a_word_or_two() {
        let check = |alarm: Option<&str>, blocked: u64, bypass: Option<u64>, expected: &str| {
            let mut sandbox = sandbox("a", SandboxState::Running, Health::Healthy, None);
            (sandbox.network, sandbox.enforcement) = (Network::Gateway, Enforcement::Outside);
            (sandbox.alarm, sandbox.blocked, sandbox.bypass_until_ms) = (alarm.map(str::to_owned), blocked, bypass);
            let text = table(Paint::new(false), &[], &[vec![network(&sandbox)]]);
            assert_eq!(text.trim(), expected);
        };
        check(None, 0, None, "outside");
        check(None, 12, None, "outside, 12 blocked");
        check(Some("no answer"), 1, Some(5), "outside, 1 blocked, bypassed, ALARM");
        for (mode, expected) in [(Network::None, "none"), (Network::Open, "open"), (Network::Gateway, "not enforced")] {
            let mut sandbox = sandbox("a", SandboxState::Running, Health::Healthy, None);
            sandbox.network = mode;
            assert_eq!(table(Paint::new(false), &[], &[vec![network(&sandbox)]]).trim(), expected);
        }
    }
}
