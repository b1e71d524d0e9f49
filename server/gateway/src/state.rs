//! What all connections share: the policy in force, what is open, what waits, what was decided.
//!
//! The program has one thread, so a lock is never waited for; it is held for a few statements and never across an await.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use boxwood_core::egress::{Compiled, Host, Query, Requests, RuleError, is_private};
use boxwood_protocol::egress::{EgressAction, EgressLayer, EgressVia};
use boxwood_protocol::gateway::{Configure, HostEntry, Status, Tell};
use tokio::sync::watch;

use crate::addresses::{Addresses, Subnet};
use crate::flows::{Client, Flow, Flows};
use crate::hold::{self, Asks};
use crate::inject::{Injection, InjectionError, Injections, UNSEEN};
use crate::limits::{Bucket, Pace};
use crate::log::{Entry, Log};
use crate::outbox::Outbox;
use crate::outside::Outside;
use crate::reasons::explain;
use crate::trust::{Trust, TrustError};

/// Where the gateway stands, from its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The sandbox's network.
    pub subnet: Subnet,
    /// The gateway's main address in it.
    pub address: Ipv4Addr,
    /// Where the kernel sends connections to other addresses, when it was told to. Only at the main address.
    pub redirected: Option<u16>,
}

/// Why a policy cannot be enforced. The one before stays.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// A rule cannot be read.
    #[error("the policy has a rule that cannot be used: {0}")]
    Rule(#[from] RuleError),
    /// An authority cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Credentials cannot be put on requests.
    #[error(transparent)]
    Injection(#[from] InjectionError),
}

/// A policy with what belongs to it.
#[derive(Debug)]
pub struct InForce {
    /// Its number.
    pub revision: u64,
    /// The policy.
    pub policy: Compiled,
    /// Names whose addresses are given.
    pub hosts: Vec<(Host, IpAddr)>,
    /// Who is trusted, and by whose name certificates are made.
    pub trust: Arc<Trust>,
    /// What is put on requests.
    pub injections: Injections,
}

impl InForce {
    /// The given address of a name.
    #[must_use]
    pub fn address_of(&self, host: &Host) -> Option<IpAddr> {
        self.hosts.iter().find(|(name, _)| name == host).map(|(_, address)| *address)
    }

    /// What becomes of the headers of requests to a server.
    #[must_use]
    pub fn injection(&self, host: &Host, port: u16) -> Option<&Arc<Injection>> {
        self.injections.find(host, port, || self.address_of(host))
    }

    /// Whether TLS to a server must be opened: its requests are judged, or have something put on them.
    #[must_use]
    pub fn opens_tls(&self, host: &Host, port: u16) -> bool {
        self.policy.opens_tls(host, port, now_ms()) || self.injection(host, port).is_some()
    }
}

/// What somebody wants to reach, and how it became known.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The host.
    pub host: &'a Host,
    /// The port.
    pub port: u16,
    /// How it was named.
    pub via: EgressVia,
    /// What is known of requests.
    pub requests: Requests<'a>,
    /// The connection that wants it.
    pub client: &'a Client,
    /// Whether letting it pass is logged and counted.
    pub count: Count,
}

/// How something that passes is logged and counted. What is refused always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As a decision of its own.
    New,
    /// It was already, under this number.
    As(u64),
    /// Not: each request will be.
    Requests,
}

/// Why something was refused, for the one who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was asked for, `host:port`.
    pub what: String,
    /// The rule, the layer or the reason in plain words, for example `refused: no rule names it`.
    pub why: String,
    /// The reason as a word, when no rule refused it.
    pub reason: Option<&'static str>,
}

#[derive(Default)]
struct Counters {
    allowed: u64,
    blocked: u64,
    hits: Vec<u64>,
}

/// What all connections share.
pub struct State {
    /// Where the gateway stands.
    pub place: Place,
    /// Names and their own addresses.
    pub addresses: Addresses,
    /// Sockets and names on the other side.
    pub outside: Arc<dyn Outside>,
    /// What is to be told.
    pub outbox: Outbox,
    /// What is open.
    pub flows: Arc<Flows>,
    /// What waits for the person.
    pub asks: Asks,
    /// What was decided.
    pub log: Log,
    /// How fast connections may come.
    pub arrivals: Bucket,
    /// How fast bytes may leave.
    pub pace: Pace,
    /// Where connections to each port are accepted.
    pub listening: Mutex<std::collections::BTreeMap<u16, SocketAddr>>,
    /// Grows when listeners have followed a policy.
    pub listens: watch::Sender<u64>,
    in_force: watch::Sender<Option<Arc<InForce>>>,
    counters: Mutex<Counters>,
    run: u64,
}

