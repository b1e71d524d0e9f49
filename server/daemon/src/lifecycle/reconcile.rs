//! Keeps gateways with their sandboxes when nobody asked: a gateway that ended is started again, one whose sandbox ended
//! is stopped, and those that ran before this daemon are talked to again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boxwood_core::labels;
use boxwood_engine::{ContainerDetail, ContainerState, Engine, EngineError};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::lifecycle::gateway::{self, Site};
use crate::sys;

/// Pause before the second start in a row of the same gateway; each one after it waits twice as long.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A gateway that ran this long has not failed in a row.
const LASTING: Duration = Duration::from_secs(60);

/// What is being seen to.
#[derive(Default)]
pub(crate) struct Reconciling {
    /// Sandboxes whose turn is waited for.
    pending: Mutex<HashSet<String>>,
    /// Starts in a row of sandboxes' gateways, and the last of them.
    starts: Mutex<HashMap<String, (u32, Instant)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reconciling {
    /// Whether nobody waits for a turn.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.pending).is_empty()
    }

    fn pause(&self, sandbox: &str) -> Duration {
        let mut starts = lock(&self.starts);
        starts.retain(|_, (_, last)| last.elapsed() < LASTING);
        match starts.get(sandbox) {
            Some((count, _)) => (PAUSE * 2_u32.saturating_pow(count.saturating_sub(1).min(16))).min(LONGEST_PAUSE),
            None => Duration::ZERO,
        }
    }

    fn note_start(&self, sandbox: &str) {
        let mut starts = lock(&self.starts);
        let (count, last) = starts.entry(sandbox.to_owned()).or_insert((0, Instant::now()));
        (*count, *last) = (*count + 1, Instant::now());
    }
}

/// Sees to a sandbox's gateway as soon as no operation works on the sandbox.
pub(crate) fn soon(daemon: &Arc<Daemon>, sandbox: &str) {
    if !lock(&daemon.reconciling.pending).insert(sandbox.to_owned()) {
        return;
    }
    let (daemon, sandbox) = (Arc::clone(daemon), sandbox.to_owned());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(daemon.reconciling.pause(&sandbox)).await;
            let turn = daemon.turn(&sandbox).lock_owned().await;
            // What happens from here on is a reason to look again.
            lock(&daemon.reconciling.pending).remove(&sandbox);
            let Err(problem) = reconcile(&daemon, &sandbox).await else { return };
            drop(turn);
            tracing::warn!(sandbox, %problem, "the gateway is not as it should be");
            daemon.reconciling.note_start(&sandbox);
            if !daemon.link.status().is_available || !lock(&daemon.reconciling.pending).insert(sandbox.clone()) {
                // The engine's return is a reason to look again, and somebody else is looking.
                return;
            }
        }
    });
}

async fn reconcile(daemon: &Arc<Daemon>, sandbox: &str) -> Result<()> {
    let (engine, info) = daemon.link.engine().await?;
    let site = Site { daemon, engine: &engine, info: &info, sandbox };
    let found = members(daemon, engine.as_ref(), sandbox)
        .await
        .map_err(|cause| error::engine("look at the sandbox and its gateway", &cause))?;
    let with_role = |role: &'static str| {
        move |found: &&ContainerDetail| found.labels.get(labels::ROLE).is_some_and(|found| found == role)
    };
    let is_up = |found: &&ContainerDetail| matches!(found.state, ContainerState::Running | ContainerState::Paused);
    let sandboxes = || found.iter().filter(with_role("sandbox"));
    let gateway = found.iter().find(with_role(gateway::ROLE));
    let Some(agent) = sandboxes().filter(is_up).find(|found| gateway::is_used(&found.labels)) else {
        if sandboxes().any(|found| gateway::is_used(&found.labels)) {
            return if gateway.filter(is_up).is_some() { site.stop().await } else { Ok(()) };
        }
        return if gateway.is_some() || sandboxes().next().is_none() { site.remove().await } else { Ok(()) };
    };
    // Whoever paused a gateway has a reason, and nothing passes it meanwhile.
    let is_paused = gateway.is_some_and(|found| found.state == ContainerState::Paused);
    if is_paused || (gateway.filter(is_up).is_some() && daemon.egress.knows(sandbox)) {
        return Ok(());
    }
    let wanted = gateway::place_of(&agent.labels);
    if gateway.filter(is_up).is_none() {
        daemon.reconciling.note_start(sandbox);
        tracing::warn!(sandbox, "the gateway of a running sandbox does not run; it is started");
        site.make(&sys::trace_id(), wanted).await?;
    }
    site.start().await?;
    if let Some(place) = wanted
        && let Err(problem) = site.verify(&agent.id, place).await
    {
        // Told by the sandbox's label; a person who works in it is not thrown out.
        tracing::error!(sandbox, %problem, "the network is not what it must be");
    }
    Ok(())
}

/// The containers of a sandbox. Each is looked at by itself: the engine's lists are a moment behind its events.
async fn members(
    daemon: &Daemon,
    engine: &dyn Engine,
    sandbox: &str,
) -> std::result::Result<Vec<ContainerDetail>, EngineError> {
    let filter = [labels::equals(labels::INSTALLATION, &daemon.installation), labels::equals(labels::SANDBOX, sandbox)];
    let listed = engine.list_containers(&filter).await?;
    let details = futures::future::join_all(listed.iter().map(|found| engine.inspect_container(&found.id))).await;
    details.into_iter().filter(|detail| !matches!(detail, Err(cause) if cause.is_not_found())).collect()
}
