//! Removes what is no longer used. Only objects with the product's labels are ever looked at; of who else uses one of them
//! only the name is asked.

use std::sync::Arc;

use boxwood_core::labels;
use boxwood_engine::{ContainerDetail, ContainerSummary, Engine, EngineError, EngineInfo, Mount};
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::{PruneParams, PruneReport};
use boxwood_protocol::sandbox::SandboxState;

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::{ensure, gateway};
use crate::materials::{build, gateway as gateway_image, image, runtime};
use crate::operations::{Handle, Subject};

/// How much goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What no sandbox uses: ended sandboxes, images and runtime volumes of other versions, steps of unfinished builds.
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
    let (engine, info) = daemon.link.engine().await?;
    let mut report = PruneReport { is_dry_run, ..PruneReport::default() };
    sandboxes(daemon, handle, extent, &mut report).await?;
    leftovers(daemon, &engine, &mut report).await?;
    let mut tidying = Tidying::new(daemon, &engine, handle, extent, report).await?;
    tidying.volumes(&info).await?;
    tidying.images(&info).await?;
    tidying.layers().await?;
    tidying.networks().await?;
    let mut report = tidying.report;
    // Engines list what was made in the same second in any order, and who reads it twice should find it the same.
    for names in [&mut report.containers, &mut report.volumes, &mut report.images, &mut report.networks] {
        names.sort();
    }
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
        let is_known = daemon
            .registry
            .list()
            .iter()
            .any(|info| info.container == container.name || gateway::gateway_name(&info.id) == container.name);
        if is_known || report.containers.contains(&container.name) {
            continue;
        }
        if !report.is_dry_run {
            engine.remove_container(&container.id).await.map_err(|cause| error::engine("remove a leftover", &cause))?;
        }
        report.containers.push(container.name);
    }
    Ok(())
}

/// Whether a container is among those that go, or the gateway of one.
fn goes(report: &PruneReport, name: &str) -> bool {
    let sandbox = name.strip_prefix("boxwood-gateway-").unwrap_or_default();
    report.containers.iter().any(|gone| gone == name || gone.strip_prefix("boxwood-") == Some(sandbox))
}

/// What the engine says to a question.
type Asked<T> = std::result::Result<T, EngineError>;

/// Everything that what is tidied has in common.
struct Tidying<'a> {
    daemon: &'a Daemon,
    engine: &'a Arc<dyn Engine>,
    handle: &'a Handle,
    extent: Extent,
    /// Sandboxes of everybody that stay.
    sandboxes: Vec<ContainerDetail>,
    /// Images of gateways of everybody that stay.
    gateways: Vec<String>,
    report: PruneReport,
}

impl<'a> Tidying<'a> {
    async fn new(
        daemon: &'a Daemon,
        engine: &'a Arc<dyn Engine>,
        handle: &'a Handle,
        extent: Extent,
        report: PruneReport,
    ) -> Result<Self> {
        let filter = [labels::equals(labels::ROLE, "sandbox")];
        let found = engine.list_containers(&filter).await.map_err(|cause| error::engine("list containers", &cause))?;
        let mut sandboxes = Vec::new();
        for sandbox in found.iter().filter(|sandbox| !report.containers.contains(&sandbox.name)) {
            match engine.inspect_container(&sandbox.id).await {
                Ok(detail) => sandboxes.push(detail),
                Err(cause) if cause.is_not_found() => {}
                Err(cause) => return Err(error::engine("look at a container", &cause)),
            }
        }
        let filter = [labels::equals(labels::ROLE, gateway::ROLE)];
        let found = engine.list_containers(&filter).await.map_err(|cause| error::engine("list containers", &cause))?;
        let stays = |gateway: &ContainerSummary| !goes(&report, &gateway.name);
        let gateways = found.into_iter().filter(stays).map(|gateway| gateway.image).collect();
        Ok(Self { daemon, engine, handle, extent, sandboxes, gateways, report })
    }

    /// Filter for what this person's installations made for `role`.
    fn filter(&self, role: &str) -> [String; 2] {
        [labels::equals(labels::OWNER, &self.daemon.user.uid.to_string()), labels::equals(labels::ROLE, role)]
    }

    /// Does what `removal` is about, unless nothing is to be touched. The engine refuses to remove what is in use,
    /// whoever uses it; that stays and is not reported, so a dry run asks for the `users`.
    async fn is_gone(
        &self,
        name: &str,
        users: impl Future<Output = Asked<Vec<String>>>,
        removal: impl Future<Output = Asked<()>>,
    ) -> Result<bool> {
        if self.report.is_dry_run {
            let users = users.await.map_err(|cause| error::engine(&format!("look for who uses {name}"), &cause))?;
            return Ok(users.iter().all(|user| goes(&self.report, user)));
        }
        self.handle.log(format!("removing {name}"));
        match removal.await {
            Ok(()) => Ok(true),
            Err(EngineError::Conflict(_)) => Ok(false),
            Err(cause) => Err(error::engine(&format!("remove {name}"), &cause)),
        }
    }

