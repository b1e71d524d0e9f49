//! The requests about networks.

use std::sync::Arc;
use std::time::Duration;

use boxwood_core::egress::{Compiled, Decided, Host, Pattern, Query, Requests, presets};
use boxwood_protocol::config::{Network, SandboxConfig};
use boxwood_protocol::egress::{
    EgressAsk, EgressBypassParams, EgressDecideParams, EgressDecision, EgressForgetParams, EgressLogParams,
    EgressPolicy, EgressReport, EgressTestParams, EgressVerdict, RuleHits,
};
use boxwood_protocol::gateway::{Ask, Nothing};
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, RpcError};

use super::entry::{Entry, now_ms};
use super::trail::Trail;
use super::{Label, answers, layers, remembered};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::{project, settings};

/// Decisions that are shown when nobody says how many, and at most.
const LIMIT: u32 = 100;
const MOST: u32 = 1000;
/// How long a report waits for fresh counts.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a request is about: a sandbox that may or may not run, or only its project.
struct About {
    project: String,
    sandbox: Option<String>,
    network: Network,
    request: SandboxConfig,
    entry: Option<Arc<Entry>>,
}

async fn about(daemon: &Arc<Daemon>, target: &SandboxRef) -> Result<About> {
    daemon.registry.ready().await;
    match daemon.resolve(target) {
        Ok(known) => {
            let request = daemon.records.get(&known.info.id).map(|record| record.asked()).unwrap_or_default();
            let network = known.info.network;
            let entry = match known.info.state {
                SandboxState::Running if network == Network::Gateway => daemon.egress.get_soon(&known.info.id).await,
                _ => daemon.egress.get(&known.info.id),
            };
            Ok(About { project: known.info.project, sandbox: Some(known.info.id), network, request, entry })
        }
        // A project has a policy before it has a sandbox, and without an engine.
        Err(problem) => match &target.project {
            Some(path) if matches!(problem.code, ErrorCode::SandboxNotFound | ErrorCode::EngineUnavailable) => {
                let project = project::canonical(&daemon.paths, path)?;
                let request = SandboxConfig::default();
                let network = settings::load(&daemon.paths, &project, &request)?.resolved.network;
                Ok(About { project, sandbox: None, network, request, entry: None })
            }
            _ => Err(problem),
        },
    }
}

/// The policy as it is, or as it would be for the next sandbox.
fn policy_of(daemon: &Daemon, about: &About) -> Result<EgressPolicy> {
    if let Some(policy) = about.entry.as_ref().and_then(|entry| entry.state().policy.clone()) {
        return Ok(policy);
    }
    let layers = layers::read(&daemon.paths, &about.project, &about.request)?.layers;
    let decided = Decided {
        remembered: remembered::get(&daemon.paths, &about.project).rules,
        session: Vec::new(),
        bypass_until_ms: 0,
    };
    layers.policy(&decided).map_err(|cause| layers::invalid(&cause))
}

async fn report(daemon: &Arc<Daemon>, about: &About) -> Result<EgressReport> {
    if let Some(entry) = &about.entry {
        // Without an answer what was last heard is shown; the label says that nothing is heard.
        let _ = entry.gateway.ask_within(Ask::Status(Nothing {}), PATIENCE).await;
    }
    let policy = policy_of(daemon, about)?;
    let label = about.entry.as_ref().map_or_else(Label::default, |entry| entry.label());
    let (mut hits, mut asks) = (std::collections::HashMap::new(), Vec::new());
    let (allowed, blocked, open) = about.entry.as_ref().map(|entry| entry.counts()).unwrap_or_default();
    if let Some(entry) = &about.entry {
        let state = entry.state();
        hits.extend(state.status.hits.iter().copied());
        asks.extend(state.asks.values().cloned());
    }
    let rules = policy.rules.into_iter().enumerate();
    Ok(EgressReport {
        network: about.network,
        enforcement: label.enforcement,
        alarm: label.alarm,
        rules: rules
            .map(|(at, placed)| RuleHits { placed, hits: hits.get(&at).copied().unwrap_or_default() })
            .collect(),
        default: policy.default,
        bypass_until_ms: label.bypass_until_ms.unwrap_or_default(),
        asks,
        allowed,
        blocked,
        open,
        presets: presets().to_vec(),
    })
}

