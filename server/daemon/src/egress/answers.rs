//! What the person decides: for the connections that wait, for the session, for the project, for a while.

use std::sync::Arc;
use std::time::Duration;

use boxwood_core::egress::{Pattern, Target, policy};
use boxwood_protocol::egress::{
    EgressAction, EgressAnswer, EgressAsk, EgressDecision, EgressLayer, EgressRule, EgressVia,
};
use boxwood_protocol::gateway::{Ask, Decide, Nothing};
use boxwood_protocol::{ErrorCode, RpcError};

use super::entry::{Entry, now_ms};
use super::remembered;
use crate::daemon::Daemon;
use crate::error::Result;

/// How long a refusal that is not for good counts, milliseconds.
const BRIEF_MS: u64 = 60_000;

/// Longest time for which everything is let through, seconds.
const LONGEST_BYPASS: u32 = 3600;

fn not_a_host(text: &str, cause: impl std::fmt::Display) -> RpcError {
    RpcError::new(ErrorCode::InvalidParams, format!("'{text}' is not a host"))
        .caused_by(cause)
        .hint("write it as name, *.name, name:port, or as an address")
}

/// Reads what the person named.
pub(super) fn target(text: &str) -> Result<Target> {
    Target::parse(text).map_err(|cause| not_a_host(text, cause))
}

/// What waits for exactly this.
fn waiting(entry: &Entry, target: &Target) -> Vec<EgressAsk> {
    let fits = |ask: &&EgressAsk| {
        target.port.is_none_or(|port| port == ask.port)
            && boxwood_core::egress::Host::parse(&ask.host).is_ok_and(|host| target.pattern.matches(&host))
    };
    entry.state().asks.values().filter(fits).cloned().collect()
}

/// The rule that an answer makes. Without a port it is about the ports that wait; those of the web belong together.
fn rule(text: &str, target: &Target, asks: &[EgressAsk], action: EgressAction) -> Result<EgressRule> {
    let mut rule = policy::rule_for(text, action).map_err(|cause| not_a_host(text, cause))?;
    let mut ports: Vec<u16> = asks.iter().map(|ask| ask.port).collect();
    ports.sort_unstable();
    ports.dedup();
    if target.port.is_none() && action == EgressAction::Allow && ports.iter().any(|port| !matches!(port, 80 | 443)) {
        rule.ports = Some(ports);
    }
    // A person who allows an address means it, wherever it is.
    if matches!(target.pattern, Pattern::Exact(boxwood_core::egress::Host::Address(_)) | Pattern::Block(_)) {
        rule.private = Some(true);
    }
    Ok(rule)
}

/// Whether a decision is about the same as another, so that the newer one takes its place.
fn is_same(a: &EgressRule, b: &EgressRule) -> bool {
    a.host == b.host
        && match (&a.ports, &b.ports) {
            (Some(a), Some(b)) => a.iter().any(|port| b.contains(port)),
            _ => true,
        }
}

fn drop_passing(entry: &Entry, rule: &EgressRule) {
    let mut state = entry.state();
    state.passing.session.retain(|kept| !is_same(kept, rule));
    state.brief.retain(|(kept, _)| !is_same(kept, rule));
}

/// Does what the person answered.
pub(super) async fn decide(
    daemon: &Arc<Daemon>,
    project: &str,
    entry: Option<&Arc<Entry>>,
    host: &str,
    answer: EgressAnswer,
) -> Result<()> {
    let target = target(host)?;
    let asks = entry.map(|entry| waiting(entry, &target)).unwrap_or_default();
    let action = match answer {
        EgressAnswer::Deny | EgressAnswer::DenyAlways => EgressAction::Deny,
        EgressAnswer::AllowOnce | EgressAnswer::AllowSession | EgressAnswer::AllowProject => EgressAction::Allow,
    };
    let rule = rule(host, &target, &asks, action)?;
    tracing::info!(project, host = rule.host, ?answer, waiting = asks.len(), "the person decided");
    match (answer, entry) {
        (EgressAnswer::AllowProject | EgressAnswer::DenyAlways, _) => {
            for entry in daemon.egress.of_project(project) {
                drop_passing(&entry, &rule);
                entry.keep(daemon)?;
            }
            let mut kept = remembered::get(&daemon.paths, project);
            kept.rules.retain(|other| !is_same(other, &rule));
            kept.rules.push(rule);
            remembered::put(&daemon.paths, kept)?;
            daemon.egress.reconsider(daemon, project).await?;
        }
        (_, None) => {
            return Err(RpcError::new(
                ErrorCode::SandboxNotRunning,
                "this answer is for a sandbox that runs behind a gateway, and this one does not",
            )
            .hint("start it, or decide for the project"));
        }
        (EgressAnswer::AllowOnce, Some(_)) if asks.is_empty() => return Err(nothing_waits(&rule.host)),
        (EgressAnswer::AllowOnce, Some(entry)) => let_go(daemon, entry, asks).await?,
        (EgressAnswer::AllowSession, Some(entry)) => {
            drop_passing(entry, &rule);
            entry.state().passing.session.push(rule);
            entry.keep(daemon)?;
            entry.enforce(daemon).await?;
        }
        (EgressAnswer::Deny, Some(entry)) => {
            drop_passing(entry, &rule);
            entry.state().brief.push((rule, now_ms() + BRIEF_MS));
            entry.keep(daemon)?;
            entry.enforce(daemon).await?;
            let (daemon, entry) = (Arc::clone(daemon), Arc::clone(entry));
            tokio::spawn(async move {
                tokio::select! {
                    () = entry.token.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(BRIEF_MS + 1)) => {}
                }
                if let Err(problem) = entry.enforce(&daemon).await {
                    tracing::warn!(sandbox = entry.sandbox, %problem, "a refusal outlasts its time");
                }
            });
        }
    }
    Ok(())
}

