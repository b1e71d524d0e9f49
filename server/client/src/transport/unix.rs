//! The socket, its directory and who is at its other end.

use std::fs::{DirBuilder, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};
use tokio::net::UnixStream;

use super::unreachable;

/// The stream between client and daemon.
pub type Stream = UnixStream;

/// Longest path of a socket that every supported system takes, in bytes.
const LONGEST_SOCKET_PATH: usize = 103;

/// Number of this user.
#[must_use]
pub fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Whether the other side of a stream is this user.
#[must_use]
pub fn is_own_peer(stream: &Stream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user())
}

/// Makes the socket's directory if it is missing and checks that nobody else can enter it.
///
/// # Errors
///
/// When it cannot be made, belongs to somebody else, or its path is too long for a socket.
pub fn prepare(paths: &Paths) -> Result<(), RpcError> {
    let directory = &paths.runtime;
    if paths.socket().as_os_str().len() > LONGEST_SOCKET_PATH {
        let message = format!("the path of the socket, {}, is too long", paths.socket().display());
        return Err(
            RpcError::new(ErrorCode::DaemonUnavailable, message).hint("set BOXWOOD_RUNTIME_DIR to a shorter path")
        );
    }
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    match builder.create(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Parents are the system's business; only the last directory is private.
            let parents = directory.parent().map_or(Ok(()), std::fs::create_dir_all);
            parents.and_then(|()| builder.create(directory)).map_err(|error| cannot_make(directory, &error))?;
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(cannot_make(directory, &error)),
        _ => {}
    }
    let metadata = directory.symlink_metadata().map_err(|error| cannot_make(directory, &error))?;
    check(directory, &metadata)
}

pub(super) async fn open(paths: &Paths) -> Result<Option<Stream>, RpcError> {
    match paths.runtime.symlink_metadata() {
        Ok(metadata) => check(&paths.runtime, &metadata)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreachable(paths, &error)),
    }
    match UnixStream::connect(paths.socket()).await {
        Ok(stream) if is_own_peer(&stream) => Ok(Some(stream)),
        Ok(_) => {
            Err(RpcError::new(ErrorCode::SocketUnsafe, format!("another user listens on {}", paths.socket().display())))
        }
        // The last is a daemon that ended between our knocking and its opening.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(unreachable(paths, &error)),
    }
}

fn cannot_make(directory: &Path, error: &io::Error) -> RpcError {
    RpcError::new(ErrorCode::DaemonUnavailable, format!("could not make the directory {}", directory.display()))
        .caused_by(error)
        .hint("check the permissions, or set BOXWOOD_RUNTIME_DIR to a directory that you can write to")
}

fn check(directory: &Path, metadata: &Metadata) -> Result<(), RpcError> {
    let shown = directory.display();
    let fault = if !metadata.is_dir() {
        format!("{shown} is not a directory")
    } else if metadata.uid() != user() {
        format!("{shown} belongs to the user with number {}", metadata.uid())
    } else if metadata.permissions().mode() & 0o077 != 0 {
        format!("{shown} is open to others (mode {:o})", metadata.permissions().mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(RpcError::new(ErrorCode::SocketUnsafe, fault))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn paths_in(directory: &Path) -> Paths {
        Paths::resolve(&|name| (name == "BOXWOOD_RUNTIME_DIR").then(|| directory.display().to_string()), user())
    }

    #[test]
    fn the_directory_is_made_private() {
        let base = tempfile::tempdir().expect("temporary directory");
        let directory = base.path().join("a/b");
        prepare(&paths_in(&directory)).expect("prepared");
        assert_eq!(directory.metadata().expect("metadata").permissions().mode() & 0o777, 0o700);
        prepare(&paths_in(&directory)).expect("prepared again");
    }

    #[tokio::test]
    async fn an_open_or_borrowed_directory_is_refused() {
        let base = tempfile::tempdir().expect("temporary directory");
        let open_to_all = base.path().join("open");
        std::fs::create_dir(&open_to_all).expect("directory");
        std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let link = base.path().join("link");
        symlink(base.path(), &link).expect("link");
        let file = base.path().join("file");
        std::fs::write(&file, "").expect("file");
        for place in [open_to_all, link, file] {
            assert_eq!(prepare(&paths_in(&place)).map_err(|error| error.code), Err(ErrorCode::SocketUnsafe));
            let opened = open(&paths_in(&place)).await;
            assert_eq!(opened.map(|_| ()).map_err(|error| error.code), Err(ErrorCode::SocketUnsafe));
        }
    }

    #[tokio::test]
    async fn nothing_listens_is_not_an_error() {
        let base = tempfile::tempdir().expect("temporary directory");
        let paths = paths_in(&base.path().join("run"));
        assert!(open(&paths).await.expect("no directory").is_none());
        prepare(&paths).expect("prepared");
        assert!(open(&paths).await.expect("no socket").is_none());
        drop(std::os::unix::net::UnixListener::bind(paths.socket()).expect("socket"));
        assert!(open(&paths).await.expect("stale socket").is_none());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_said() {
        let base = tempfile::tempdir().expect("temporary directory");
        let error = prepare(&paths_in(&base.path().join("x".repeat(120)))).expect_err("too long");
        assert!(error.hint.is_some_and(|hint| hint.contains("BOXWOOD_RUNTIME_DIR")));
    }
}
