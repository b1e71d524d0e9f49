//! Keeps the registry true: one task that follows the engine's events for as long as the daemon lives.

use std::sync::Arc;

use boxwood_core::labels;
use boxwood_engine::{ContainerDetail, Engine, EngineError, EngineEvent};
use boxwood_protocol::config::Lifetime;
use boxwood_protocol::sandbox::{Health, SandboxState};
use futures::StreamExt as _;

use crate::daemon::Daemon;
use crate::lifecycle::{gateway, guard, reconcile, verify};
use crate::{error, repair};

/// Follows the engine until the daemon leaves.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    loop {
        match daemon.link.connect().await {
            Ok((engine, _)) => {
                if let Err(problem) = follow(&daemon, engine).await {
                    tracing::warn!(%problem, "lost the engine");
                    daemon.link.lost(&problem.to_string());
                }
            }
            Err(problem) => tracing::debug!(%problem, "no engine yet"),
        }
        daemon.registry.set_ready();
        daemon.link.sign_of_life().await;
    }
}

/// Labels of this installation's sandboxes.
pub(crate) fn ours(daemon: &Daemon) -> Vec<String> {
    vec![labels::equals(labels::INSTALLATION, &daemon.installation), labels::equals(labels::ROLE, "sandbox")]
}

async fn follow(daemon: &Arc<Daemon>, engine: Arc<dyn Engine>) -> Result<(), EngineError> {
    let filter = ours(daemon);
    // Listen before looking, so that nothing that happens in between is missed.
    let all = [labels::equals(labels::INSTALLATION, &daemon.installation)];
    let mut events = engine.events(&all).await?;
    // Also after the engine was away: what could not be undone without it is undone now.
    repair::run(daemon, &engine).await;
    look(daemon, &engine, &filter).await?;
    daemon.registry.set_ready();
    while let Some(event) = events.next().await {
        let event = event?;
        // A command's start and end change nothing that is shown.
        if event.action.starts_with("exec_") || event.action == "top" {
            continue;
        }
        see_to_gateway(daemon, &event);
        if event.attributes.get(labels::ROLE).is_none_or(|role| role != "sandbox") {
            continue;
        }
        match engine.inspect_container(&event.container_id).await {
            Ok(detail) => {
                // One that the guard ended stays, with the reason, until the person has looked.
                let is_bare = explain(daemon, engine.as_ref(), &detail).await;
                let info = daemon.registry.update(detail);
                let has_ended = matches!(info.state, SandboxState::Stopped | SandboxState::Failed);
                if event.action == "die" && has_ended && !is_bare && info.lifetime == Lifetime::Ephemeral {
                    daemon.remove_ended(&info);
                }
            }
            Err(cause) if cause.is_not_found() => daemon.registry.remove(&event.container_id),
            Err(cause) => return Err(cause),
        }
    }
    Err(EngineError::Broken("its events ended".to_owned()))
}

/// Takes note of why a guard ended a container; whether one did.
async fn explain(daemon: &Daemon, engine: &dyn Engine, detail: &ContainerDetail) -> bool {
    let is_bare = guard::has_ended(detail);
    if is_bare {
        let path = guard::path(engine, detail).await;
        tracing::error!(
            container = detail.name,
            path,
            "what protected or masked it was taken away, the sandbox was ended"
        );
        daemon.registry.bare(&detail.id, path);
    }
    is_bare
}

/// Sandboxes and gateways live and end together, also when nobody asked.
fn see_to_gateway(daemon: &Arc<Daemon>, event: &EngineEvent) {
    let label = |key: &str| event.attributes.get(key).map(String::as_str);
    let is_reason = match (label(labels::ROLE), event.action.as_str()) {
        (Some("sandbox"), "start" | "die" | "destroy") => label(labels::NETWORK) == Some("gateway"),
        (Some(gateway::ROLE), "die" | "destroy") => true,
        _ => false,
    };
    if let (true, Some(sandbox)) = (is_reason, label(labels::SANDBOX)) {
        reconcile::soon(daemon, sandbox);
    }
}

/// Asks a sandbox that was running before this daemon whether it is well, instead of waiting for the engine's next check.
async fn check(daemon: Arc<Daemon>, engine: Arc<dyn Engine>, sandbox_id: String) {
    let Some(known) = daemon.registry.get(&sandbox_id) else { return };
    if let Ok(checks) = verify::check(engine.as_ref(), &known.detail.id).await
        && let Ok(detail) = engine.inspect_container(&known.detail.id).await
    {
        daemon.registry.verified(&detail, checks);
        daemon.registry.update(detail);
    }
}

pub(crate) async fn look(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, filter: &[String]) -> Result<(), EngineError> {
    let containers = engine.list_containers(filter).await?;
    let ids: Vec<String> = containers.iter().map(|container| container.id.clone()).collect();
    let details = futures::future::join_all(ids.iter().map(|id| engine.inspect_container(id))).await;
    for detail in details {
        match detail {
            Ok(detail) => {
                let is_outdated = daemon.is_outdated(&detail);
                daemon.registry.outdated(&detail.id, is_outdated);
                let has_gateway = gateway::is_used(&detail.labels);
                explain(daemon, engine.as_ref(), &detail).await;
                let info = daemon.registry.update(detail);
                if has_gateway {
                    reconcile::soon(daemon, &info.id);
                }
                if info.health == Health::Starting {
                    tokio::spawn(check(Arc::clone(daemon), Arc::clone(engine), info.id));
                }
            }
            Err(cause) if cause.is_not_found() => {}
            Err(cause) => {
                tracing::warn!(error = %error::engine("look at a container", &cause), "skipped");
            }
        }
    }
    daemon.registry.retain(&ids);
    Ok(())
}
