//! Has the real `claude` renew a login: it renews what ends within five minutes, under Claude Code's own locks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::{CredentialFile, Fingerprint, LoginState};
use boxwood_protocol::{ErrorCode, RpcError};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::claude_directory::Locked;
use crate::credentials::host::CREDENTIALS;
use crate::credentials::process::{self, Bounds, RunError};
use crate::daemon::{Daemon, Lookup};
use crate::error::Result;
use crate::login;
use crate::operations::{Handle, Subject};
use crate::provisioning::origin::Origin;

/// What Claude Code on this machine may take. It gives up by itself long before.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(180), output: 64 << 10 };
/// Variables by which it would take another credential than its login, or that belong to a session that runs.
const NOT_INHERITED: [&str; 3] = ["ANTHROPIC_", "CLAUDE_CODE_", "CLAUDECODE"];
#[cfg(not(windows))]
const NAMES: [&str; 1] = ["claude"];
#[cfg(windows)]
const NAMES: [&str; 2] = ["claude.exe", "claude.cmd"];

/// Claude Code on this machine, where the person's shell finds it.
pub(super) fn find(lookup: Lookup<'_>) -> Option<PathBuf> {
    let path = lookup("PATH")?;
    let directories = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    directories.flat_map(|directory| NAMES.map(|name| directory.join(name))).find(|program| is_program(program))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// Renews a login. It is an operation that nobody can cancel: Claude Code is to come to its end.
pub(super) async fn renew(daemon: &Arc<Daemon>, origin: &Origin) -> Result<()> {
    let (daemon_, origin) = (Arc::clone(daemon), origin.clone());
    let started = daemon.operations.start("renewLogin", Subject::default(), move |handle| async move {
        let before = origin.login(&daemon_).await?.and_then(|login| login.view().access);
        work(&daemon_, &handle, &origin, before.as_ref()).await?;
        let after = origin.login(&daemon_).await?;
        let is_renewed = after.as_ref().is_some_and(|after| after.view().access != before);
        let unusable =
            |message: &str, hint: &str| Err(RpcError::new(ErrorCode::CredentialUnusable, message).hint(hint));
        match after.map(|after| after.view().state) {
            Some(LoginState::Full | LoginState::AccessOnly) if is_renewed => Ok(()),
            Some(LoginState::Full | LoginState::AccessOnly) => {
                unusable("Claude Code did not renew the login", "check the network; it is tried again by itself")
            }
            _ => unusable("the login was refused or is gone", "sign in again with 'boxwood login'"),
        }
    });
    let end = daemon.operations.wait(&started.operation_id).await?;
    end.error.map_or(Ok(()), Err)
}

async fn work(daemon: &Arc<Daemon>, handle: &Handle, origin: &Origin, before: Option<&Fingerprint>) -> Result<()> {
    match origin {
        Origin::Home(name) => {
            // One place: whoever began before this daemon comes to his end first.
            #[cfg(test)]
            if let Some(fake) = daemon.renewals.fake.get() {
                hasten(daemon, name, before).await?;
                return fake.renew(&origin.storage(daemon)).await;
            }
            login::settle_renewals(daemon).await?;
            match hasten(daemon, name, before).await? {
                true => login::renew(daemon, handle, &origin.storage(daemon)).await,
                false => Ok(()),
            }
        }
        Origin::Host => on_host(daemon).await,
    }
}

/// Has the login of the login home look as if it were nearly over, which it is not yet for Claude Code when it is for us.
/// A kill at any moment leaves a login that is renewed by whoever looks at it first. False when somebody renewed it already.
async fn hasten(daemon: &Daemon, name: &str, before: Option<&Fingerprint>) -> Result<bool> {
    let home = Locked::open(&daemon.sources.logins().join(name)).await?;
    let file = home.directory().head(CREDENTIALS, MAX_BYTES as u64 + 1)?;
    let Some(mut file) = file.map(Zeroizing::new).and_then(|bytes| CredentialFile::parse(&bytes).ok()) else {
        return Ok(false);
    };
    if file.view().access.as_ref() != before {
        return Ok(false);
    }
    if file.hasten(daemon.renewals.clock().now_ms) {
        home.check()?;
        home.directory().write_if_different(CREDENTIALS, file.render().reveal())?;
    }
    Ok(true)
}

async fn on_host(daemon: &Daemon) -> Result<()> {
    let missing = || {
        RpcError::new(ErrorCode::CredentialUnusable, "Claude Code was not found on this machine")
            .hint("use Claude Code on this machine; what it renews then goes to the sandboxes")
    };
    let mut command = Command::new(daemon.renewals.program.as_ref().ok_or_else(missing)?);
    command.args(login::RENEW).current_dir(&daemon.paths.home);
    for (name, _) in std::env::vars_os() {
        if NOT_INHERITED.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.env("DISABLE_AUTOUPDATER", "1").env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    let failed = |why: String| {
        RpcError::new(ErrorCode::CredentialUnusable, format!("Claude Code on this machine {why}"))
            .hint("run 'claude auth status' to see what is wrong; it is tried again by itself")
    };
    match process::run(command, None, BOUNDS).await {
        // What came of it is seen in its login.
        Ok(_) => Ok(()),
        Err(RunError::NotStarted(cause)) => Err(failed(format!("does not start: {cause}"))),
        Err(RunError::TookTooLong) => Err(failed("did not end in time".to_owned())),
        Err(RunError::SaidTooMuch) => Err(failed("said more than its status".to_owned())),
    }
}
