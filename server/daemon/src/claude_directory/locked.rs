//! A home of Claude's whose login nobody else renews or writes meanwhile.

use std::path::Path;
use std::time::Duration;

use boxwood_protocol::{ErrorCode, RpcError};

use super::{ClaudeDirectory, NAME};
use crate::credentials::locks::{self, Lock, LockError, Purpose};
use crate::error::Result;
use crate::files;

/// How long Claude Code's own locks are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// The directory, with Claude Code's own locks around it held until this is dropped.
pub(crate) struct Locked {
    directory: ClaudeDirectory,
    /// Given back in this order, the other way round than they are taken.
    locks: [Lock; 2],
}

impl Locked {
    /// Opens the directory in `home`, which is made where it is missing, and takes its locks.
    pub(crate) async fn open(home: &Path) -> Result<Self> {
        Self::open_within(home, PATIENCE).await
    }

    /// The same for somebody who can wait for longer, or not for so long.
    pub(crate) async fn open_within(home: &Path, patience: Duration) -> Result<Self> {
        files::private_directory(home)?;
        let directory = ClaudeDirectory::open(home)?;
        directory.free_locks()?;
        let storage = home.join(NAME);
        // In the order of a claude that renews a login: it writes while it keeps others from renewing.
        let refresh = locks::take(&storage, Purpose::Refresh, patience).await.map_err(|cause| held(&cause))?;
        let write = locks::take(&storage, Purpose::Write, patience).await.map_err(|cause| held(&cause))?;
        Ok(Self { directory, locks: [write, refresh] })
    }

    /// The directory.
    pub(crate) const fn directory(&self) -> &ClaudeDirectory {
        &self.directory
    }

    /// An error when somebody else took a lock over or away. To be asked before every change.
    pub(crate) fn check(&self) -> Result<()> {
        match self.locks.iter().any(Lock::is_lost) {
            true => Err(RpcError::new(ErrorCode::CredentialLocked, "somebody else took over the lock of the login")),
            false => Ok(()),
        }
    }
}

fn held(cause: &LockError) -> RpcError {
    RpcError::new(ErrorCode::CredentialLocked, cause.to_string())
}
