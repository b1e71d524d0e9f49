//! Mount points in a sandbox's home. An engine would make them as root, where nobody else could remove them; so they are
//! made here, and are gone with what was mounted there. No container of the sandbox runs while they are made.

use std::path::Path;
use std::{fs, io};

use boxwood_core::mounts::{HOME, Mount};
use boxwood_core::protect::Found;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::mounts;
use crate::lifecycle::overlay::find;
use crate::lifecycle::steps::Work;

/// Path of a mount in the home.
fn below(mount: &Mount) -> Option<&str> {
    mount.target.strip_prefix(HOME)?.strip_prefix('/')
}

/// Makes those that are missing, and notes which.
pub(crate) fn make(daemon: &Daemon, sandbox: &str, mounts: &[Mount]) -> Result<()> {
    let home = daemon.records.home(sandbox);
    let mut record = daemon.records.get(sandbox).unwrap_or_default();
    let before = record.mount_points.clone();
    let mut missing = Vec::new();
    for mount in mounts {
        let Some(path) = below(mount) else { continue };
        let is_directory = Path::new(&mount.source).is_dir();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for part in ends.map(|at| &path[..at]) {
            let wanted = if is_directory || part.len() < path.len() { Found::Directory } else { Found::File };
            match find(&home, part) {
                found if found == wanted => {}
                Found::Missing => missing.push((part.to_owned(), wanted)),
                _ => return Err(in_the_way(&home.join(part), &mount.source)),
            }
        }
    }
    for (path, _) in &missing {
        if !record.mount_points.contains(path) {
            record.mount_points.push(path.clone());
        }
    }
    // Noted first: what is noted and not there is no harm.
    if record.mount_points != before {
        daemon.records.put(sandbox, record)?;
    }
    for (path, wanted) in missing {
        let place = home.join(&path);
        let made = match wanted {
            Found::Directory => fs::create_dir(&place),
            _ => fs::File::create_new(&place).map(drop),
        };
        match made {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error::file("make the mount point", &place, &cause));
            }
            _ => {}
        }
    }
    Ok(())
}

fn in_the_way(place: &Path, source: &str) -> RpcError {
    RpcError::new(
        ErrorCode::SandboxUnhealthy,
        format!("{source:?} of 'readOnlyMounts' cannot be mounted: a link or something of another kind stands there"),
    )
    .hint(format!("look at {}, and remove it", place.display()))
}

/// Removes those that were made and are no longer needed. What somebody put into one meanwhile stays, and so does it.
fn tidy(daemon: &Daemon, sandbox: &str, needed: &[Mount]) -> Result<()> {
    let Some(mut record) = daemon.records.get(sandbox) else { return Ok(()) };
    let is_needed = |path: &String| needed.iter().filter_map(below).any(|below| Path::new(below).starts_with(path));
    let (kept, gone): (Vec<_>, Vec<_>) = record.mount_points.iter().cloned().partition(is_needed);
    if gone.is_empty() {
        return Ok(());
    }
    let home = daemon.records.home(sandbox);
    // The innermost first.
    for path in gone.iter().rev() {
        let place = home.join(path);
        let removed = match find(&home, path) {
            Found::Directory => fs::remove_dir(&place),
            Found::File if fs::metadata(&place).is_ok_and(|found| found.len() == 0) => fs::remove_file(&place),
            _ => Ok(()),
        };
        if let Err(cause) = removed {
            tracing::debug!(path, %cause, "a mount point stays");
        }
    }
    record.mount_points = kept;
    daemon.records.put(sandbox, record)
}

impl Work {
    /// Removes mount points that no container of the sandbox needs any more.
    pub(super) async fn tidy_points(&self) -> Result<()> {
        let mut needed = Vec::new();
        for container in [Some(&self.journal.container), self.journal.before.as_ref()].into_iter().flatten() {
            match self.engine.inspect_container(container).await {
                Ok(detail) => needed.extend(mounts::mounted(&detail.labels)),
                Err(cause) if cause.is_not_found() => {}
                Err(cause) => return Err(error::engine("look at the container", &cause)),
            }
        }
        tidy(&self.daemon, &self.identity.id, &needed)
    }

    /// Starts a container that is there, unless something else stands by now where its mounts lead.
    pub(super) async fn start_as_made(&self, container: &str) -> Result<()> {
        let what = "start the container again";
        let detail = match self.engine.inspect_container(container).await {
            Ok(detail) => detail,
            Err(cause) if cause.is_not_found() => return Ok(()),
            Err(cause) => return Err(error::engine(what, &cause)),
        };
        mounts::recheck(&mounts::mounted(&detail.labels))?;
        match self.engine.start_container(container).await {
            Err(cause) if !cause.is_not_found() => Err(error::engine(what, &cause)),
            _ => Ok(()),
        }
    }
}
