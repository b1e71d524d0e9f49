//! Connections that wait for the person. Those to the same host and port share one question; an answer, a policy that
//! decides it or the end of patience lets them go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boxwood_core::egress::Host;
use boxwood_protocol::egress::{EgressAction, EgressAsk};
use boxwood_protocol::gateway::Tell;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::flows::Flow;
use crate::state::{Refused, State, Wanted, lock, now_ms};

/// Connections that wait at a time.
const WAITING: u32 = 256;
/// How long after a refusal the same is refused without asking again.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// Refusals that are remembered.
const REFUSALS: usize = 1024;

type Key = (Host, u16);

struct Question {
    ask: EgressAsk,
    answer: watch::Sender<Option<EgressAction>>,
}

#[derive(Default)]
struct Inner {
    questions: HashMap<Key, Question>,
    waiting: u32,
    next: u64,
    refused: HashMap<Key, Instant>,
}

/// What waits, and what was refused a moment ago.
#[derive(Default)]
pub struct Asks(Mutex<Inner>);

impl Asks {
    /// What waits.
    #[must_use]
    pub fn list(&self) -> Vec<EgressAsk> {
        let mut list: Vec<_> = lock(&self.0).questions.values().map(|question| question.ask.clone()).collect();
        list.sort_by(|a, b| a.until_ms.cmp(&b.until_ms).then_with(|| a.id.cmp(&b.id)));
        list
    }

    /// Whether the person refused this a moment ago.
    #[must_use]
    pub fn is_denied(&self, host: &Host, port: u16) -> bool {
        let mut inner = lock(&self.0);
        if inner.refused.is_empty() {
            return false;
        }
        let now = Instant::now();
        inner.refused.retain(|_, until| *until > now);
        inner.refused.contains_key(&(host.clone(), port))
    }

    /// Answers a question; false when there is none with this id.
    #[must_use]
    pub fn answer(&self, id: &str, action: EgressAction) -> bool {
        let mut inner = lock(&self.0);
        let Some(key) = inner.questions.iter().find(|(_, question)| question.ask.id == id).map(|(key, _)| key.clone())
        else {
            return false;
        };
        if let Some(question) = inner.questions.get(&key) {
            question.answer.send_replace(Some(action));
        }
        if action == EgressAction::Deny {
            if inner.refused.len() >= REFUSALS {
                inner.refused.clear();
            }
            inner.refused.insert(key, Instant::now() + REFUSED_FOR);
        }
        true
    }
}

/// A connection that waits; its place is free when this is dropped.
struct Waiter {
    state: Arc<State>,
    key: Key,
    id: String,
    answer: watch::Receiver<Option<EgressAction>>,
}

impl Waiter {
    fn join(state: &Arc<State>, key: Key, patience: Duration) -> Option<Self> {
        let mut inner = lock(&state.asks.0);
        if inner.waiting >= WAITING {
            return None;
        }
        inner.waiting += 1;
        // A question that has been answered is not joined: the answer was for those that waited then.
        let is_open = inner.questions.get(&key).is_some_and(|question| question.answer.borrow().is_none());
        if !is_open {
            inner.next += 1;
            let ask = EgressAsk {
                id: format!("ask-{}", inner.next),
                host: key.0.to_string(),
                port: key.1,
                waiting: 0,
                until_ms: 0,
            };
            let old = inner.questions.insert(key.clone(), Question { ask, answer: watch::Sender::new(None) });
            if let Some(old) = old {
                state.outbox.tell(Tell::Asked { id: old.ask.id });
            }
        }
        let question = inner.questions.get_mut(&key)?;
        question.ask.waiting += 1;
        question.ask.until_ms = now_ms() + u64::try_from(patience.as_millis()).unwrap_or_default();
        state.outbox.tell(Tell::Asking(question.ask.clone()));
        let (id, answer) = (question.ask.id.clone(), question.answer.subscribe());
        drop(inner);
        Some(Self { state: Arc::clone(state), key, id, answer })
    }

    async fn answered(&mut self) -> EgressAction {
        match self.answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.unwrap_or(EgressAction::Deny),
            // Another question took this one's place, which happens only after its answer.
            Err(_) => EgressAction::Deny,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut inner = lock(&self.state.asks.0);
        inner.waiting -= 1;
        let Some(question) = inner.questions.get_mut(&self.key) else { return };
        if question.ask.id != self.id {
            return;
        }
        question.ask.waiting -= 1;
        if question.ask.waiting == 0 {
            inner.questions.remove(&self.key);
            self.state.outbox.tell(Tell::Asked { id: std::mem::take(&mut self.id) });
        }
    }
}

/// Waits until it is known what becomes of something that the policy asks about.
///
/// # Errors
/// When it is refused.
pub(crate) async fn wait(state: &Arc<State>, wanted: &Wanted<'_>) -> Result<Flow, Refused> {
    let mut changes = state.changes();
    let hold = state.in_force().map_or(0, |in_force| in_force.policy.policy().hold_seconds);
    let patience = Duration::from_secs(hold.into());
    let Some(mut waiter) = Waiter::join(state, (wanted.host.clone(), wanted.port), patience) else {
        return Err(state.refuse(wanted, "too-many-waiting"));
    };
    let mut given_up = GivenUp { state, wanted, is_over: false };
    let deadline = Instant::now() + patience;
    let result = loop {
        let answer = tokio::select! {
            answer = waiter.answered() => Some(answer),
            changed = changes.changed() => match changed {
                Ok(()) => None,
                Err(_) => break Err(state.refuse(wanted, "no-policy")),
            },
            () = tokio::time::sleep_until(deadline) => break Err(state.refuse(wanted, "timeout")),
        };
        if let Some(result) = state.attempt(wanted, answer) {
            break result;
        }
    };
    given_up.is_over = true;
    result
}

/// Logs a connection whose client did not wait for the answer.
struct GivenUp<'a, 'b> {
    state: &'a State,
    wanted: &'a Wanted<'b>,
    is_over: bool,
}

impl Drop for GivenUp<'_, '_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.state.refuse(self.wanted, "given-up");
        }
    }
}
