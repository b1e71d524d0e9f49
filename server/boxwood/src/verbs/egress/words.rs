//! Policies, decisions and questions in words.

use boxwood_protocol::config::Network;
use boxwood_protocol::egress::{
    EgressAction, EgressAnswer, EgressAsk, EgressDecision, EgressLayer, EgressReport, EgressRule, EgressVerdict,
    EgressVia, PresetInfo, RuleHits,
};
use boxwood_protocol::sandbox::Enforcement;
use jiff::Timestamp;

use super::reasons::why;
use crate::output::table::{Cell, fields, one_line, table};
use crate::output::units::{count, size, span};
use crate::output::{Paint, Style};

/// Most hosts with their ports are shorter.
const HOST_WIDTH: usize = 32;

/// Hosts that are told in one line.
const FEW: usize = 5;

/// Where a policy is enforced, if it is.
pub(in crate::verbs) fn enforcement(network: Network, enforcement: Enforcement) -> Cell {
    match (network, enforcement) {
        (Network::None, _) => Cell::styled(Style::Good, "none: no network at all"),
        (_, Enforcement::Outside) => Cell::styled(Style::Good, "enforced outside"),
        (_, Enforcement::Inside) => Cell::styled(Style::Warning, "enforced inside"),
        (Network::Open, Enforcement::Off) => Cell::styled(Style::Warning, "off: the network is open"),
        (Network::Gateway, Enforcement::Off) => Cell::styled(Style::Warning, "not enforced at present"),
    }
}

/// How long everything is let through.
pub(in crate::verbs) fn bypass(until_ms: u64, now: Timestamp) -> Cell {
    let left = i64::try_from(until_ms).unwrap_or(i64::MAX).saturating_sub(now.as_millisecond());
    Cell::styled(Style::Warning, format!("everything is let through for {}", span(left / 1000)))
}

fn action(action: EgressAction) -> Cell {
    let (style, word) = match action {
        EgressAction::Allow => (Style::Good, "allow"),
        EgressAction::Ask => (Style::Warning, "ask"),
        EgressAction::Deny => (Style::Bad, "deny"),
    };
    Cell::styled(style, word)
}

fn layer(layer: EgressLayer) -> &'static str {
    match layer {
        EgressLayer::BuiltIn => "built in",
        EgressLayer::Bypass => "bypass",
        EgressLayer::Session => "this session",
        EgressLayer::Remembered => "this project, decided",
        EgressLayer::UserDeny | EgressLayer::User => "your file",
        EgressLayer::Request => "flags or editor",
        EgressLayer::Project => "the project's file",
        EgressLayer::Preset => "preset",
        EgressLayer::Default => "no rule",
    }
}

fn rule(rule: &EgressRule) -> String {
    let list = |list: &Option<Vec<String>>| list.as_ref().map(|list| list.join(",")).unwrap_or_default();
    let ports = rule.ports.as_ref().map(|ports| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(","));
    let ports = ports.map(|ports| format!(":{ports}")).unwrap_or_default();
    let text = format!("{} {}{ports}{}", list(&rule.methods), rule.host, list(&rule.paths));
    text.trim_start().to_owned()
}

/// The policy in force.
pub(super) fn policy(report: &EgressReport, paint: Paint, now: Timestamp) -> String {
    let rest = match report.default {
        EgressAction::Allow => Cell::styled(Style::Warning, "let through"),
        EgressAction::Ask => "held until you answer".into(),
        EgressAction::Deny => "refused".into(),
    };
    let mut pairs = vec![("network policy", enforcement(report.network, report.enforcement))];
    if let Some(alarm) = &report.alarm {
        pairs.push(("alarm", Cell::styled(Style::Bad, alarm)));
    }
    if report.bypass_until_ms > 0 {
        pairs.push(("bypass", bypass(report.bypass_until_ms, now)));
    }
    pairs.push(("other hosts", rest));
    let counts = format!("{} let through, {} refused, {} open", report.allowed, report.blocked, report.open);
    pairs.push(("connections", counts.into()));
    if !report.asks.is_empty() {
        let waiting = format!("{}: 'boxwood egress ask'", count(report.asks.len(), "host", "hosts"));
        pairs.push(("waiting", Cell::styled(Style::Warning, waiting)));
    }
    format!("{}\n{}", fields(paint, &pairs), rules(&report.rules, paint))
}

