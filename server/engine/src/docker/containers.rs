//! Containers: made, started, stopped, removed, read.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
    WaitContainerOptions, WaitContainerOptionsBuilder,
};
use futures::StreamExt;

use super::connect::DockerEngine;
use super::volumes::label_filter;
use super::{create, inspect, names};
use crate::EngineStream;
use crate::error::EngineError;
use crate::spec::{ContainerDetail, ContainerSpec, ContainerSummary, Output, OutputStream};

/// Beyond the grace a container has, this is for the engine's own work of killing it and taking its network down.
const STOP_OVERHEAD: Duration = Duration::from_secs(60);

pub(super) async fn list(engine: &DockerEngine, labels: &[String]) -> Result<Vec<ContainerSummary>, EngineError> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&label_filter(labels)).build();
    let found = engine.quick(engine.docker.list_containers(Some(options))).await?;
    Ok(found.into_iter().map(inspect::summary).collect())
}

/// Names of those that have to do with `value` in the sense of the engine's filter `kind`, and of its image when one is given.
pub(super) async fn users(
    engine: &DockerEngine,
    kind: &'static str,
    value: &str,
    image: Option<&str>,
) -> Result<Vec<String>, EngineError> {
    let filters = HashMap::from([(kind, vec![value.to_owned()])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let mut found = engine.quick(engine.docker.list_containers(Some(options))).await?;
    // The engine counts those of images built upon it too.
    found.retain(|container| image.is_none_or(|image| container.image_id.as_deref() == Some(image)));
    Ok(found.into_iter().map(|container| inspect::summary(container).name).collect())
}

pub(super) async fn inspect(engine: &DockerEngine, id: &str) -> Result<ContainerDetail, EngineError> {
    let id = names::object("container", id)?;
    engine.quick(engine.docker.inspect_container(id, None::<InspectContainerOptions>)).await.map(inspect::detail)
}

pub(super) async fn create(engine: &DockerEngine, spec: &ContainerSpec) -> Result<String, EngineError> {
    if spec.command.is_empty() {
        // The engine would take the image's own command instead.
        return Err(EngineError::Failed { status: 400, message: "a container needs a command".to_owned() });
    }
    let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
    engine.slow(engine.docker.create_container(Some(options), create::body(spec))).await.map(|created| created.id)
}

pub(super) async fn start(engine: &DockerEngine, id: &str) -> Result<(), EngineError> {
    let id = names::object("container", id)?;
    engine.slow(engine.docker.start_container(id, None::<StartContainerOptions>)).await
}

pub(super) async fn stop(engine: &DockerEngine, id: &str, grace_seconds: u32) -> Result<(), EngineError> {
    let id = names::object("container", id)?;
    let grace = i32::try_from(grace_seconds).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::default().t(grace).build();
    let limit = Duration::from_secs(u64::from(grace_seconds)) + STOP_OVERHEAD;
    engine.within(limit, engine.docker.stop_container(id, Some(options))).await
}

pub(super) async fn remove(engine: &DockerEngine, id: &str) -> Result<(), EngineError> {
    let id = names::object("container", id)?;
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match engine.slow(engine.docker.remove_container(id, Some(options))).await {
        Err(error) if error.is_not_found() => Ok(()),
        // Somebody else is removing it: done when they are.
        Err(EngineError::Conflict(message)) if message.contains("already in progress") => {
            let options = WaitContainerOptionsBuilder::default().condition("removed").build();
            match engine.slow(wait_for(engine, id, options)).await {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(()),
            }
        }
        done => done,
    }
}

pub(super) async fn rename(engine: &DockerEngine, id: &str, name: &str) -> Result<(), EngineError> {
    let id = names::object("container", id)?;
    let options = RenameContainerOptionsBuilder::default().name(name).build();
    engine.quick(engine.docker.rename_container(id, options)).await
}

pub(super) async fn wait(engine: &DockerEngine, id: &str) -> Result<i64, EngineError> {
    let id = names::object("container", id)?;
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    wait_for(engine, id, options).await.map_err(|error| engine.translate(error))
}

async fn wait_for(engine: &DockerEngine, id: &str, options: WaitContainerOptions) -> Result<i64, Error> {
    match engine.docker.wait_container(id, Some(options)).next().await {
        Some(Ok(ended)) => Ok(ended.status_code),
        // bollard makes an error of every status but 0.
        Some(Err(Error::DockerContainerWaitError { code, error })) if error.is_empty() => Ok(code),
        Some(Err(error)) => Err(error),
        None => Err(super::transport::carry(EngineError::Broken("the engine went away while waiting".to_owned()))),
    }
}

pub(super) async fn logs(
    engine: &DockerEngine,
    id: &str,
    tail: Option<u32>,
    follow: bool,
) -> Result<EngineStream<Output>, EngineError> {
    let id = names::object("container", id)?;
    let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).tail(&tail).build();
    let pieces = engine.open_quickly(|docker| docker.logs(id, Some(options))).await?;
    Ok(Box::pin(pieces.map(|piece| {
        piece.map(|piece| match piece {
            LogOutput::StdErr { message } => Output { stream: OutputStream::Stderr, bytes: message },
            LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                Output { stream: OutputStream::Stdout, bytes: message }
            }
        })
    })))
}
