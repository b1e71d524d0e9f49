//! Copies of a login that sandboxes hold in mode `sync`, and the login that each is a copy of.

use std::time::Duration;

use boxwood_core::credentials::sync::Decision;
use boxwood_protocol::credentials::{CredentialMode, CredentialSide};
use boxwood_protocol::{ErrorCode, RpcError};

use super::hold::{self, clock};
use super::origin::Origin;
use super::sync::Pair;
use crate::claude_directory::ClaudeDirectory;
use crate::credentials::locks::gate::Gate;
use crate::credentials::locks::{self, Lock, LockError, Purpose};
use crate::daemon::Daemon;
use crate::error::Result;

/// How long Claude Code's own locks are waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long somebody who has knocked is waited for. Claude Code tries again after one or two seconds.
const COMING: Duration = Duration::from_secs(4);

/// Makes the login of a sandbox and of the source that it has a copy of the same, under Claude Code's own locks of both.
pub(crate) async fn make_same(
    daemon: &Daemon,
    sandbox: &str,
    origin: &Origin,
    winner: Option<CredentialSide>,
) -> Result<Decision> {
    let source = locked(daemon, origin).await?;
    make_same_within(&source, daemon, sandbox, origin, winner).await
}

/// Keeps the source of copies from being renewed.
async fn locked(daemon: &Daemon, origin: &Origin) -> Result<Lock> {
    locks::take(&origin.storage(daemon), Purpose::Refresh, PATIENCE).await.map_err(|cause| held(&cause))
}

async fn make_same_within(
    source: &Lock,
    daemon: &Daemon,
    sandbox: &str,
    origin: &Origin,
    winner: Option<CredentialSide>,
) -> Result<Decision> {
    let home = daemon.records.home(sandbox);
    let directory = ClaudeDirectory::open(&home)?;
    directory.free_locks()?;
    let copy = locks::take(&home.join(".claude"), Purpose::Refresh, PATIENCE).await.map_err(|cause| held(&cause))?;
    let account = origin.login(daemon).await.ok().flatten().map(|login| login.account).unwrap_or_default();
    let own = daemon.paths.sandbox(sandbox);
    Pair { host: origin.holder(daemon)?.as_ref(), account, sandbox: &directory, own: &own }.make_same(
        winner,
        &clock(),
        &mut || {
            if source.is_lost() || copy.is_lost() {
                return Err(RpcError::new(
                    ErrorCode::CredentialLocked,
                    "somebody else took over the lock of the login",
                ));
            }
            Ok(())
        },
    )
}

/// Has nobody renew the copy in a sandbox any more without knocking. Nothing where that cannot be had there.
pub(crate) async fn close(daemon: &Daemon, sandbox: &str) -> Result<Option<Gate>> {
    match Gate::close(&daemon.records.home(sandbox).join(".claude"), PATIENCE).await {
        Ok(gate) => Ok(Some(gate)),
        Err(LockError::Failed(path, cause)) => {
            tracing::warn!(path = %path.display(), %cause, "both sides of a login may renew it at once");
            Ok(None)
        }
        Err(cause) => Err(held(&cause)),
    }
}

/// Lets whoever has knocked renew the copy, while nobody renews the source: of a login that is good for once, only one side
/// makes the next. `came` begins to listen, and gives what ends when somebody comes. Says whether somebody did.
pub(crate) async fn let_renew<F: Future<Output = ()>>(
    daemon: &Daemon,
    sandbox: &str,
    origin: &Origin,
    gate: &mut Option<Gate>,
    came: impl FnOnce() -> F,
) -> Result<(Decision, bool)> {
    let source = locked(daemon, origin).await?;
    // What was renewed at the source meanwhile is found inside instead of being renewed.
    make_same_within(&source, daemon, sandbox, origin, None).await?;
    let came = came();
    drop(gate.take());
    let has_come = tokio::time::timeout(COMING, came).await.is_ok();
    // Whoever came is waited for.
    *gate = close(daemon, sandbox).await?;
    Ok((make_same_within(&source, daemon, sandbox, origin, None).await?, has_come))
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

fn held(cause: &LockError) -> RpcError {
    RpcError::new(ErrorCode::CredentialLocked, cause.to_string())
}
