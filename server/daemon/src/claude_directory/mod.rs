//! Claude Code's directory in a sandbox's home. What is in it is the agent's, who may put links and pipes where files were:
//! nothing here follows the one, or waits for the other. A login home is laid out alike, and shared by agents.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::credentials::locks;
use crate::error::{self, Result};
use crate::sys;

mod locked;
#[cfg(not(unix))]
#[path = "other.rs"]
mod system;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;

pub(crate) use locked::Locked;

/// Name of the directory in the home.
const NAME: &str = ".claude";
/// How the names of files begin that are being written; the number of the daemon's process follows.
const BEGUN: &str = ".boxwood-new-";
/// What stands behind the name of what was put aside; something that nobody can guess follows.
const ASIDE: &str = ".aside-";
/// Most bytes of a file of settings that is read; Claude Code's own stay far below.
const MOST: u64 = 16 << 20;

/// What stands under a name.
pub(crate) enum Found {
    /// Nothing, or something that is no file and is replaced.
    Nothing,
    /// A file with this text.
    Text(String),
    /// A file that is too large to be one of settings.
    TooLarge,
}

/// The directory, held open: what is put in its place meanwhile is not looked at.
pub(crate) struct ClaudeDirectory {
    at: system::Directory,
    path: PathBuf,
}

impl ClaudeDirectory {
    /// Opens it, for the person only. One that is missing is made, and so is one in whose place there is a link.
    pub(crate) fn open(home: &Path) -> Result<Self> {
        let path = home.join(NAME);
        match system::open(home, NAME) {
            Ok(at) => Ok(Self { at, path }),
            Err(cause) => Err(error::file("make the directory", &path, &cause)),
        }
    }

