//! Watches the directories that logins are kept in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;

use crate::credentials::host::CREDENTIALS;
use crate::provisioning::origin::Origin;

/// Made when Claude Code renews or would like to, also where its login is in a keychain and no file changes.
const REFRESH: &str = ".oauth_refresh.lock";

/// Who wants to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// Who keeps this login fresh.
    Keeper(Origin),
    /// Who keeps copies the same.
    Same,
}

/// A directory is known again by its name and by what is there: another one may take its place.
type Watched = BTreeMap<PathBuf, Option<u64>>;

/// How often somebody began to renew, by the directory of the login.
pub(super) type Knocks = BTreeMap<PathBuf, u64>;

/// Watches directories; raises a number when a login in one of them may have changed.
pub(super) struct Watch {
    knocks: watch::Sender<Knocks>,
    changed: Arc<watch::Sender<u64>>,
    wanted: Arc<Mutex<BTreeMap<Who, BTreeSet<PathBuf>>>>,
    inner: Mutex<Option<(RecommendedWatcher, Watched)>>,
}

impl Watch {
    pub(super) fn new(changed: Arc<watch::Sender<u64>>) -> Self {
        Self { knocks: watch::Sender::default(), changed, wanted: Arc::default(), inner: Mutex::default() }
    }

    /// How often somebody knocked where, from now on.
    pub(super) fn knocks(&self) -> watch::Receiver<Knocks> {
        self.knocks.subscribe()
    }

    /// Watches these directories for `who`, and those above them that may put another one in their place. To be called
    /// before they are read, and again after each change.
    pub(super) fn follow(&self, who: Who, directories: BTreeSet<PathBuf>) {
        let wanted: BTreeSet<PathBuf> = {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.insert(who, directories);
            wanted.values().flatten().flat_map(|directory| around(directory)).collect()
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.is_none() {
            if wanted.is_empty() {
                return;
            }
            *inner = self.start().map(|watcher| (watcher, Watched::new()));
        }
        let Some((watcher, watched)) = inner.as_mut() else { return };
        let wanted: Watched =
            wanted.into_iter().map(|path| (inode(&path), path)).map(|(id, path)| (path, id)).collect();
        for (path, _) in watched.iter().filter(|(path, id)| wanted.get(*path) != Some(id)) {
            // One that was removed is no longer watched anyway.
            let _ = watcher.unwatch(path);
        }
        for (path, _) in wanted.iter().filter(|(path, id)| watched.get(*path) != Some(id)) {
            if let Err(cause) = watcher.watch(path, RecursiveMode::NonRecursive) {
                tracing::warn!(path = %path.display(), %cause, "changes of a login here are not seen");
            }
        }
        *watched = wanted;
    }

    fn start(&self) -> Option<RecommendedWatcher> {
        let (changed, wanted) = (Arc::clone(&self.changed), Arc::clone(&self.wanted));
        let knocks = self.knocks.clone();
        let on_change = move |change: notify::Result<notify::Event>| {
            if let Some(directory) = change.as_ref().ok().and_then(knocked_at) {
                knocks.send_modify(|knocks| *knocks.entry(directory.to_path_buf()).or_default() += 1);
                changed.send_modify(|count| *count += 1);
            }
            let wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
            // After lost events everything may have changed.
            if change.map_or(true, |change| counts(&change, wanted.values().flatten())) {
                changed.send_modify(|count| *count += 1);
            }
        };
        notify::recommended_watcher(on_change)
            .inspect_err(|cause| tracing::warn!(%cause, "logins cannot be watched"))
            .ok()
    }
}

/// The directory of a login that somebody began to renew.
fn knocked_at(change: &notify::Event) -> Option<&Path> {
    let path = change.paths.first().filter(|path| path.file_name().is_some_and(|name| name == REFRESH))?;
    matches!(change.kind, EventKind::Create(_)).then(|| path.parent()).flatten()
}

/// Whether a login may have changed. Agents write into these directories all the time; nothing else in them counts.
fn counts<'a>(change: &notify::Event, mut wanted: impl Iterator<Item = &'a PathBuf> + Clone) -> bool {
    let is_login = |path: &Path| {
        path.file_name().is_some_and(|name| name == CREDENTIALS || (cfg!(target_os = "macos") && name == REFRESH))
    };
    let mut is_above = |path: &Path| wanted.any(|directory| directory.starts_with(path));
    // Whoever only opens such a directory may set its mode, and would wake himself.
    let is_touch = matches!(change.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)));
    change.need_rescan() || !is_touch && change.paths.iter().any(|path| is_login(path) || is_above(path))
}

