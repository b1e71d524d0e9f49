//! Locks that are free, held, stale, lost and vanishing.

use serde_json::json;

use super::*;

/// Quick ones: everything that waits for them waits a short time.
const QUICK: Habits = Habits { stale: Duration::from_secs(2), touch: Duration::from_millis(100) };
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

struct Storage {
    root: tempfile::TempDir,
}

impl Storage {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join(".claude")).expect("made");
        Self { root }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join(".claude")
    }

    /// A lock that somebody made and touched this long ago.
    fn held(&self, name: &str, ago: Duration) -> PathBuf {
        let path = self.root.path().join(name);
        fs::create_dir(&path).expect("made");
        let times = fs::FileTimes::new().set_modified(SystemTime::now() - ago);
        fs::File::open(&path).and_then(|directory| directory.set_times(times)).expect("touched");
        path
    }

    fn names(&self) -> Vec<String> {
        let list = |path: &Path| fs::read_dir(path).expect("listed").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = list(&self.path())
            .chain(list(self.root.path()))
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name != ".claude")
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn locks_are_made_where_claude_code_makes_them_and_given_back() {
    let storage = Storage::new();
    let write = take(&storage.path(), Purpose::Write, SHORT).await.expect("taken");
    assert_eq!(storage.names(), [".storage-write.lock"]);
    let refresh = take(&storage.path(), Purpose::Refresh, SHORT).await.expect("taken");
    assert_eq!(storage.names(), [".claude.lock", ".oauth_refresh.lock", ".storage-write.lock"]);
    assert!(!write.is_lost() && !refresh.is_lost());
    drop(refresh);
    assert_eq!(storage.names(), [".storage-write.lock"]);
    drop(write);
    assert_eq!(storage.names(), [""; 0]);
}

#[tokio::test]
async fn a_held_lock_is_waited_for_and_then_told_with_its_holder() {
    let storage = Storage::new();
    storage.held(".claude/.oauth_refresh.lock", Duration::from_secs(7));
    let told = async || take(&storage.path(), Purpose::Refresh, SHORT).await.expect_err("held");
    let error = told().await;
    assert!(matches!(&error, LockError::Held { pid: None, touched, .. } if touched.as_secs() >= 7), "{error}");
    assert!(error.to_string().starts_with("another process") && error.to_string().contains(" s ago"), "{error}");
    let owner = storage.path().join(OWNER);
    let record = json!({ "pid": 4711, "pidDomain": "d", "pidSpace": "s", "lockBirthtimeMs": 1.5 });
    fs::write(&owner, record.to_string()).expect("written");
    let error = told().await;
    let LockError::Held { path, pid: Some(4711), .. } = &error else { panic!("{error}") };
    assert!(path.ends_with(".oauth_refresh.lock") && error.to_string().contains("process 4711"), "{error}");
    for broken in ["{", "[]", r#"{"pid":"x"}"#, &"x".repeat(5000)] {
        fs::write(&owner, broken).expect("written");
        assert!(matches!(told().await, LockError::Held { pid: None, .. }), "{broken}");
    }
    // Its record says nothing of the other lock, and a sandbox's link to somewhere else is not read.
    storage.held(".claude/.storage-write.lock", Duration::ZERO);
    let write = take(&storage.path(), Purpose::Write, SHORT).await.expect_err("held");
    assert!(matches!(write, LockError::Held { pid: None, .. }));
}

#[tokio::test]
async fn a_lock_of_older_versions_counts_and_leaves_the_newer_one_free() {
    let storage = Storage::new();
    storage.held(".claude.lock", Duration::ZERO);
    let error = take(&storage.path(), Purpose::Refresh, SHORT).await.expect_err("held");
    assert!(matches!(&error, LockError::Held { path, .. } if path.ends_with(".claude.lock")), "{error}");
    assert_eq!(storage.names(), [".claude.lock"]);
    let _write = take(&storage.path(), Purpose::Write, SHORT).await.expect("that is another one");
}

#[tokio::test]
async fn the_older_lock_is_beside_the_directory_itself_and_not_beside_a_link_to_it() {
    let storage = Storage::new();
    let link = storage.root.path().join("link");
    std::os::unix::fs::symlink(storage.path(), &link).expect("linked");
    let _lock = take(&link, Purpose::Refresh, SHORT).await.expect("taken");
    assert!(storage.names().contains(&".claude.lock".to_owned()), "{:?}", storage.names());
}

