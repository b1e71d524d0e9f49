//! What a terminal needs to run something in a sandbox by itself.

use std::fs;
use std::path::Path;

use boxwood_core::labels;
use boxwood_protocol::params::{AttachParams, AttachTarget};
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::Result;
use crate::files;
use crate::lifecycle::spec::HELPER;

/// How much of a conversation is looked at, bytes.
const HEAD: u64 = 1 << 20;

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
        None => {
            claude(&known.detail.labels, params.resume_last && has_conversation(&daemon.records.home(&known.info.id)))
        }
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

/// Whether there is a conversation that a terminal can go on with: Claude refuses to continue nothing, and those that
/// were held without a terminal do not count.
fn has_conversation(home: &Path) -> bool {
    let projects = fs::read_dir(home.join(".claude/projects")).into_iter().flatten().flatten();
    let files = projects.flat_map(|project| fs::read_dir(project.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).any(
        |path| {
            let head = files::head(&path, HEAD).unwrap_or_default();
            let head = String::from_utf8_lossy(&head);
            ["\"entrypoint\":\"cli\"", "\"entrypoint\": \"cli\""].iter().any(|mark| head.contains(mark))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_conversation_held_in_a_terminal_can_be_gone_on_with() {
        let home = tempfile::tempdir().expect("a directory");
        assert!(!has_conversation(home.path()));
        let project = home.path().join(".claude/projects/-p");
        fs::create_dir_all(&project).expect("made");
        fs::write(project.join("a.jsonl"), "{\"entrypoint\":\"sdk-cli\"}\n").expect("written");
        assert!(!has_conversation(home.path()));
        fs::write(project.join("b.jsonl"), "{\"type\":\"mode\"}\n{\"entrypoint\":\"cli\"}\n").expect("written");
        assert!(has_conversation(home.path()));
    }
}
