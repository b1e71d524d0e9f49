//! Commands in running containers, and the streams of main processes.

use std::time::Duration;

use bollard::body_full;
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use super::connect::DockerEngine;
use super::{errors, frames, names};
use crate::error::EngineError;
use crate::spec::ExecSpec;
use crate::{Attached, Running};

/// Between two questions for an exit status.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long a command may neither run nor have an exit status.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a command and takes over the connection for its input and output.
pub(super) async fn start(engine: &DockerEngine, id: &str, spec: &ExecSpec) -> Result<Running, EngineError> {
    let id = names::object("container", id)?;
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    let config = ExecConfig {
        attach_stdin: Some(spec.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(spec.tty),
        cmd: Some(spec.command.clone()),
        env: (!spec.env.is_empty()).then(|| spec.env.clone()),
        user: given(&spec.user),
        working_dir: given(&spec.workdir),
        ..ExecConfig::default()
    };
    let exec_id = engine.quick(engine.docker.create_exec(id, config)).await?.id;
    let body = serde_json::json!({ "Detach": false, "Tty": spec.tty }).to_string();
    let upgraded = engine.slow(take_over(engine, &format!("/exec/{exec_id}/start"), body)).await?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    let output = if spec.tty { frames::plain(reader) } else { frames::framed(reader) };
    Ok(Running { exec_id, output, input: Box::pin(writer) })
}

/// Attaches to a main process. It has no terminal: the product gives none to main processes.
pub(super) async fn attach(engine: &DockerEngine, id: &str) -> Result<Attached, EngineError> {
    let id = names::object("container", id)?;
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=0");
    let upgraded = engine.quick(take_over(engine, &path, String::new())).await?;
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    Ok(Attached { output: frames::framed(reader), input: Box::pin(writer) })
}

async fn take_over(
    engine: &DockerEngine,
    path: &str,
    body: String,
) -> Result<hyper::upgrade::Upgraded, bollard::errors::Error> {
    let request = Request::post(path)
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "tcp")
        .body(body_full(Bytes::from(body)))?;
    let response = engine.transport.send(request).await?;
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(hyper::upgrade::on(response).await?);
    }
    let body = response.into_body().collect().await?.to_bytes();
    let message = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|answer| answer.get("message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    Err(super::transport::carry(errors::answer(status.as_u16(), &message)))
}

/// Exit status of a command whose output has ended.
///
/// The engine closes the output a moment before it has noted the exit status, so it may have to be asked again. Its
/// event for that is no help: subscribing costs more than the question, for every command.
pub(super) async fn exit_code(engine: &DockerEngine, exec_id: &str) -> Result<i64, EngineError> {
    let exec_id = names::object("command", exec_id)?;
    let mut pause = FIRST_PAUSE;
    let mut patience = PATIENCE;
    loop {
        let exec = engine.quick(engine.docker.inspect_exec(exec_id)).await?;
        match (exec.running, exec.exit_code) {
            // It closed its output and goes on.
            (Some(true), _) => {}
            (_, Some(code)) => return Ok(code),
            (_, None) if patience.is_zero() => {
                return Err(EngineError::Broken("the engine does not know how the command ended".to_owned()));
            }
            (_, None) => patience = patience.saturating_sub(pause),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Tells a command's terminal its size.
pub(super) async fn resize(engine: &DockerEngine, exec_id: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
    let exec_id = names::object("command", exec_id)?;
    let options = ResizeExecOptionsBuilder::default().w(i32::from(columns)).h(i32::from(rows)).build();
    engine.quick(engine.docker.resize_exec(exec_id, options)).await
}
