//! Protected and masked paths of a project on the host: what is there, and the mount points that are made for what is
//! not.

use std::fs;
use std::io;
use std::path::Path;

use boxwood_core::config::{MAX_FILE_BYTES, Resolved};
use boxwood_core::mask;
use boxwood_core::protect::{self, Found, Kind, Overlay};
use boxwood_engine::{ContainerDetail, Mount};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::error::{self, Result};
use crate::files;
use crate::lifecycle::mask::{expand, few};
use crate::settings::Settings;

/// Beside a sandbox's home: what is mounted over masked paths.
const MASKS: &str = "masks";
const EMPTY_FILE: &str = "empty-file";
const EMPTY_DIRECTORY: &str = "empty-directory";

/// The mounts over a project as it now is, and what a person is to be told of them.
pub(crate) fn plan(project: &str, resolved: &Resolved) -> Result<(Vec<Overlay>, Vec<String>)> {
    let (overlays, unprotected) = survey(project, &resolved.protected_paths);
    let expansion = expand(project, &resolved.masked_paths)?;
    let mut warnings = expansion.warnings;
    if !unprotected.is_empty() {
        warnings.insert(0, format!("not protected, because they are links: {}", unprotected.join(", ")));
    }
    Ok((mask::lay(overlays, &expansion.masked), warnings))
}

/// The mounts over a project that a container was made with.
pub(crate) fn mounted(project: &str, workspace: &str, mounts: &[Mount]) -> Vec<Overlay> {
    let below = format!("{}/", workspace.trim_end_matches('/'));
    let mut overlays = Vec::new();
    for mount in mounts {
        let Mount::Bind { source, target, read_only } = mount else { continue };
        let Some(path) = target.strip_prefix(&below).map(str::to_owned) else { continue };
        // The last parts only: engines on other systems give the path as their own machine sees it.
        let ends = |name: &str| Path::new(source).ends_with(Path::new(MASKS).join(name));
        let mask = match (ends(EMPTY_FILE), ends(EMPTY_DIRECTORY)) {
            (true, _) => Some(Kind::File),
            (_, true) => Some(Kind::Directory),
            _ => None,
        };
        let make = (find(Path::new(project), &path) == Found::Missing).then(|| {
            let own = if *read_only { protect::kind(&path) } else { Kind::Directory };
            mask.unwrap_or(own)
        });
        overlays.push(Overlay { path, read_only: *read_only, make, mask });
    }
    overlays.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    overlays
}

/// What differs between the mounts that a container has and those that it would be made with now, for a person.
pub(crate) fn difference(has: &[Overlay], wanted: &[Overlay]) -> Option<String> {
    let is_same = |a: &Overlay, b: &Overlay| (&a.path, a.read_only, a.mask) == (&b.path, b.read_only, b.mask);
    let lacking = |list: &[Overlay], of: &[Overlay], is_mask: bool| -> Vec<String> {
        let these = list.iter().filter(|one| one.read_only && one.mask.is_some() == is_mask);
        these.filter(|one| !of.iter().any(|other| is_same(one, other))).map(|one| one.path.clone()).collect()
    };
    let parts: Vec<String> = [
        ("not masked yet", lacking(wanted, has, true)),
        ("not protected yet", lacking(wanted, has, false)),
        ("still masked", lacking(has, wanted, true)),
        ("still protected", lacking(has, wanted, false)),
    ]
    .into_iter()
    .filter(|(_, paths)| !paths.is_empty())
    .map(|(what, paths)| format!("{what}: {}", few(&paths)))
    .collect();
    (!parts.is_empty()).then(|| format!("{}; 'boxwood refresh' changes that", parts.join("; ")))
}

/// Whether a container made now would have other mounts over its project.
pub(crate) fn is_outdated(project: &str, workspace: &str, settings: &Settings, detail: &ContainerDetail) -> bool {
    let has = mounted(project, workspace, &detail.mounts);
    plan(project, &settings.resolved).is_ok_and(|(wanted, _)| difference(&has, &wanted).is_some())
}

