//! What the person decides: for the connections that wait, for the session, for the project, for a while.

use std::sync::Arc;
use std::time::Duration;

use boxwood_core::egress::{Compiled, Decided, Host, Pattern, Query, Requests, Target, policy};
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::egress::{
    EgressAction, EgressAnswer, EgressAsk, EgressDecision, EgressLayer, EgressPolicy, EgressRule, EgressVia,
};
use boxwood_protocol::gateway::{Ask, Decide, Nothing};
use boxwood_protocol::{ErrorCode, RpcError};

use super::entry::{Entry, now_ms};
use super::{decisions, layers, remembered};
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
            && Host::parse(&ask.host).is_ok_and(|host| target.pattern.matches(&host))
    };
    entry.state().asks.values().filter(fits).cloned().collect()
}

/// The rule that an answer makes.
fn rule(text: &str, target: &Target, asks: &[EgressAsk], action: EgressAction) -> Result<EgressRule> {
    let mut rule = policy::rule_for(text, action).map_err(|cause| not_a_host(text, cause))?;
    if target.port.is_none() && action == EgressAction::Allow {
        rule.ports = decisions::meant(asks.iter().map(|ask| ask.port).collect());
    }
    // A person who allows an address means it, wherever it is.
    if matches!(target.pattern, Pattern::Exact(Host::Address(_)) | Pattern::Block(_)) {
        rule.private = Some(true);
    }
    Ok(rule)
}

/// The policy that an answer changes, without earlier refusals by answers: they say nothing of how.
fn policy_before(daemon: &Daemon, project: &str, entry: Option<&Arc<Entry>>) -> Option<EgressPolicy> {
    let known = entry.and_then(|entry| entry.state().policy.clone());
    let mut policy = known.or_else(|| {
        let layers = layers::read(&daemon.paths, project, &SandboxConfig::default()).ok()?.layers;
        let rules = remembered::get(&daemon.paths, project).rules;
        layers.policy(&Decided { remembered: rules, ..Decided::default() }).ok()
    })?;
    policy.rules.retain(|placed| {
        let is_answer = matches!(placed.layer, EgressLayer::Session | EgressLayer::Remembered);
        !(is_answer && placed.rule.action == EgressAction::Deny)
    });
    Some(policy)
}

/// Keeps what the rule that decides so far says beside its action: whether the name may lead to private addresses, and
/// whether its TLS is opened. An answer is about whether, not about how.
fn keep_manner(rule: &mut EgressRule, target: &Target, policy: &EgressPolicy) {
    let before = match &target.pattern {
        Pattern::Exact(host) => {
            let Ok(compiled) = Compiled::new(policy) else { return };
            let ports = decisions::ports(rule).unwrap_or_default();
            let now_ms = now_ms();
            let decides = |port| compiled.judge(&Query { host, port, requests: Requests::Later, now_ms }).rule;
            ports.iter().rev().copied().find_map(decides).and_then(|index| policy.rules.get(index))
        }
        // What is said of single names does not hold for all of them.
        _ => policy.rules.iter().find(|placed| placed.rule.host == rule.host),
    };
    if let Some(before) = before.filter(|before| before.rule.action != EgressAction::Deny) {
        rule.private = rule.private.or(before.rule.private);
        rule.inspect = rule.inspect.or(before.rule.inspect);
    }
}

fn drop_passing(entry: &Entry, rule: &EgressRule) {
    let mut state = entry.state();
    state.passing.session.retain_mut(|kept| decisions::stays(kept, rule));
    state.brief.retain_mut(|(kept, _)| decisions::stays(kept, rule));
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
    let mut rule = rule(host, &target, &asks, action)?;
    if action == EgressAction::Allow
        && let Some(policy) = policy_before(daemon, project, entry)
    {
        keep_manner(&mut rule, &target, &policy);
    }
    tracing::info!(project, host = rule.host, ?answer, waiting = asks.len(), "the person decided");
    match (answer, entry) {
        (EgressAnswer::AllowProject | EgressAnswer::DenyAlways, _) => {
            for entry in daemon.egress.of_project(project) {
                drop_passing(&entry, &rule);
                entry.keep(daemon)?;
            }
            remembered::change(&daemon.paths, project, |kept| {
                kept.rules.retain_mut(|other| decisions::stays(other, &rule));
                kept.rules.push(rule);
            })?;
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
        (EgressAnswer::AllowOnce, Some(entry)) => let_go(entry, asks).await?,
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

/// Lets the connections go on that wait now. A policy that decides does that by itself; this changes none. Some of them
/// may have given up meanwhile: only when none is left was there nothing to answer.
async fn let_go(entry: &Entry, asks: Vec<EgressAsk>) -> Result<()> {
    let mut outcome = None;
    for ask in asks {
        let decide = Decide { ask: ask.id.clone(), action: EgressAction::Allow };
        match entry.gateway.ask(Ask::Decide(decide)).await {
            Ok(()) => outcome = Some(Ok(())),
            Err(problem) => {
                entry.gateway.ask(Ask::Status(Nothing {})).await?;
                let is_waiting = entry.state().asks.contains_key(&ask.id);
                outcome.get_or_insert_with(|| Err(if is_waiting { problem } else { nothing_waits(&ask.host) }));
            }
        }
    }
    outcome.unwrap_or(Ok(()))
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
        Box::new(move |rule| decisions::is_about(rule, &target))
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
    count += remembered::change(&daemon.paths, project, |kept| {
        let before = kept.rules.len();
        kept.rules.retain(|rule| !is_meant(rule));
        before - kept.rules.len()
    })?;
    drop(is_meant);
    if count == 0 && host != "*" {
        return Err(RpcError::new(ErrorCode::EgressNothing, format!("nothing was decided for {host}"))
            .hint("'boxwood egress policy' shows what was decided, and what files say"));
    }
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