fn rules(rules: &[RuleHits], paint: Paint) -> String {
    let row = |hits: &RuleHits| {
        let from = match &hits.placed.preset {
            Some(preset) => format!("preset {preset}"),
            None => layer(hits.placed.layer).to_owned(),
        };
        let count = if hits.hits > 0 { hits.hits.to_string() } else { String::new() };
        vec![
            Cell::styled(Style::Head, rule(&hits.placed.rule)),
            action(hits.placed.rule.action),
            from.into(),
            count.into(),
        ]
    };
    table(paint, &["HOST", "ACTION", "FROM", "HITS"], &rules.iter().map(row).collect::<Vec<_>>())
}

/// The ready-made sets of hosts.
pub(super) fn presets(presets: &[PresetInfo], paint: Paint) -> String {
    let mut text = String::new();
    for preset in presets {
        let name = paint.paint(Style::Head, &one_line(&preset.name));
        text.push_str(&format!("{name}: {}\n", one_line(&preset.description)));
        for host in &preset.hosts {
            text.push_str(&format!("  {}\n", one_line(host)));
        }
    }
    text
}

fn via(via: EgressVia) -> &'static str {
    match via {
        EgressVia::Dns => "name",
        EgressVia::Tls => "tls",
        EgressVia::Http => "http",
        EgressVia::Https => "https",
        EgressVia::Connect => "proxy",
        EgressVia::Socks => "socks",
        EgressVia::Address => "address",
    }
}

/// The time of day in UTC, as logs have it.
fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| "unknown".to_owned(), |at| format!("{}Z", &format!("{at:.0}")[11..19]))
}

