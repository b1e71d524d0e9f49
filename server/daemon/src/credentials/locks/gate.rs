//! A lock that is held for long, so that whoever wants to renew a copy of a login waits until nobody renews the original.
//!
//! Found in Claude Code 2.1.329: it takes its newer lock, and where the older one is held it gives the newer one back, waits
//! for one or two seconds and tries again, five times in all. So whoever holds the older one sees the newer one come and go:
//! somebody knocks. Whoever lives longer than that has been let through by then; a dead holder's lock is stale after a minute.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Directory, Lock, LockError, Purpose, age, hold, patiently};

/// Those that are closed, by the directory that they are around.
static CLOSED: Mutex<BTreeMap<PathBuf, Directory>> = Mutex::new(BTreeMap::new());

fn table() -> MutexGuard<'static, BTreeMap<PathBuf, Directory>> {
    CLOSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one around a directory, if this process has closed it: nobody else renews there then.
pub(super) fn closed(storage: &Path) -> Option<Directory> {
    table().get(storage).cloned()
}

/// A gate that is closed; dropped, it is open.
#[derive(Debug)]
pub(crate) struct Gate {
    storage: PathBuf,
    lock: Lock,
}

impl Gate {
    /// Closes the one around `storage`, the directory of Claude Code's credential file. Whoever renews there is waited for, at
    /// most for `patience`; also who has only begun to, and would find it closed again a moment later.
    pub(crate) async fn close(storage: &Path, patience: Duration) -> Result<Self, LockError> {
        let habits = Purpose::Refresh.habits();
        let newer = storage.join(Purpose::Refresh.name());
        // Not where links lead: what is inside is not to say where something is made on the host.
        let mut path = OsString::from(storage);
        path.push(".lock");
        let make = || {
            let begun = fs::symlink_metadata(&newer).ok().map(|metadata| age(&metadata));
            if let Some(touched) = begun.filter(|touched| *touched <= habits.stale) {
                return Err(LockError::Held { path: newer.clone(), pid: None, touched });
            }
            Directory::make(PathBuf::from(&path), habits).map_err(|cause| cause.told(|| None))
        };
        let directory = patiently(patience, make).await?;
        table().insert(storage.to_path_buf(), directory.clone());
        Ok(Self { storage: storage.to_path_buf(), lock: hold(vec![directory], habits) })
    }

    /// Whether somebody else took it away.
    pub(crate) fn is_lost(&self) -> bool {
        self.lock.is_lost()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Nobody relies on it any more when it opens.
        table().remove(&self.storage);
    }
}

#[cfg(test)]
mod tests {
    use super::super::take;
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(20);

    fn storage() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().expect("a directory");
        let storage = root.path().join(".claude");
        fs::create_dir(&storage).expect("made");
        let older = root.path().join(".claude.lock");
        (root, storage, older)
    }

    #[tokio::test]
    async fn who_has_closed_it_may_renew_and_leaves_the_newer_lock_to_who_knocks() {
        let (_root, storage, older) = storage();
        let gate = Gate::close(&storage, SHORT).await.expect("closed");
        assert!(older.is_dir() && !gate.is_lost());
        let lock = take(&storage, Purpose::Refresh, SHORT).await.expect("within the gate");
        assert_eq!(fs::read_dir(&storage).expect("listed").count(), 0, "nobody is kept from knocking");
        drop(lock);
        assert!(older.is_dir(), "it stays closed");
        drop(gate);
        assert!(!older.exists());
        let _lock = take(&storage, Purpose::Refresh, SHORT).await.expect("as ever");
        assert!(older.is_dir() && storage.join(".oauth_refresh.lock").is_dir());
    }

    #[tokio::test]
    async fn who_renews_is_waited_for_and_a_gate_that_was_taken_away_is_told() {
        let (_root, storage, older) = storage();
        let newer = storage.join(".oauth_refresh.lock");
        fs::create_dir(&newer).expect("made");
        let held = Gate::close(&storage, SHORT).await.expect_err("somebody has begun to renew");
        assert!(matches!(held, LockError::Held { path, .. } if path == newer) && !older.exists());
        fs::create_dir(&older).expect("made");
        fs::remove_dir(&newer).expect("given back");
        let held = Gate::close(&storage, SHORT).await.expect_err("somebody renews");
        assert!(matches!(held, LockError::Held { path, .. } if path == older));
        let closing = tokio::spawn({
            let storage = storage.clone();
            async move { Gate::close(&storage, LONG).await }
        });
        tokio::task::yield_now().await;
        fs::remove_dir(&older).expect("given back");
        let gate = closing.await.expect("ran").expect("closed");
        let lock = take(&storage, Purpose::Refresh, SHORT).await.expect("within the gate");
        fs::remove_dir(&older).expect("taken away");
        assert!(gate.is_lost() && lock.is_lost());
        fs::create_dir(&older).expect("another one");
        drop(gate);
        assert!(older.is_dir(), "what is somebody else's stays");
    }
}
