//! The network of one sandbox: its policy, what its gateway says, what was found from inside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use boxwood_core::egress::{Decided, EgressLayers};
use boxwood_protocol::Event;
use boxwood_protocol::egress::{EgressAsk, EgressPolicy, EgressRule};
use boxwood_protocol::gateway::{Ask, Configure, Injection, Status};
use boxwood_protocol::sandbox::Enforcement;
use tokio_util::sync::CancellationToken;

use super::link::Gateway;
use super::look::{Finding, Place};
use super::remembered;
use super::teller::Teller;
use super::trail::Trail;
use super::{Label, authority, inject, layers};
use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::records::Passing;
use crate::sys;

/// One sandbox's network.
pub(super) struct Entry {
    pub(super) sandbox: String,
    pub(super) project: String,
    /// Id or name of the gateway's container.
    pub(super) container: String,
    pub(super) gateway: Gateway,
    pub(super) daemon: Weak<Daemon>,
    /// The end of everything that goes on for this entry.
    pub(super) token: CancellationToken,
    /// Raised when the network should be looked at again.
    pub(super) look: tokio::sync::Notify,
    /// Policies are enforced one after the other.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

pub(super) struct State {
    /// For the session.
    pub(super) passing: Passing,
    /// Refused for a moment, with the moment's end in milliseconds since 1970.
    pub(super) brief: Vec<(EgressRule, u64)>,
    /// Credentials that the gateway puts on requests; `None` while this daemon was not told of any. Nowhere else than here.
    pub(super) injections: Option<Vec<Injection>>,
    /// What files and flags said when they could last be read.
    layers: Option<EgressLayers>,
    /// The policy that is in force.
    pub(super) policy: Option<EgressPolicy>,
    /// The last policy that was given to the gateway, and whether that is the one in force.
    pub(super) given: Option<Configure>,
    pub(super) is_enforced: bool,
    pub(super) status: Status,
    /// What runs of the gateway before this one counted.
    pub(super) earlier: (u64, u64),
    /// Refused since the last status.
    pub(super) blocked_since: u64,
    pub(super) asks: BTreeMap<String, EgressAsk>,
    pub(super) trail: Trail,
    pub(super) teller: Teller,
    pub(super) is_relabelling: bool,
    pub(super) place: Option<(Place, String)>,
    pub(super) finding: Finding,
    /// Why the conversation is broken, for longer than a moment.
    silence: Option<String>,
    /// Why the newest policy is not in force.
    pub(super) refused: Option<String>,
    /// Why the newest policy is not all that files ask for.
    held_back: Option<String>,
}

impl Entry {
    pub(super) fn new(daemon: &Arc<Daemon>, sandbox: &str, project: &str, container: &str, gateway: Gateway) -> Self {
        let passing = daemon.records.get(sandbox).map(|record| record.egress).unwrap_or_default();
        let state = State {
            passing,
            brief: Vec::new(),
            injections: None,
            layers: None,
            policy: None,
            given: None,
            is_enforced: false,
            status: Status::default(),
            earlier: (0, 0),
            blocked_since: 0,
            asks: BTreeMap::new(),
            trail: Trail::open(&daemon.paths.sandbox(sandbox)),
            teller: Teller::default(),
            is_relabelling: false,
            place: None,
            finding: Finding::Unknown,
            silence: None,
            refused: None,
            held_back: None,
        };
        Self {
            sandbox: sandbox.to_owned(),
            project: project.to_owned(),
            container: container.to_owned(),
            gateway,
            daemon: Arc::downgrade(daemon),
            token: CancellationToken::new(),
            look: tokio::sync::Notify::new(),
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
        }
    }

    /// Ends everything that goes on for this entry; what still waits is no longer heard of.
    pub(super) fn end(&self, daemon: &Daemon) {
        self.token.cancel();
        for ask_id in std::mem::take(&mut self.state().asks).into_keys() {
            daemon.hub.tell(Event::EgressAsked { sandbox_id: self.sandbox.clone(), ask_id });
        }
    }

