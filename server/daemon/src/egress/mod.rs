//! What sandboxes may reach: their policies, the conversations with their gateways, and what was found from inside.
//!
//! A sandbox has an entry here from [`Egress::connect`] until [`Egress::disconnect`]. The entry's label changes by
//! itself; each change is given to the registry (`Registry::relabel`), which tells clients.

mod answers;
mod attach;
mod authority;
mod decisions;
mod entry;
#[cfg(test)]
mod fake;
mod hearing;
mod inject;
mod layers;
mod link;
mod look;
mod remembered;
pub(crate) mod requests;
mod teller;
#[cfg(test)]
mod tests;
mod trail;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boxwood_protocol::egress::EgressAsk;
use boxwood_protocol::sandbox::Enforcement;

use self::entry::Entry;
use self::link::Gateway;
pub(crate) use self::look::Place;
use self::watch::Watch;
use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::files;

/// How long a request waits for a gateway that is about to be connected.
const SOON: Duration = Duration::from_secs(3);

/// What clients are told of a sandbox's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) enforcement: Enforcement,
    pub(crate) alarm: Option<String>,
    pub(crate) blocked: u64,
    pub(crate) bypass_until_ms: Option<u64>,
}

impl Default for Label {
    fn default() -> Self {
        Self { enforcement: Enforcement::Off, alarm: None, blocked: 0, bypass_until_ms: None }
    }
}

/// The policies and gateways of all sandboxes.
pub(crate) struct Egress {
    table: Mutex<HashMap<String, Arc<Entry>>>,
    /// Raised when a sandbox is connected.
    connected: tokio::sync::watch::Sender<u64>,
    watch: Watch,
    is_watching: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    fakes: Mutex<HashMap<String, fake::FakeGateway>>,
}