/// A host with its port; 0 stands for a question for its address.
pub(super) fn place(host: &str, port: u16) -> String {
    match port {
        0 => host.to_owned(),
        port if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

/// What decided.
fn by(decision: &EgressDecision) -> String {
    match (&decision.reason, &decision.rule) {
        (Some(reason), _) => why(reason),
        (None, Some(rule)) => format!("{} ({rule})", layer(decision.layer)),
        (None, None) => layer(decision.layer).to_owned(),
    }
}

/// The host is `width` characters wide at least, for lines that come one by one.
fn decision_cells(decision: &EgressDecision, width: usize) -> Vec<Cell> {
    let place = format!("{:width$}", place(&decision.host, decision.port));
    let by = by(decision);
    let times = if decision.count > 1 { format!("{} times", decision.count) } else { String::new() };
    let bytes = match (decision.bytes_up, decision.bytes_down) {
        (0, 0) => String::new(),
        (up, down) => format!("{} up, {} down", size(up), size(down)),
    };
    let what = decision
        .request
        .as_ref()
        .map_or_else(|| via(decision.via).to_owned(), |request| format!("{} {request}", via(decision.via)));
    let more = [times, bytes].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    vec![
        Cell::styled(Style::Dim, time(decision.at_ms)),
        action(decision.action),
        Cell::styled(Style::Head, place),
        what.into(),
        by.into(),
        more.into(),
    ]
}

/// Decisions as a table.
pub(super) fn decisions(decisions: &[EgressDecision], paint: Paint) -> String {
    if decisions.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = decisions.iter().map(|decision| decision_cells(decision, 0)).collect();
    table(paint, &["TIME", "ACTION", "HOST", "VIA", "BY", "MORE"], &rows)
}

/// One decision among others that come one by one.
pub(super) fn decision(decision: &EgressDecision, paint: Paint) -> String {
    table(paint, &[], &[decision_cells(decision, HOST_WIDTH)]).trim_start_matches('\n').to_owned()
}

/// What the policy says of a connection.
pub(super) fn verdict(verdict: &EgressVerdict, paint: Paint) -> String {
    let style = match verdict.action {
        EgressAction::Allow => Style::Good,
        EgressAction::Ask => Style::Warning,
        EgressAction::Deny => Style::Bad,
    };
    format!("{}\n", paint.paint(style, &one_line(&verdict.explanation)))
}

/// What was done by an answer.
pub(super) fn answered(host: &str, answer: EgressAnswer) -> String {
    let host = one_line(host);
    match answer {
        EgressAnswer::AllowOnce => format!("What waited for {host} goes on.\n"),
        EgressAnswer::AllowSession => format!("{host} is allowed until the sandbox stops.\n"),
        EgressAnswer::AllowProject => format!("{host} is allowed in this project.\n"),
        EgressAnswer::Deny => format!("{host} is refused for a minute.\n"),
        EgressAnswer::DenyAlways => format!("{host} is refused in this project.\n"),
    }
}

/// Seconds that a question still waits.
pub(super) fn seconds_left(ask: &EgressAsk, now: Timestamp) -> u64 {
    let left = i64::try_from(ask.until_ms).unwrap_or(i64::MAX).saturating_sub(now.as_millisecond());
    u64::try_from(left).unwrap_or_default().div_ceil(1000)
}

fn time_left(ask: &EgressAsk, now: Timestamp) -> String {
    span(i64::try_from(seconds_left(ask, now)).unwrap_or(i64::MAX))
}

/// How many wait, and how long they still do.
pub(super) fn waiting(ask: &EgressAsk, now: Timestamp) -> String {
    format!("{}, {} left", count(ask.waiting as usize, "connection", "connections"), time_left(ask, now))
}

/// Questions as a table.
pub(super) fn asks(asks: &[EgressAsk], paint: Paint, now: Timestamp) -> String {
    if asks.is_empty() {
        return String::new();
    }
    let row = |ask: &EgressAsk| vec![Cell::styled(Style::Head, place(&ask.host, ask.port)), waiting(ask, now).into()];
    table(paint, &["HOST", "WAITING"], &asks.iter().map(row).collect::<Vec<_>>())
}

/// One question among others that come one by one.
pub(super) fn asked(ask: &EgressAsk, now: Timestamp) -> String {
    one_line(&format!("{} waits ({})", place(&ask.host, ask.port), waiting(ask, now)))
}

/// One question beside what a command says.
pub(super) fn question(ask: &EgressAsk, how_to_answer: &str, now: Timestamp) -> String {
    let place = place(&ask.host, ask.port);
    one_line(&format!("{place} waits for your answer ({}): {how_to_answer}", time_left(ask, now)))
}

/// All questions in one line; `None` when there is none.
pub(super) fn questions(asks: &[EgressAsk], how_to_answer: &str) -> Option<String> {
    let first = asks.first()?;
    let what = match asks.len() {
        1 => format!("{} waits", place(&first.host, first.port)),
        many => format!("{} and {} more wait", place(&first.host, first.port), many - 1),
    };
    Some(one_line(&format!("{what} for your answer: {how_to_answer}")))
}

/// What was refused while a command ran, and the next step.
pub(super) fn refused(refused: &[EgressDecision], program: &str, sandbox: &str, paint: Paint) -> String {
    let why = |decision: &EgressDecision| match by(decision) {
        by if by == layer(EgressLayer::Default) => "no rule names it".to_owned(),
        by => by,
    };
    let each = refused.iter().take(FEW).map(|it| format!("{} ({})", place(&it.host, it.port), why(it)));
    let mut hosts = each.collect::<Vec<_>>().join(", ");
    if refused.len() > FEW {
        hosts.push_str(&format!(" and {} more", refused.len() - FEW));
    }
    format!(
        "{} {}\n{} '{program} egress allow HOST {sandbox}' allows one in this project, '{program} egress log --blocked {sandbox}' shows all",
        paint.paint(Style::Warning, "refused meanwhile:"),
        one_line(&hosts),
        paint.paint(Style::Hint, "next:"),
    )
}

#[cfg(test)]
mod tests;
