//! What a command that runs here should know of its network: the connections that wait for the person while it runs, and
//! what was refused when it has ended.

use std::pin::pin;
use std::time::Duration;

use boxwood_client::Connection;
use boxwood_protocol::Event;
use boxwood_protocol::config::Network;
use boxwood_protocol::contract::{EgressLog, EgressPolicyOf};
use boxwood_protocol::egress::{EgressAction, EgressAsk, EgressDecision, EgressLogParams};
use boxwood_protocol::event::SubscribeParams;
use boxwood_protocol::params::{AttachTarget, SandboxRef};
use jiff::Timestamp;

use super::words;
use crate::context::program;
use crate::output::Screen;
use crate::output::table::one_line;
use crate::session::Wiring;
use crate::session::notice::{self, Line};
use crate::verbs::Outcome;

/// Set in terminals that the editor opens for Claude; there the editor asks.
const IN_EDITOR: &str = "BOXWOOD_TERMINAL";

/// How long is waited for what was refused last; the command has ended by then.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Refusals that are looked through.
const MOST_REFUSED: u32 = 50;

/// Where questions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verbs) enum Place {
    /// As lines on standard error, beside the command's own; `is_raw` where the command has the terminal.
    Lines { is_raw: bool },
    /// At the bottom of Claude's screen, where a line on standard error would be drawn into it.
    Bottom,
}

impl Place {
    /// For a person's own command.
    pub(in crate::verbs) fn beside(wiring: Wiring) -> Self {
        Self::Lines { is_raw: wiring == Wiring::Terminal }
    }
}

/// Does `work` in the sandbox, and tells meanwhile what waits there and afterwards what was refused.
pub(in crate::verbs) async fn during(
    connection: &Connection,
    target: &AttachTarget,
    place: Place,
    screen: Screen,
    work: impl Future<Output = Outcome>,
) -> Outcome {
    if target.sandbox.network != Network::Gateway {
        return work.await;
    }
    let mut watch = Watch {
        connection,
        target,
        place,
        screen,
        program: program(),
        since_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default(),
        asks: Vec::new(),
        told: Vec::new(),
        refused: Vec::new(),
    };
    let outcome = {
        let mut work = pin!(work);
        tokio::select! {
            outcome = &mut work => outcome,
            // The daemon may leave before the command does.
            () = watch.follow() => work.await,
        }
    };
    watch.conclude(&outcome).await;
    outcome
}

struct Watch<'a> {
    connection: &'a Connection,
    target: &'a AttachTarget,
    place: Place,
    screen: Screen,
    program: String,
    since_ms: u64,
    /// What waits.
    asks: Vec<EgressAsk>,
    /// Questions that were told, by id.
    told: Vec<String>,
    /// What was refused, in order, each host once.
    refused: Vec<EgressDecision>,
}

impl Watch<'_> {
    /// Takes in what happens until the daemon is gone.
    async fn follow(&mut self) {
        let mut events = match self.connection.subscribe(&SubscribeParams::default()).await {
            Ok(events) => events,
            Err(error) => return tracing::debug!(error = error.message, "questions are not shown"),
        };
        let id = self.target.sandbox.id.as_str();
        while let Some(event) = events.next().await {
            match event {
                Event::Snapshot { mut asks, .. } => self.asks = asks.remove(id).unwrap_or_default(),
                Event::EgressAsking { sandbox_id, ask } if sandbox_id == id => {
                    self.asks.retain(|other| other.id != ask.id);
                    self.asks.push(ask);
                }
                Event::EgressAsked { sandbox_id, ask_id } if sandbox_id == id => {
                    self.asks.retain(|ask| ask.id != ask_id);
                }
                Event::EgressDecided { sandbox_id, decision } if sandbox_id == id => {
                    self.take(decision);
                    continue;
                }
                _ => continue,
            }
            self.show().await;
        }
    }

    fn take(&mut self, decision: EgressDecision) {
        let is_about_a_host = decision.action == EgressAction::Deny && decision.host != "*";
        let is_known = self.refused.iter().any(|known| (&known.host, known.port) == (&decision.host, decision.port));
        if is_about_a_host && !is_known && decision.at_ms >= self.since_ms {
            self.refused.push(decision);
        }
    }

    async fn show(&mut self) {
        match self.place {
            Place::Lines { is_raw } => self.show_lines(is_raw),
            Place::Bottom => self.show_at_bottom().await,
        }
        self.told.retain(|id| self.asks.iter().any(|ask| ask.id == *id));
        self.told.extend(
            self.asks.iter().map(|ask| ask.id.clone()).filter(|id| !self.told.contains(id)).collect::<Vec<_>>(),
        );
    }

    fn show_lines(&self, is_raw: bool) {
        for ask in self.asks.iter().filter(|ask| !self.told.contains(&ask.id)) {
            let line = words::question(ask, &self.how_to_answer(), Timestamp::now());
            if is_raw { self.screen.interject(&line) } else { self.screen.note(&line) }
        }
    }

    /// One line for all: it changes when a question is new or over.
    async fn show_at_bottom(&self) {
        let are_same = self.told.len() == self.asks.len() && self.asks.iter().all(|ask| self.told.contains(&ask.id));
        if are_same {
            return;
        }
        let now = Timestamp::now();
        let text = words::questions(&self.asks, &self.how_to_answer());
        let seconds = self.asks.iter().map(|ask| words::seconds_left(ask, now)).max().unwrap_or_default();
        // Nobody may be there to take it away when the question is over.
        let line = text.as_deref().map(|text| Line { text, seconds: seconds + 1 });
        notice::show(self.target, line).await;
    }

    fn how_to_answer(&self) -> String {
        if std::env::var_os(IN_EDITOR).is_some() {
            return "answer in the Egress view".to_owned();
        }
        format!("'{} egress ask {}' in another terminal", self.program, self.target.sandbox.id)
    }

    async fn conclude(&mut self, outcome: &Outcome) {
        let Place::Lines { .. } = self.place else { return };
        // A command that went well is not kept waiting for what may have been said last.
        if !matches!(outcome, Ok(0)) && tokio::time::timeout(LAST_WORDS, self.catch_up()).await.is_err() {
            tracing::debug!("the daemon is too slow to say what was refused");
        }
        if !self.refused.is_empty() {
            self.screen.note(&words::refused(
                &self.refused,
                &self.program,
                &self.target.sandbox.id,
                self.screen.messages,
            ));
        }
    }

    /// Takes in what was refused last: a command can end sooner than it is heard of.
    async fn catch_up(&mut self) {
        let target = SandboxRef { sandbox: Some(self.target.sandbox.id.clone()), ..SandboxRef::default() };
        // For the report the daemon asks the gateway, which first says what it has decided.
        let reported = self.connection.call::<EgressPolicyOf>(&target).await;
        let params = EgressLogParams { target, limit: Some(MOST_REFUSED), blocked: true };
        match (reported, self.connection.call::<EgressLog>(&params).await) {
            (Ok(_), Ok(log)) => log.into_iter().for_each(|decision| self.take(decision)),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(error = one_line(&error.message), "what was refused last is not known");
            }
        }
    }
}
