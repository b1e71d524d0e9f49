//! Which locks this daemon holds, written down, so that the next one gives back what a killed one could not: nobody waits
//! a minute for somebody who is no more.

use std::fs;
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
    /// Where it was before it had its name.
    #[serde(default)]
    aside: Option<PathBuf>,
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
        let note = files::read_json::<Note>(&entry.path());
        for (path, mark) in
            note.iter().flat_map(|note| [Some(&note.path), note.aside.as_ref()].map(|path| (path, note.mark)))
        {
            let Some(path) = path else { continue };
            if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && Mark::of(&found) == mark) {
                let is_free = fs::remove_dir(path).is_ok();
                tracing::info!(path = %path.display(), is_free, "gave back a lock of a daemon that was killed");
            }
        }
        let _ = fs::remove_file(entry.path());
    }
}

fn file(directory: &Path, mark: &Mark) -> PathBuf {
    let born = mark.born.and_then(|born| born.duration_since(UNIX_EPOCH).ok()).unwrap_or_default().as_nanos();
    directory.join(format!("{}-{born}.json", mark.inode))
}

/// Writes down a lock that is about to be taken, or that just was.
pub(super) fn write(path: &Path, aside: Option<&Path>, mark: &Mark) {
    let Some(directory) = NOTES.get() else { return };
    let note = Note { path: path.to_path_buf(), aside: aside.map(Path::to_path_buf), mark: *mark };
    if let Err(problem) = files::write_json(&file(directory, mark), &note) {
        tracing::warn!(%problem, "a lock could not be written down");
    }
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

    fn note(directory: &Path, path: &Path, aside: Option<&Path>, mark: Mark) {
        let note = Note { path: path.to_path_buf(), aside: aside.map(Path::to_path_buf), mark };
        files::write_json(&file(directory, &mark), &note).expect("written");
    }

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
        note(&notes, &ours, None, mark);
        // It was killed before the lock had its name, which somebody else's has by now.
        let (aside, begun) = made(".boxwood-lock-1");
        // Somebody took it over meanwhile.
        let (theirs, other) = made("theirs.lock");
        note(&notes, &theirs, Some(&aside), begun);
        note(&notes, &theirs, None, Mark { inode: other.inode + 1, born: Some(SystemTime::now()) });
        note(&notes, &root.path().join("gone.lock"), None, Mark { inode: 1, born: None });
        fs::write(notes.join("half"), "{").expect("written");
        give_back(&notes);
        assert!(!ours.exists() && !aside.exists() && theirs.exists());
        assert_eq!(fs::read_dir(&notes).expect("there").count(), 0);
    }
}
