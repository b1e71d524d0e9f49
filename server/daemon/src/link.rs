//! The connection to the engine: found, watched, found again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use boxwood_engine::docker::DockerEngine;
use boxwood_engine::endpoint::Endpoint;
use boxwood_engine::{Engine, EngineError, EngineInfo};
use boxwood_protocol::params::EngineStatus;
use boxwood_protocol::{Event, RpcError};
use notify::Watcher as _;
use tokio::sync::mpsc;

use crate::error::{self, Result};
use crate::hub::Hub;

/// How long to wait for a sign of the engine before trying by oneself.
const RETRY: Duration = Duration::from_secs(5);

struct Current {
    engine: Option<(Arc<dyn Engine>, EngineInfo)>,
    status: EngineStatus,
    problem: Option<RpcError>,
}

/// Finds the engine's endpoint; asked anew for every connection, because people switch contexts.
pub(crate) type Find = Box<dyn Fn() -> std::result::Result<Endpoint, EngineError> + Send + Sync>;

/// The engine in use.
pub(crate) struct Link {
    current: Mutex<Current>,
    find: Find,
    hub: Hub,
}

impl Link {
    pub(crate) fn new(hub: Hub, find: Find) -> Self {
        let status = EngineStatus {
            is_available: false,
            endpoint: String::new(),
            source: String::new(),
            version: None,
            api_version: None,
            problem: None,
        };
        Self { current: Mutex::new(Current { engine: None, status, problem: None }), find, hub }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the engine is.
    pub(crate) fn status(&self) -> EngineStatus {
        self.lock().status.clone()
    }

    /// The engine and what it is, connecting when there is no connection.
    pub(crate) async fn engine(&self) -> Result<(Arc<dyn Engine>, EngineInfo)> {
        if let Some(engine) = self.lock().engine.clone() {
            return Ok(engine);
        }
        self.connect().await
    }

    /// Looks for the engine anew.
    pub(crate) async fn connect(&self) -> Result<(Arc<dyn Engine>, EngineInfo)> {
        let endpoint = (self.find)();
        let connected = async {
            let endpoint = endpoint.as_ref().map_err(|cause| error::engine("find the engine", cause))?;
            let engine =
                DockerEngine::connect(endpoint).map_err(|cause| error::engine("reach the container engine", &cause))?;
            let info = engine.info().await.map_err(|cause| error::engine("reach the container engine", &cause))?;
            Ok((Arc::new(engine) as Arc<dyn Engine>, info))
        }
        .await;
        let (place, source) = endpoint.map(|endpoint| (endpoint.to_string(), endpoint.source)).unwrap_or_default();
        let mut current = self.lock();
        let before = current.status.clone();
        current.status = EngineStatus {
            is_available: connected.is_ok(),
            endpoint: place,
            source,
            version: connected.as_ref().ok().map(|(_, info)| info.version.clone()),
            api_version: connected.as_ref().ok().map(|(engine, _)| engine.api_version()),
            problem: connected.as_ref().err().map(|problem: &RpcError| problem.to_string()),
        };
        current.engine = connected.as_ref().ok().cloned();
        current.problem = connected.as_ref().err().cloned();
        if current.status != before {
            self.hub.tell(Event::EngineChanged { engine: current.status.clone() });
        }
        connected
    }

    /// Takes note that the engine no longer answers.
    pub(crate) fn lost(&self, problem: &str) {
        let mut current = self.lock();
        current.engine = None;
        current.status.is_available = false;
        current.status.problem = Some(problem.to_owned());
        self.hub.tell(Event::EngineChanged { engine: current.status.clone() });
    }

    /// Waits until it makes sense to look for the engine again: its socket came or went, or some time has passed.
    pub(crate) async fn sign_of_life(&self) {
        let socket = self.status().endpoint.strip_prefix("unix://").map(PathBuf::from);
        let watched = socket.as_deref().and_then(Path::parent).and_then(watch);
        match watched {
            Some((_watcher, mut changes)) => {
                let _ = tokio::time::timeout(RETRY, changes.recv()).await;
            }
            None => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Watches a directory; the receiver gets one message per change.
fn watch(directory: &Path) -> Option<(notify::RecommendedWatcher, mpsc::Receiver<()>)> {
    let (sender, receiver) = mpsc::channel(1);
    let mut watcher = notify::recommended_watcher(move |change: notify::Result<notify::Event>| {
        if change.is_ok_and(|change| change.kind.is_create() || change.kind.is_remove()) {
            let _ = sender.try_send(());
        }
    })
    .ok()?;
    watcher.watch(directory, notify::RecursiveMode::NonRecursive).ok()?;
    Some((watcher, receiver))
}
