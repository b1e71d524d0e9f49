//! Copies of a login that sandboxes hold in mode `sync`, and the login that each is a copy of.

use std::time::Duration;

use boxwood_core::credentials::sync::Decision;
use boxwood_protocol::credentials::{CredentialMode, CredentialSide};
use boxwood_protocol::{ErrorCode, RpcError};

use super::hold::{self, clock};
use super::origin::Origin;
use super::sync::Pair;
use crate::claude_directory::ClaudeDirectory;
use crate::credentials::locks::{self, Purpose};
use crate::daemon::Daemon;
use crate::error::Result;

/// How long Claude Code's own locks are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Makes the login of a sandbox and of the source that it has a copy of the same, under Claude Code's own locks of both.
pub(crate) async fn make_same(
    daemon: &Daemon,
    sandbox: &str,
    origin: &Origin,
    winner: Option<CredentialSide>,
) -> Result<Decision> {
    let storage = origin.storage(daemon);
    let home = daemon.records.home(sandbox);
    let directory = ClaudeDirectory::open(&home)?;
    directory.free_locks()?;
    let host_lock = locks::take(&storage, Purpose::Refresh, PATIENCE).await.map_err(|cause| held(&cause))?;
    let sandbox_lock =
        locks::take(&home.join(".claude"), Purpose::Refresh, PATIENCE).await.map_err(|cause| held(&cause))?;
    let account = origin.login(daemon).await.ok().flatten().map(|login| login.account).unwrap_or_default();
    let own = daemon.paths.sandbox(sandbox);
    Pair { host: origin.holder(daemon)?.as_ref(), account, sandbox: &directory, own: &own }.make_same(
        winner,
        &clock(),
        &mut || {
            if host_lock.is_lost() || sandbox_lock.is_lost() {
                return Err(RpcError::new(
                    ErrorCode::CredentialLocked,
                    "somebody else took over the lock of the login",
                ));
            }
            Ok(())
        },
    )
}

/// Makes a sandbox's copy of a login the same as the login before its home goes. What cannot be decided goes as it is.
pub(crate) async fn write_back(daemon: &Daemon, sandbox: &str) -> Result<()> {
    let Some(origin) = hold::origin_of(daemon, sandbox, CredentialMode::Sync) else { return Ok(()) };
    if let Decision::Conflict(conflict) = make_same(daemon, sandbox, &origin, None).await? {
        tracing::warn!(sandbox, reason = conflict.reason(), "the copy of a login goes as it is");
    }
    Ok(())
}

/// The same before its container goes. Its home stays, so that what fails here is made up for when it is started again.
pub(crate) async fn write_back_soon(daemon: &Daemon, sandbox: &str) {
    if let Err(problem) = write_back(daemon, sandbox).await {
        tracing::warn!(sandbox, %problem, "a login was not made the same before a removal");
    }
}

fn held(cause: &locks::LockError) -> RpcError {
    RpcError::new(ErrorCode::CredentialLocked, cause.to_string())
}
