//! Hands events to whoever listens.

use boxwood_protocol::Event;
use tokio::sync::broadcast;

/// Events kept for a slow listener; one that falls further behind gets a new snapshot instead.
const BACKLOG: usize = 1024;

/// Where events are told and heard.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    sender: broadcast::Sender<Event>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0 }
    }

    /// Tells everybody; nobody listening is fine.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.sender.send(event);
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}
