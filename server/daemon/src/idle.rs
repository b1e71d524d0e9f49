//! When the daemon leaves by itself.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::Daemon;

/// How long the daemon stays with nothing to do, unless `BOXWOOD_IDLE_SECONDS` says otherwise.
const IDLE: Duration = Duration::from_secs(600);

/// Leaves after a while without clients, running sandboxes and operations. Wakes only when one of them changes.
pub(crate) async fn leave_when_idle(daemon: Arc<Daemon>) {
    let limit =
        std::env::var("BOXWOOD_IDLE_SECONDS").ok().and_then(|text| text.parse().ok()).map_or(IDLE, Duration::from_secs);
    let mut clients = daemon.clients.subscribe();
    let mut running = daemon.registry.running();
    let mut operations = daemon.operations.activity();
    loop {
        let is_idle =
            *clients.borrow_and_update() == 0 && *running.borrow_and_update() == 0 && daemon.operations.running() == 0;
        operations.borrow_and_update();
        let change = async {
            tokio::select! {
                _ = clients.changed() => {}
                _ = running.changed() => {}
                _ = operations.changed() => {}
            }
        };
        if is_idle {
            daemon.operations.metrics().save();
            if tokio::time::timeout(limit, change).await.is_err() {
                tracing::info!("idle");
                daemon.leave.cancel();
                return;
            }
        } else {
            change.await;
        }
    }
}

/// Leaves when the system asks: operations are cancelled and undone first.
pub(crate) async fn leave_on_signal(daemon: Arc<Daemon>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            return;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    tracing::info!("asked to leave by a signal");
    daemon.operations.cancel_all();
    daemon.operations.all_ended().await;
    daemon.leave.cancel();
}
