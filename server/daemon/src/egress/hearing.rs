//! What a gateway says, taken in: how it is, what it decided, what waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxwood_protocol::Event;
use boxwood_protocol::egress::{EgressAction, EgressDecision};
use boxwood_protocol::gateway::{Status, Tell};

use super::entry::Entry;
use super::link::Heard;
use super::teller::Turn;
use super::trail::News;
use crate::daemon::Daemon;
use crate::provisioning::refused;

/// Counts are told to clients this much later, together with others that come meanwhile.
const COUNTED: Duration = Duration::from_millis(250);

impl Entry {
    /// Takes in how the gateway was when it said so. Statuses and news are taken in as they come, one after the other: a
    /// status that were taken in later would undo what was told since. True when the gateway has another policy than it
    /// was given, as after a restart.
    fn take(&self, daemon: &Daemon, mut status: Status) -> bool {
        let recent = std::mem::take(&mut status.recent);
        let mut state = self.state();
        if state.status.run != status.run {
            let (allowed, blocked) = state.earlier;
            state.earlier = (allowed + state.status.allowed, blocked + state.status.blocked);
        }
        state.blocked_since = 0;
        let asks: BTreeMap<_, _> = status.asks.iter().map(|ask| (ask.id.clone(), ask.clone())).collect();
        let before = std::mem::replace(&mut state.asks, asks.clone());
        for ask in asks.values().filter(|ask| before.get(&ask.id) != Some(ask)) {
            daemon.hub.tell(Event::EgressAsking { sandbox_id: self.sandbox.clone(), ask: ask.clone() });
        }
        for id in before.into_keys().filter(|id| !asks.contains_key(id)) {
            daemon.hub.tell(Event::EgressAsked { sandbox_id: self.sandbox.clone(), ask_id: id });
        }
        let mut missed = Vec::new();
        for decision in recent {
            match state.trail.news(&decision) {
                News::All => missed.push(decision),
                // What was blocked is in the counts of the status already.
                News::Figures { .. } => state.trail.add(decision),
                News::Nothing => {}
            }
        }
        let given = state.given.as_ref().map(|given| given.revision);
        let (is_enforced, is_other) = (given == Some(status.revision), given.is_some_and(|it| it != status.revision));
        if is_enforced && !state.is_enforced {
            state.policy = state.given.as_ref().map(|given| given.policy.clone());
            state.refused = None;
        }
        state.is_enforced = is_enforced;
        state.status = status;
        drop(state);
        for decision in missed {
            self.log(daemon, decision);
        }
        self.relabel(daemon);
        is_other
    }

    /// Takes in what the gateway says, in the order in which it does.
    pub(super) fn hear(self: &Arc<Self>, daemon: &Arc<Daemon>, heard: Heard) {
        match heard {
            // A policy that was given after the question is told by its own answer.
            Heard::Status(status) => drop(self.take(daemon, status)),
            Heard::Tell(tell) => self.hear_news(daemon, tell),
        }
    }

    fn hear_news(self: &Arc<Self>, daemon: &Arc<Daemon>, tell: Tell) {
        let sandbox_id = self.sandbox.clone();
        match tell {
            Tell::Ready(status) => {
                if self.take(daemon, status) {
                    self.give_again(daemon);
                }
            }
            Tell::Decided(decision) => self.on_decision(daemon, decision),
            Tell::Asking(ask) => {
                self.state().asks.insert(ask.id.clone(), ask.clone());
                daemon.hub.tell(Event::EgressAsking { sandbox_id, ask });
            }
            Tell::Refused { host, port } => {
                tracing::info!(
                    sandbox = sandbox_id,
                    host,
                    port,
                    "a server refused a request that it should have our credentials on"
                );
                refused::again(daemon, &sandbox_id);
            }
            Tell::Asked { id } => {
                self.state().asks.remove(&id);
                daemon.hub.tell(Event::EgressAsked { sandbox_id, ask_id: id });
            }
        }
    }

    /// Gives the gateway its policy although it was given before: it has another one, or none.
    pub(super) fn give_again(self: &Arc<Self>, daemon: &Arc<Daemon>) {
        self.state().is_enforced = false;
        let (entry, daemon) = (Arc::clone(self), Arc::clone(daemon));
        tokio::spawn(async move {
            if let Err(problem) = entry.enforce(&daemon).await {
                tracing::warn!(sandbox = entry.sandbox, %problem, "the gateway could not be given its policy");
            }
        });
    }

    fn on_decision(self: &Arc<Self>, daemon: &Arc<Daemon>, decision: EgressDecision) {
        let news = self.state().trail.news(&decision);
        let count = match news {
            News::All => decision.count,
            News::Figures { count } => count,
            News::Nothing => return,
        };
        if decision.action == EgressAction::Deny && count > 0 {
            let mut state = self.state();
            state.blocked_since += u64::from(count);
            if !std::mem::replace(&mut state.is_relabelling, true) {
                let (entry, daemon) = (Arc::clone(self), Arc::clone(daemon));
                tokio::spawn(async move {
                    tokio::time::sleep(COUNTED).await;
                    entry.state().is_relabelling = false;
                    entry.relabel(&daemon);
                });
            }
        }
        self.state().trail.add(decision.clone());
        // Who was told of the connection is not told that it ended.
        if news != News::All {
            return;
        }
        let turn = self.state().teller.add(decision, Instant::now());
        match turn {
            Turn::Now(decision) => self.tell(daemon, decision),
            Turn::Later(pause) => self.tell_later(daemon, pause),
            Turn::Waits => {}
        }
    }

    fn tell_later(self: &Arc<Self>, daemon: &Arc<Daemon>, mut pause: Duration) {
        let (entry, daemon) = (Arc::clone(self), Arc::clone(daemon));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let (told, again) = entry.state().teller.due(Instant::now());
                for decision in told {
                    entry.tell(&daemon, decision);
                }
                match again {
                    Some(next) => pause = next,
                    None => return,
                }
            }
        });
    }

    fn tell(&self, daemon: &Daemon, decision: EgressDecision) {
        daemon.hub.tell(Event::EgressDecided { sandbox_id: self.sandbox.clone(), decision });
    }

    /// Logs and tells a decision that is not one of a flood.
    pub(super) fn log(&self, daemon: &Daemon, decision: EgressDecision) {
        self.state().trail.add(decision.clone());
        self.tell(daemon, decision);
    }
}
