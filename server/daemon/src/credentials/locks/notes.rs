//! Which locks this daemon holds, written down, so that the next one gives back what a killed one could not: nobody waits
//! a minute for somebody who is no more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::Mark;
use crate::files;

/// Where they are; nowhere in a process that is no daemon.
static NOTES: OnceLock<PathBuf> = OnceLock::new();

#[derive(Serialize, Deserialize)]
struct Note {
    path: PathBuf,
    mark: Mark,
}

/// Gives back what the daemon before could not, and writes down from now on what this one holds. There is one daemon for a
/// state directory.
pub(crate) fn keep_in(state: &Path) {
    let directory = state.join("locks");
    if let Err(problem) = files::private_directory(&directory) {
        tracing::warn!(%problem, "what is locked cannot be written down");
        return;
    }
    give_back(&directory);
    let _ = NOTES.set(directory);
}

fn give_back(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if let Some(Note { path, mark }) = files::read_json(&entry.path())
            && fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && Mark::of(&found) == mark)
        {
            let is_free = fs::remove_dir(&path).is_ok();
            tracing::info!(path = %path.display(), is_free, "gave back a lock of a daemon that was killed");
        }
        // A directory is a lock that never came into its place.
        let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir(entry.path()));
    }
}

/// Makes a lock. Where the system can, it is made among the notes, written down, and moved into its place unless that is
/// taken: there is no moment in which it is there and a kill leaves it to nobody.
pub(super) fn make(path: &Path) -> io::Result<Mark> {
    let notes = NOTES.get();
    if let Some(outcome) = notes.and_then(|notes| moved(notes, path)) {
        return outcome;
    }
    fs::create_dir(path)?;
    let mark = Mark::of(&fs::symlink_metadata(path)?);
    if let Some(notes) = notes {
        write(notes, path, &mark);
    }
    Ok(mark)
}

/// `None` where it cannot be moved there: to another file system, and where nothing is moved without taking another's place.
#[cfg(unix)]
fn moved(notes: &Path, path: &Path) -> Option<io::Result<Mark>> {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    static NEXT: AtomicU64 = AtomicU64::new(0);
    if fs::symlink_metadata(path).is_ok() {
        return Some(Err(io::ErrorKind::AlreadyExists.into()));
    }
    let made = notes.join(format!("new-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&made).ok()?;
    let mark = fs::symlink_metadata(&made).map(|metadata| Mark::of(&metadata));
    let written = mark.ok().filter(|mark| write(notes, path, mark));
    let Some(mark) = written else {
        let _ = fs::remove_dir(&made);
        return None;
    };
    match renameat_with(CWD, &made, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Some(Ok(mark)),
        Err(cause) => {
            let _ = fs::remove_dir(&made);
            let _ = fs::remove_file(file(notes, &mark));
            (cause == Errno::EXIST).then(|| Err(cause.into()))
        }
    }
}

#[cfg(not(unix))]
fn moved(_: &Path, _: &Path) -> Option<io::Result<Mark>> {
    None
}

fn file(directory: &Path, mark: &Mark) -> PathBuf {
    let born = mark.born.and_then(|born| born.duration_since(UNIX_EPOCH).ok()).unwrap_or_default().as_nanos();
    directory.join(format!("{}-{born}.json", mark.inode))
}

/// Writes down a lock. Not to the disk: what is forgotten when the machine loses its power is stale when it has it again.
fn write(directory: &Path, path: &Path, mark: &Mark) -> bool {
    let note = Note { path: path.to_path_buf(), mark: *mark };
    let text = serde_json::to_vec(&note).map_err(io::Error::from);
    let outcome = text.and_then(|text| fs::write(file(directory, mark), text));
    if let Err(cause) = &outcome {
        tracing::warn!(path = %path.display(), %cause, "a lock could not be written down");
    }
    outcome.is_ok()
}

/// It was given back.
pub(super) fn forget(mark: &Mark) {
    if let Some(directory) = NOTES.get() {
        let _ = fs::remove_file(file(directory, mark));
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_lock_of_a_killed_daemon_is_given_back_and_no_other() {
        let root = tempfile::tempdir().expect("a directory");
        let notes = root.path().join("locks");
        let made = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir(&path).expect("made");
            let mark = Mark::of(&fs::symlink_metadata(&path).expect("there"));
            (path, mark)
        };
        fs::create_dir(&notes).expect("made");
        let (ours, mark) = made("ours.lock");
        assert!(write(&notes, &ours, &mark));
        // Somebody took it over meanwhile.
        let (theirs, other) = made("theirs.lock");
        assert!(write(&notes, &theirs, &Mark { inode: other.inode + 1, born: Some(SystemTime::now()) }));
        assert!(write(&notes, &root.path().join("gone.lock"), &Mark { inode: 1, born: None }));
        fs::write(notes.join("half"), "{").expect("written");
        fs::create_dir(notes.join("new-7")).expect("made");
        give_back(&notes);
        assert!(!ours.exists() && theirs.exists());
        assert_eq!(fs::read_dir(&notes).expect("there").count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_is_written_down_when_it_is_seen_and_one_of_many_has_it() {
        let root = tempfile::tempdir().expect("a directory");
        let (notes, path) = (root.path().join("locks"), root.path().join("one.lock"));
        fs::create_dir(&notes).expect("made");
        let written = || fs::read_dir(&notes).expect("there").count();
        for _ in 0..50 {
            let seen = std::thread::scope(|scope| {
                let seen = scope.spawn(|| {
                    while fs::symlink_metadata(&path).is_err() {
                        std::thread::yield_now();
                    }
                    written()
                });
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| moved(&notes, &path))).collect();
                let made = makers.into_iter().map(|maker| maker.join().expect("ran").expect("it can be moved"));
                let (made, refused): (Vec<_>, Vec<_>) = made.partition(Result::is_ok);
                let mark = made.into_iter().map(|made| made.expect("made")).collect::<Vec<_>>();
                assert_eq!((mark.len(), refused.len()), (1, 3), "one has it");
                let kinds = refused.into_iter().map(|refused| refused.expect_err("refused").kind());
                assert!(kinds.into_iter().all(|kind| kind == io::ErrorKind::AlreadyExists));
                assert_eq!(mark, [Mark::of(&fs::symlink_metadata(&path).expect("there"))]);
                seen.join().expect("ran")
            });
            assert!(seen >= 1, "it is written down before it is seen");
            assert_eq!(written(), 1, "of the others nothing is left");
            // The daemon is killed.
            give_back(&notes);
            assert!(!path.exists() && written() == 0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_cannot_be_moved_into_its_place_leaves_nothing() {
        use std::os::unix::fs::MetadataExt as _;

        let root = tempfile::tempdir().expect("a directory");
        let notes = root.path().join("locks");
        fs::create_dir(&notes).expect("made");
        assert!(moved(&notes, &root.path().join("none/one.lock")).is_none());
        assert_eq!(fs::read_dir(&notes).expect("there").count(), 0);
        let shared = Path::new("/dev/shm");
        if shared.is_dir() && fs::metadata(shared).expect("there").dev() != fs::metadata(&notes).expect("there").dev() {
            let elsewhere = tempfile::tempdir_in(shared).expect("a directory");
            assert!(moved(&notes, &elsewhere.path().join("one.lock")).is_none());
            assert_eq!(fs::read_dir(&notes).expect("there").count(), 0);
        }
    }
}
