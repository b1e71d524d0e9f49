//! The one owner of state: everything that requests and tasks share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use boxwood_core::identity::DEFAULT_SESSION;
use boxwood_core::labels;
use boxwood_core::paths::Paths;
use boxwood_engine::ContainerDetail;
use boxwood_protocol::params::{RemoveParams, SandboxRef};
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};
use boxwood_protocol::{ErrorCode, RpcError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::certificates::Certificates;
use crate::credentials::gather::Sources;
use crate::credentials::locks;
use crate::egress::Egress;
use crate::error::Result;
use crate::git::Git;
use crate::hub::Hub;
use crate::inside::Feeds;
use crate::lifecycle::reconcile::Reconciling;
use crate::lifecycle::routes::Routes;
use crate::link::{Find, Link};
use crate::login::Logins;
use crate::materials::helper::Programs;
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::provisioning::hold::Environments;
use crate::provisioning::refused::Refusals;
use crate::records::{Records, installation};
use crate::registry::{Known, Registry};
use crate::renewal::Renewals;
use crate::sys::User;
use crate::{files, lifecycle, materials, project, settings};

/// Looks up a variable of the daemon's environment.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything that requests and tasks share.
pub(crate) struct Daemon {
    pub(crate) paths: Paths,
    pub(crate) user: User,
    pub(crate) installation: String,
    pub(crate) link: Link,
    pub(crate) hub: Hub,
    pub(crate) registry: Registry,
    pub(crate) operations: Arc<Operations>,
    pub(crate) records: Records,
    pub(crate) certificates: Certificates,
    pub(crate) routes: Routes,
    pub(crate) egress: Egress,
    pub(crate) sources: Arc<Sources>,
    pub(crate) environments: Environments,
    pub(crate) refusals: Refusals,
    pub(crate) git: Git,
    pub(crate) feeds: Feeds,
    pub(crate) logins: Logins,
    pub(crate) renewals: Renewals,
    pub(crate) helpers: Programs,
    pub(crate) gateways: Programs,
    pub(crate) reconciling: Reconciling,
    pub(crate) clients: watch::Sender<u32>,
    pub(crate) began: Instant,
    pub(crate) leave: CancellationToken,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Daemon {
    /// Opens the state directory. `lookup` is the process's environment.
    pub(crate) fn open(paths: Paths, lookup: Lookup<'_>, find: Find) -> Result<Arc<Self>> {
        for directory in
            [&paths.state, &paths.log_dir(), &paths.state.join("journal"), &paths.state.join("sandboxes"), &paths.cache]
        {
            files::private_directory(directory)?;
        }
        locks::notes::keep_in(&paths.state);
        let hub = Hub::new();
        let metrics = Metrics::load(paths.state.join("metrics.json"));
        Ok(Arc::new(Self {
            user: User::current(),
            installation: installation(&paths)?,
            link: Link::new(hub.clone(), find),
            registry: Registry::new(hub.clone()),
            operations: Arc::new(Operations::new(hub.clone(), metrics)),
            records: Records::new(paths.clone()),
            certificates: Certificates::of_host(),
            routes: Routes::of_host(),
            egress: Egress::new(),
            sources: Arc::new(Sources::open(&paths, lookup)),
            environments: Environments::default(),
            refusals: Refusals::default(),
            git: Git::new(&paths, lookup),
            feeds: Feeds::default(),
            logins: Logins::new(),
            renewals: Renewals::new(&paths, lookup),
            helpers: Programs::helper(),
            gateways: Programs::gateway(),
            reconciling: Reconciling::default(),
            clients: watch::channel(0).0,
            began: Instant::now(),
            leave: CancellationToken::new(),
            turns: Mutex::default(),
            hub,
            paths,
        }))
    }

    /// Where journals of operations are.
    pub(crate) fn journals(&self) -> PathBuf {
        self.paths.state.join("journal")
    }

    /// The lock under which operations on one sandbox take turns.
    pub(crate) fn turn(&self, sandbox_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(sandbox_id.to_owned()).or_default())
    }

    /// The one sandbox that a reference means.
    pub(crate) fn resolve(&self, target: &SandboxRef) -> Result<Known> {
        let status = self.link.status();
        let found = match (&target.sandbox, &target.project) {
            (Some(text), _) if !text.is_empty() => {
                let mut found = self.registry.find(text);
                if let Some(session) = &target.session {
                    found.retain(|known| known.info.session == *session);
                }
                found
            }
            (_, Some(path)) => {
                let project = project::lexical(path);
                let session = target.session.as_deref().unwrap_or(DEFAULT_SESSION);
                let list = self.registry.list().into_iter();
                list.filter(|info| info.project == project && info.session == session)
                    .filter_map(|info| self.registry.get(&info.id))
                    .collect()
            }
            _ => {
                return Err(RpcError::new(ErrorCode::InvalidParams, "neither a sandbox nor a project was named"));
            }
        };
        let name = target.sandbox.as_ref().or(target.project.as_ref()).map_or("", String::as_str);
        match found.as_slice() {
            [known] => Ok(known.clone()),
            [] if !status.is_available => {
                Err(RpcError::new(ErrorCode::EngineUnavailable, "the container engine does not answer")
                    .caused_by(status.problem.unwrap_or_default()))
            }
            [] => Err(RpcError::new(ErrorCode::SandboxNotFound, format!("no sandbox fits {name}"))),
            several => {
                let ids: Vec<_> = several.iter().map(|known| known.info.id.as_str()).collect();
                Err(RpcError::new(ErrorCode::SandboxAmbiguous, format!("{name} fits {}", ids.join(", "))))
            }
        }
    }

    /// Takes in every container as it now is, without waiting for the engine's events.
    #[cfg(test)]
    pub(crate) async fn settled(self: &Arc<Self>) {
        let (engine, _) = self.link.engine().await.expect("an engine");
        crate::watcher::look(self, &engine, &crate::watcher::ours(self)).await.expect("looked");
    }

    /// Whether another sandbox than `except` runs on the project.
    pub(crate) fn is_project_in_use(&self, project: &str, except: &str) -> bool {
        self.registry
            .list()
            .iter()
            .any(|info| info.project == project && info.id != except && info.state == SandboxState::Running)
    }

    /// Whether the configuration in force differs from the one that a container was made with.
    pub(crate) fn is_outdated(&self, detail: &ContainerDetail) -> bool {
        let label = |key: &str| detail.labels.get(key).map(String::as_str).unwrap_or_default();
        let request = self.records.get(label(labels::SANDBOX)).map(|record| record.request).unwrap_or_default();
        settings::load(&self.paths, label(labels::PROJECT), &request).is_ok_and(|settings| {
            let image = settings.image_content(materials::image::agent_hash);
            let is_other = settings.hash(&image, &materials::package::pinned().version) != label(labels::CONFIG);
            is_other
                || lifecycle::login_home::is_other(self, label(labels::SANDBOX), &detail.mounts)
                || lifecycle::mounts::is_outdated(self, detail)
                || lifecycle::overlay::is_outdated(label(labels::PROJECT), label(labels::WORKSPACE), &settings, detail)
        })
    }

    /// Removes an ephemeral sandbox whose Claude has ended.
    pub(crate) fn remove_ended(self: &Arc<Self>, info: &SandboxInfo) {
        let params = RemoveParams { sandbox: Some(info.id.clone()), ..RemoveParams::default() };
        if let Err(problem) = lifecycle::ensure::remove(self, &params) {
            tracing::warn!(%problem, sandbox = info.id, "an ended sandbox could not be removed");
        }
    }
}
