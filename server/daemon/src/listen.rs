//! Where clients knock: a Unix socket, or a named pipe on Windows.

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::error::Result;

fn cannot(paths: &Paths, cause: impl std::fmt::Display) -> RpcError {
    RpcError::new(ErrorCode::DaemonUnavailable, format!("failed to listen on {}", paths.socket().display()))
        .caused_by(cause)
}

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::PermissionsExt as _;

    use boxwood_client::transport;
    use boxwood_core::paths::Paths;
    use tokio::net::{UnixListener, UnixStream};

    use crate::error::Result;

    /// The socket. The lock beside it is held, so a file that is there is a dead daemon's.
    pub(crate) struct Listener {
        socket: UnixListener,
    }

    impl Listener {
        pub(crate) fn bind(paths: &Paths) -> Result<Self> {
            let path = paths.socket();
            crate::files::remove(&path)?;
            let socket = UnixListener::bind(&path).map_err(|cause| super::cannot(paths, cause))?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
                .map_err(|cause| super::cannot(paths, cause))?;
            Ok(Self { socket })
        }

        /// The next client that is this user; others are turned away.
        pub(crate) async fn accept(&mut self) -> std::io::Result<UnixStream> {
            loop {
                let (stream, _) = self.socket.accept().await?;
                if transport::is_own_peer(&stream) {
                    return Ok(stream);
                }
                tracing::warn!("turned away another user");
            }
        }
    }
}

#[cfg(windows)]
mod imp {
    use boxwood_client::transport::Access;
    use boxwood_core::paths::Paths;
    use tokio::net::windows::named_pipe::NamedPipeServer;

    use crate::error::Result;

    /// The pipe, with one end always waiting for the next client.
    pub(crate) struct Listener {
        access: Access,
        next: NamedPipeServer,
    }

    impl Listener {
        pub(crate) fn bind(paths: &Paths) -> Result<Self> {
            let bound = Access::new(paths).and_then(|access| access.first().map(|next| Self { access, next }));
            bound.map_err(|cause| super::cannot(paths, cause))
        }

        /// The next client; the pipe opens for this user only.
        pub(crate) async fn accept(&mut self) -> std::io::Result<NamedPipeServer> {
            self.next.connect().await?;
            let next = self.access.another()?;
            Ok(std::mem::replace(&mut self.next, next))
        }
    }
}

pub(crate) use imp::Listener;

/// Removes the socket's file.
pub(crate) fn tidy(paths: &Paths) {
    if let Err(cause) = remove(paths) {
        tracing::warn!(%cause, "the socket stays behind");
    }
}

fn remove(paths: &Paths) -> Result<()> {
    crate::files::remove(&paths.socket())
}
