//! Logins that are renewed by a stand-in for the real `claude`, over days that pass in moments.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boxwood_core::credentials::Clock;
use boxwood_core::credentials::expiry::{LEAD_MS, LONGEST_PAUSE_MS};
use boxwood_core::labels;
use boxwood_core::paths::Paths;
use boxwood_engine::{ContainerState, EngineError};
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use boxwood_protocol::{ErrorCode, Event, RpcError};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::run;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::provisioning::hold::Held;
use crate::provisioning::origin::Origin;
use crate::records::Record;
use crate::registry::container;
use crate::sys;

mod copies;

const MINUTE: i64 = 60 * 1000;
const HOUR: i64 = 60 * MINUTE;
const ACCOUNT: &str = "11111111-1111-4111-8111-111111111111";

type Renew = dyn Fn(PathBuf) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// Stands for the real `claude` in its container, and for the time.
pub(super) struct Fake {
    began: Instant,
    began_ms: i64,
    renew: Box<Renew>,
}

impl Fake {
    pub(super) fn clock(&self) -> Clock {
        let passed = i64::try_from(self.began.elapsed().as_millis()).expect("not that long");
        Clock::at(self.began_ms + passed)
    }

    pub(super) fn renew(&self, storage: &Path) -> BoxFuture<'static, Result<()>> {
        (self.renew)(storage.to_path_buf())
    }
}

/// A login of number `number`, whose access token ends at `end_ms`.
fn login(number: usize, end_ms: i64) -> Value {
    json!({ "claudeAiOauth": { "accessToken": format!("sk-ant-oat01-{number}"),
        "refreshToken": format!("sk-ant-ort01-{number}"), "expiresAt": end_ms,
        "refreshTokenExpiresAt": end_ms + 30 * 24 * HOUR, "scopes": ["user:inference"], "accountUuid": ACCOUNT } })
}

fn put(storage: &Path, login: &Value) {
    fs::create_dir_all(storage).expect("made");
    let new = storage.join(".credentials.json.tmp.1");
    fs::write(&new, login.to_string()).expect("written");
    fs::rename(new, storage.join(".credentials.json")).expect("renamed");
}