    /// Goes on counting where an earlier entry of the same sandbox ended. It may be another run of the gateway or the
    /// same one, which then says its own counts again.
    pub(super) fn follow(&self, before: &Self) {
        let before = before.state();
        let mut state = self.state();
        state.earlier = before.earlier;
        state.status = before.status.clone();
        state.blocked_since = before.blocked_since;
        state.brief.clone_from(&before.brief);
        state.injections.clone_from(&before.injections);
        state.layers.clone_from(&before.layers);
        state.finding = before.finding.clone();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the policy out of everything that has a say and sees to it that the gateway enforces it. Nothing is asked of
    /// the gateway when it enforces just that already. When that fails, the policy that is in force stays, and the label
    /// says so.
    pub(super) async fn enforce(&self, daemon: &Daemon) -> Result<()> {
        let _turn = self.turn.lock().await;
        let outcome = self.give(daemon).await;
        self.state().refused =
            outcome.as_ref().err().map(|problem| format!("the newest policy is not in force: {problem}"));
        self.relabel(daemon);
        outcome
    }

    async fn give(&self, daemon: &Daemon) -> Result<()> {
        let began = Instant::now();
        let Some(configure) = self.configure(daemon)? else { return Ok(()) };
        let (revision, rules) = (configure.revision, configure.policy.rules.len());
        {
            let mut state = self.state();
            state.given = Some(configure.clone());
            state.is_enforced = false;
        }
        // The status that answers is taken in where it is heard, in its turn: `take` sees that the policy is in force.
        self.gateway.ask(Ask::Configure(Box::new(configure))).await?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(sandbox = self.sandbox, revision, rules, took_ms, "a policy is in force");
        Ok(())
    }

    /// What the gateway has to be told; `None` when it was told just that.
    fn configure(&self, daemon: &Daemon) -> Result<Option<Configure>> {
        // Reading the policy makes the authority, which may just have been removed with the gateway.
        if self.token.is_cancelled() {
            return Err(error::internal("the conversation with the gateway has ended by now"));
        }
        let record = daemon.records.get(&self.sandbox).unwrap_or_default();
        let request = record.asked();
        let read = layers::read(&daemon.paths, &self.project, &request);
        let rules = remembered::get(&daemon.paths, &self.project).rules;
        let authority = authority::get(&daemon.paths, &self.sandbox)?;
        let now = now_ms();
        let mut state = self.state();
        let layers = match (read, &state.layers) {
            (Ok(read), _) => {
                state.held_back = read.held_back;
                read.layers
            }
            // A file that is being written, or wrong, takes nothing back.
            (Err(problem), Some(before)) => {
                tracing::warn!(sandbox = self.sandbox, %problem, "the policy stays as it was");
                let before = before.clone();
                state.held_back = Some(format!("the policy is as it was before a file became unreadable: {problem}"));
                before
            }
            (Err(problem), None) => return Err(problem),
        };
        state.brief.retain(|(_, until)| *until > now);
        let session = state.brief.iter().map(|(rule, _)| rule).chain(&state.passing.session).cloned().collect();
        let decided = Decided { remembered: rules, session, bypass_until_ms: state.passing.bypass_until_ms };
        let mut policy = layers.policy(&decided).map_err(|cause| layers::invalid(&cause))?;
        inject::add_rules(&mut policy, &record.credentials);
        let mut hosts = layers.hosts();
        inject::add_hosts(&mut hosts, &record.credentials);
        state.layers = Some(layers);
        // Numbers go on growing from one daemon to the next.
        let revision = state.given.as_ref().map_or(0, |given| given.revision + 1).max(now);
        let trusted = daemon.certificates.added_text();
        let injections = state.injections.clone();
        let guards = inject::guards(&record.credentials);
        let next = Configure { revision, policy, authority: Some(authority), trusted, hosts, injections, guards };
        let is_known = state.is_enforced
            && state.given.as_ref().is_some_and(|given| Configure { revision, ..given.clone() } == next);
        Ok((!is_known).then_some(next))
    }

    /// Keeps what is decided for the session, so that the next daemon knows it.
    pub(super) fn keep(&self, daemon: &Daemon) -> Result<()> {
        let Some(mut record) = daemon.records.get(&self.sandbox) else { return Ok(()) };
        record.egress = self.state().passing.clone();
        daemon.records.put(&self.sandbox, record)
    }

    /// Takes note that the gateway cannot be talked to, or can be again.
    pub(super) fn set_silence(&self, daemon: &Daemon, why: Option<&str>) {
        let is_news = {
            let mut state = self.state();
            let before = std::mem::replace(&mut state.silence, why.map(str::to_owned));
            before.as_deref() != why
        };
        if is_news {
            self.relabel(daemon);
        }
    }

    /// Takes note of what was found from inside.
    pub(super) fn set_finding(&self, daemon: &Daemon, finding: Finding) {
        self.state().finding = finding;
        self.relabel(daemon);
    }

    pub(super) fn label(&self) -> Label {
        let state = self.state();
        let (enforcement, found) = match &state.finding {
            // Only for the moment between a start and its check.
            Finding::Unknown => (Enforcement::Off, None),
            Finding::InOrder => (Enforcement::Outside, None),
            Finding::Silent(why) => (Enforcement::Outside, Some(no_network(why))),
            Finding::Leak(what) => (Enforcement::Off, Some(format!("it can reach what it must not: {what}"))),
            Finding::Unchecked(why) => (Enforcement::Off, Some(format!("it cannot be checked from inside: {why}"))),
        };
        let silence = state.silence.as_deref().map(no_network);
        let until = state.passing.bypass_until_ms;
        Label {
            enforcement,
            alarm: match &state.finding {
                Finding::Leak(_) => found,
                _ => silence.or(found).or_else(|| state.refused.clone()).or_else(|| state.held_back.clone()),
            },
            blocked: state.earlier.1 + state.status.blocked + state.blocked_since,
            bypass_until_ms: (until > now_ms()).then_some(until),
        }
    }

    /// Counts of all runs of the gateway: let through, refused, open.
    pub(super) fn counts(&self) -> (u64, u64, u32) {
        let state = self.state();
        let blocked = state.earlier.1 + state.status.blocked + state.blocked_since;
        (state.earlier.0 + state.status.allowed, blocked, state.status.open)
    }

    /// Gives the label to whoever shows it.
    pub(super) fn relabel(&self, daemon: &Daemon) {
        if !self.token.is_cancelled() {
            daemon.registry.relabel(&self.sandbox, self.label());
        }
    }
}

fn no_network(why: &str) -> String {
    format!("it has no network at present: {why}; 'boxwood restart' makes its gateway and its network anew")
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    u64::try_from(sys::now_ms()).unwrap_or_default()
}