/// A directory and the two above it, as far as they are there; or the nearest that is.
fn around(directory: &Path) -> Vec<PathBuf> {
    let near: Vec<_> = directory.ancestors().take(3).filter(|path| path.is_dir()).map(Path::to_path_buf).collect();
    match near.is_empty() {
        true => directory.ancestors().find(|path| path.is_dir()).map(Path::to_path_buf).into_iter().collect(),
        false => near,
    }
}

#[cfg(unix)]
fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
}

#[cfg(not(unix))]
fn inode(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn only_logins_and_the_directories_above_them_count() {
        let wanted = BTreeSet::from([PathBuf::from("/s/logins/default/.claude")]);
        let check = |kind: EventKind, path: &str, expected: bool| {
            let change = notify::Event::new(kind).add_path(path.into());
            assert_eq!(counts(&change, wanted.iter()), expected, "{kind:?} {path}");
        };
        let (written, renamed) =
            (EventKind::Modify(ModifyKind::Any), EventKind::Modify(ModifyKind::Name(RenameMode::To)));
        check(renamed, "/s/logins/default/.claude/.credentials.json", true);
        check(renamed, "/s/logins/default", true);
        check(EventKind::Create(CreateKind::Folder), "/s/logins/default/.claude", true);
        check(written, "/s/logins/default/.claude/.claude.json", false);
        check(EventKind::Create(CreateKind::Folder), "/s/logins/default/.claude/.storage-write.lock", false);
        check(EventKind::Access(AccessKind::Any), "/s/logins/default/.claude/.credentials.json", false);
        let mode = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        check(mode, "/s/logins/default/.claude", false);
        let lost = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(counts(&lost, wanted.iter()));
    }

    #[test]
    fn who_begins_to_renew_has_knocked_and_who_has_ended_has_not() {
        let check = |kind: EventKind, path: &str, expected: Option<&str>| {
            let change = notify::Event::new(kind).add_path(path.into());
            assert_eq!(knocked_at(&change), expected.map(Path::new), "{kind:?} {path}");
        };
        let (made, gone) = (EventKind::Create(CreateKind::Folder), EventKind::Remove(RemoveKind::Folder));
        check(made, "/h/.claude/.oauth_refresh.lock", Some("/h/.claude"));
        check(gone, "/h/.claude/.oauth_refresh.lock", None);
        check(made, "/h/.claude/.storage-write.lock", None);
        check(made, "/h/.claude/.oauth_refresh.lock.owner", None);
    }

    #[tokio::test]
    async fn a_login_is_seen_in_a_directory_that_comes_later_and_in_one_that_takes_its_place() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path().canonicalize().expect("canonical");
        let (sender, mut changed) = watch::channel(0);
        let watch = Watch::new(Arc::new(sender));
        let home = root.join("logins/default/.claude");
        std::fs::create_dir_all(root.join("logins")).expect("made");
        let follow = || watch.follow(Who::Keeper(Origin::Host), BTreeSet::from([home.clone()]));
        follow();
        let mut expect = async |what: &str| {
            let seen = tokio::time::timeout(std::time::Duration::from_secs(20), changed.changed()).await;
            assert!(matches!(seen, Ok(Ok(()))), "{what}");
            changed.borrow_and_update();
            follow();
        };
        std::fs::create_dir(root.join("logins/default")).expect("made");
        expect("its directory").await;
        std::fs::create_dir(&home).expect("made");
        expect("the directory in it").await;
        std::fs::write(home.join(CREDENTIALS), "{}").expect("written");
        expect("the file").await;
        let other = root.join("logins/.new");
        std::fs::create_dir_all(other.join(".claude")).expect("made");
        std::fs::rename(root.join("logins/default"), root.join("logins/.old")).expect("renamed");
        std::fs::rename(&other, root.join("logins/default")).expect("renamed");
        expect("another one in its place").await;
        follow();
        std::fs::write(home.join(CREDENTIALS), "{ }").expect("written");
        expect("the file in that").await;
    }
}