    /// The path of what has this name, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Result<Found> {
        let read = || -> io::Result<Found> {
            let Some(file) = system::read(&self.at, name)? else { return Ok(Found::Nothing) };
            if file.metadata()?.len() > MOST {
                return Ok(Found::TooLarge);
            }
            let mut bytes = Vec::new();
            file.take(MOST).read_to_end(&mut bytes)?;
            Ok(Found::Text(String::from_utf8_lossy(&bytes).into_owned()))
        };
        read().map_err(|cause| error::file("read", &self.path(name), &cause))
    }

    /// The first bytes of a file, at most `most`; `None` when there is none.
    pub(crate) fn head(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let read = || -> io::Result<Option<Vec<u8>>> {
            let Some(file) = system::read(&self.at, name)? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.take(most).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        };
        read().map_err(|cause| error::file("read", &self.path(name), &cause))
    }

    /// Copies a file, whatever it holds, to a place outside; false when there is none. Of one that is larger than any of
    /// Claude Code's the beginning is enough: how large it is, is for an agent to say, and the disk is everybody's.
    pub(crate) fn copy_out(&self, name: &str, to: &Path) -> Result<bool> {
        let copy = || -> io::Result<bool> {
            let Some(file) = system::read(&self.at, name)? else { return Ok(false) };
            let parent = to.parent().unwrap_or_else(|| Path::new("."));
            let mut temporary = tempfile::Builder::new().prefix(".boxwood-").tempfile_in(parent)?;
            io::copy(&mut file.take(MOST), &mut temporary)?;
            temporary.as_file().sync_data()?;
            temporary.persist(to).map_err(|failed| failed.error)?;
            Ok(true)
        };
        copy().map_err(|cause| error::file("copy", &self.path(name), &cause))
    }

    /// Removes what has this name; one that is gone is fine. A directory is put aside.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        match self.make_way(name).and_then(|()| system::unlink(&self.at, name)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(error::file("remove", &self.path(name), &cause))
            }
            _ => Ok(()),
        }
    }

    /// Removes what has this name when it is a link or another thing that is neither file nor directory.
    pub(crate) fn unlink_oddity(&self, name: &str) -> Result<()> {
        match system::is_oddity(&self.at, name) {
            Ok(true) => self.remove(name),
            Ok(false) => Ok(()),
            Err(cause) => Err(error::file("look at", &self.path(name), &cause)),
        }
    }

    /// Gives a directory that has the name of a file another one. What is in it is nobody's that is known here, and how much
    /// that is, is for an agent to say; it goes with the directory around it.
    fn make_way(&self, name: &str) -> io::Result<()> {
        match system::is_directory(&self.at, name)? {
            true => system::rename(&self.at, name, &format!("{name}{ASIDE}{}", sys::trace_id())),
            false => Ok(()),
        }
    }

    /// Puts aside what has the name of a lock and is none, so that nobody could ever take it: a lock is an empty directory.
    pub(crate) fn free_locks(&self) -> Result<()> {
        for name in locks::NAMES {
            let free = || -> io::Result<()> {
                let is_lock = match system::is_directory(&self.at, name)? {
                    true => std::fs::read_dir(self.path(name)).map_or(true, |mut entries| entries.next().is_none()),
                    // What is not there is free.
                    false => !system::is_oddity(&self.at, name)? && system::read(&self.at, name)?.is_none(),
                };
                match is_lock {
                    true => Ok(()),
                    false => system::rename(&self.at, name, &format!("{name}{ASIDE}{}", sys::trace_id())),
                }
            };
            free().map_err(|cause| error::file("free", &self.path(name), &cause))?;
        }
        Ok(())
    }

    /// Keeps a file under another name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let renamed = self.make_way(to).and_then(|()| system::rename(&self.at, from, to));
        renamed.map_err(|cause| error::file("rename", &self.path(from), &cause))
    }

    /// Moves what has this name to another directory of Claude's on the same disk, in one move and in the place of what has
    /// the name there. False when there is nothing to move.
    pub(crate) fn move_to(&self, name: &str, other: &Self) -> Result<bool> {
        match other.make_way(name).and_then(|()| system::rename_between(&self.at, &other.at, name)) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(error::file("put in place", &other.path(name), &cause)),
        }
    }

    /// Removes what a daemon that was killed had begun to write here: it may hold what no longer belongs here.
    pub(crate) fn sweep(&self) {
        let own = format!("{BEGUN}{}-", std::process::id());
        // Whatever the path leads to by now, what is removed is removed here.
        let names = std::fs::read_dir(self.path(".")).into_iter().flatten().flatten().map(|entry| entry.file_name());
        for name in names.filter_map(|name| name.into_string().ok()) {
            if name.starts_with(BEGUN) && !name.starts_with(&own) {
                let _ = system::unlink(&self.at, &name);
            }
        }
    }

    /// Writes a file whole, unless it already holds exactly this. Mode 0600.
    pub(crate) fn write_if_different(&self, name: &str, contents: &str) -> Result<()> {
        if matches!(self.read(name), Ok(Found::Text(existing)) if existing == contents) {
            return Ok(());
        }
        let put = || -> io::Result<()> {
            // A name that nobody can guess, so that nobody has it already.
            let temporary = format!("{BEGUN}{}-{}", std::process::id(), sys::trace_id());
            let mut file = system::create(&self.at, &temporary)?;
            let written = file.write_all(contents.as_bytes()).and_then(|()| file.sync_data());
            let put =
                written.and_then(|()| self.make_way(name)).and_then(|()| system::rename(&self.at, &temporary, name));
            if put.is_err() {
                // It cannot be written, so it may not be removable either.
                let _ = system::unlink(&self.at, &temporary);
            }
            put
        };
        put().map_err(|cause| error::file("write", &self.path(name), &cause))
    }
}

