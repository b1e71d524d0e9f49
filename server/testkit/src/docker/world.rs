//! What exists: containers, images, volumes, networks and commands, and the events of their changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, watch};

use super::fake::{Call, Health, Usage};
use super::faults::Faults;
use super::files::{Files, Mounted};
use super::http::{Outcome, Refusal, refuse};
use super::networks::{Network, Place};
use super::scripts::Scripts;

/// Events a slow reader may be behind.
const EVENT_BUFFER: usize = 4096;

#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: jiff::Timestamp,
    /// The request that made it.
    pub(super) request: Value,
    pub(super) image_id: String,
    /// `created`, `running`, `paused`, `exited`, as the engine says.
    pub(super) state: String,
    pub(super) exit_code: i64,
    pub(super) is_oom_killed: bool,
    pub(super) error: String,
    pub(super) started_at: Option<jiff::Timestamp>,
    pub(super) finished_at: Option<jiff::Timestamp>,
    pub(super) health: Option<(Health, String)>,
    /// Lines of output with their stream, 1 or 2.
    pub(super) log: Vec<(u8, Vec<u8>)>,
    pub(super) files: Files,
    pub(super) mounts: Vec<Mounted>,
    /// Where it is, by name of the network.
    pub(super) places: BTreeMap<String, Place>,
    /// Lines that the main process has read.
    pub(super) read: Vec<String>,
    pub(super) usage: Usage,
    /// Counts starts, so that a stream can tell one run from the next.
    pub(super) run: u64,
}

impl Container {
    pub(super) fn labels(&self) -> Map<String, Value> {
        self.request["Labels"].as_object().cloned().unwrap_or_default()
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    pub(super) fn mounts_volume(&self, name: &str) -> bool {
        self.mounts.iter().any(|mount| mount.kind == "volume" && mount.source == name)
    }

    pub(super) fn image(&self) -> &str {
        self.request["Image"].as_str().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) tags: BTreeSet<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) env: Vec<String>,
    pub(super) arch: String,
    pub(super) size: u64,
    pub(super) files: Files,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Volume {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) files: Files,
}

#[derive(Debug, Clone)]
pub(super) struct Exec {
    pub(super) container: String,
    pub(super) request: Value,
    pub(super) is_started: bool,
    pub(super) exit_code: Option<i64>,
    pub(super) input: Vec<u8>,
    pub(super) size: Option<(u16, u16)>,
}

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) containers: Vec<Container>,
    pub(super) images: Vec<Image>,
    /// Images a pull would find.
    pub(super) registry: BTreeMap<String, Image>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) execs: Vec<(String, Exec)>,
    outbox: Vec<Value>,
    ids: u64,
}

impl World {
    pub(super) fn new_id(&mut self) -> String {
        self.ids += 1;
        digest(format!("object {}", self.ids).as_bytes())
    }

    /// Position of a container by id, name or the beginning of an id.
    pub(super) fn find(&self, key: &str) -> Outcome<usize> {
        let exact = |c: &Container| c.id == key || c.name == key;
        let begins = |c: &Container| key.len() >= 4 && c.id.starts_with(key);
        let found = self.containers.iter().position(exact).or_else(|| self.containers.iter().position(begins));
        found.ok_or_else(|| Refusal { status: 404, message: format!("No such container: {key}") })
    }

    pub(super) fn container(&self, key: &str) -> Outcome<&Container> {
        self.find(key).map(|index| &self.containers[index])
    }

    pub(super) fn container_mut(&mut self, key: &str) -> Outcome<&mut Container> {
        self.find(key).map(|index| &mut self.containers[index])
    }

    pub(super) fn exec(&self, id: &str) -> Outcome<&Exec> {
        let found = self.execs.iter().find(|(known, _)| known == id);
        found.map(|(_, exec)| exec).ok_or_else(|| no_exec(id))
    }

    pub(super) fn exec_mut(&mut self, id: &str) -> Outcome<&mut Exec> {
        let found = self.execs.iter_mut().find(|(known, _)| known == id);
        found.map(|(_, exec)| exec).ok_or_else(|| no_exec(id))
    }

    /// Notes an event of a container, with its labels and what else belongs to it.
    pub(super) fn tell(&mut self, key: &str, action: &str, more: &[(&str, String)]) {
        let Ok(container) = self.container(key) else { return };
        let mut attributes = container.labels();
        attributes.insert("image".to_owned(), json!(container.image()));
        attributes.insert("name".to_owned(), json!(container.name));
        for (name, value) in more {
            attributes.insert((*name).to_owned(), json!(value));
        }
        let id = container.id.clone();
        self.announce("container", action, &id, &Value::Object(attributes));
    }

    /// Notes an event of anything.
    pub(super) fn announce(&mut self, kind: &str, action: &str, id: &str, attributes: &Value) {
        let now = jiff::Timestamp::now();
        self.outbox.push(json!({
            "Type": kind, "Action": action, "Actor": { "ID": id, "Attributes": attributes }, "scope": "local",
            "status": action, "id": id, "time": now.as_second(), "timeNano": i64::try_from(now.as_nanosecond()).ok(),
        }));
    }
}

fn no_exec(id: &str) -> Refusal {
    Refusal { status: 404, message: format!("No such exec instance: {id}") }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether labels are all there; each is `key` or `key=value`.
pub(super) fn has_labels<'a>(wanted: &[String], value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
    wanted.iter().all(|label| match label.split_once('=') {
        Some((key, value)) => value_of(key) == Some(value),
        None => value_of(label).is_some(),
    })
}

/// The engine: its world and those who watch it.
pub(super) struct Engine {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
    pub(super) events: broadcast::Sender<Value>,
    pub(super) faults: Mutex<Faults>,
    pub(super) calls: Mutex<Vec<Call>>,
    pub(super) scripts: Mutex<Scripts>,
    pub(super) settings: Mutex<Settings>,
}

/// What tests may turn.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) max_api: String,
    pub(super) stats_interval: Duration,
    pub(super) cpus: u32,
    pub(super) memory_bytes: u64,
    pub(super) build_failures: Vec<String>,
    pub(super) info: HashMap<String, Value>,
}

impl Engine {
    pub(super) fn new() -> Self {
        Self {
            world: Mutex::default(),
            changed: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENT_BUFFER),
            faults: Mutex::default(),
            calls: Mutex::default(),
            scripts: Mutex::default(),
            settings: Mutex::new(Settings {
                max_api: "1.41".to_owned(),
                stats_interval: Duration::from_secs(1),
                cpus: 4,
                memory_bytes: 8 << 30,
                build_failures: Vec::new(),
                info: HashMap::new(),
            }),
        }
    }

    /// Looks without changing anything.
    pub(super) fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&lock(&self.world))
    }

    /// Changes the world; events go out in the order of the changes.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = lock(&self.world);
        let result = change(&mut world);
        for event in world.outbox.drain(..) {
            // Nobody listening is fine.
            drop(self.events.send(event));
        }
        self.changed.send_modify(|count| *count += 1);
        result
    }

    /// Waits until a look finds something.
    pub(super) async fn until<T>(&self, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = self.look(&mut look) {
                return found;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    pub(super) fn scripts(&self) -> Scripts {
        lock(&self.scripts).clone()
    }
}

/// Locks; a panic elsewhere has failed its test already.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine's rule for names of containers, volumes and networks.
pub(super) fn check_name(kind: &str, name: &str) -> Outcome<()> {
    let is_fine = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if is_fine {
        return Ok(());
    }
    refuse(400, format!("Invalid {kind} name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"))
}