/// Lets the connections go on that wait now. A policy that decides does that by itself; this changes none.
async fn let_go(daemon: &Daemon, entry: &Entry, asks: Vec<EgressAsk>) -> Result<()> {
    for ask in asks {
        let decide = Decide { ask: ask.id.clone(), action: EgressAction::Allow };
        match entry.gateway.ask(Ask::Decide(decide)).await {
            Ok(status) => drop(entry.take(daemon, status)),
            Err(problem) => {
                let status = entry.gateway.ask(Ask::Status(Nothing {})).await?;
                entry.take(daemon, status);
                let is_waiting = entry.state().asks.contains_key(&ask.id);
                return Err(if is_waiting { problem } else { nothing_waits(&ask.host) });
            }
        }
    }
    Ok(())
}

fn nothing_waits(host: &str) -> RpcError {
    RpcError::new(ErrorCode::EgressNothing, format!("no connection to {host} waits"))
        .hint("allow it for the session or the project; 'boxwood egress ask' shows what waits")
}

/// Takes back what was decided for a host; `*` is everything.
pub(super) async fn forget(daemon: &Arc<Daemon>, project: &str, entry: Option<&Arc<Entry>>, host: &str) -> Result<()> {
    let is_meant: Box<dyn Fn(&EgressRule) -> bool + Send> = if host == "*" {
        Box::new(|_| true)
    } else {
        let target = target(host)?;
        let name = target.pattern.to_string();
        Box::new(move |rule| {
            rule.host == name
                && target.port.is_none_or(|port| rule.ports.as_ref().is_none_or(|ports| ports.contains(&port)))
        })
    };
    let mut count = 0;
    if let Some(entry) = entry {
        {
            let mut state = entry.state();
            let before = state.passing.session.len() + state.brief.len();
            state.passing.session.retain(|rule| !is_meant(rule));
            state.brief.retain(|(rule, _)| !is_meant(rule));
            count += before - state.passing.session.len() - state.brief.len();
        }
        entry.keep(daemon)?;
    }
    let mut kept = remembered::get(&daemon.paths, project);
    let before = kept.rules.len();
    kept.rules.retain(|rule| !is_meant(rule));
    count += before - kept.rules.len();
    drop(is_meant);
    if count == 0 && host != "*" {
        return Err(RpcError::new(ErrorCode::EgressNothing, format!("nothing was decided for {host}"))
            .hint("'boxwood egress policy' shows what was decided, and what files say"));
    }
    remembered::put(&daemon.paths, kept)?;
    tracing::info!(project, host, count, "the person took back what was decided");
    daemon.egress.reconsider(daemon, project).await
}

/// Lets everything through for a while, or ends that.
pub(super) async fn bypass(daemon: &Arc<Daemon>, entry: &Arc<Entry>, seconds: u32) -> Result<()> {
    if seconds > LONGEST_BYPASS {
        let message = format!("{seconds} seconds are longer than the policy may be set aside");
        return Err(RpcError::new(ErrorCode::InvalidParams, message).hint("give at most one hour"));
    }
    let until = if seconds == 0 { 0 } else { now_ms() + u64::from(seconds) * 1000 };
    set_bypass(daemon, entry, until).await?;
    expect_end_of_bypass(daemon, entry);
    Ok(())
}

async fn set_bypass(daemon: &Arc<Daemon>, entry: &Arc<Entry>, until: u64) -> Result<()> {
    let before = std::mem::replace(&mut entry.state().passing.bypass_until_ms, until);
    if before == 0 && until == 0 {
        return Ok(());
    }
    entry.keep(daemon)?;
    tracing::warn!(sandbox = entry.sandbox, until, "everything is let through until then; 0 is the end of it");
    let (action, reason) = match until {
        0 => (EgressAction::Deny, "bypass-ended"),
        _ => (EgressAction::Allow, "bypass-began"),
    };
    let serial = entry.state().status.run;
    entry.log(
        daemon,
        EgressDecision {
            serial,
            at_ms: now_ms(),
            host: "*".to_owned(),
            port: 0,
            via: EgressVia::Address,
            action,
            layer: EgressLayer::Bypass,
            rule: None,
            reason: Some(reason.to_owned()),
            request: None,
            count: 1,
            bytes_up: 0,
            bytes_down: 0,
        },
    );
    entry.relabel(daemon);
    entry.enforce(daemon).await
}

/// Ends the bypass of an entry when its time has come, also when it was an earlier daemon that began it.
pub(super) fn expect_end_of_bypass(daemon: &Arc<Daemon>, entry: &Arc<Entry>) {
    let until = entry.state().passing.bypass_until_ms;
    if until == 0 {
        return;
    }
    let (daemon, entry) = (Arc::clone(daemon), Arc::clone(entry));
    tokio::spawn(async move {
        // The clock may jump, for example after a laptop slept: what counts is the time that it shows.
        while now_ms() < until {
            let left = Duration::from_millis(until.saturating_sub(now_ms()).clamp(1, 30_000));
            tokio::select! {
                () = entry.token.cancelled() => return,
                () = tokio::time::sleep(left) => {}
            }
        }
        if entry.state().passing.bypass_until_ms != until {
            return;
        }
        if let Err(problem) = set_bypass(&daemon, &entry, 0).await {
            tracing::warn!(sandbox = entry.sandbox, %problem, "the gateway ends the bypass by itself");
        }
    });
}