fn read(storage: &Path) -> Value {
    let text = fs::read_to_string(storage.join(".credentials.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).unwrap_or_default()["claudeAiOauth"].take()
}

struct World {
    daemon: Arc<Daemon>,
    /// How often the login was renewed, or should have been.
    attempts: Arc<AtomicUsize>,
    /// What the next attempts come to: nothing is a success.
    faults: Arc<Mutex<Vec<&'static str>>>,
    root: PathBuf,
    _directory: tempfile::TempDir,
}

impl World {
    /// A daemon whose logins are renewed for `lifetime_ms`, with these sandboxes and whether they run.
    fn new(lifetime_ms: i64, sandboxes: &[(&str, bool)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("canonical");
        let text = root.to_string_lossy().into_owned();
        let lookup = |name: &str| match name {
            "BOXWOOD_STATE_DIR" => Some(format!("{text}/state")),
            "HOME" => Some(text.clone()),
            "BOXWOOD_KEYRING" => Some("file".to_owned()),
            _ => None,
        };
        let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
        let daemon = Daemon::open(Paths::resolve(&lookup, 0), &lookup, Box::new(none)).expect("opened");
        let (attempts, faults) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (attempts_, faults_) = (Arc::clone(&attempts), Arc::clone(&faults));
        let (began, began_ms) = (Instant::now(), sys::now_ms());
        let renew = move |storage: PathBuf| -> BoxFuture<'static, Result<()>> {
            let number = 2 + attempts_.fetch_add(1, Ordering::Relaxed);
            let fault = faults_.lock().expect("not poisoned").pop();
            Box::pin(async move {
                let passed = i64::try_from(began.elapsed().as_millis()).expect("not that long");
                let left = read(&storage)["expiresAt"].as_i64().expect("an end") - began_ms - passed;
                assert!(left <= 5 * MINUTE, "the real one would not renew what lasts {left} ms");
                match fault {
                    None => put(&storage, &login(number, began_ms + passed + lifetime_ms)),
                    Some("blank") => {
                        let blank = json!({ "accessToken": "", "refreshToken": "", "expiresAt": 0 });
                        put(&storage, &json!({ "claudeAiOauth": blank }));
                    }
                    Some("no engine") => return Err(RpcError::new(ErrorCode::EngineUnavailable, "none")),
                    Some(_) => {}
                }
                Ok(())
            })
        };
        assert!(daemon.renewals.fake.set(Fake { began, began_ms, renew: Box::new(renew) }).is_ok());
        let world = Self { daemon, attempts, faults, root, _directory: directory };
        put(&world.home(), &login(1, began_ms + lifetime_ms));
        for (id, is_running) in sandboxes {
            world.sandbox(id, *is_running, CredentialSource::LoginHome, CredentialMode::Token);
        }
        world.daemon.registry.set_ready();
        world
    }

    fn run(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(run(Arc::clone(&self.daemon)))
    }

    fn home(&self) -> PathBuf {
        self.root.join("state/logins/default/.claude")
    }

    fn inside(&self, id: &str) -> PathBuf {
        self.daemon.records.home(id).join(".claude")
    }

    fn now_ms(&self) -> i64 {
        self.daemon.renewals.clock().now_ms
    }

    fn sandbox(&self, id: &str, is_running: bool, source: CredentialSource, mode: CredentialMode) {
        fs::create_dir_all(self.inside(id)).expect("made");
        let held = Some(Held { source: Some(source), mode });
        self.daemon.records.put(id, Record { held, ..Record::default() }).expect("kept");
        fs::write(
            self.daemon.paths.sandbox(id).join("credentials.json"),
            json!({ "version": 1, "mode": mode }).to_string(),
        )
        .expect("written");
        self.update(id, is_running);
    }

    fn update(&self, id: &str, is_running: bool) {
        let state = if is_running { ContainerState::Running } else { ContainerState::Exited };
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        self.daemon.registry.update(container(
            id.repeat(64),
            format!("boxwood-{id}"),
            state,
            [label(labels::ROLE, "sandbox"), label(labels::SANDBOX, id), label(labels::WORKSPACE, "/p")].into(),
        ));
    }

    /// Lets time pass until something is so.
    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = self.now_ms() + 24 * HOUR;
        while !is_so() {
            assert!(self.now_ms() < deadline, "a day has passed without {what}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }

    fn has(&self, id: &str, number: usize) -> bool {
        read(&self.inside(id))["accessToken"] == json!(format!("sk-ant-oat01-{number}"))
    }
}

#[tokio::test(start_paused = true)]
async fn nobodys_token_ends_over_days_and_nobody_has_what_renews_it() {
    let world = World::new(8 * HOUR, &[("a", true), ("b", false)]);
    let task = world.run();
    world.until("the first token", || world.has("a", 1) && world.has("b", 1)).await;
    let end = world.now_ms() + 3 * 24 * HOUR;
    while world.now_ms() < end {
        tokio::time::sleep(Duration::from_secs(60)).await;
        for id in ["a", "b"] {
            let inside = read(&world.inside(id));
            let left = inside["expiresAt"].as_i64().expect("an end") - world.now_ms();
            assert!(left > LEAD_MS - 5 * MINUTE, "{id} has {left} ms left");
            assert_eq!(inside.get("refreshToken"), None);
        }
    }
    assert_eq!(world.attempts(), 9, "every seven and a half hours");
    assert!(!world.daemon.operations.list().iter().any(|operation| operation.kind != "renewLogin"));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_with_pauses_and_told() {
    let world = World::new(8 * HOUR, &[("a", true)]);
    let mut events = world.daemon.hub.listen();
    *world.faults.lock().expect("not poisoned") = vec!["no engine", "nothing", "nothing"];
    let task = world.run();
    world.until("the first attempt", || world.attempts() == 1).await;
    let first = world.now_ms();
    world.until("success", || world.has("a", 5)).await;
    let took = world.now_ms() - first;
    assert!((15 + 30 + 60..15 + 30 + 60 + 10).contains(&(took / 1000)), "{took} ms");
    assert!(took < LONGEST_PAUSE_MS);
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        told += usize::from(event == Event::CredentialsChanged { sandbox_id: None });
    }
    assert_eq!(told, 2, "that it fails, and that it is well again");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_refused_goes_nowhere_until_somebody_signs_in() {
    let world = World::new(8 * HOUR, &[("a", true), ("b", true)]);
    *world.faults.lock().expect("not poisoned") = vec!["blank"];
    let task = world.run();
    world.until("the attempt", || world.attempts() == 1).await;
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert!(world.has("a", 1) && world.has("b", 1), "a good token is not replaced by none");
    assert_eq!(world.attempts(), 1);
    put(&world.home(), &login(77, world.now_ms() + 8 * HOUR));
    world.daemon.renewals.wake();
    world.until("the new login", || world.has("a", 77) && world.has("b", 77)).await;
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_for_nobody_and_at_once_for_who_needs_it() {
    let world = World::new(8 * HOUR, &[("a", false)]);
    let task = world.run();
    tokio::time::sleep(Duration::from_secs(48 * 3600)).await;
    assert_eq!((world.attempts(), world.has("a", 1)), (0, true));
    world.daemon.renewals.fresh(Origin::Home("default".to_owned())).await;
    assert_eq!(world.attempts(), 1);
    world.until("the token", || world.has("a", 2)).await;
    tokio::time::sleep(Duration::from_secs(48 * 3600)).await;
    assert_eq!(world.attempts(), 1);
    world.update("a", true);
    world.until("the token of who runs", || world.has("a", 3)).await;
    // What is not due is not renewed because somebody asks.
    world.daemon.renewals.fresh(Origin::Home("default".to_owned())).await;
    assert_eq!(world.attempts(), 2);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_gets_its_token_in_its_turn_and_nobody_waits_for_it() {
    let world = World::new(8 * HOUR, &[("a", true), ("b", true)]);
    let turn = world.daemon.turn("a").lock_owned().await;
    let task = world.run();
    world.until("the others' tokens", || world.has("b", 2)).await;
    assert_eq!(read(&world.inside("a")), Value::Null);
    // It holds something else by the time that it is its turn.
    drop(turn);
    world.until("the newest token", || world.has("a", 2)).await;
    world.sandbox("b", true, CredentialSource::LoginHome, CredentialMode::Isolated);
    world.until("the next token", || world.has("a", 3)).await;
    assert!(world.has("b", 2));
    task.abort();
}
