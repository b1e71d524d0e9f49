//! Gateways go on with what they were given when the daemon ends; one that is made anew afterwards has nothing. So a daemon
//! gives every gateway again what it can know without anybody's environment.

use std::collections::BTreeSet;
use std::sync::Arc;

use boxwood_protocol::Event;
use boxwood_protocol::credentials::CredentialMode;
use boxwood_protocol::sandbox::SandboxState;
use tokio::sync::broadcast::error::RecvError;

use super::lock;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::gateway;
use crate::provisioning::hold;

pub(super) async fn run(daemon: &Arc<Daemon>) {
    let mut events = daemon.hub.listen();
    let mut done = BTreeSet::new();
    loop {
        for info in daemon.registry.list() {
            // One whose gateway is not talked to yet changes as soon as it is. Its turn is left to whoever sees to that.
            let is_ready = info.state == SandboxState::Running && daemon.egress.knows(&info.id);
            if !is_ready || lock(&daemon.renewals.seen_to).contains(&info.id) || !done.insert(info.id.clone()) {
                continue;
            }
            if let Err(problem) = restore(daemon, &info.id).await {
                tracing::warn!(sandbox = info.id, %problem, "its gateway may lack what it puts on requests");
            }
        }
        loop {
            match events.recv().await {
                Ok(Event::SandboxChanged { .. }) | Err(RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

async fn restore(daemon: &Arc<Daemon>, sandbox: &str) -> Result<()> {
    let _turn = daemon.turn(sandbox).lock_owned().await;
    let is_seen_to = lock(&daemon.renewals.seen_to).contains(sandbox);
    let held = daemon.records.get(sandbox).and_then(|record| record.held);
    let is_known_here = held.is_some_and(|held| {
        held.mode == CredentialMode::Brokered && held.source.is_some_and(|source| !hold::is_of_environment(source))
    });
    let Some(known) = daemon.registry.get(sandbox).filter(|_| is_known_here && !is_seen_to) else { return Ok(()) };
    if known.info.state != SandboxState::Running || !gateway::is_used(&known.detail.labels) {
        return Ok(());
    }
    match hold::injections_again(daemon, &known).await {
        Some((injections, reach)) => daemon.egress.inject(daemon, sandbox, injections, reach).await,
        None => {
            tracing::warn!(
                sandbox,
                "what its gateway puts on requests cannot be had now; the gateway keeps what it has"
            );
            Ok(())
        }
    }
}
