//! Git in sandboxes: who the person is, their credentials one by one, and their SSH agent where they want it.
//!
//! Neither the person's configuration nor `~/.ssh` is ever mounted. A sandbox has a directory with a configuration of its
//! own ([`prepare`]), a channel on which git inside asks for credentials ([`channel`]), and, when the person says so, a
//! socket that leads to their SSH agent ([`agent`]). Nothing that is answered is kept inside or here.

mod agent;
mod asks;
mod channel;
mod decided;
pub(crate) mod host;
pub(crate) mod prepare;
pub(crate) mod requests;
#[cfg(all(test, unix))]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use boxwood_core::paths::Paths;
use boxwood_protocol::Event;
use boxwood_protocol::sandbox::SandboxState;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use self::asks::Asks;
use self::host::HostGit;
use crate::daemon::{Daemon, Lookup};
use crate::registry::Known;

/// What git in sandboxes needs of this machine.
pub(crate) struct Git {
    host: HostGit,
    /// Socket of the person's SSH agent, whether or not somebody listens there.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the engine has its own way to the agent"))]
    agent: Option<PathBuf>,
    asks: Asks,
}

impl Git {
    pub(crate) fn new(paths: &Paths, lookup: Lookup<'_>) -> Self {
        let agent = lookup("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { host: HostGit::new(&paths.state, lookup("HOME")), agent, asks: Asks::default() }
    }

    /// One that asks another git than the person's.
    #[cfg(all(test, unix))]
    pub(crate) fn with_host(mut self, host: HostGit) -> Self {
        self.host = host;
        self
    }
}

/// One run of a sandbox's container.
type Run = (String, Option<String>);

/// Serves every running sandbox until the daemon leaves.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut changes = daemon.hub.listen();
    let mut served: HashMap<Run, CancellationToken> = HashMap::new();
    loop {
        let running: HashMap<Run, Known> =
            daemon.registry.list().iter().filter_map(|info| run_of(&daemon, &info.id)).collect();
        served.retain(|run, token| {
            let stays = running.contains_key(run);
            if !stays {
                token.cancel();
            }
            stays
        });
        for (run, known) in running {
            served.entry(run).or_insert_with(|| serve(&daemon, known));
        }
        loop {
            let change = tokio::select! {
                () = daemon.leave.cancelled() => return served.into_values().for_each(|token| token.cancel()),
                change = changes.recv() => change,
            };
            match change {
                Ok(Event::SandboxChanged { .. } | Event::SandboxRemoved { .. }) | Err(RecvError::Lagged(_)) => break,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn run_of(daemon: &Daemon, sandbox: &str) -> Option<(Run, Known)> {
    let known = daemon.registry.get(sandbox).filter(|known| known.info.state == SandboxState::Running)?;
    Some(((known.detail.id.clone(), known.detail.started_at.clone()), known))
}

fn serve(daemon: &Arc<Daemon>, known: Known) -> CancellationToken {
    let token = CancellationToken::new();
    if agent::is_mounted(&known.detail) {
        agent::serve(daemon, &known.info.id, &token);
    }
    let (daemon, own) = (Arc::clone(daemon), token.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = own.cancelled() => {}
            () = channel::keep_up(&daemon, &known) => {}
        }
    });
    token
}