/// Refuses a mount whose path has become a link since the container was made: the engine would follow it, and mount
/// something of the host that is not the project's.
pub(crate) fn refuse_links(project: &str, overlays: &[Overlay]) -> Result<()> {
    let links: Vec<String> = overlays
        .iter()
        .filter(|overlay| find(Path::new(project), &overlay.path) == Found::Other)
        .map(|overlay| overlay.path.clone())
        .collect();
    if links.is_empty() {
        return Ok(());
    }
    Err(RpcError::new(ErrorCode::SandboxUnhealthy, format!("a link now stands where it is mounted: {}", few(&links)))
        .hint("look at where it leads, then make the container anew with 'boxwood refresh'"))
}

/// Makes what is mounted over masked paths, for the sandbox with this directory.
pub(crate) fn make_masks(sandbox: &Path) -> Result<()> {
    let masks = sandbox.join(MASKS);
    crate::files::private_directory(&masks)?;
    let (file, directory) = (masks.join(EMPTY_FILE), masks.join(EMPTY_DIRECTORY));
    let made = if file.exists() { Ok(()) } else { fs::File::create(&file).map(drop) };
    let made = made.and_then(|()| fs::create_dir_all(&directory)).and_then(|()| {
        for path in [&file, &directory] {
            let mut permissions = fs::metadata(path)?.permissions();
            permissions.set_readonly(true);
            fs::set_permissions(path, permissions)?;
        }
        Ok(())
    });
    made.map_err(|cause| error::file("make the mask", &masks, &cause))
}

/// What is mounted at a path over the project, for the sandbox with this home.
pub(crate) fn source(project: &str, home: &str, overlay: &Overlay) -> String {
    let empty = |name: &str| Path::new(home).with_file_name(MASKS).join(name);
    let path = match overlay.mask {
        Some(Kind::File) => empty(EMPTY_FILE),
        Some(Kind::Directory) => empty(EMPTY_DIRECTORY),
        None => Path::new(project).join(&overlay.path),
    };
    path.to_string_lossy().into_owned()
}

/// The mounts over protected paths as they now are, and those of them that are links.
pub(crate) fn survey(project: &str, configured: &[String]) -> (Vec<Overlay>, Vec<String>) {
    let project = Path::new(project);
    protect::overlays(configured, &|path| match path {
        ".git" if has_empty_git(project) => Found::Missing,
        path => find(project, path),
    })
}

/// Whether `.git` is there and holds nothing: no repository, but what was made for a mount where there is none.
pub(crate) fn has_empty_git(project: &Path) -> bool {
    let git = project.join(".git");
    find(project, ".git") == Found::Directory && fs::read_dir(git).is_ok_and(|mut entries| entries.next().is_none())
}

/// What is at a path below the project; a link anywhere on the way is [`Found::Other`].
pub(crate) fn find(project: &Path, path: &str) -> Found {
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

/// Whether a file is what [`make`] made there.
pub(crate) fn is_as_made(project: &str, path: &str) -> bool {
    let target = Path::new(project).join(path);
    let wanted = protect::placeholder(path).unwrap_or_default();
    let is_file = fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_file());
    is_file && files::read_project_file(&target, MAX_FILE_BYTES).is_ok_and(|contents| contents == wanted.as_bytes())
}

/// Removes what [`make`] made, unless it is no longer as it was made. A project that is gone is fine.
pub(crate) fn clear(project: &str, paths: &[String]) -> Result<()> {
    for path in paths.iter().rev() {
        let target = Path::new(project).join(path);
        let Ok(metadata) = fs::symlink_metadata(&target) else { continue };
        let removed = if metadata.is_dir() {
            fs::remove_dir(&target)
        } else {
            if is_as_made(project, path) { fs::remove_file(&target) } else { Ok(()) }
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
