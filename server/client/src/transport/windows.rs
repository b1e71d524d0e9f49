//! The named pipe, who may open it and whose it is.

mod owner;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};

use super::unreachable;

/// The stream between client and daemon.
pub type Stream = NamedPipeClient;

/// The system's word for "every end of the pipe has its client, and the next one is not made yet".
const ERROR_PIPE_BUSY: i32 = 231;
/// How long a client waits for an end of the pipe that is free: the daemon makes one whenever one is taken.
const PATIENCE_MS: u32 = 5_000;

/// Users have no numbers here; the pipe's access list says who may open it.
#[must_use]
pub fn user() -> u32 {
    0
}

/// Name of the daemon's pipe: one per runtime directory, which is one per user.
fn name_of(paths: &Paths) -> String {
    let place = boxwood_core::content_hash([paths.runtime.to_string_lossy().to_lowercase().as_bytes()]);
    format!(r"\\.\pipe\boxwood-{}", &place[..16])
}

/// Makes the directory of the lock if it is missing.
///
/// # Errors
///
/// When it cannot be made.
pub fn prepare(paths: &Paths) -> Result<(), RpcError> {
    std::fs::create_dir_all(&paths.runtime).map_err(|error| {
        let message = format!("could not make the directory {}", paths.runtime.display());
        RpcError::new(ErrorCode::DaemonUnavailable, message).caused_by(error)
    })
}

/// The daemon's pipe, which opens for this user and nobody else: without a list of its own, a pipe lets everybody read.
pub struct Access {
    name: String,
    list: owner::AccessList,
}

impl Access {
    /// # Errors
    ///
    /// When the system does not say who this user is.
    pub fn new(paths: &Paths) -> io::Result<Self> {
        Ok(Self { name: name_of(paths), list: owner::AccessList::of_this_user()? })
    }

    /// The pipe's first end.
    ///
    /// # Errors
    ///
    /// When there is such a pipe already, whoever made it.
    pub fn first(&self) -> io::Result<NamedPipeServer> {
        self.list.create(ServerOptions::new().first_pipe_instance(true).reject_remote_clients(true), &self.name)
    }

    /// One more end, for the next client.
    ///
    /// # Errors
    ///
    /// When the system has no more.
    pub fn another(&self) -> io::Result<NamedPipeServer> {
        self.list.create(ServerOptions::new().reject_remote_clients(true), &self.name)
    }
}

pub(super) async fn open(paths: &Paths) -> Result<Option<Stream>, RpcError> {
    let name = name_of(paths);
    loop {
        let pipe = match ClientOptions::new().open(&name) {
            Ok(pipe) => pipe,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                wait(name.clone()).await.map_err(|error| unreachable(paths, &error))?;
                continue;
            }
            Err(error) => return Err(unreachable(paths, &error)),
        };
        // Anybody can take the name while no daemon runs, and would be told what is meant for the daemon.
        return match owner::is_this_users(&pipe) {
            Ok(true) => Ok(Some(pipe)),
            Ok(false) => Err(RpcError::new(ErrorCode::SocketUnsafe, format!("another user listens on {name}"))),
            Err(error) => Err(unreachable(paths, &error)),
        };
    }
}

/// Until an end of the pipe is free, or the pipe is gone. The system's call blocks, so it has a thread of its own.
async fn wait(name: String) -> io::Result<()> {
    let waited = tokio::task::spawn_blocking(move || owner::wait_for(&name, PATIENCE_MS));
    match waited.await.map_err(io::Error::other)? {
        // The daemon left meanwhile; the next try finds nobody.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
