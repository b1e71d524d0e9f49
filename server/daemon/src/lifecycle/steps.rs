//! The steps, each with its undo beside it.

use std::sync::Arc;

use boxwood_core::mounts::Mount;
use boxwood_core::plan::Step;
use boxwood_core::protect::Overlay;
use boxwood_core::{identity::Identity, labels};
use boxwood_engine::{ContainerSummary, Engine, EngineError, EngineInfo};
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::credentials::ClientEnvironment;
use boxwood_protocol::gateway::Injection;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::claude_directory::ClaudeDirectory;
use crate::creation;
use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::files;
use crate::git::prepare as git;
use crate::journal::Journal;
use crate::lifecycle::place::Place;
use crate::lifecycle::{login_home, mounts, overlay, points, spec, verify};
use crate::materials::{self, Materials, interior};
use crate::operations::Handle;
use crate::provisioning::copies;
use crate::provisioning::hold::{ForGateway, Outcome, Subject};
use crate::records::Passing;
use crate::settings::Settings;

/// Seconds a sandbox has to end by itself.
pub(crate) const GRACE_SECONDS: u32 = 10;

/// Everything an operation on one sandbox holds.
pub(crate) struct Work {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) info: EngineInfo,
    pub(crate) handle: Handle,
    pub(crate) journal: Journal,
    pub(crate) identity: Identity,
    /// Absent where no container is made.
    pub(crate) settings: Option<Settings>,
    pub(crate) request: SandboxConfig,
    pub(crate) environment: Option<ClientEnvironment>,
    /// What its gateway is still to be given.
    pub(crate) for_gateway: Option<ForGateway>,
    /// What its gateway had before, when nothing else is known.
    pub(crate) in_gateway: Option<Vec<Injection>>,
    pub(crate) overlays: Vec<Overlay>,
    /// What of the host it can read beside the project.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) workspace: String,
    pub(crate) materials: Option<Materials>,
    /// Where it is on its own network, once that is there.
    pub(crate) place: Option<Place>,
    /// Id of the container that is worked on.
    pub(crate) container: Option<String>,
    pub(crate) warnings: Vec<String>,
    /// Makes steps fail in tests.
    #[cfg(test)]
    pub(crate) saboteur: Option<crate::lifecycle::tests::Saboteur>,
}

