//! Protected paths of a project on the host: what is there, and the mount points that are made for what is not.

use std::fs;
use std::io;
use std::path::Path;

use boxwood_core::protect::{self, Found, Kind, Overlay};

use crate::error::{self, Result};

/// The mounts over a project as it now is, and the protected paths that are links.
pub(crate) fn survey(project: &str, configured: &[String]) -> (Vec<Overlay>, Vec<String>) {
    protect::overlays(configured, &|path| find(Path::new(project), path))
}

fn find(project: &Path, path: &str) -> Found {
    let mut at = project.to_path_buf();
    let mut found = Found::Directory;
    for part in path.split('/') {
        at.push(part);
        found = match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => Found::Directory,
            Ok(metadata) if metadata.is_file() => Found::File,
            Ok(_) => return Found::Other,
            Err(_) => return Found::Missing,
        };
    }
    found
}

/// The paths that [`make`] is going to make, parents first.
pub(crate) fn missing(project: &str, overlays: &[Overlay]) -> Vec<String> {
    let mut paths = Vec::new();
    for overlay in overlays.iter().filter(|overlay| overlay.make.is_some()) {
        let parents = overlay.path.match_indices('/').map(|(at, _)| overlay.path[..at].to_owned());
        for path in parents.chain([overlay.path.clone()]) {
            if find(Path::new(project), &path) == Found::Missing && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

/// Makes what is missing. What is there already is left alone.
pub(crate) fn make(project: &str, overlays: &[Overlay], paths: &[String]) -> Result<()> {
    for path in paths {
        let is_file = overlays.iter().any(|overlay| overlay.path == *path && overlay.make == Some(Kind::File));
        let target = Path::new(project).join(path);
        let made = if is_file {
            let contents = protect::placeholder(path).unwrap_or_default();
            let open = fs::OpenOptions::new().write(true).create_new(true).open(&target);
            open.and_then(|mut file| io::Write::write_all(&mut file, contents.as_bytes()))
        } else {
            fs::create_dir(&target)
        };
        match made {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error::file("make the mount point", &target, &cause));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what [`make`] made, unless it is no longer as it was made. A project that is gone is fine.
pub(crate) fn clear(project: &str, paths: &[String]) -> Result<()> {
    for path in paths.iter().rev() {
        let target = Path::new(project).join(path);
        let Ok(metadata) = fs::symlink_metadata(&target) else { continue };
        let removed = if metadata.is_dir() {
            fs::remove_dir(&target)
        } else {
            let wanted = protect::placeholder(path).unwrap_or_default();
            match fs::read(&target) {
                Ok(contents) if metadata.is_file() && contents == wanted.as_bytes() => fs::remove_file(&target),
                _ => Ok(()),
            }
        };
        match removed {
            Err(cause) if !matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                return Err(error::file("remove the mount point", &target, &cause));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_left_as_it_was_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let project = directory.path().to_string_lossy().into_owned();
        fs::create_dir_all(directory.path().join(".git/hooks")).expect("made");
        fs::write(directory.path().join(".git/config"), "[core]\n").expect("written");
        let listing = || {
            let mut names: Vec<_> =
                fs::read_dir(directory.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        let before = listing();
        let (overlays, unprotected) = survey(&project, &[]);
        assert!(unprotected.is_empty());
        let paths = missing(&project, &overlays);
        make(&project, &overlays, &paths).expect("made");
        make(&project, &overlays, &paths).expect("made twice");
        assert!(directory.path().join(".claude/settings.json").is_file());
        assert!(missing(&project, &overlays).is_empty());
        fs::write(directory.path().join(".vscode/settings.json"), "{}").expect("the person's own");
        clear(&project, &paths).expect("cleared");
        assert!(directory.path().join(".vscode/settings.json").is_file(), "what the person made stays");
        fs::remove_dir_all(directory.path().join(".vscode")).expect("removed");
        assert_eq!(listing(), before);
        clear(&project, &paths).expect("cleared twice");
    }
}
