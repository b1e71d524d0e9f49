//! `egress`: what sandboxes may reach.

mod asks;
mod reasons;
pub(super) mod watch;
mod words;

use std::collections::HashSet;

use boxwood_client::Connection;
use boxwood_protocol::contract::{
    EgressBypass, EgressDecide, EgressForget, EgressLog, EgressPolicyOf, EgressTest, Inspect,
};
use boxwood_protocol::egress::{
    EgressAction, EgressAnswer, EgressBypassParams, EgressDecideParams, EgressDecision, EgressForgetParams,
    EgressLogParams, EgressTestParams,
};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::{ErrorCode, Event, RpcError};
use jiff::Timestamp;

pub(super) use self::words::{bypass as bypass_words, enforcement};
use super::Outcome;
use crate::args::{EgressVerb, TargetArguments};
use crate::context::Context;

/// Exit status of `test` for a connection that would not go through.
const REFUSED: u8 = 1;

pub(super) async fn egress(verb: EgressVerb, context: &Context) -> Outcome {
    use EgressAnswer::{AllowOnce, AllowProject, AllowSession, Deny, DenyAlways};
    match verb {
        EgressVerb::Policy { target, presets } => policy(target, presets, context).await,
        EgressVerb::Log { target, follow, blocked, tail } => log(target, follow, blocked, tail, context).await,
        EgressVerb::Test { host, target, method, path } => test(&host, target, method, path, context).await,
        EgressVerb::Allow { host, target, for_session: true, .. } => decide(host, target, AllowSession, context).await,
        EgressVerb::Allow { host, target, once: true, .. } => decide(host, target, AllowOnce, context).await,
        EgressVerb::Allow { host, target, .. } => decide(host, target, AllowProject, context).await,
        EgressVerb::Deny { host, target, once: true } => decide(host, target, Deny, context).await,
        EgressVerb::Deny { host, target, .. } => decide(host, target, DenyAlways, context).await,
        EgressVerb::Forget { host, target } => forget(host, target, context).await,
        EgressVerb::Ask { target, follow } => asks::ask(target, follow, context).await,
        EgressVerb::Bypass { seconds, target } => bypass(seconds, target, context).await,
    }
}

async fn policy(target: TargetArguments, presets: bool, context: &Context) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let report = connection.call::<EgressPolicyOf>(&target).await?;
    if presets {
        context.screen.show(&report.presets, |paint| words::presets(&report.presets, paint))?;
    } else {
        context.screen.show(&report, |paint| words::policy(&report, paint, Timestamp::now()))?;
    }
    Ok(0)
}

async fn log(target: TargetArguments, follow: bool, blocked: bool, tail: u32, context: &Context) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let params = EgressLogParams { target: target.clone(), limit: Some(tail), blocked };
    if follow {
        return follow_log(&connection, context, &target, &params).await;
    }
    let decisions = connection.call::<EgressLog>(&params).await?;
    if decisions.is_empty() {
        context.screen.note(match blocked {
            true => "Nothing was refused.",
            false => {
                "Nothing was decided yet. Decisions are taken while a sandbox runs, unless its network is open or none."
            }
        });
    }
    context.screen.show(&decisions, |paint| words::decisions(&decisions, paint))?;
    Ok(0)
}

async fn follow_log(
    connection: &Connection,
    context: &Context,
    target: &SandboxRef,
    params: &EgressLogParams,
) -> Outcome {
    let sandbox = connection.call::<Inspect>(target).await?.sandbox.id;
    // Listen before asking, so that nothing falls between; what comes twice is shown once.
    let mut events = connection.subscribe(&SubscribeParams::default()).await?;
    let mut seen = HashSet::new();
    let mut show = |decision: &EgressDecision| {
        let is_wanted = !params.blocked || decision.action == EgressAction::Deny;
        if !is_wanted || !seen.insert((decision.serial, decision.at_ms)) {
            return Ok(());
        }
        match context.screen.json {
            true => context.screen.json_line(decision),
            false => context.screen.print(&words::decision(decision, context.screen.output)),
        }
    };
    for decision in connection.call::<EgressLog>(params).await? {
        show(&decision)?;
    }
    while let Some(event) = events.next().await {
        match event {
            Event::EgressDecided { sandbox_id, decision } if sandbox_id == sandbox => show(&decision)?,
            Event::SandboxRemoved { id } if id == sandbox => {
                context.screen.note("The sandbox is gone.");
                return Ok(0);
            }
            _ => {}
        }
    }
    Err(RpcError::new(ErrorCode::DaemonUnavailable, "the daemon stopped sending decisions"))
}

async fn test(
    host: &str,
    target: TargetArguments,
    method: Option<String>,
    path: Option<String>,
    context: &Context,
) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let params = EgressTestParams { target, host: host.to_owned(), port: None, method, path };
    let verdict = connection.call::<EgressTest>(&params).await?;
    context.screen.show(&verdict, |paint| words::verdict(&verdict, paint))?;
    Ok(if verdict.action == EgressAction::Deny { REFUSED } else { 0 })
}

async fn decide(host: String, target: TargetArguments, answer: EgressAnswer, context: &Context) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let done = words::answered(&host, answer);
    let report = connection.call::<EgressDecide>(&EgressDecideParams { target, host, answer }).await?;
    context.screen.show(&report, |_| done)?;
    Ok(0)
}

async fn forget(host: String, target: TargetArguments, context: &Context) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let what = if host == "*" { "everything".to_owned() } else { host.clone() };
    let report = connection.call::<EgressForget>(&EgressForgetParams { target, host }).await?;
    context
        .screen
        .show(&report, |_| format!("What was decided for {what} is forgotten; the settings decide again.\n"))?;
    Ok(0)
}

async fn bypass(seconds: u32, target: TargetArguments, context: &Context) -> Outcome {
    let target = context.target(target)?;
    let connection = context.connect().await?;
    let report = connection.call::<EgressBypass>(&EgressBypassParams { target, seconds }).await?;
    context.screen.show(&report, |_| match seconds {
        0 => "The policy is in force.\n".to_owned(),
        seconds => format!(
            "Everything is let through for {}; 'boxwood egress bypass off' ends it.\n",
            crate::output::units::span(i64::from(seconds))
        ),
    })?;
    Ok(0)
}
