//! The private directory in `/tmp` where the multiplexer's socket and the session's pipe live.
//!
//! The pipe tells the main process when claude has begun and ended: whoever supervises claude holds it open for writing
//! and leaves one byte, the exit status. Nobody has to ask in a loop, and a killed supervisor counts as an end.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{CWD, Mode, OFlags};

use crate::linux::error::Error;

/// A directory that only this user can enter.
#[derive(Debug, Clone)]
pub(crate) struct SessionDir(PathBuf);

impl SessionDir {
    /// The directory of the current user, created if it is missing; `$BOXWOOD_SESSION_DIR` names another place.
    pub(crate) fn of_current_user() -> Result<Self, Error> {
        if let Some(path) = std::env::var_os("BOXWOOD_SESSION_DIR") {
            return Self::at(Path::new(&path));
        }
        let uid = rustix::process::geteuid().as_raw();
        Self::at(Path::new(&format!("/tmp/boxwood-{uid}")))
    }

    fn at(path: &Path) -> Result<Self, Error> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create", path, error));
            }
            _ => {}
        }
        // `/tmp` belongs to everybody: a directory laid there by another user, or a symlink, is not used.
        let found = std::fs::symlink_metadata(path).map_err(|error| Error::io("look at", path, error))?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw();
        if !found.is_dir() || !is_ours || found.mode() & 0o077 != 0 {
            return Err(Error::SharedDirectory { path: path.to_path_buf() });
        }
        Ok(Self(path.to_path_buf()))
    }

    /// The multiplexer's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("tmux.sock")
    }

    /// Where git asks for credentials.
    pub(crate) fn git_socket(&self) -> PathBuf {
        self.0.join("git.sock")
    }

    /// Writes the multiplexer's configuration, atomically because two terminals may attach at once.
    pub(crate) fn write_config(&self, text: &str) -> Result<PathBuf, Error> {
        let path = self.0.join("tmux.conf");
        if std::fs::read_to_string(&path).is_ok_and(|current| current == text) {
            return Ok(path);
        }
        let draft = self.0.join(format!("tmux.conf.{}", std::process::id()));
        std::fs::write(&draft, text).map_err(|error| Error::io("write", &draft, error))?;
        std::fs::rename(&draft, &path).map_err(|error| Error::io("write", &path, error))?;
        Ok(path)
    }

    /// Announces a session; it lasts until the returned file is dropped.
    pub(crate) fn announce(&self) -> Result<File, Error> {
        let path = self.pipe()?;
        // Read and write: opening then never waits for a reader, and a sandbox without one works the same.
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))
    }

    /// Listens for sessions.
    pub(crate) fn listen(&self) -> Result<Listener, Error> {
        let path = self.pipe()?;
        let pipe = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        Ok(Listener { pipe, last_status: None })
    }

    fn pipe(&self) -> Result<PathBuf, Error> {
        let path = self.0.join("session");
        match rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(Error::io("create", &path, error)),
        }
        let found = std::fs::symlink_metadata(&path).map_err(|error| Error::io("look at", &path, error))?;
        if found.file_type().is_fifo() { Ok(path) } else { Err(Error::SharedDirectory { path }) }
    }
}

/// The reading side of the session's pipe.
#[derive(Debug)]
pub(crate) struct Listener {
    pipe: File,
    last_status: Option<u8>,
}

impl Listener {
    /// An entry for `poll`: ready when a session has left its status or ended, not before one has begun.
    pub(crate) fn poll_entry(&self) -> PollFd<'_> {
        PollFd::new(&self.pipe, PollFlags::IN)
    }

    /// Whether a session holds the pipe now; never waits.
    pub(crate) fn is_session_running(&mut self) -> Result<bool, Error> {
        let mut bytes = [0; 16];
        loop {
            match self.pipe.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(count) => self.last_status = bytes.get(count - 1).copied(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::system("read the session's pipe", error)),
            }
        }
    }

    /// The exit status that the last session left; a supervisor that was killed leaves none.
    pub(crate) fn last_status(&self) -> Option<u8> {
        self.last_status
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;
    use crate::linux::signals;

    fn directory() -> (tempfile::TempDir, SessionDir) {
        let parent = tempfile::tempdir().expect("temporary directory");
        let directory = SessionDir::at(&parent.path().join("boxwood-1")).expect("session directory");
        (parent, directory)
    }

    fn wakes_within(listener: &Listener, limit: Duration) -> bool {
        let mut entries = [listener.poll_entry()];
        signals::wait(&mut entries, Some(limit)).expect("poll");
        !entries[0].revents().is_empty()
    }

    #[test]
    fn it_is_private_and_can_be_opened_again() {
        let (parent, directory) = directory();
        let mode = std::fs::metadata(&directory.0).expect("metadata").mode();
        assert_eq!(mode & 0o777, 0o700);
        SessionDir::at(&parent.path().join("boxwood-1")).expect("second time");
    }

    #[test]
    fn a_directory_others_can_enter_or_a_symlink_is_refused() {
        let (parent, directory) = directory();
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&directory.0, &link).expect("symlink");
        assert!(matches!(SessionDir::at(&link), Err(Error::SharedDirectory { .. })));
        std::fs::set_permissions(&directory.0, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        assert!(matches!(SessionDir::at(&directory.0), Err(Error::SharedDirectory { .. })));
    }

    #[test]
    fn the_listener_wakes_for_an_end_and_only_after_a_beginning() {
        let (_parent, directory) = directory();
        let mut listener = directory.listen().expect("listen");
        assert!(!wakes_within(&listener, Duration::ZERO));
        assert!(!listener.is_session_running().expect("state"));

        let mut session = directory.announce().expect("announce");
        assert!(!wakes_within(&listener, Duration::ZERO));
        assert!(listener.is_session_running().expect("state"));

        session.write_all(&[7]).expect("status");
        drop(session);
        assert!(wakes_within(&listener, Duration::from_secs(5)));
        assert!(!listener.is_session_running().expect("state"));
        assert_eq!(listener.last_status(), Some(7));
    }

    #[test]
    fn a_session_that_began_before_anyone_listened_is_seen_to_end() {
        let (_parent, directory) = directory();
        let session = directory.announce().expect("announce");
        let mut listener = directory.listen().expect("listen");
        assert!(!wakes_within(&listener, Duration::ZERO));
        drop(session);
        assert!(wakes_within(&listener, Duration::from_secs(5)));
        assert!(!listener.is_session_running().expect("state"));
        assert_eq!(listener.last_status(), None);
    }

    #[test]
    fn the_configuration_is_replaced_whole() {
        let (_parent, directory) = directory();
        let path = directory.write_config("one").expect("write");
        assert_eq!(directory.write_config("two").expect("write"), path);
        assert_eq!(std::fs::read_to_string(path).expect("read"), "two");
        assert_eq!(std::fs::read_dir(&directory.0).expect("list").count(), 1);
    }
}
