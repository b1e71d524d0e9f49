//! The private way between a client and the daemon: a Unix socket, or a named pipe on Windows.
//!
//! The socket's directory belongs to this user and nobody else may enter it; both sides also look at who the other is.
//! The daemon uses [`prepare`] and [`is_own_peer`] for its half.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};

#[cfg(unix)]
pub use unix::{Stream, is_own_peer, prepare, user};
#[cfg(windows)]
pub use windows::{Access, Stream, prepare, user};

/// Opens the way to the daemon; `None` when nothing listens.
///
/// # Errors
///
/// When the directory or the listener belongs to somebody else, or the system refuses.
pub async fn open(paths: &Paths) -> Result<Option<Stream>, RpcError> {
    #[cfg(unix)]
    return unix::open(paths).await;
    #[cfg(windows)]
    return windows::open(paths).await;
}

fn unreachable(paths: &Paths, error: &io::Error) -> RpcError {
    RpcError::new(ErrorCode::DaemonUnavailable, format!("could not connect to {}", paths.socket().display()))
        .caused_by(error)
}