impl Egress {
    /// Nothing is connected yet.
    pub(crate) fn new() -> Self {
        Self {
            table: Mutex::default(),
            connected: tokio::sync::watch::channel(0).0,
            watch: Watch::new(),
            is_watching: false.into(),
            #[cfg(test)]
            fakes: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches to the gateway of a sandbox and sees to it that it enforces the sandbox's policy. The record of the
    /// sandbox (project, request) is there already. An earlier conversation of the same sandbox ends.
    pub(crate) async fn connect(&self, daemon: &Arc<Daemon>, sandbox: &str, gateway_container: &str) -> Result<()> {
        let record = daemon
            .records
            .get(sandbox)
            .ok_or_else(|| error::internal(format!("the sandbox {sandbox} has a gateway and no record")))?;
        let streams = attach::attach(daemon, gateway_container).await?;
        let (gateway, wishes) = Gateway::new();
        let entry = Arc::new(Entry::new(daemon, sandbox, &record.project, gateway_container, gateway));
        if let Some(before) = self.table().insert(sandbox.to_owned(), Arc::clone(&entry)) {
            before.end(daemon);
            entry.follow(&before);
        }
        tokio::spawn(attach::keep_up(Arc::clone(daemon), Arc::clone(&entry), streams, wishes));
        self.connected.send_modify(|count| *count += 1);
        self.follow_files(daemon);
        answers::expect_end_of_bypass(daemon, &entry);
        match entry.enforce(daemon).await {
            // Somebody else connected meanwhile; what counts is that the gateway has its policy.
            Err(problem) if entry.token.is_cancelled() => match self.get(sandbox) {
                Some(newer) => newer.enforce(daemon).await,
                None => Err(problem),
            },
            outcome => outcome,
        }
    }

    /// Ends the conversation with a sandbox's gateway, and with it what was decided for the session.
    pub(crate) fn disconnect(&self, sandbox: &str) {
        let Some(entry) = self.table().remove(sandbox) else { return };
        let Some(daemon) = entry.daemon.upgrade() else { return entry.token.cancel() };
        entry.end(&daemon);
        entry.state().passing = crate::records::Passing::default();
        if let Err(problem) = entry.keep(&daemon) {
            tracing::warn!(sandbox, %problem, "what was decided for the session could not be forgotten");
        }
        daemon.registry.relabel(sandbox, Label::default());
        self.watch_files(&daemon);
    }

    /// Whether a sandbox's gateway is talked to, or is attached to again as soon as it can be.
    pub(crate) fn knows(&self, sandbox: &str) -> bool {
        self.get(sandbox).is_some()
    }

    /// The last known label; that of a sandbox which has no gateway is `off`.
    #[cfg(test)]
    fn label(&self, sandbox: &str) -> Label {
        self.get(sandbox).map(|entry| entry.label()).unwrap_or_default()
    }

    /// Looks from inside the agent's container, which runs, whether the network is what it must be, and goes on looking
    /// now and then until [`Egress::disconnect`]. An error means that it must not be left running.
    pub(crate) async fn verify(
        &self,
        daemon: &Arc<Daemon>,
        sandbox: &str,
        agent_container: &str,
        place: &Place,
    ) -> Result<()> {
        let entry =
            self.get(sandbox).ok_or_else(|| error::internal("a sandbox was verified before its gateway was there"))?;
        look::first(daemon, &entry, agent_container, place).await
    }

    /// The certificates that a sandbox trusts, as one file on the host to mount: the host's own and the sandbox's own
    /// authority, which is made when it is not there. `None` on a host that keeps no list of public ones.
    pub(crate) fn bundle(&self, daemon: &Daemon, sandbox: &str) -> Result<Option<String>> {
        let authority = authority::get(&daemon.paths, sandbox)?;
        let Some(contents) = daemon.certificates.bundle_with(Some(&authority.certificate)) else { return Ok(None) };
        let path = daemon.paths.sandbox(sandbox).join("ca-bundle.pem");
        files::write_if_different(&path, &contents)?;
        Ok(Some(path.to_string_lossy().into_owned()))
    }

    /// Forgets the authority of a sandbox that no longer has a gateway.
    pub(crate) fn forget(&self, daemon: &Daemon, sandbox: &str) -> Result<()> {
        files::remove(&daemon.paths.sandbox(sandbox).join("ca-bundle.pem"))?;
        authority::forget(&daemon.paths, sandbox)
    }

    /// Connections that wait, by sandbox.
    pub(crate) fn asks(&self) -> BTreeMap<String, Vec<EgressAsk>> {
        let waiting = |entry: &Arc<Entry>| entry.state().asks.values().cloned().collect::<Vec<_>>();
        let asks = self.table().iter().map(|(sandbox, entry)| (sandbox.clone(), waiting(entry))).collect::<Vec<_>>();
        asks.into_iter().filter(|(_, asks)| !asks.is_empty()).collect()
    }

    fn get(&self, sandbox: &str) -> Option<Arc<Entry>> {
        self.table().get(sandbox).cloned()
    }

    /// The entry of a sandbox that has a gateway, when need be after a moment: a daemon that has just begun is about to
    /// connect.
    async fn get_soon(&self, sandbox: &str) -> Option<Arc<Entry>> {
        let mut connected = self.connected.subscribe();
        let soon = async { while self.get(sandbox).is_none() && connected.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(SOON, soon).await;
        self.get(sandbox)
    }

    fn of_project(&self, project: &str) -> Vec<Arc<Entry>> {
        self.table().values().filter(|entry| entry.project == project).cloned().collect()
    }

    /// Enforces what now is to be enforced for a project's sandboxes, after a change in what its policy is made of.
    pub(crate) async fn reconsider(&self, daemon: &Daemon, project: &str) -> Result<()> {
        let entries = self.of_project(project);
        let all = entries.iter().map(|entry| entry.enforce(daemon));
        futures::future::join_all(all).await.into_iter().collect()
    }

    /// Sees to it that changes of files reach the policies.
    fn follow_files(&self, daemon: &Arc<Daemon>) {
        self.watch_files(daemon);
        if self.is_watching.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let (daemon, changed) = (Arc::clone(daemon), self.watch.changed());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = daemon.leave.cancelled() => return,
                    () = changed.notified() => {}
                }
                // Directories that are new are watched before what is in them is read.
                daemon.egress.watch_files(&daemon);
                let entries: Vec<_> = daemon.egress.table().values().cloned().collect();
                for entry in entries {
                    if let Err(problem) = entry.enforce(&daemon).await {
                        tracing::warn!(sandbox = entry.sandbox, %problem, "a change of files is not yet enforced");
                    }
                }
            }
        });
    }

    fn watch_files(&self, daemon: &Daemon) {
        let projects: BTreeSet<String> = self.table().values().map(|entry| entry.project.clone()).collect();
        self.watch.follow(&daemon.paths, &projects);
    }

    /// Takes a fake for the gateway in a container of this name.
    #[cfg(test)]
    fn put_fake(&self, container: &str, fake: &fake::FakeGateway) {
        self.fakes.lock().unwrap_or_else(PoisonError::into_inner).insert(container.to_owned(), fake.clone());
    }

    #[cfg(test)]
    fn fake(&self, container: &str) -> Option<fake::FakeGateway> {
        self.fakes.lock().unwrap_or_else(PoisonError::into_inner).get(container).cloned()
    }
}