#[tokio::test]
async fn stale_locks_are_taken_over_after_claude_codes_own_time() {
    let check = async |name: &str, purpose: Purpose, seconds: u64, is_taken: bool| {
        let storage = Storage::new();
        storage.held(name, Duration::from_secs(seconds));
        let taken = take(&storage.path(), purpose, SHORT).await;
        assert_eq!(taken.is_ok(), is_taken, "{name} {seconds}");
    };
    check(".claude/.storage-write.lock", Purpose::Write, 10, false).await;
    check(".claude/.storage-write.lock", Purpose::Write, 20, true).await;
    check(".claude/.oauth_refresh.lock", Purpose::Refresh, 50, false).await;
    check(".claude/.oauth_refresh.lock", Purpose::Refresh, 70, true).await;
    check(".claude.lock", Purpose::Refresh, 50, false).await;
    check(".claude.lock", Purpose::Refresh, 70, true).await;
}

#[tokio::test]
async fn a_lock_that_vanishes_is_taken_by_who_waits() {
    let storage = Storage::new();
    let path = storage.held(".claude/.storage-write.lock", Duration::ZERO);
    let waiting = tokio::spawn({
        let storage = storage.path();
        async move { take(&storage, Purpose::Write, LONG).await }
    });
    tokio::task::yield_now().await;
    fs::remove_dir(path).expect("removed");
    assert!(waiting.await.expect("ran").is_ok());
}

#[tokio::test]
async fn two_of_us_take_turns() {
    let storage = Storage::new();
    let inside = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let tasks = (0..4).map(|_| {
        let (storage, inside) = (storage.path(), std::sync::Arc::clone(&inside));
        tokio::spawn(async move {
            let _lock = take(&storage, Purpose::Refresh, LONG).await.expect("taken");
            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "nobody else is inside");
            tokio::task::yield_now().await;
            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("ran");
    }
    assert_eq!(storage.names(), [""; 0]);
}

#[tokio::test]
async fn a_held_lock_is_touched_so_that_it_does_not_become_stale() {
    let storage = Storage::new();
    let lock = take_with(&storage.path(), Purpose::Refresh, SHORT, QUICK).await.expect("taken");
    let paths = [storage.path().join(".oauth_refresh.lock"), storage.root.path().join(".claude.lock")];
    let modified = || paths.each_ref().map(|path| fs::metadata(path).and_then(|it| it.modified()).expect("a time"));
    let before = modified();
    let touched = async {
        while modified().iter().zip(&before).any(|(now, before)| now <= before) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, touched).await.expect("touched");
    assert!(!lock.is_lost());
}

#[tokio::test]
async fn a_lock_that_was_taken_away_is_lost_and_its_new_holder_keeps_it() {
    let storage = Storage::new();
    let mut lock = take_with(&storage.path(), Purpose::Write, SHORT, QUICK).await.expect("taken");
    let path = storage.path().join(".storage-write.lock");
    // Renamed and not removed, so that the new one is surely another.
    fs::rename(&path, storage.path().join("aside")).expect("renamed");
    fs::create_dir(&path).expect("made");
    assert!(lock.is_lost(), "whoever asks is told at once");
    tokio::time::timeout(LONG, lock.lost.changed()).await.expect("told").expect("told");
    drop(lock);
    assert!(path.is_dir(), "what is somebody else's stays");
}

#[tokio::test]
async fn what_is_no_lock_is_an_error_and_not_removed() {
    let storage = Storage::new();
    let path = storage.path().join(".storage-write.lock");
    fs::write(&path, "something").expect("written");
    assert!(matches!(take(&storage.path(), Purpose::Write, LONG).await, Err(LockError::Failed(..))));
    assert!(path.is_file());
    fs::remove_file(&path).expect("removed");
    // One with something in it is nobody's that we know.
    let path = storage.held(".claude/.storage-write.lock", Duration::from_secs(100));
    fs::write(path.join("file"), "x").expect("written");
    fs::File::open(&path)
        .and_then(|it| it.set_times(fs::FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(100))))
        .expect("touched");
    assert!(matches!(take(&storage.path(), Purpose::Write, LONG).await, Err(LockError::Failed(..))));
    let nowhere = storage.root.path().join("none");
    let error = take(&nowhere, Purpose::Write, LONG).await.expect_err("no directory").to_string();
    assert!(error.starts_with("failed to take the lock"), "{error}");
}
