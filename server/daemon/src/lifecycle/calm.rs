//! A container ends only while no claude in it renews a login. What renews a login works once: between the answer of the
//! server and the write to the file, the only one that still works is in that claude's memory.

use std::path::PathBuf;
use std::time::Duration;

use boxwood_engine::{ContainerState, EngineError, Mount};

use super::login_home;
use super::steps::{GRACE_SECONDS, Work};
use crate::claude_directory::Locked;
use crate::daemon::Daemon;
use crate::provisioning;

/// How long Claude Code's own locks are waited for. An agent that never gives them back delays the end by no more.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// The home of Claude's with the login that a container with these mounts can renew; none where all that is inside is an
/// access token or a placeholder.
fn renewable(daemon: &Daemon, sandbox: &str, mounts: &[Mount]) -> Option<PathBuf> {
    // What is mounted counts, and not the mode, which may have been changed since.
    if let Some(name) = login_home::mounted(mounts) {
        return Some(daemon.sources.logins().join(name)).filter(|home| home.is_dir());
    }
    let has_own = provisioning::is_copy(&daemon.paths.sandbox(sandbox)) || login_home::is_in_own_home(daemon, sandbox);
    has_own.then(|| daemon.records.home(sandbox))
}

/// Waits until nobody renews the login that a container has, and keeps it so until what this gives is dropped. `None`
/// where there is nothing to wait for, and where somebody did not stop doing so.
pub(super) async fn calm(daemon: &Daemon, sandbox: &str, mounts: &[Mount]) -> Option<Locked> {
    let home = renewable(daemon, sandbox, mounts)?;
    let problem = match tokio::time::timeout(PATIENCE, Locked::open_within(&home, PATIENCE)).await {
        Ok(Ok(locked)) => return Some(locked),
        Ok(Err(problem)) => problem.to_string(),
        Err(_) => format!("its locks were held for {} s", PATIENCE.as_secs()),
    };
    tracing::warn!(sandbox, problem, "a container ends although somebody may be renewing its login");
    None
}

impl Work {
    /// Stops a container of the sandbox.
    pub(super) async fn end(&self, container: &str) -> Result<(), EngineError> {
        let _calm = match self.engine.inspect_container(container).await {
            Ok(detail) if detail.state == ContainerState::Running => {
                calm(&self.daemon, &self.identity.id, &detail.mounts).await
            }
            // What is the matter with it is for the end to say.
            _ => None,
        };
        self.engine.stop_container(container, GRACE_SECONDS).await
    }
}
