//! Removing a directory, whatever somebody made in it: nested far deeper than anybody can follow, or closed to its owner.

use std::fs;
use std::io;
use std::path::Path;

use super::restrict;
use crate::error::{self, Result};
use crate::sys;

/// Removes a directory and all in it; one that is gone is fine. It is moved aside first, so that it is gone at once.
pub(crate) fn remove_directory(path: &Path) -> Result<()> {
    let aside = path.with_extension("removed");
    // What an earlier removal did not finish is in the way.
    let removed = dismantled(&aside).and_then(|()| fs::rename(path, &aside)).and_then(|()| dismantled(&aside));
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(error::file("remove", path, &cause)),
        _ => Ok(()),
    }
}

fn dismantled(root: &Path) -> io::Result<()> {
    match dismantle(root) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Takes the directory apart from the top: what is a directory in a directory is moved up before that goes. So nothing is
/// held open on the way down, and there is no way down.
fn dismantle(root: &Path) -> io::Result<()> {
    restrict(root, 0o700)?;
    // Names that nobody in there has.
    let ours = sys::trace_id();
    let mut moved = 0_u64;
    loop {
        let mut is_empty = true;
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            is_empty = false;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            restrict(&entry.path(), 0o700)?;
            for inner in fs::read_dir(entry.path())? {
                let inner = inner?;
                if inner.file_type()?.is_dir() {
                    // Only who may write there may move it.
                    restrict(&inner.path(), 0o700)?;
                    fs::rename(inner.path(), root.join(format!("{ours}-{moved}")))?;
                    moved += 1;
                } else {
                    fs::remove_file(inner.path())?;
                }
            }
            fs::remove_dir(entry.path())?;
        }
        if is_empty {
            return fs::remove_dir(root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, std::path::PathBuf) {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("home");
        fs::create_dir_all(path.join("a/b")).expect("made");
        fs::write(path.join("a/b/file"), "").expect("written");
        (root, path)
    }

    #[test]
    fn a_directory_goes_with_all_in_it_and_with_what_an_earlier_removal_left() {
        let (root, path) = made();
        fs::create_dir_all(root.path().join("home.removed/a")).expect("made");
        for _ in 0..2 {
            remove_directory(&path).expect("removed");
            assert_eq!(fs::read_dir(root.path()).expect("there").count(), 0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_depth_and_no_mode_keeps_it() {
        use rustix::fs::{CWD, Mode, OFlags};
        use std::os::unix::fs::PermissionsExt as _;

        const DEPTH: u32 = 5_000;

        let (root, path) = made();
        // Deeper than a path may be long, and than there are descriptors on most machines.
        let open = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = rustix::fs::openat(CWD, &path, open, Mode::empty()).expect("opened");
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).expect("made");
            at = rustix::fs::openat(&at, "d", open, Mode::empty()).expect("opened");
        }
        drop(at);
        std::os::unix::fs::symlink(root.path(), path.join("link")).expect("linked");
        fs::write(root.path().join("kept"), "").expect("written");
        for closed in [path.join("a/b"), path.join("a"), path.clone()] {
            fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).expect("set");
        }
        remove_directory(&path).expect("removed");
        let left: Vec<_> = fs::read_dir(root.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["kept"]);
    }
}
