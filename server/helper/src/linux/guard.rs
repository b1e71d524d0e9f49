//! `keep`'s guard: what is mounted over the project has to stay mounted.
//!
//! When a file under a mount is replaced, moved or removed from outside this container, the kernel takes the mount away
//! or lets it go along, and what it protected or masked lies bare under its name. Nothing in here can mount it again, so
//! then everything in here ends, at once.
//!
//! The guard shares its user with what it guards against. It holds because it is the container's first process, which no
//! signal from inside stops or ends, and because nobody but the kernel may look into its memory.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::process::DumpableBehavior;

use crate::linux::error::Error;
use crate::linux::{probe, signals};

const TABLE: &str = "/proc/self/mountinfo";

/// How often to look where the names of files cannot be watched: the user has used up what the kernel has for that.
const UNWATCHED: Duration = Duration::from_millis(500);

/// What changes which file a name stands for.
const CHANGES: inotify::WatchFlags = inotify::WatchFlags::CREATE
    .union(inotify::WatchFlags::DELETE)
    .union(inotify::WatchFlags::MOVE)
    .union(inotify::WatchFlags::ONLYDIR);

/// Watches over mounts.
struct Guard {
    targets: Vec<PathBuf>,
    /// Tells of every mount that comes or goes.
    table: File,
    /// Tells of names that are given to other files: a mount goes along with a file that is moved, without a word.
    names: Option<(OwnedFd, HashMap<i32, HashSet<OsString>>)>,
}

/// Sees to it that these stay mounted for as long as this process lives. Fails when one is not.
pub(crate) fn begin(targets: Vec<PathBuf>) -> Result<(), Error> {
    if targets.is_empty() {
        return Ok(());
    }
    let failed = |error| Error::system("close itself to other processes", error);
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)?;
    // Listen before looking, so that nothing that happens in between is missed.
    let guard = Guard::new(targets)?;
    guard.look()?;
    let stand = move || {
        let problem = guard.stand();
        eprintln!("boxwood-helper: {problem}");
        std::process::exit(problem.status().into());
    };
    let began = std::thread::Builder::new().name("guard".to_owned()).spawn(stand);
    began.map(drop).map_err(|error| Error::system("start the guard", error))
}

impl Guard {
    fn new(targets: Vec<PathBuf>) -> Result<Self, Error> {
        let path = Path::new(TABLE);
        let table = File::open(path).map_err(|error| Error::io("open", path, error))?;
        let names = watch(&targets)
            .inspect_err(|error| eprintln!("boxwood-helper: files are looked at now and then, not watched: {error}"));
        Ok(Self { targets, table, names: names.ok() })
    }

    /// Returns only when something is not as it has to be.
    fn stand(&self) -> Error {
        loop {
            match self.wait() {
                Ok(false) => {}
                Ok(true) => {
                    if let Err(problem) = self.look() {
                        return problem;
                    }
                }
                Err(problem) => return problem,
            }
        }
    }

    /// Sleeps until something happens; whether it is a reason to look.
    fn wait(&self) -> Result<bool, Error> {
        let mut entries = vec![PollFd::new(&self.table, PollFlags::PRI)];
        entries.extend(self.names.as_ref().map(|(events, _)| PollFd::new(events, PollFlags::IN)));
        signals::wait(&mut entries, self.names.is_none().then_some(UNWATCHED))?;
        let has_moved = !entries[0].revents().is_empty();
        Ok(has_moved | self.has_news()?)
    }

    /// Takes in what happened to names; whether one of them is guarded.
    fn has_news(&self) -> Result<bool, Error> {
        let Some((events, names)) = &self.names else { return Ok(true) };
        let mut buffer = [MaybeUninit::uninit(); 8 << 10];
        let mut reader = inotify::Reader::new(events, &mut buffer);
        let mut is_guarded = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    // Without a name it is about the watch itself: too many events, or the directory is gone.
                    is_guarded |= event.file_name().is_none_or(|name| {
                        let name = std::ffi::OsStr::from_bytes(name.to_bytes());
                        names.get(&event.wd()).is_some_and(|names| names.contains(name))
                    });
                }
                Err(Errno::AGAIN) => return Ok(is_guarded),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::system("watch files", error)),
            }
        }
    }

    /// Compares with what is mounted.
    fn look(&self) -> Result<(), Error> {
        let path = Path::new(TABLE);
        let table = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
        let mounted = probe::mount_points(&table);
        match self.targets.iter().find(|target| !mounted.contains(*target)) {
            Some(path) => Err(Error::Bare { path: path.clone() }),
            None => Ok(()),
        }
    }
}

/// Watches the names of these paths in their directories.
fn watch(targets: &[PathBuf]) -> Result<(OwnedFd, HashMap<i32, HashSet<OsString>>), Errno> {
    let events = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let mut names: HashMap<i32, HashSet<OsString>> = HashMap::new();
    for (directory, name) in targets.iter().filter_map(|target| Some((target.parent()?, target.file_name()?))) {
        // A directory that is watched already has the same number again.
        let number = inotify::add_watch(&events, directory, CHANGES)?;
        names.entry(number).or_default().insert(name.to_owned());
    }
    Ok((events, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(targets: &[&Path]) -> Guard {
        Guard::new(targets.iter().map(|path| path.to_path_buf()).collect()).expect("a guard")
    }

    #[test]
    fn what_is_not_mounted_is_named() {
        assert!(guard(&[Path::new("/proc")]).look().is_ok());
        let problem = guard(&[Path::new("/proc"), Path::new("/proc/version")]).look().expect_err("it is no mount");
        assert!(matches!(&problem, Error::Bare { path } if path == Path::new("/proc/version")), "{problem}");
        assert_eq!(problem.status(), 79);
    }

    #[test]
    fn only_guarded_names_are_a_reason_to_look() {
        let directory = tempfile::tempdir().expect("a directory");
        let (guarded, other) = (directory.path().join("config"), directory.path().join("index"));
        std::fs::write(&guarded, "1").expect("written");
        let guard = guard(&[&guarded]);
        for _ in 0..2 {
            std::fs::write(other.with_extension("lock"), "2").expect("written");
            std::fs::rename(other.with_extension("lock"), &other).expect("renamed");
            std::fs::write(&guarded, "written into").expect("written");
            assert!(!guard.has_news().expect("events"));
            std::fs::write(guarded.with_extension("lock"), "3").expect("written");
            std::fs::rename(guarded.with_extension("lock"), &guarded).expect("renamed");
            assert!(guard.has_news().expect("events"), "replaced");
            std::fs::rename(&guarded, guarded.with_extension("old")).expect("renamed");
            assert!(guard.has_news().expect("events"), "moved away");
            std::fs::rename(guarded.with_extension("old"), &guarded).expect("renamed");
            assert!(guard.wait().expect("events"), "and back");
        }
    }
}
