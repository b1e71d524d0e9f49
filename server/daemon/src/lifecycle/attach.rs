//! What a terminal needs to run something in a sandbox by itself.

use boxwood_core::labels;
use boxwood_protocol::params::{AttachParams, AttachTarget};
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::spec::HELPER;

/// The command to execute and where.
pub(crate) async fn target(daemon: &Daemon, params: &AttachParams) -> Result<AttachTarget> {
    daemon.registry.ready().await;
    let known = daemon.resolve(&params.target)?;
    if known.info.state != SandboxState::Running {
        return Err(RpcError::new(
            ErrorCode::SandboxNotRunning,
            format!("the sandbox {} is not running", known.info.id),
        ));
    }
    let (engine, _) = daemon.link.engine().await?;
    let command = match &params.command {
        Some(command) if command.is_empty() => {
            return Err(RpcError::new(ErrorCode::InvalidParams, "there is no command to run"));
        }
        Some(command) => command.clone(),
        None if params.shell => vec![HELPER.to_owned(), "attach".to_owned(), "--shell".to_owned()],
        None => claude(&known.detail.labels, params.resume_last),
    };
    let workdir = known.detail.labels.get(labels::WORKSPACE).cloned().unwrap_or_default();
    Ok(AttachTarget {
        endpoint: engine.endpoint().to_owned(),
        api_version: engine.api_version(),
        container_id: known.detail.id.clone(),
        command,
        user: known.detail.user.clone(),
        workdir,
        sandbox: known.info,
    })
}

fn claude(labels: &std::collections::HashMap<String, String>, resume_last: bool) -> Vec<String> {
    let mut command = vec![HELPER.to_owned(), "attach".to_owned()];
    if resume_last {
        command.push("--continue".to_owned());
    }
    let arguments: Vec<String> =
        labels.get(labels::CLAUDE_ARGS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    if !arguments.is_empty() {
        command.push("--".to_owned());
        command.extend(arguments);
    }
    command
}
