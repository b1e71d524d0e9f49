//! What the daemon does first, and whenever the engine comes back: finish undoing what was left half done. And what comes before
//! every operation on a sandbox of which something was left half done.

use std::sync::Arc;

use boxwood_core::identity::Identity;
use boxwood_core::labels;
use boxwood_engine::Engine;
use boxwood_protocol::config::SandboxConfig;

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::journal::Journal;
use crate::lifecycle::{overlay, roll_back, steps::Work};
use crate::login;
use crate::operations::{Handle, Subject};

/// One journal is undone by one at a time.
const TURN: &str = "repair";

/// Undoes every interrupted operation and removes containers that only held something for a moment.
pub(crate) async fn run(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>) {
    let turn = daemon.turn(TURN).lock_owned().await;
    login::repair(daemon, engine).await;
    let journals = interrupted(daemon);
    if !journals.is_empty() {
        let (daemon_, engine_) = (Arc::clone(daemon), Arc::clone(engine));
        let work = move |handle| async move { undo(&daemon_, &engine_, &handle, journals).await };
        let started = daemon.operations.start("repair", Subject::default(), work);
        let _ = daemon.operations.wait(&started.operation_id).await;
    }
    drop(turn);
    if daemon.operations.running() > 0 {
        return;
    }
    for role in ["probe", "fill", "verify"] {
        let filter = [labels::equals(labels::ROLE, role), labels::equals(labels::INSTALLATION, &daemon.installation)];
        for container in engine.list_containers(&filter).await.unwrap_or_default() {
            if let Err(cause) = engine.remove_container(&container.id).await {
                tracing::warn!(%cause, name = container.name, "a leftover stays behind");
            }
        }
    }
}

/// Undoes what was interrupted of one sandbox, before anything else is done with it: undone afterwards, it would take away
/// what was made meanwhile. What cannot be undone now stays for later.
pub(crate) async fn before(daemon: &Arc<Daemon>, handle: &Handle, sandbox: &str) -> Result<()> {
    let is_about = |journal: &Journal| journal.sandbox == sandbox;
    if !interrupted(daemon).iter().any(is_about) {
        return Ok(());
    }
    let _turn = handle.or_cancelled(async { Ok(daemon.turn(TURN).lock_owned().await) }).await?;
    let mut journals = interrupted(daemon);
    journals.retain(is_about);
    let (engine, _) = daemon.link.engine().await?;
    undo(daemon, &engine, handle, journals).await
}

/// What no operation works on any more.
fn interrupted(daemon: &Daemon) -> Vec<Journal> {
    let running = daemon.operations.list_running();
    let is_running = |journal: &Journal| running.iter().any(|operation| operation.operation_id == journal.trace);
    let mut journals = Journal::interrupted(&daemon.journals());
    journals.retain(|journal| !is_running(journal));
    journals
}

async fn undo(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, handle: &Handle, journals: Vec<Journal>) -> Result<()> {
    if journals.is_empty() {
        return Ok(());
    }
    let info = engine.info().await.map_err(|cause| error::engine("reach the engine", &cause))?;
    for journal in journals {
        tracing::warn!(trace = journal.trace, sandbox = journal.sandbox, "undoing an interrupted operation");
        let identity = Identity {
            project: journal.project.clone(),
            session: daemon.records.get(&journal.sandbox).map(|record| record.session).unwrap_or_default(),
            id: journal.sandbox.clone(),
        };
        let mut work = Work {
            overlays: overlay::survey(&journal.project, &[]).0,
            mounts: Vec::new(),
            daemon: Arc::clone(daemon),
            engine: Arc::clone(engine),
            info: info.clone(),
            handle: handle.clone(),
            container: journal.before.clone(),
            identity,
            journal,
            settings: None,
            request: SandboxConfig::default(),
            environment: None,
            for_gateway: None,
            in_gateway: None,
            workspace: String::new(),
            materials: None,
            place: None,
            warnings: Vec::new(),
            #[cfg(test)]
            saboteur: None,
        };
        if roll_back(&mut work).await {
            work.journal.close(&daemon.journals())?;
        }
    }
    Ok(())
}
