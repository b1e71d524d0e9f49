//! What is to be told to the daemon, until it is written. Nothing that carries bytes waits for the daemon: there is room
//! for so much, and what does not fit any more is the oldest news. It stays in [`crate::log::Log`] for whoever asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use boxwood_protocol::egress::EgressDecision;
use boxwood_protocol::gateway::Tell;
use tokio::sync::Notify;

use crate::state::lock;

/// News of decisions that wait to be written.
const ROOM: usize = 256;

#[derive(Default)]
struct Waiting {
    lines: VecDeque<String>,
    first: Option<Tell>,
    /// The last news of each question: an earlier one says nothing any more.
    asks: BTreeMap<String, Tell>,
    decisions: VecDeque<EgressDecision>,
    /// Servers that refused credentials: one that did so again says nothing more.
    refusals: BTreeSet<(String, u16)>,
}

/// What is to be told.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    added: Notify,
    taken: Notify,
}

/// What is to be written next.
#[derive(Debug)]
pub enum Out {
    /// An answer, as a line without its end.
    Line(String),
    /// News.
    Tell(Tell),
}

impl Outbox {
    /// Adds news.
    pub fn tell(&self, tell: Tell) {
        let mut waiting = lock(&self.waiting);
        match tell {
            Tell::Ready(_) => waiting.first = Some(tell),
            Tell::Decided(decision) => {
                // The same again says more, and nothing is lost by its coming later.
                waiting.decisions.retain(|other| other.serial != decision.serial);
                if waiting.decisions.len() == ROOM {
                    waiting.decisions.pop_front();
                }
                waiting.decisions.push_back(decision);
            }
            Tell::Asking(ref ask) => {
                waiting.asks.insert(ask.id.clone(), tell);
            }
            Tell::Refused { ref host, port } => {
                waiting.refusals.insert((host.clone(), port));
            }
            Tell::Asked { ref id } => {
                // Those that were never told of come and go unnoticed when nobody reads for long.
                if waiting.asks.len() < ROOM || waiting.asks.contains_key(id) {
                    waiting.asks.insert(id.clone(), tell);
                }
            }
        }
        drop(waiting);
        self.added.notify_one();
    }

    /// Adds an answer, when the one before has been taken: whoever asks without reading is not read from.
    pub async fn answer(&self, line: String) {
        loop {
            {
                let mut waiting = lock(&self.waiting);
                if waiting.lines.is_empty() {
                    waiting.lines.push_back(line);
                    break;
                }
            }
            self.taken.notified().await;
        }
        self.added.notify_one();
    }

    /// Waits for something to be written.
    pub async fn next(&self) -> Out {
        loop {
            if let Some(out) = self.take() {
                return out;
            }
            self.added.notified().await;
        }
    }

    fn take(&self) -> Option<Out> {
        let mut waiting = lock(&self.waiting);
        if let Some(line) = waiting.lines.pop_front() {
            self.taken.notify_one();
            return Some(Out::Line(line));
        }
        if let Some(tell) = waiting.first.take() {
            return Some(Out::Tell(tell));
        }
        if let Some((_, tell)) = waiting.asks.pop_first() {
            return Some(Out::Tell(tell));
        }
        if let Some((host, port)) = waiting.refusals.pop_first() {
            return Some(Out::Tell(Tell::Refused { host, port }));
        }
        waiting.decisions.pop_front().map(|decision| Out::Tell(Tell::Decided(decision)))
    }
}
