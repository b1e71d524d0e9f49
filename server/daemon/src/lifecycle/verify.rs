//! Asks a started sandbox whether it is well.

use boxwood_core::labels;
use boxwood_engine::{ContainerState, Engine, EngineError, ExecSpec, OutputStream};
use boxwood_protocol::sandbox::HealthCheck;
use boxwood_protocol::{ErrorCode, RpcError};
use futures::StreamExt as _;

use crate::error::{self, Result};
use crate::lifecycle::spec::HELPER;
use crate::registry::parse_checks;

/// Lines of the log that are shown when a sandbox ends at once.
const TAIL: u32 = 20;

/// Runs the helper's checks in a container and gives what they found.
pub(crate) async fn check(engine: &dyn Engine, container_id: &str) -> Result<Vec<HealthCheck>> {
    let detail =
        engine.inspect_container(container_id).await.map_err(|cause| error::engine("look at the container", &cause))?;
    if detail.state != ContainerState::Running {
        let lines = tail(engine, container_id).await;
        let mut problem = RpcError::new(
            ErrorCode::SandboxUnhealthy,
            format!("the sandbox ended as soon as it started{}", ended(&detail)),
        );
        if !lines.is_empty() {
            problem = problem.caused_by(lines.join("\n"));
        }
        return Err(problem);
    }
    let workspace = detail.labels.get(labels::WORKSPACE).cloned().unwrap_or_default();
    let spec = ExecSpec {
        command: vec![HELPER.to_owned(), "health".to_owned(), "--workspace".to_owned(), workspace],
        ..ExecSpec::default()
    };
    let output = capture(engine, container_id, &spec)
        .await
        .map_err(|cause| error::engine("run the health check in the sandbox", &cause))?;
    let checks = parse_checks(&output.0);
    if checks.is_empty() {
        return Err(RpcError::new(ErrorCode::SandboxUnhealthy, "the health check of the sandbox gave no answer")
            .caused_by(output.1.trim().to_owned()));
    }
    Ok(checks)
}

/// The error for checks of which one failed.
pub(crate) fn refuse_unhealthy(checks: &[HealthCheck]) -> Result<()> {
    let failed: Vec<&HealthCheck> = checks.iter().filter(|check| !check.ok).collect();
    if failed.is_empty() {
        return Ok(());
    }
    // A full disk is told but does not keep a person from a sandbox in which they may want to tidy up.
    if failed.iter().all(|check| check.name == "workspace-disk") {
        return Ok(());
    }
    let mut problem = RpcError::new(ErrorCode::SandboxUnhealthy, "the sandbox started and is not well");
    for check in failed {
        problem = problem.caused_by(format!("{}: {}", check.name, check.detail));
    }
    Err(problem)
}

fn ended(detail: &boxwood_engine::ContainerDetail) -> String {
    match (detail.is_oom_killed, detail.exit_code) {
        (true, _) => ": it ran out of memory".to_owned(),
        (false, Some(code)) => format!(" with status {code}"),
        (false, None) => String::new(),
    }
}

/// The last lines of a container's log.
pub(crate) async fn tail(engine: &dyn Engine, container_id: &str) -> Vec<String> {
    match engine.logs(container_id, Some(TAIL), false).await {
        Ok(stream) => lines(stream).await,
        Err(_) => Vec::new(),
    }
}

/// The lines of a stream of output.
pub(crate) async fn lines(mut stream: boxwood_engine::EngineStream<boxwood_engine::Output>) -> Vec<String> {
    let mut bytes = Vec::new();
    while let Some(Ok(output)) = stream.next().await {
        bytes.extend_from_slice(&output.bytes);
    }
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

/// Runs a command and gives what it wrote to standard output and standard error.
pub(crate) async fn capture(
    engine: &dyn Engine,
    container_id: &str,
    spec: &ExecSpec,
) -> std::result::Result<(String, String), EngineError> {
    let mut running = engine.exec(container_id, spec).await?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(output) = running.output.next().await {
        let output = output?;
        match output.stream {
            OutputStream::Stdout => stdout.extend_from_slice(&output.bytes),
            OutputStream::Stderr => stderr.extend_from_slice(&output.bytes),
        }
    }
    Ok((String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned()))
}