impl Work {
    /// Does a step. Doing it again changes nothing.
    pub(crate) async fn perform(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Materials => self.get_materials().await,
            Step::Directories => self.make_directories(),
            Step::Seed => self.seed().await,
            Step::Placeholders => self.make_placeholders(),
            Step::SetAside => self.set_aside().await,
            Step::Network => self.make_network().await,
            Step::Create => self.create().await,
            Step::Start => self.start().await,
            Step::Verify => self.verify().await,
            Step::Stop => self.stop().await,
            Step::StopGateway => self.site().stop().await,
            Step::DropOld => self.drop_old().await,
            Step::Remove => self.remove().await,
            Step::RemoveNetwork => self.remove_network().await,
            Step::ClearPlaceholders => self.clear_placeholders(),
            Step::Purge => {
                copies::write_back(&self.daemon, &self.identity.id).await?;
                self.daemon.environments.forget(&self.identity.id);
                login_home::purge(&self.daemon, &self.identity.id)?;
                files::remove_directory(&self.daemon.paths.sandbox(&self.identity.id))
            }
        }
    }

    /// Undoes a step, whether it was done, done in part or never begun.
    pub(crate) async fn undo(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Materials => creation::clear(&self.daemon, &self.engine, &self.journal.trace).await,
            Step::Directories if self.journal.made_directories => self.unmake_directories(),
            Step::Seed => self.unseed().await,
            Step::Placeholders => self.unmake_placeholders(),
            Step::SetAside => self.put_back().await,
            Step::Network => self.unmake_network().await,
            Step::Create => self.uncreate().await,
            Step::Start => self.unstart().await,
            Step::Stop if self.journal.was_running => self.unstop().await,
            Step::StopGateway => self.unstop_gateway().await,
            Step::ClearPlaceholders if self.journal.was_running => self.unclear_placeholders().await,
            _ => Ok(()),
        }
    }

    pub(crate) fn container(&self) -> Result<&str> {
        self.container.as_deref().ok_or_else(|| error::internal("a step came before its container"))
    }

    async fn get_materials(&mut self) -> Result<()> {
        if self.materials.is_none() {
            let settings =
                self.settings.clone().ok_or_else(|| error::internal("no settings to make a container from"))?;
            self.materials =
                Some(materials::get(&self.daemon, &self.engine, &self.info, &self.handle, &settings).await?);
        }
        Ok(())
    }

    fn make_directories(&self) -> Result<()> {
        files::private_directory(&self.daemon.paths.sandbox(&self.identity.id))?;
        files::private_directory(&self.daemon.records.home(&self.identity.id))?;
        ClaudeDirectory::open(&self.daemon.records.home(&self.identity.id))?;
        overlay::make_masks(&self.daemon.paths.sandbox(&self.identity.id))
    }

    /// Directories in which a conversation has begun meanwhile are never removed.
    fn unmake_directories(&self) -> Result<()> {
        let conversations = self.daemon.records.home(&self.identity.id).join(".claude/projects");
        if conversations.exists() {
            return Ok(());
        }
        files::remove_directory(&self.daemon.paths.sandbox(&self.identity.id))
    }

    async fn seed(&mut self) -> Result<()> {
        if self.journal.before.is_none() {
            self.adopt_login().await;
        }
        let has_gateway = self.will_have_gateway();
        let subject = Subject {
            daemon: &self.daemon,
            sandbox: &self.identity.id,
            workspace: &self.workspace,
            resolved: self.settings.as_ref().map(|settings| &settings.resolved),
            has_gateway,
        };
        // A person is there who wants it, and may be asked to unlock the keyring.
        self.daemon.sources.kept().ask_again();
        let Outcome { for_gateway, warnings } = subject.hold(self.environment.as_ref()).await?;
        // Everything stays as it is: also what the gateway has, although it is started anew.
        let in_gateway = self.daemon.egress.injected(&self.identity.id).filter(|_| for_gateway.is_none());
        self.in_gateway = in_gateway.filter(|_| has_gateway);
        self.for_gateway = for_gateway.filter(|_| has_gateway);
        self.warnings.extend(warnings);
        let resolved = self.settings.as_ref().map(|settings| &settings.resolved);
        self.warnings.extend(git::write(&self.daemon, &self.identity.id, resolved).await?);
        let mut record = self.daemon.records.get(&self.identity.id).unwrap_or_default();
        record.project.clone_from(&self.identity.project);
        record.session.clone_from(&self.identity.session);
        record.request.clone_from(&self.request);
        let url = self.environment.as_ref().and_then(|environment| environment.0.get("ANTHROPIC_BASE_URL"));
        if let Some(url) = url {
            record.endpoint = Some(url.reveal().to_owned());
        }
        if !self.journal.was_running {
            // What was decided until it stops is over, also when the machine stopped it.
            record.egress = Passing::default();
        }
        for path in &self.journal.placeholders {
            if !record.placeholders.contains(path) {
                record.placeholders.push(path.clone());
            }
        }
        self.daemon.records.put(&self.identity.id, record)
    }

    /// The policy is made from what the sandbox was made with, so that has to be right again.
    async fn unseed(&mut self) -> Result<()> {
        let (Some(request), Some(mut record)) =
            (self.journal.request.clone(), self.daemon.records.get(&self.identity.id))
        else {
            return Ok(());
        };
        if record.request != request || record.endpoint != self.journal.endpoint {
            record.request = request;
            record.endpoint.clone_from(&self.journal.endpoint);
            self.daemon.records.put(&self.identity.id, record)?;
            self.daemon.egress.reconsider(&self.daemon, &self.identity.project).await?;
        }
        Ok(())
    }

    async fn create(&mut self) -> Result<()> {
        if let Some(id) = self.made().await? {
            self.container = Some(id);
            return Ok(());
        }
        let (Some(settings), Some(Materials { image, interior, runtime })) = (&self.settings, &self.materials) else {
            return Err(error::internal("nothing to make a container from"));
        };
        let home = self.daemon.records.home(&self.identity.id);
        let inner = self.inner()?;
        let certificates = self.certificates()?;
        let passwd = interior::write_passwd(&self.daemon.paths.sandbox(&self.identity.id), interior, self.daemon.user)?;
        let login = login_home::for_container(&self.daemon, &self.identity.id)?;
        mounts::recheck(&self.mounts)?;
        points::make(&self.daemon, &self.identity.id, &self.mounts)?;
        let hash = settings.hash(&settings.image_content(materials::image::agent_hash), &runtime.claude_version);
        let spec = spec::container(&spec::Parts {
            identity: &self.identity,
            resolved: &settings.resolved,
            user: self.daemon.user,
            image_id: &image.id,
            image_name: &image.reference,
            image_env: &image.env,
            runtime_volume: &runtime.volume,
            claude_version: &runtime.claude_version,
            home: &home.to_string_lossy(),
            login: login.as_deref(),
            overlays: &self.overlays,
            mounts: &self.mounts,
            certificates: certificates.as_deref(),
            gateway: inner.as_ref().map(|(network, place, resolv_conf)| spec::Inner {
                network,
                place: *place,
                resolv_conf,
            }),
            passwd: passwd.as_deref(),
            git: git::inside(&self.daemon, &self.identity.id, &settings.resolved),
            installation: &self.daemon.installation,
            config_hash: &hash,
            trace: &self.journal.trace,
        });
        let name = spec.name.clone();
        match creation::create(&self.daemon, &self.engine, spec, &self.journal.trace).await {
            Ok(id) => {
                self.container = Some(id);
                Ok(())
            }
            Err(EngineError::Conflict(_)) => Err(RpcError::new(
                ErrorCode::NameConflict,
                format!("a container named {name} is there already, and Boxwood did not make it for this project"),
            )
            .hint(format!("rename or remove it ('docker rm {name}'), then try again"))),
            Err(cause) => Err(error::engine("create the container", &cause)),
        }
    }

    /// The container that this very operation made.
    async fn made(&self) -> Result<Option<String>> {
        creation::settle(&self.daemon, &self.journal.trace).await;
        let filter = [
            labels::equals(labels::TRACE, &self.journal.trace),
            labels::equals(labels::INSTALLATION, &self.daemon.installation),
        ];
        let found = self
            .engine
            .list_containers(&filter)
            .await
            .map_err(|cause| error::engine("look for the container", &cause))?;
        let is_sandbox =
            |container: &&ContainerSummary| container.labels.get(labels::ROLE).is_some_and(|role| role == "sandbox");
        let fits = |id: &&String| Some(*id) != self.journal.before.as_ref();
        Ok(found.iter().filter(is_sandbox).map(|container| &container.id).find(fits).cloned())
    }

    async fn uncreate(&mut self) -> Result<()> {
        if let Some(id) = self.made().await? {
            self.engine
                .remove_container(&id)
                .await
                .map_err(|cause| error::engine("remove the new container", &cause))?;
            self.daemon.registry.remove(&id);
        }
        self.container = None;
        self.tidy_points().await
    }

    async fn start(&mut self) -> Result<()> {
        mounts::recheck(&self.mounts)?;
        let id = self.container()?;
        if self.has_network() {
            // Both at the same time: before the gateway has its policy nothing passes it.
            let (container, gateway) = tokio::join!(self.engine.start_container(id), self.start_gateway());
            container.map_err(|cause| Self::not_started(&cause)).and(gateway)?;
            // Nobody works in it before it is verified.
            if let Some((injections, reach)) = self.for_gateway.take() {
                self.daemon.egress.inject(&self.daemon, &self.identity.id, injections, reach).await?;
            }
            if let Some(given) = self.in_gateway.take() {
                self.daemon.egress.inject_again(&self.daemon, &self.identity.id, &given).await?;
            }
            return Ok(());
        }
        self.engine.start_container(id).await.map_err(|cause| Self::not_started(&cause))
    }

    fn not_started(cause: &EngineError) -> RpcError {
        let problem = error::engine("start the container", cause);
        // The number is Linux's RLIMIT_NOFILE: an engine without the capability for it cannot go above its own limit.
        let is_limit = problem.causes.iter().any(|cause| cause.contains("rlimit type 7"));
        if is_limit {
            problem.hint("this engine allows fewer open files; set 'nofile' lower, for example to 4096")
        } else {
            problem
        }
    }

    async fn unstart(&self) -> Result<()> {
        let agent = self.unstart_container().await;
        self.unstart_gateway().await.and(agent)
    }

    async fn unstart_container(&self) -> Result<()> {
        let Some(before) = self.journal.before.as_ref().filter(|_| !self.journal.was_running) else { return Ok(()) };
        match self.end(before).await {
            Err(cause) if !cause.is_not_found() => Err(error::engine("stop the container again", &cause)),
            _ => Ok(()),
        }
    }

    async fn verify(&mut self) -> Result<()> {
        let id = self.container()?.to_owned();
        let (checks, network) = tokio::join!(verify::check(self.engine.as_ref(), &id), self.verify_network(&id));
        let checks = checks?;
        network?;
        verify::refuse_unhealthy(&checks)?;
        let disk = checks.iter().find(|check| !check.ok);
        self.warnings.extend(disk.map(|check| format!("{}: {}", check.name, check.detail)));
        let detail =
            self.engine.inspect_container(&id).await.map_err(|cause| error::engine("look at the container", &cause))?;
        self.daemon.registry.verified(&detail, checks);
        self.daemon.registry.outdated(&id, self.daemon.is_outdated(&detail));
        self.daemon.registry.update(detail);
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        let id = self.container()?.to_owned();
        match self.end(&id).await {
            Err(cause) if cause.is_not_found() => Ok(()),
            result => result.map_err(|cause| error::engine("stop the container", &cause)),
        }
    }

    async fn unstop(&self) -> Result<()> {
        let Some(before) = &self.journal.before else { return Ok(()) };
        if !self.journal.steps.contains(&Step::StopGateway) {
            self.unstop_gateway().await?;
        }
        self.start_as_made(before).await
    }

    async fn remove(&mut self) -> Result<()> {
        let id = self.container()?.to_owned();
        copies::write_back_soon(&self.daemon, &self.identity.id).await;
        self.engine.remove_container(&id).await.map_err(|cause| error::engine("remove the container", &cause))?;
        self.daemon.registry.remove(&id);
        self.tidy_points().await
    }
}
