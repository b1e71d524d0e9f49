//! The requests about git credentials.

use std::sync::Arc;

use boxwood_core::git::{Request, request};
use boxwood_protocol::git::{GitAnswer, GitDecideParams, GitReport, GitRevokeParams};
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::{ErrorCode, RpcError};

use super::decided;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::project;

/// Decisions and open questions.
pub(crate) async fn approvals(daemon: Arc<Daemon>, target: SandboxRef) -> Result<GitReport> {
    let project = project_of(&daemon, &target).await?;
    Ok(report(&daemon, project))
}

/// Decides about a host.
pub(crate) async fn decide(daemon: Arc<Daemon>, params: GitDecideParams) -> Result<GitReport> {
    let project = project_of(&daemon, &params.target).await?;
    let host = host(&params.host)?;
    decided::put(&daemon.paths, &project, &host, Some(params.answer))?;
    daemon.git.asks.answer(&(project.clone(), host.clone()), params.answer);
    let is_allowed = params.answer == GitAnswer::Allow;
    tracing::info!(project, host, is_allowed, "decided about a git credential");
    Ok(report(&daemon, project))
}

/// Takes back what was decided.
pub(crate) async fn revoke(daemon: Arc<Daemon>, params: GitRevokeParams) -> Result<GitReport> {
    let project = project_of(&daemon, &params.target).await?;
    let host = host(&params.host)?;
    if decided::put(&daemon.paths, &project, &host, None)?.is_none() {
        return Err(RpcError::new(ErrorCode::InvalidParams, format!("nothing was decided for {host}"))
            .hint("'boxwood git approvals' shows what was"));
    }
    tracing::info!(project, host, "took back what was decided about a git credential");
    Ok(report(&daemon, project))
}

fn report(daemon: &Daemon, project: String) -> GitReport {
    let (approvals, asks) = (decided::all(&daemon.paths, &project), daemon.git.asks.of_project(&project));
    GitReport { project, approvals, asks }
}

/// The one way in which a host is written here.
fn host(text: &str) -> Result<String> {
    let (host, port) = request::place(text).map_err(|cause| {
        RpcError::new(ErrorCode::InvalidParams, format!("'{text}' is not a host"))
            .caused_by(cause)
            .hint("write it as name or name:port, without https:// and path")
    })?;
    Ok(Request { host, port, path: None }.place())
}

/// A project has decisions before it has a sandbox, and without an engine.
async fn project_of(daemon: &Arc<Daemon>, target: &SandboxRef) -> Result<String> {
    daemon.registry.ready().await;
    match daemon.resolve(target) {
        Ok(known) => Ok(known.info.project),
        Err(problem) => match &target.project {
            Some(path) if matches!(problem.code, ErrorCode::SandboxNotFound | ErrorCode::EngineUnavailable) => {
                project::canonical(&daemon.paths, path)
            }
            _ => Err(problem),
        },
    }
}