#[cfg(all(test, unix))]
mod hostile_tests;
#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().expect("a directory");
        let (home, host) = (root.path().join("home"), root.path().join("host"));
        std::fs::create_dir(&home).expect("made");
        std::fs::create_dir(&host).expect("made");
        std::fs::write(host.join("id_ed25519"), "a key of the host").expect("written");
        (root, home, host)
    }

    #[test]
    fn what_a_killed_daemon_had_begun_goes_and_nothing_else() {
        let (_root, home, _) = home();
        let directory = ClaudeDirectory::open(&home).expect("opened");
        let own = format!("{BEGUN}{}-1", std::process::id());
        for name in [".boxwood-new-1-2", &own, ".boxwood-key", "settings.json"] {
            std::fs::write(directory.path(name), "x").expect("written");
        }
        directory.sweep();
        let there =
            [".boxwood-new-1-2", &own, ".boxwood-key", "settings.json"].map(|name| directory.path(name).exists());
        assert_eq!(there, [false, true, true, true]);
    }

    #[test]
    fn a_link_to_the_host_is_neither_read_nor_written_through() {
        let (_root, home, host) = home();
        let directory = ClaudeDirectory::open(&home).expect("opened");
        std::os::unix::fs::symlink(host.join("id_ed25519"), directory.path("settings.json")).expect("linked");
        assert!(matches!(directory.read("settings.json"), Ok(Found::Nothing)));
        directory.write_if_different("settings.json", "{}").expect("written");
        assert!(matches!(directory.read("settings.json"), Ok(Found::Text(text)) if text == "{}"));
        assert_eq!(std::fs::read_to_string(host.join("id_ed25519")).expect("read"), "a key of the host");
        assert!(!directory.path("settings.json").is_symlink());
    }

    #[test]
    fn a_directory_that_became_a_link_is_made_again() {
        let (_root, home, host) = home();
        std::os::unix::fs::symlink(&host, home.join(NAME)).expect("linked");
        let directory = ClaudeDirectory::open(&home).expect("opened");
        directory.write_if_different("settings.json", "{}").expect("written");
        assert!(home.join(NAME).join("settings.json").is_file() && !home.join(NAME).is_symlink());
        assert!(!host.join("settings.json").exists());
    }

    #[test]
    fn a_directory_that_is_changed_for_a_link_afterwards_changes_nothing() {
        let (_root, home, host) = home();
        let directory = ClaudeDirectory::open(&home).expect("opened");
        std::fs::rename(home.join(NAME), home.join("aside")).expect("renamed");
        std::os::unix::fs::symlink(&host, home.join(NAME)).expect("linked");
        directory.write_if_different("settings.json", "{}").expect("written");
        assert!(home.join("aside/settings.json").is_file() && !host.join("settings.json").exists());
    }

    #[test]
    fn nobody_waits_for_a_pipe() {
        let (_root, home, _) = home();
        let directory = ClaudeDirectory::open(&home).expect("opened");
        let pipe = directory.path("settings.json");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        assert!(matches!(directory.read("settings.json"), Ok(Found::Nothing)));
        directory.write_if_different("settings.json", "{}").expect("written");
        assert!(pipe.is_file());
    }

    #[test]
    fn a_file_moves_whole_and_takes_the_place_of_a_link() {
        let (root, home, host) = home();
        let from = ClaudeDirectory::open(&home).expect("opened");
        std::fs::create_dir(root.path().join("other")).expect("made");
        let to = ClaudeDirectory::open(&root.path().join("other")).expect("opened");
        assert!(!from.move_to("x", &to).expect("nothing to move"));
        from.write_if_different("x", "text").expect("written");
        std::os::unix::fs::symlink(host.join("id_ed25519"), to.path("x")).expect("linked");
        assert!(from.move_to("x", &to).expect("moved"));
        assert!(matches!(to.read("x"), Ok(Found::Text(text)) if text == "text"));
        assert!(matches!(from.read("x"), Ok(Found::Nothing)));
        assert_eq!(std::fs::read_to_string(host.join("id_ed25519")).expect("read"), "a key of the host");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let (_root, home, _) = home();
        let directory = ClaudeDirectory::open(&home).expect("opened");
        std::fs::File::create(directory.path("x")).and_then(|file| file.set_len(MOST + 1)).expect("made");
        assert!(matches!(directory.read("x"), Ok(Found::TooLarge)));
    }
}
