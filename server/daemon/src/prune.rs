//! Removes what is no longer used. Only objects with the product's labels are ever looked at.

use std::sync::Arc;

use boxwood_core::labels;
use boxwood_engine::{Engine, EngineError};
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::{PruneParams, PruneReport};
use boxwood_protocol::sandbox::SandboxState;

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::ensure;
use crate::materials::{image, package};
use crate::operations::{Handle, Subject};

/// How much goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What no sandbox uses: ended sandboxes, images and runtime volumes of other versions.
    Unused,
    /// Everything of this installation.
    Everything,
}

/// Starts the operation.
pub(crate) fn start(daemon: &Arc<Daemon>, extent: Extent, params: &PruneParams) -> OperationStarted {
    let is_dry_run = params.dry_run;
    let daemon_ = Arc::clone(daemon);
    let kind = if extent == Extent::Unused { "prune" } else { "cleanupAll" };
    daemon.operations.start(kind, Subject::default(), move |handle| async move {
        daemon_.registry.ready().await;
        run(&daemon_, &handle, extent, is_dry_run).await
    })
}

async fn run(daemon: &Arc<Daemon>, handle: &Handle, extent: Extent, is_dry_run: bool) -> Result<PruneReport> {
    let (engine, _) = daemon.link.engine().await?;
    let mut report = PruneReport { is_dry_run, ..PruneReport::default() };
    sandboxes(daemon, handle, extent, &mut report).await?;
    leftovers(daemon, &engine, &mut report).await?;
    volumes(daemon, &engine, handle, extent, &mut report).await?;
    images(daemon, &engine, handle, extent, &mut report).await?;
    Ok(report)
}

async fn sandboxes(daemon: &Arc<Daemon>, handle: &Handle, extent: Extent, report: &mut PruneReport) -> Result<()> {
    for info in daemon.registry.list() {
        let has_ended = matches!(info.state, SandboxState::Stopped | SandboxState::Failed | SandboxState::Creating);
        let is_busy = daemon.operations.list_running().iter().any(|other| other.sandbox_id.as_ref() == Some(&info.id));
        if is_busy || (extent == Extent::Unused && !has_ended) {
            continue;
        }
        report.containers.push(info.container.clone());
        if report.is_dry_run {
            continue;
        }
        handle.log(format!("removing {}", info.container));
        let params = boxwood_protocol::params::RemoveParams { sandbox: Some(info.id), ..Default::default() };
        let started = ensure::remove(daemon, &params)?;
        let end = handle.or_cancelled(daemon.operations.wait(&started.operation_id)).await?;
        if let Some(problem) = end.error {
            return Err(problem);
        }
    }
    Ok(())
}

/// Containers that only held something for a moment, and those set aside by a refresh that never ended.
async fn leftovers(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, report: &mut PruneReport) -> Result<()> {
    if daemon.operations.running() > 1 {
        return Ok(());
    }
    let filter = [labels::equals(labels::INSTALLATION, &daemon.installation)];
    let what = "look for leftovers";
    for container in engine.list_containers(&filter).await.map_err(|cause| error::engine(what, &cause))? {
        let is_sandbox = daemon.registry.list().iter().any(|info| info.container == container.name);
        if is_sandbox || report.containers.contains(&container.name) {
            continue;
        }
        if !report.is_dry_run {
            engine.remove_container(&container.id).await.map_err(|cause| error::engine("remove a leftover", &cause))?;
        }
        report.containers.push(container.name);
    }
    Ok(())
}

async fn volumes(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    extent: Extent,
    report: &mut PruneReport,
) -> Result<()> {
    let owner = labels::equals(labels::OWNER, &daemon.user.uid.to_string());
    let filter = [owner.clone(), labels::equals(labels::ROLE, "runtime")];
    let found = engine.list_volumes(&filter).await.map_err(|cause| error::engine("list volumes", &cause))?;
    let sandboxes = engine
        .list_containers(&[labels::equals(labels::ROLE, "sandbox")])
        .await
        .map_err(|cause| error::engine("list containers", &cause))?;
    for volume in found {
        let version = volume.labels.get(labels::CLAUDE);
        let is_old = version != Some(&package::pinned().version);
        if extent == Extent::Unused && !is_old {
            continue;
        }
        // The engine itself refuses to remove a volume that is in use; a dry run looks at the versions in use instead.
        let is_used = sandboxes
            .iter()
            .any(|sandbox| sandbox.labels.get(labels::CLAUDE) == version && !report.containers.contains(&sandbox.name));
        if is_used {
            continue;
        }
        if !report.is_dry_run {
            handle.log(format!("removing {}", volume.name));
            match engine.remove_volume(&volume.name).await {
                Ok(()) => {}
                Err(EngineError::Conflict(_)) => continue,
                Err(cause) => return Err(error::engine("remove a volume", &cause)),
            }
        }
        report.volumes.push(volume.name);
    }
    Ok(())
}

async fn images(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    extent: Extent,
    report: &mut PruneReport,
) -> Result<()> {
    let owner = labels::equals(labels::OWNER, &daemon.user.uid.to_string());
    let sandboxes = engine
        .list_containers(&[labels::equals(labels::ROLE, "sandbox")])
        .await
        .map_err(|cause| error::engine("list containers", &cause))?;
    for role in ["image", "project-image", "tools"] {
        let filter = [owner.clone(), labels::equals(labels::ROLE, role)];
        let found = engine.list_images(&filter).await.map_err(|cause| error::engine("list images", &cause))?;
        for detail in found {
            let name = detail.tags.first().cloned().unwrap_or_else(|| detail.id.clone());
            let is_used = sandboxes.iter().any(|sandbox| {
                sandbox.labels.get(labels::IMAGE) == Some(&name) && !report.containers.contains(&sandbox.name)
            });
            let is_current = role != "project-image"
                && detail.labels.get(labels::VERSION).is_none_or(|version| version == env!("CARGO_PKG_VERSION"))
                && !detail.tags.is_empty();
            if is_used || (extent == Extent::Unused && is_current) {
                continue;
            }
            if !report.is_dry_run {
                handle.log(format!("removing {name}"));
                match engine.remove_image(&name).await {
                    Ok(()) => {}
                    Err(EngineError::Conflict(_)) => continue,
                    Err(cause) => return Err(error::engine("remove an image", &cause)),
                }
            }
            report.reclaimed_bytes += image::describe(&detail, &[]).size_bytes;
            report.images.push(name);
        }
    }
    Ok(())
}
