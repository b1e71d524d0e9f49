//! What the daemon does first, and whenever the engine comes back: finish undoing what was left half done.

use std::sync::Arc;

use boxwood_core::identity::Identity;
use boxwood_core::labels;
use boxwood_engine::Engine;
use boxwood_protocol::config::SandboxConfig;

use crate::daemon::Daemon;
use crate::journal::Journal;
use crate::lifecycle::{overlay, roll_back, steps::Work};
use crate::operations::Subject;

/// Undoes every interrupted operation and removes containers that only held something for a moment.
pub(crate) async fn run(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>) {
    let running = daemon.operations.list_running();
    let is_running = |journal: &Journal| running.iter().any(|operation| operation.operation_id == journal.trace);
    let mut journals = Journal::interrupted(&daemon.journals());
    journals.retain(|journal| !is_running(journal));
    if !journals.is_empty() {
        let (daemon_, engine_) = (Arc::clone(daemon), Arc::clone(engine));
        let started = daemon.operations.start("repair", Subject::default(), move |handle| async move {
            let info = engine_.info().await.map_err(|cause| crate::error::engine("reach the engine", &cause))?;
            for journal in journals {
                tracing::warn!(trace = journal.trace, sandbox = journal.sandbox, "undoing an interrupted operation");
                let identity = Identity {
                    project: journal.project.clone(),
                    session: daemon_.records.get(&journal.sandbox).map(|record| record.session).unwrap_or_default(),
                    id: journal.sandbox.clone(),
                };
                let mut work = Work {
                    overlays: overlay::survey(&journal.project, &[]).0,
                    daemon: Arc::clone(&daemon_),
                    engine: Arc::clone(&engine_),
                    info: info.clone(),
                    handle: handle.clone(),
                    container: journal.before.clone(),
                    identity,
                    journal,
                    settings: None,
                    request: SandboxConfig::default(),
                    credentials: None,
                    workspace: String::new(),
                    materials: None,
                    place: None,
                    warnings: Vec::new(),
                    #[cfg(test)]
                    saboteur: None,
                };
                if roll_back(&mut work).await {
                    work.journal.close(&daemon_.journals())?;
                }
            }
            Ok(())
        });
        let _ = daemon.operations.wait(&started.operation_id).await;
    }
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