    async fn volumes(&mut self, info: &EngineInfo) -> Result<()> {
        let found = self.engine.list_volumes(&self.filter("runtime")).await;
        let found = found.map_err(|cause| error::engine("list volumes", &cause))?;
        let current = match self.extent {
            Extent::Unused => runtime::current_volumes(self.daemon, info)?,
            Extent::Everything => Vec::new(),
        };
        let mounts: Vec<_> = self.sandboxes.iter().flat_map(|sandbox| &sandbox.mounts).collect();
        let is_used =
            |volume: &str| mounts.iter().any(|mount| matches!(mount, Mount::Volume { name, .. } if name == volume));
        let old = found.into_iter().filter(|volume| !current.contains(&volume.name) && !is_used(&volume.name));
        for volume in old.collect::<Vec<_>>() {
            let (users, removal) = (self.engine.users_of_volume(&volume.name), self.engine.remove_volume(&volume.name));
            if self.is_gone(&volume.name, users, removal).await? {
                self.report.volumes.push(volume.name);
            }
        }
        Ok(())
    }

    async fn images(&mut self, info: &EngineInfo) -> Result<()> {
        // Without the program there is no image that could be the current one.
        let current = gateway_image::reference(self.daemon, info).ok();
        for role in ["image", "project-image", "tools", gateway_image::ROLE] {
            let found = self.engine.list_images(&self.filter(role)).await;
            for detail in found.map_err(|cause| error::engine("list images", &cause))? {
                // What somebody builds upon ours has our labels too, but a name of its own.
                let own = detail.tags.iter().find(|tag| image::is_own(tag));
                let Some(name) = own.or(detail.tags.is_empty().then_some(&detail.id)).cloned() else { continue };
                let is_used = self.gateways.contains(&name)
                    || self.sandboxes.iter().any(|sandbox| sandbox.labels.get(labels::IMAGE) == Some(&name));
                let is_current = role != "project-image"
                    && (role != gateway_image::ROLE || current.as_ref() == Some(&name))
                    && detail.labels.get(labels::VERSION).is_none_or(|version| version == env!("CARGO_PKG_VERSION"))
                    && !detail.tags.is_empty();
                if is_used || (self.extent == Extent::Unused && is_current) {
                    continue;
                }
                // Where it has another name it only loses this one.
                let users = async {
                    if detail.tags.len() > 1 { Ok(Vec::new()) } else { self.engine.users_of_image(&detail.id).await }
                };
                if self.is_gone(&name, users, self.engine.remove_image(&name)).await? {
                    self.report.reclaimed_bytes += image::describe(&detail, &[]).size_bytes;
                    self.report.images.push(name);
                }
            }
        }
        Ok(())
    }

    /// Networks of sandboxes that are gone, and the one that all gateways have in common when there are none.
    async fn networks(&mut self) -> Result<()> {
        if self.daemon.operations.running() > 1 {
            return Ok(());
        }
        let filter = [labels::equals(labels::INSTALLATION, &self.daemon.installation)];
        let found = self.engine.list_networks(&filter).await.map_err(|cause| error::engine("list networks", &cause))?;
        for network in found {
            let is_used = match network.labels.get(labels::SANDBOX) {
                // One that goes now takes its network with it.
                Some(sandbox) => self.daemon.registry.get(sandbox).is_some(),
                None => self.daemon.registry.list().iter().any(|info| {
                    let known = self.daemon.registry.get(&info.id);
                    !goes(&self.report, &info.container)
                        && known.is_some_and(|known| gateway::is_used(&known.detail.labels))
                }),
            };
            let (users, removal) = (self.members(&network.id), self.engine.remove_network(&network.id));
            if !is_used && self.is_gone(&network.name, users, removal).await? {
                self.report.networks.push(network.name);
            }
        }
        Ok(())
    }

    /// Containers that run on a network: the names of ours, and the ids of others.
    async fn members(&self, network: &str) -> Asked<Vec<String>> {
        let filter = [labels::equals(labels::INSTALLATION, &self.daemon.installation)];
        let own = self.engine.list_containers(&filter).await?;
        let members = self.engine.inspect_network(network).await?.members.into_keys();
        let name = |id: String| own.iter().find(|one| one.id == id).map_or_else(|| id.clone(), |one| one.name.clone());
        Ok(members.map(name).collect())
    }

    /// What builds left of their steps. It counts as no room of its own: most of its size is its base's, which stays.
    async fn layers(&mut self) -> Result<()> {
        // Something may just be built upon them.
        if self.daemon.operations.running() > 1 {
            return Ok(());
        }
        let found = self.engine.list_images(&self.filter(build::LAYER)).await;
        let found = found.map_err(|cause| error::engine("list images", &cause))?;
        for layer in found.into_iter().filter(|layer| layer.tags.is_empty()) {
            let (users, removal) = (self.engine.users_of_image(&layer.id), self.engine.remove_image(&layer.id));
            if self.is_gone(&layer.id, users, removal).await? {
                self.report.images.push(layer.id);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