/// The policy in force.
pub(crate) async fn policy(daemon: Arc<Daemon>, target: SandboxRef) -> Result<EgressReport> {
    let about = about(&daemon, &target).await?;
    report(&daemon, &about).await
}

/// What the policy says of a connection.
pub(crate) async fn test(daemon: Arc<Daemon>, params: EgressTestParams) -> Result<EgressVerdict> {
    let about = about(&daemon, &params.target).await?;
    let policy = policy_of(&daemon, &about)?;
    let (host, port) = place(&params)?;
    let compiled = Compiled::new(&policy)
        .map_err(|cause| RpcError::new(ErrorCode::ConfigInvalid, "the network policy is not valid").caused_by(cause))?;
    let requests = match (&params.method, &params.path) {
        (None, None) => Requests::Later,
        (method, path) => {
            Requests::This { method: method.as_deref().unwrap_or("GET"), path: path.as_deref().unwrap_or("/") }
        }
    };
    let query = Query { host: &host, port, requests, now_ms: now_ms() };
    Ok(compiled.verdict(&compiled.judge(&query)))
}

/// The host and port that a question is about: the port may stand behind the host or beside it.
fn place(params: &EgressTestParams) -> Result<(Host, u16)> {
    let refuse = |message: String| {
        RpcError::new(ErrorCode::InvalidParams, message).hint("write one name or address, with or without ':port'")
    };
    let target = answers::target(&params.host)?;
    let Pattern::Exact(host) = target.pattern else {
        return Err(refuse(format!("'{}' is not one host", params.host)));
    };
    match (target.port, params.port) {
        (Some(behind), Some(beside)) if behind != beside => {
            Err(refuse(format!("'{}' has another port than {beside}, which is to be tested", params.host)))
        }
        (behind, beside) => Ok((host, behind.or(beside).unwrap_or(443))),
    }
}

/// Allows or denies a host.
pub(crate) async fn decide(daemon: Arc<Daemon>, params: EgressDecideParams) -> Result<EgressReport> {
    let about = about(&daemon, &params.target).await?;
    answers::decide(&daemon, &about.project, about.entry.as_ref(), &params.host, params.answer).await?;
    report(&daemon, &about).await
}

/// Takes back what was decided for a host.
pub(crate) async fn forget(daemon: Arc<Daemon>, params: EgressForgetParams) -> Result<EgressReport> {
    let about = about(&daemon, &params.target).await?;
    answers::forget(&daemon, &about.project, about.entry.as_ref(), &params.host).await?;
    report(&daemon, &about).await
}

/// Lets everything through for a while.
pub(crate) async fn bypass(daemon: Arc<Daemon>, params: EgressBypassParams) -> Result<EgressReport> {
    let about = about(&daemon, &params.target).await?;
    let entry = about.entry.as_ref().ok_or_else(|| no_gateway(&about))?;
    answers::bypass(&daemon, entry, params.seconds).await?;
    report(&daemon, &about).await
}

/// Connections that wait.
pub(crate) async fn asks(daemon: Arc<Daemon>, target: SandboxRef) -> Result<Vec<EgressAsk>> {
    let about = about(&daemon, &target).await?;
    Ok(about.entry.map(|entry| entry.state().asks.values().cloned().collect()).unwrap_or_default())
}

/// The last decisions; those of a sandbox that does not run are on disk.
pub(crate) async fn log(daemon: Arc<Daemon>, params: EgressLogParams) -> Result<Vec<EgressDecision>> {
    let about = about(&daemon, &params.target).await?;
    let limit = params.limit.unwrap_or(LIMIT).min(MOST) as usize;
    Ok(match (&about.entry, &about.sandbox) {
        (Some(entry), _) => entry.state().trail.last(limit, params.blocked),
        (None, Some(sandbox)) => Trail::open(&daemon.paths.sandbox(sandbox)).last(limit, params.blocked),
        (None, None) => Vec::new(),
    })
}

fn no_gateway(about: &About) -> RpcError {
    let message = match &about.sandbox {
        Some(sandbox) => format!("the sandbox {sandbox} does not run behind a gateway"),
        None => format!("no sandbox of {} runs", about.project),
    };
    RpcError::new(ErrorCode::SandboxNotRunning, message)
        .hint("start it, with the setting 'network' at 'gateway'; there is nothing to let through otherwise")
}
