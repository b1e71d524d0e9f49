//! Watches the files that policies are made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use boxwood_core::config::{EGRESS_FILE, PROJECT_FILE};
use boxwood_core::paths::Paths;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
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
            *inner = self.start(paths.user_config()).map(|watcher| (watcher, BTreeSet::new()));
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

    fn start(&self, user_config: PathBuf) -> Option<RecommendedWatcher> {
        let changed = Arc::clone(&self.changed);
        let on_change = move |change: notify::Result<notify::Event>| {
            // After lost events everything may have changed.
            if change.map_or(true, |change| counts(&change, &user_config)) {
                changed.notify_one();
            }
        };
        notify::recommended_watcher(on_change)
            .inspect_err(|cause| tracing::warn!(%cause, "files cannot be watched"))
            .ok()
    }
}

/// Whether a change may be one of what policies are made of. Projects change all the time, and agents can see to it that
/// they do: nothing else in them counts.
fn counts(change: &notify::Event, user_config: &Path) -> bool {
    let is_ours = |path: &PathBuf| {
        // A directory above the person's file is one too, as long as it was not there.
        user_config.starts_with(path)
            || [PROJECT_FILE, EGRESS_FILE].iter().any(|file| path.ends_with(file) || is_directory_of(file, path))
    };
    change.need_rescan() || !change.kind.is_access() && change.paths.iter().any(is_ours)
}

fn is_directory_of(file: &str, path: &Path) -> bool {
    Path::new(file).parent().is_some_and(|directory| path.ends_with(directory))
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
    use notify::event::{AccessKind, CreateKind, EventKind, Flag, ModifyKind, RenameMode};

    use super::*;

    #[test]
    fn only_what_policies_are_made_of_counts() {
        let user = Path::new("/home/u/.config/boxwood/sandbox.jsonc");
        let check = |kind: EventKind, path: &str, expected: bool| {
            assert_eq!(counts(&notify::Event::new(kind).add_path(path.into()), user), expected, "{kind:?} {path}");
        };
        let (folder, file) = (EventKind::Create(CreateKind::Folder), EventKind::Create(CreateKind::File));
        let (written, renamed) =
            (EventKind::Modify(ModifyKind::Any), EventKind::Modify(ModifyKind::Name(RenameMode::To)));
        check(folder, "/p/node_modules", false);
        check(folder, "/p/boxwood", false);
        check(file, "/p/sandbox.jsonc", false);
        check(written, "/p/egress.yaml", false);
        check(folder, "/p/.boxwood", true);
        check(renamed, "/p/.boxwood", true);
        check(file, "/p/.boxwood/sandbox.jsonc", true);
        check(written, "/p/.boxwood/egress.yaml", true);
        check(written, "/p/.boxwood/other", false);
        check(EventKind::Access(AccessKind::Any), "/p/.boxwood/sandbox.jsonc", false);
        check(folder, "/home/u/.config", true);
        check(renamed, "/home/u/.config/boxwood", true);
        check(written, "/home/u/.config/boxwood/sandbox.jsonc", true);
        check(folder, "/home/u/other", false);
        let lost = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(counts(&lost, user), "after lost events everything may have changed");
    }

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
