//! Containers and networks are made in a task of their own: a request that is abandoned in the middle would leave one that nobody knows of.

use std::sync::Arc;

use boxwood_core::labels;
use boxwood_engine::{ContainerSpec, Engine, EngineError, NetworkSpec};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::gateway;

fn turn_of(trace: &str) -> String {
    format!("creations of {trace}")
}

/// Makes a container for the operation `trace`. When the caller is cancelled the engine still finishes; [`settle`] waits
/// for that.
pub(crate) async fn create(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    mut spec: ContainerSpec,
    trace: &str,
) -> std::result::Result<String, EngineError> {
    spec.labels.insert(labels::TRACE.to_owned(), trace.to_owned());
    let turn = daemon.turn(&turn_of(trace)).lock_owned().await;
    let engine = Arc::clone(engine);
    let made = tokio::spawn(async move {
        let made = engine.create_container(&spec).await;
        drop(turn);
        made
    });
    made.await.unwrap_or_else(|cause| Err(EngineError::Broken(cause.to_string())))
}

/// Makes a network for the operation `trace`, as [`create`] does containers.
pub(crate) async fn network(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    spec: NetworkSpec,
    trace: &str,
) -> std::result::Result<String, EngineError> {
    let turn = daemon.turn(&turn_of(trace)).lock_owned().await;
    let engine = Arc::clone(engine);
    let made = tokio::spawn(async move {
        let made = engine.create_network(&spec).await;
        drop(turn);
        made
    });
    made.await.unwrap_or_else(|cause| Err(EngineError::Broken(cause.to_string())))
}

/// Waits until nothing is being made for the operation `trace` any more.
pub(crate) async fn settle(daemon: &Daemon, trace: &str) {
    drop(daemon.turn(&turn_of(trace)).lock_owned().await);
}

/// Removes the containers that the operation `trace` made only for a moment.
pub(crate) async fn clear(daemon: &Daemon, engine: &Arc<dyn Engine>, trace: &str) -> Result<()> {
    settle(daemon, trace).await;
    let filter = [labels::equals(labels::TRACE, trace), labels::equals(labels::INSTALLATION, &daemon.installation)];
    let found = engine.list_containers(&filter).await.map_err(|cause| error::engine("look for leftovers", &cause))?;
    for container in found {
        if container.labels.get(labels::ROLE).is_some_and(|role| role != "sandbox" && role != gateway::ROLE) {
            engine.remove_container(&container.id).await.map_err(|cause| error::engine("remove a leftover", &cause))?;
        }
    }
    Ok(())
}
