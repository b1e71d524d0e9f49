//! Who renews a login is waited for before its container ends, and not for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use boxwood_core::plan;
use boxwood_engine::{EngineError, Mount};
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::OutcomeKind;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::calm::{PATIENCE, calm};
use super::login_home;
use super::tests::{Saboteur, World};
use crate::credentials::locks::{self, Purpose};
use crate::daemon::Daemon;

const LOCK: &str = ".claude/.oauth_refresh.lock";
/// Long enough for a stop that waits for nobody.
const WHILE: Duration = Duration::from_millis(500);

/// A login home, and the mounts of a container that has it.
fn shared(daemon: &Daemon) -> (PathBuf, [Mount; 2]) {
    let home = daemon.sources.logins().join("default");
    fs::create_dir_all(home.join(".claude")).expect("made");
    (home.clone(), login_home::mounts(&home))
}

fn daemon(root: &Path) -> std::sync::Arc<Daemon> {
    let state = root.to_string_lossy().into_owned();
    let paths = boxwood_core::paths::Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| state.clone()), 0);
    let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
    Daemon::open(paths, &|name| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned()), Box::new(none)).expect("opened")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_ends_a_container_waits_until_its_login_is_renewed() {
    for (name, steps) in [
        ("stop", plan::stop(false)),
        ("restart", plan::restart(false)),
        ("recreate", plan::recreate(false, false)),
        ("remove", plan::remove(false, false)),
    ] {
        let world = World::new().await;
        let end = world.play(plan::create(false), Network::Open, Saboteur::default()).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        world.quiet().await;
        let is_running = || world.engine.snapshot().containers.values().any(|container| container.state == "running");
        let storage = world.daemon.sources.logins().join("default/.claude");
        let renewing = locks::take(&storage, Purpose::Refresh, Duration::ZERO).await.expect("free");
        world.engine.clear_calls();
        let mut ending = Box::pin(world.play(steps, Network::Open, Saboteur::default()));
        assert!(timeout(WHILE, &mut ending).await.is_err() && is_running(), "{name} does not wait");
        let is_stop = |path: &str| path.ends_with("/stop") || path.contains("/stop?");
        assert!(!world.engine.calls().iter().any(|call| is_stop(&call.path)), "{name} does not wait");
        drop(renewing);
        let end = ending.await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{name}: {:?}", end.error);
        assert!(world.engine.calls().iter().any(|call| is_stop(&call.path)), "{name}");
        let left = fs::read_dir(&storage).expect("there").flatten().count();
        assert_eq!(left, 0, "{name} gives the locks back");
    }
}

#[tokio::test]
async fn nobody_renews_a_login_while_its_container_ends() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let (home, mounts) = shared(&daemon);
    let held = calm(&daemon, "sandbox", &mounts).await.expect("nobody is there");
    assert!(home.join(LOCK).is_dir());
    drop(held);
    assert!(!home.join(LOCK).exists());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_keeps_the_lock_delays_the_end_by_no_more_than_the_patience() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let (home, mounts) = shared(&daemon);
    let lock = home.join(LOCK);
    fs::create_dir(&lock).expect("held");
    // Touched in the future, it never becomes stale.
    let later = fs::FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(86_400));
    fs::File::open(&lock).and_then(|lock| lock.set_times(later)).expect("touched");
    let begun = Instant::now();
    assert!(calm(&daemon, "sandbox", &mounts).await.is_none());
    assert!(begun.elapsed() <= PATIENCE, "{:?}", begun.elapsed());
    // Each of the locks in its turn is waited for no longer together.
    fs::remove_dir(&lock).expect("removed");
    fs::create_dir(home.join(".claude/.storage-write.lock")).expect("held");
    let begun = Instant::now();
    assert!(calm(&daemon, "sandbox", &mounts).await.is_none());
    assert!(begun.elapsed() <= PATIENCE, "{:?}", begun.elapsed());
    assert!(!lock.exists(), "what was had is given back");
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_puts_in_the_place_of_a_lock_leads_nowhere_and_delays_nobody() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    let (home, mounts) = shared(&daemon);
    let outside = root.path().join("outside");
    fs::create_dir(&outside).expect("made");
    std::os::unix::fs::symlink(&outside, home.join(LOCK)).expect("linked");
    let begun = Instant::now();
    let held = calm(&daemon, "sandbox", &mounts).await.expect("it is no lock");
    assert!(home.join(LOCK).is_dir() && !home.join(LOCK).is_symlink());
    drop(held);
    // A copy of a login is in a home whose directory can be changed for a link.
    fs::create_dir_all(daemon.records.home("copy")).expect("made");
    fs::write(daemon.paths.sandbox("copy").join("credentials.json"), r#"{"version":1,"mode":"sync"}"#)
        .expect("written");
    std::os::unix::fs::symlink(&outside, daemon.records.home("copy").join(".claude")).expect("linked");
    let held = calm(&daemon, "copy", &[]).await.expect("it is made again");
    assert!(daemon.records.home("copy").join(LOCK).is_dir());
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    drop(held);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_who_has_nothing_to_renew() {
    let root = tempfile::tempdir().expect("a directory");
    let daemon = daemon(root.path());
    for mode in ["token", "brokered"] {
        let home = daemon.records.home(mode);
        fs::create_dir_all(home.join(LOCK)).expect("held");
        let traces = json!({ "version": 1, "mode": mode });
        fs::write(daemon.paths.sandbox(mode).join("credentials.json"), traces.to_string()).expect("written");
        let begun = Instant::now();
        assert!(calm(&daemon, mode, &[]).await.is_none());
        assert_eq!(begun.elapsed(), Duration::ZERO, "{mode}");
    }
}
