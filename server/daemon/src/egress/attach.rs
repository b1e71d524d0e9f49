//! Keeps up the conversation with a gateway: attaches, and attaches again when the connection breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxwood_core::labels;
use boxwood_engine::ContainerState;
use futures::StreamExt as _;

use super::entry::Entry;
use super::link::{Streams, Wishes, converse};
use crate::daemon::Daemon;
use crate::error::{self, Result};

/// Pauses between attempts that fail one after the other; the first comes at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A conversation that lasted this long counts as one that worked.
const LASTING: Duration = Duration::from_secs(5);

/// Attaches to the standard streams of a gateway's container.
pub(super) async fn attach(daemon: &Daemon, container: &str) -> Result<Streams> {
    #[cfg(test)]
    if let Some(fake) = daemon.egress.fake(container) {
        return Ok(fake.attach());
    }
    let (engine, _) = daemon.link.engine().await?;
    let attached =
        engine.attach(container).await.map_err(|cause| error::engine("attach to the sandbox's gateway", &cause))?;
    Ok(Streams { output: attached.output, input: attached.input })
}

/// Talks to the gateway until the entry ends.
pub(super) async fn keep_up(daemon: Arc<Daemon>, entry: Arc<Entry>, first: Streams, mut wishes: Wishes) {
    tokio::select! {
        () = entry.token.cancelled() => {}
        () = again_and_again(&daemon, &entry, first, &mut wishes) => {}
    }
}

async fn again_and_again(daemon: &Arc<Daemon>, entry: &Arc<Entry>, first: Streams, wishes: &mut Wishes) {
    let mut streams = Some(first);
    let mut pause = Duration::ZERO;
    loop {
        if let Some(streams) = streams.take() {
            let began = Instant::now();
            let end = converse(streams, wishes, |heard| entry.hear(daemon, heard)).await;
            tracing::info!(sandbox = entry.sandbox, end, "the conversation with a gateway ended");
            if began.elapsed() >= LASTING {
                pause = Duration::ZERO;
            }
        }
        wait_until_it_runs(daemon, entry).await;
        tokio::time::sleep(pause).await;
        match attach(daemon, &entry.container).await {
            Ok(attached) => {
                streams = Some(attached);
                entry.set_silence(daemon, None);
                // It may have been started anew, and then knows no policy; and what is true inside may have changed.
                entry.give_again(daemon);
                entry.look.notify_one();
            }
            Err(problem) => {
                tracing::warn!(sandbox = entry.sandbox, %problem, "not attached");
                entry.set_silence(daemon, Some(&problem.to_string()));
            }
        }
        pause = (pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    }
}

/// Waits for the engine's word that the gateway runs.
async fn wait_until_it_runs(daemon: &Arc<Daemon>, entry: &Entry) {
    #[cfg(test)]
    if daemon.egress.fake(&entry.container).is_some() {
        return;
    }
    loop {
        let Ok((engine, _)) = daemon.link.engine().await else {
            entry.set_silence(daemon, Some("the container engine does not answer"));
            daemon.link.sign_of_life().await;
            continue;
        };
        let filter = [labels::equals(labels::SANDBOX, &entry.sandbox), labels::equals(labels::ROLE, "gateway")];
        // Listen before looking, so that a start in between is not missed.
        let events = engine.events(&filter).await;
        let state = engine.inspect_container(&entry.container).await.map(|detail| detail.state);
        match (events, state) {
            (_, Ok(ContainerState::Running)) => return,
            (Ok(mut events), state) => {
                let why = match state {
                    Ok(ContainerState::Paused) => "its gateway is paused",
                    Ok(_) => "its gateway does not run",
                    Err(cause) if cause.is_not_found() => "its gateway is gone",
                    Err(_) => "the container engine does not answer",
                };
                entry.set_silence(daemon, Some(why));
                entry.look.notify_one();
                // Any event is a reason to look, and so is the end of events.
                events.next().await;
            }
            (Err(_), _) => daemon.link.sign_of_life().await,
        }
    }
}
