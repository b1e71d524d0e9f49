//! The steps that are about a sandbox's own network and gateway.

use boxwood_core::plan::Step;
use boxwood_engine::Attachment;
use boxwood_protocol::config::Network;

use crate::creation;
use crate::error::{self, Result};
use crate::files;
use crate::lifecycle::gateway::{self, Site};
use crate::lifecycle::place::Place;
use crate::lifecycle::steps::Work;

impl Work {
    pub(crate) fn site(&self) -> Site<'_> {
        Site { daemon: &self.daemon, engine: &self.engine, info: &self.info, sandbox: &self.identity.id }
    }

    /// Whether the sandbox has a gateway at the end of this operation.
    pub(crate) fn has_network(&self) -> bool {
        self.journal.steps.contains(&Step::Network)
    }

    pub(crate) async fn make_network(&mut self) -> Result<()> {
        let makes = self.journal.steps.contains(&Step::Create);
        // A container that is there has addresses of its network written into it; a new one takes what there is.
        let wanted = if makes { None } else { self.place };
        let place = self.site().make(&self.journal.trace, wanted).await?;
        self.place = Some(place);
        let text = format!("nameserver {}\n", place.gateway());
        files::write_if_different(&self.resolv_conf(), text.as_bytes())?;
        self.certificates()?;
        if makes { Ok(()) } else { self.put_on_network(place).await }
    }

    /// The container's place on its network, and where it is instead.
    async fn attachments(&self, place: Place) -> Result<(Attachment, Vec<Attachment>)> {
        let detail = self.engine.inspect_container(self.container()?).await;
        let found = detail.map_err(|cause| error::engine("look at the container", &cause))?.networks;
        Ok((Attachment { network: gateway::network_name(&self.identity.id), ipv4: Some(place.sandbox()) }, found))
    }

    /// Whether the container is on its own network and on no other.
    pub(crate) async fn is_on_network(&self) -> Result<bool> {
        let Some(place) = self.place else { return Ok(true) };
        let (wanted, found) = self.attachments(place).await?;
        Ok(found == [wanted])
    }

    /// Puts a container that is there on its own network and on no other: that may have been made anew or taken away, and
    /// others may have been added by hand.
    async fn put_on_network(&self, place: Place) -> Result<()> {
        let failed = |cause| error::engine("connect the container with its network", &cause);
        let id = self.container()?;
        let (wanted, found) = self.attachments(place).await?;
        for other in found.iter().filter(|attachment| **attachment != wanted) {
            match self.engine.disconnect_network(&other.network, id).await {
                // One that is gone is no network to be on.
                Err(cause) if !cause.is_not_found() => return Err(failed(cause)),
                _ => {}
            }
        }
        // A network that was made anew under the same name is another one.
        let is_new = self.journal.gateway.is_some_and(|before| !before.has_network);
        if is_new || !found.contains(&wanted) {
            self.engine.connect_network(&wanted.network, id, wanted.ipv4).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) async fn unmake_network(&self) -> Result<()> {
        let Some(before) = self.journal.gateway else { return Ok(()) };
        creation::settle(&self.daemon, &self.journal.trace).await;
        if !before.has_gateway {
            self.site().remove_gateway().await?;
        }
        if !before.has_network {
            self.site().remove_network().await?;
        }
        if before.is_new {
            self.remove_files()?;
        }
        if before.was_running { self.site().restore(&self.journal.trace).await } else { Ok(()) }
    }

    /// Whether the container will be behind a gateway when the operation is done.
    pub(crate) fn will_have_gateway(&self) -> bool {
        match &self.settings {
            Some(settings) if self.container.is_none() => settings.resolved.network == Network::Gateway,
            _ => self.has_network(),
        }
    }

    pub(crate) async fn start_gateway(&self) -> Result<()> {
        self.site().start().await
    }

    pub(crate) async fn unstart_gateway(&self) -> Result<()> {
        if self.has_network() && self.journal.gateway.is_some_and(|before| !before.was_running) {
            return self.site().stop().await;
        }
        Ok(())
    }

    pub(crate) async fn unstop_gateway(&self) -> Result<()> {
        match self.journal.gateway {
            Some(before) if before.was_running => self.site().restore(&self.journal.trace).await,
            _ => Ok(()),
        }
    }

    /// What stays behind harms nobody, and the next tidying removes it.
    pub(crate) async fn remove_network(&mut self) -> Result<()> {
        if let Err(problem) = self.site().remove().await {
            tracing::warn!(%problem, sandbox = self.identity.id, "a network stays behind");
            self.warnings.push(format!("{problem}; 'boxwood prune' removes it"));
        }
        self.remove_files()
    }

    /// What a sandbox with a gateway has beside its home.
    fn remove_files(&self) -> Result<()> {
        files::remove(&self.resolv_conf())?;
        self.daemon.egress.forget(&self.daemon, &self.identity.id)
    }

    /// Looks from inside whether the network is what it must be.
    pub(crate) async fn verify_network(&self, container: &str) -> Result<()> {
        match self.place {
            Some(place) if self.has_network() => self.site().verify(container, place).await,
            _ => Ok(()),
        }
    }

    fn resolv_conf(&self) -> std::path::PathBuf {
        self.daemon.paths.sandbox(&self.identity.id).join("resolv.conf")
    }

    /// Network, place and name server file for a new container; `None` when its network has no gateway.
    pub(crate) fn inner(&self) -> Result<Option<(String, Place, String)>> {
        let wants = self.settings.as_ref().is_some_and(|settings| settings.resolved.network == Network::Gateway);
        match self.place {
            Some(place) if wants => Ok(Some((
                gateway::network_name(&self.identity.id),
                place,
                self.resolv_conf().to_string_lossy().into_owned(),
            ))),
            None if wants => Err(error::internal("a container came before its network")),
            _ => Ok(None),
        }
    }

    /// The file of certificates that the sandbox trusts; with a gateway its own authority is among them.
    pub(crate) fn certificates(&self) -> Result<Option<String>> {
        let own = if self.has_network() { self.daemon.egress.bundle(&self.daemon, &self.identity.id)? } else { None };
        match own {
            Some(own) => Ok(Some(own)),
            None => self.daemon.certificates.bundle(&self.daemon.paths),
        }
    }
}
