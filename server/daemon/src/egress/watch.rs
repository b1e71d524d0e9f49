//! Watches the files that policies are made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use boxwood_core::config::{EGRESS_FILE, PROJECT_FILE};
use boxwood_core::paths::Paths;
use notify::event::CreateKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Watches directories; tells once for any number of changes that nobody has looked at yet.
pub(super) struct Watch {
    changed: Arc<Notify>,
    inner: Mutex<Option<(RecommendedWatcher, BTreeSet<PathBuf>)>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { changed: Arc::new(Notify::new()), inner: Mutex::default() }
    }

    /// Raised when a file that counts may have changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Watches exactly the files of the person and of these projects. Directories that are not there yet are watched
    /// from above: their coming is a change, and the next call takes them in.
    pub(super) fn follow(&self, paths: &Paths, projects: &BTreeSet<String>) {
        let wanted = if projects.is_empty() { BTreeSet::new() } else { directories(paths, projects) };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.is_none() {
            if wanted.is_empty() {
                return;
            }
            *inner = self.start().map(|watcher| (watcher, BTreeSet::new()));
        }
        let Some((watcher, watched)) = inner.as_mut() else { return };
        for gone in watched.difference(&wanted) {
            // One that was removed is no longer watched anyway.
            let _ = watcher.unwatch(gone);
        }
        let known: BTreeSet<PathBuf> = watched.intersection(&wanted).cloned().collect();
        for new in wanted.difference(&known) {
            if let Err(cause) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::warn!(path = %new.display(), %cause, "changes here are seen only with the next request");
            }
        }
        *watched = wanted;
    }

    fn start(&self) -> Option<RecommendedWatcher> {
        let changed = Arc::clone(&self.changed);
        let on_change = move |change: notify::Result<notify::Event>| {
            // After lost events everything may have changed.
            let counts = change.map_or(true, |change| {
                let is_directory = matches!(change.kind, EventKind::Create(CreateKind::Folder));
                change.need_rescan()
                    || is_directory
                    || !change.kind.is_access() && change.paths.iter().any(|path| is_ours(path))
            });
            if counts {
                changed.notify_one();
            }
        };
        notify::recommended_watcher(on_change)
            .inspect_err(|cause| tracing::warn!(%cause, "files cannot be watched"))
            .ok()
    }
}

/// The names that count: of files, and of the directories that they are in.
fn is_ours(path: &Path) -> bool {
    let names = [PROJECT_FILE, EGRESS_FILE].map(Path::new);
    let is = |name: &std::ffi::OsStr| {
        names.iter().any(|file| file.file_name() == Some(name) || file.parent().and_then(Path::file_name) == Some(name))
    };
    path.file_name().is_some_and(is)
}

fn directories(paths: &Paths, projects: &BTreeSet<String>) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    // The person's directory is often a link to a place where its files are kept.
    all.extend(nearest(&paths.config));
    for project in projects {
        let own = Path::new(project).join(PROJECT_FILE);
        all.insert(PathBuf::from(project));
        all.extend(own.parent().filter(|directory| directory.is_dir()).map(Path::to_path_buf));
    }
    all
}

/// The directory, or the nearest above it that is there.
fn nearest(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().find(|directory| directory.is_dir()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_appears_in_a_new_directory_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("canonical");
        let home = root.to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "HOME").then(|| home.clone()), 0);
        let project = root.join("p");
        std::fs::create_dir(&project).expect("made");
        let projects = BTreeSet::from([project.to_string_lossy().into_owned()]);
        let watch = Watch::new();
        let changed = watch.changed();
        watch.follow(&paths, &projects);
        std::fs::create_dir(project.join(".boxwood")).expect("made");
        changed.notified().await;
        watch.follow(&paths, &projects);
        std::fs::write(project.join(PROJECT_FILE), "{}").expect("written");
        changed.notified().await;
    }
}
