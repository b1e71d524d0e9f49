//! Copies of a login that sandboxes hold in mode `sync`, and the login that each is a copy of.

use std::fs;
use std::time::Duration;

use boxwood_core::credentials::sync::Decision;
use boxwood_protocol::credentials::{CredentialMode, CredentialSide, CredentialSource};
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
/// makes the next. `came` begins to listen, and gives what ends when somebody comes.
pub(crate) async fn let_renew<F: Future<Output = ()>>(
    daemon: &Daemon,
    sandbox: &str,
    origin: &Origin,
    gate: &mut Option<Gate>,
    came: impl FnOnce() -> F,
) -> Result<Decision> {
    let source = locked(daemon, origin).await?;
    // What was renewed at the source meanwhile is found inside instead of being renewed.
    let decision = make_same_within(&source, daemon, sandbox, origin, None).await?;
    if matches!(decision, Decision::Copy { .. }) {
        return Ok(decision);
    }
    let came = came();
    drop(gate.take());
    if tokio::time::timeout(COMING, came).await.is_err() {
        tracing::debug!(sandbox, "nobody came to renew who had knocked");
    }
    // Whoever came is waited for.
    *gate = close(daemon, sandbox).await?;
    make_same_within(&source, daemon, sandbox, origin, None).await
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

/// Removes what is kept of logins from a source that was ended, in every sandbox's directory: also of those that have no
/// container any more. Those with a copy of a login that goes on keep theirs.
pub(crate) fn forget_kept(daemon: &Daemon, source: CredentialSource) -> Result<()> {
    if !matches!(source, CredentialSource::LoginHome | CredentialSource::HostLogin) {
        return Ok(());
    }
    let mut outcome = Ok(());
    for entry in fs::read_dir(daemon.paths.state.join("sandboxes")).into_iter().flatten().flatten() {
        let sandbox = entry.file_name().to_string_lossy().into_owned();
        let held = daemon.records.get(&sandbox).and_then(|record| record.held);
        if held.is_none_or(|held| held.mode != CredentialMode::Sync || held.source == Some(source)) {
            let forgotten = super::forget_kept(&entry.path());
            outcome = outcome.and(forgotten);
        }
    }
    outcome
}

fn held(cause: &LockError) -> RpcError {
    RpcError::new(ErrorCode::CredentialLocked, cause.to_string())
}

#[cfg(test)]
mod tests {
    use boxwood_core::paths::Paths;
    use boxwood_engine::EngineError;

    use super::*;
    use crate::provisioning::hold::Held;
    use crate::records::Record;

    #[test]
    fn what_is_kept_of_a_login_that_was_ended_goes_and_what_another_has_kept_stays() {
        let root = tempfile::tempdir().expect("a directory");
        let state = root.path().to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| state.clone()), 0);
        let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
        let get = |name: &str| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned());
        let daemon = Daemon::open(paths, &get, Box::new(none)).expect("opened");
        let kept = ["replaced-on-host.json", "replaced-in-sandbox.json", "broken/.credentials.json"];
        let sandbox = |id: &str, held: Option<Held>| {
            let own = daemon.paths.sandbox(id);
            fs::create_dir_all(own.join("broken")).expect("made");
            for name in kept.iter().chain(&["broken/settings.json"]) {
                fs::write(own.join(name), "what was kept").expect("written");
            }
            daemon.records.put(id, Record { held, ..Record::default() }).expect("kept");
        };
        let copy = |source| Some(Held { source: Some(source), mode: CredentialMode::Sync });
        sandbox("nothing", None);
        sandbox("host", copy(CredentialSource::HostLogin));
        sandbox("home", copy(CredentialSource::LoginHome));
        let left = |id: &str| kept.iter().filter(|name| daemon.paths.sandbox(id).join(name).exists()).count();
        let all = || ["nothing", "host", "home"].map(left);
        forget_kept(&daemon, CredentialSource::StoredKey).expect("nothing to do");
        assert_eq!(all(), [3, 3, 3]);
        forget_kept(&daemon, CredentialSource::HostLogin).expect("forgotten");
        assert_eq!(all(), [0, 0, 3]);
        forget_kept(&daemon, CredentialSource::LoginHome).expect("forgotten");
        assert_eq!(all(), [0, 0, 0]);
        assert!(daemon.paths.sandbox("home").join("broken/settings.json").exists(), "no login is in that");
    }
}