/// Nothing is left half done by a panic: each lock is held for single statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl State {
    /// A gateway without a policy: it refuses everything.
    #[must_use]
    pub fn new(place: Place, outside: Arc<dyn Outside>) -> Arc<Self> {
        Arc::new(Self {
            place,
            addresses: Addresses::new(place.subnet),
            outside,
            outbox: Outbox::default(),
            flows: Arc::default(),
            asks: Asks::default(),
            log: Log::default(),
            arrivals: Bucket::default(),
            pace: Pace::default(),
            listening: Mutex::default(),
            listens: watch::Sender::new(0),
            in_force: watch::Sender::new(None),
            counters: Mutex::default(),
            // Two runs do not start in the same millisecond.
            run: now_ms(),
        })
    }

    /// The policy in force.
    #[must_use]
    pub fn in_force(&self) -> Option<Arc<InForce>> {
        self.in_force.borrow().clone()
    }

    /// What becomes of the headers of requests to a server.
    #[must_use]
    pub fn injection(&self, host: &Host, port: u16) -> Option<Arc<Injection>> {
        self.in_force.borrow().as_ref()?.injection(host, port).cloned()
    }

    /// Wakes whenever another policy is in force.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Arc<InForce>>> {
        self.in_force.subscribe()
    }

    /// Puts a policy in force. When it returns, no flow is open that the policy does not allow.
    ///
    /// # Errors
    /// When it cannot be used; the one before stays in force.
    pub fn configure(&self, configure: &Configure) -> Result<(), ConfigureError> {
        let policy = Compiled::new(&configure.policy)?;
        let before = self.in_force();
        let trust = match before.as_ref().filter(|before| before.trust.is_of(configure)) {
            Some(before) => Arc::clone(&before.trust),
            None => Arc::new(Trust::new(configure)?),
        };
        let injections = match &configure.injections {
            Some(list) => Injections::read(list)?,
            None => before.as_ref().map(|before| before.injections.clone()).unwrap_or_default(),
        };
        let injections = injections.guarded_by(Injections::read(&configure.guards)?);
        self.keep_hits(before.as_deref(), &policy);
        let limits = policy.policy();
        self.arrivals.set_rate(limits.connections_per_second);
        self.pace.set_rate(limits.upload_bytes_per_second);
        let hosts =
            configure.hosts.iter().filter_map(|HostEntry { name, address }| Some((Host::parse(name).ok()?, *address)));
        let (revision, hosts) = (configure.revision, hosts.collect());
        self.in_force.send_replace(Some(Arc::new(InForce { revision, policy, hosts, trust, injections })));
        self.judge_again();
        Ok(())
    }

    /// Rules keep their counts wherever they now stand.
    fn keep_hits(&self, before: Option<&InForce>, policy: &Compiled) {
        let mut counters = lock(&self.counters);
        let old = before.map_or(&[][..], |before| &before.policy.policy().rules);
        let mut known = std::collections::HashMap::new();
        for (placed, hits) in old.iter().zip(&counters.hits) {
            known.insert((placed.layer, &placed.preset, &placed.rule), *hits);
        }
        let rules = policy.policy().rules.iter();
        counters.hits = rules
            .map(|placed| known.get(&(placed.layer, &placed.preset, &placed.rule)).copied().unwrap_or_default())
            .collect();
    }

    /// Cuts every flow that the policy no longer allows.
    pub fn judge_again(&self) {
        let Some(in_force) = self.in_force() else { return };
        for entry in self.flows.all() {
            let judged = in_force.policy.judge(&entry.query(now_ms()));
            let is_allowed = match judged.action {
                EgressAction::Allow => true,
                EgressAction::Ask => entry.is_granted,
                EgressAction::Deny => false,
            };
            let leads_private = entry.address().is_some_and(is_private);
            // Its requests passed unseen so far, and with them what the agent has of its own.
            let is_unseen = entry.is_unseen() && in_force.injection(&entry.host, entry.port).is_some();
            if is_allowed && !is_unseen && (judged.private || !leads_private) {
                continue;
            }
            entry.token().cancel();
            let mut decision = Entry::of(&entry.host, entry.port, entry.via, EgressAction::Deny, &judged);
            decision.rule = in_force.policy.rule_text(&judged);
            decision.reason = Some(if is_unseen { UNSEEN } else { "revoked" });
            self.record(decision, None);
        }
    }

    /// The verdict on something, which waits for the person when it must. A flow that is returned is allowed by the policy
    /// that is in force at that moment, and is cut when it no longer is.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn judge(self: &Arc<Self>, wanted: &Wanted<'_>) -> Result<Flow, Refused> {
        match self.attempt(wanted, None) {
            Some(result) => result,
            None => hold::wait(self, wanted).await,
        }
    }

    /// The verdict now; `None` when the person must be asked. `answer` is what the person said to exactly this.
    pub(crate) fn attempt(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        answer: Option<EgressAction>,
    ) -> Option<Result<Flow, Refused>> {
        let Some(in_force) = self.in_force() else { return Some(Err(self.refuse(wanted, "no-policy"))) };
        let injection = in_force.injection(wanted.host, wanted.port);
        if let Some(reason) = injection.and_then(|injection| injection.objection(wanted)) {
            return Some(Err(self.refuse(wanted, reason)));
        }
        let query = Query { host: wanted.host, port: wanted.port, requests: wanted.requests, now_ms: now_ms() };
        let judged = in_force.policy.judge(&query);
        let is_asked = judged.action == EgressAction::Ask;
        let is_granted =
            is_asked && (answer == Some(EgressAction::Allow) || wanted.client.is_granted(wanted.host, wanted.port));
        let is_denied =
            is_asked && (answer == Some(EgressAction::Deny) || self.asks.is_denied(wanted.host, wanted.port));
        let action = match judged.action {
            EgressAction::Ask if is_granted => EgressAction::Allow,
            EgressAction::Ask if is_denied => EgressAction::Deny,
            EgressAction::Ask => return None,
            action => action,
        };
        if is_granted {
            wanted.client.grant(wanted.host, wanted.port);
        }
        let mut entry = Entry::of(wanted.host, wanted.port, wanted.via, action, &judged).with_request(wanted.requests);
        entry.rule = in_force.policy.rule_text(&judged);
        if is_asked {
            entry.layer = EgressLayer::Session;
            entry.reason = (action == EgressAction::Deny).then_some("answered");
        }
        if action == EgressAction::Deny {
            let why = match (entry.reason, &entry.rule) {
                (Some("answered"), _) => "refused: the person who was asked said no".to_owned(),
                _ => in_force.policy.explain(&judged),
            };
            let reason = entry.reason;
            self.record(entry, judged.rule);
            return Some(Err(Refused { what: what(wanted), why, reason }));
        }
        let serial = match wanted.count {
            Count::New => self.record(entry, judged.rule),
            Count::As(serial) => Some(serial),
            Count::Requests => None,
        };
        Some(Ok(Flow::open(self, wanted, judged, is_granted, serial)))
    }

    /// Refuses something for a reason of its own, and logs it.
    pub fn refuse(&self, wanted: &Wanted<'_>, reason: &'static str) -> Refused {
        let layer = EgressLayer::BuiltIn;
        let mut entry = Entry::new(&wanted.host.to_string(), wanted.port, wanted.via, EgressAction::Deny, layer);
        entry.reason = Some(reason);
        self.record(entry.with_request(wanted.requests), None);
        Refused { what: what(wanted), why: explain(reason).to_owned(), reason: Some(reason) }
    }

    /// Refuses what has no host that could be read. `text` may be anything.
    pub fn refuse_text(&self, text: &str, port: u16, via: EgressVia, reason: &'static str) -> Refused {
        let mut entry = Entry::new(text, port, via, EgressAction::Deny, EgressLayer::BuiltIn);
        entry.reason = Some(reason);
        let what = format!("{}:{port}", entry.host);
        self.record(entry, None);
        Refused { what, why: explain(reason).to_owned(), reason: Some(reason) }
    }

    /// Logs a decision and counts it, also for the rule that decided. So what is counted as allowed and as blocked is what
    /// all decisions that are told stand for together.
    pub fn record(&self, entry: Entry, rule: Option<usize>) -> Option<u64> {
        let action = entry.action;
        let serial = self.log.add(entry, &self.outbox, Instant::now())?;
        let mut counters = lock(&self.counters);
        match action {
            EgressAction::Allow => counters.allowed += 1,
            EgressAction::Ask | EgressAction::Deny => counters.blocked += 1,
        }
        if let Some(hits) = rule.and_then(|rule| counters.hits.get_mut(rule)) {
            *hits += 1;
        }
        Some(serial)
    }

    /// How the gateway is.
    #[must_use]
    pub fn status(&self) -> Status {
        let counters = lock(&self.counters);
        let hits = counters.hits.iter().copied().enumerate().filter(|(_, hits)| *hits > 0).collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.run,
            revision: self.in_force.borrow().as_ref().map_or(0, |in_force| in_force.revision),
            open: u32::try_from(self.flows.connections()).unwrap_or(u32::MAX),
            allowed: counters.allowed,
            blocked: counters.blocked,
            hits,
            asks: self.asks.list(),
            recent: self.log.recent(),
        }
    }

    /// Tells that the gateway is there.
    pub fn tell_ready(&self) {
        self.outbox.tell(Tell::Ready(self.status()));
    }
}

fn what(wanted: &Wanted<'_>) -> String {
    format!("{}:{}", wanted.host, wanted.port)
}
