//! Decisions: the last ones, and which of them are told. The first of its kind is told at once; the same again within a
//! second only raises the count of one that is told when the second is over. When connections end, what let them pass is
//! told again under its number, with the bytes they moved or why they did not get there.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use boxwood_core::egress::{Host, Judged, Requests};
use boxwood_protocol::egress::{EgressAction, EgressDecision, EgressLayer, EgressVia};
use boxwood_protocol::gateway::Tell;
use tokio::sync::Notify;

use crate::outbox::Outbox;
use crate::state::{lock, now_ms};

/// Decisions that are kept.
const KEPT: usize = 256;
/// How long the same again is only counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Kinds that are counted at a time. A sandbox that asks for more in a second is not worth its own lines.
const KINDS: usize = 512;
/// Longest text of a host or request that is kept.
const LONGEST: usize = 256;

/// A decision that was taken just now.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The host, cleaned.
    pub host: String,
    /// The port; 0 for a question for an address.
    pub port: u16,
    /// How it was asked for.
    pub via: EgressVia,
    /// What became of it.
    pub action: EgressAction,
    /// Which layer decided.
    pub layer: EgressLayer,
    /// The rule, as text.
    pub rule: Option<String>,
    /// Why it was refused, when not by a rule.
    pub reason: Option<&'static str>,
    /// Method and path.
    pub request: Option<String>,
}

impl Entry {
    /// A decision about a host that may be any text.
    #[must_use]
    pub fn new(host: &str, port: u16, via: EgressVia, action: EgressAction, layer: EgressLayer) -> Self {
        Self { host: clean(host), port, via, action, layer, rule: None, reason: None, request: None }
    }

    /// A decision that is a verdict.
    #[must_use]
    pub fn of(host: &Host, port: u16, via: EgressVia, action: EgressAction, judged: &Judged) -> Self {
        Self { reason: judged.reason, ..Self::new(&host.to_string(), port, via, action, judged.layer) }
    }

    /// With the request, without its query: keys and addresses stand there.
    #[must_use]
    pub fn with_request(mut self, requests: Requests<'_>) -> Self {
        if let Requests::This { method, path } = requests {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            self.request = Some(clean(&format!("{method} {path}")));
        }
        self
    }
}

/// Text that is safe to print anywhere.
fn clean(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '\u{fffd}' };
    text.chars().take(LONGEST).map(safe).collect()
}

#[derive(PartialEq, Eq, Hash)]
struct Kind {
    host: String,
    port: u16,
    via: EgressVia,
    action: EgressAction,
}

struct Window {
    until: Instant,
    /// The decision that counts the same again, when there was one.
    counting: Option<EgressDecision>,
}

#[derive(Default)]
struct Inner {
    serial: u64,
    recent: VecDeque<EgressDecision>,
    windows: HashMap<Kind, Window>,
    /// Decisions whose connections have ended, and when they are told again.
    moved: BTreeSet<u64>,
    moved_at: Option<Instant>,
}

/// The decisions of this run.
#[derive(Default)]
pub struct Log {
    inner: Mutex<Inner>,
    opened: Notify,
}

impl Log {
    /// Adds a decision and returns its number; `None` when it is no decision of its own: the same name asked for again
    /// within a second is the same question, for the other kind of address or because an answer got lost.
    pub fn add(&self, entry: Entry, outbox: &Outbox, now: Instant) -> Option<u64> {
        let mut inner = lock(&self.inner);
        let kind = Kind { host: entry.host.clone(), port: entry.port, via: entry.via, action: entry.action };
        if inner.windows.len() >= KINDS && !inner.windows.contains_key(&kind) {
            inner.close(now, outbox);
        }
        let is_full = inner.windows.len() >= KINDS;
        let Inner { serial, recent, windows, .. } = &mut *inner;
        match windows.get_mut(&kind) {
            Some(window) if window.until > now && entry.via == EgressVia::Dns => return None,
            Some(window) if window.until > now => {
                if let Some(counting) = &mut window.counting {
                    counting.count += 1;
                    if counting.action == EgressAction::Allow {
                        // What became of one of several is not what became of all.
                        counting.reason = None;
                    }
                    let number = counting.serial;
                    if let Some(kept) = recent.iter_mut().rev().find(|kept| kept.serial == number) {
                        kept.count = counting.count;
                        kept.reason.clone_from(&counting.reason);
                    }
                    return Some(number);
                }
                *serial += 1;
                let decision = decision(entry, *serial);
                keep(recent, decision.clone());
                window.counting = Some(decision);
            }
            found => {
                if let Some(counting) = found.and_then(|window| window.counting.take()) {
                    outbox.tell(Tell::Decided(counting));
                }
                *serial += 1;
                let decision = decision(entry, *serial);
                keep(recent, decision.clone());
                outbox.tell(Tell::Decided(decision));
                if !is_full {
                    windows.insert(kind, Window { until: now + WINDOW, counting: None });
                    self.opened.notify_one();
                }
            }
        }
        Some(*serial)
    }

    /// Adds what a connection moved to the decision that let it pass, if that is still kept.
    pub fn moved(&self, serial: u64, up: u64, down: u64) {
        if up + down == 0 {
            return;
        }
        self.amend(serial, |decision| {
            decision.bytes_up += up;
            decision.bytes_down += down;
        });
    }

    /// Adds why a connection that was let pass did not get where it was let to, when the decision stands for no other.
    pub fn failed(&self, serial: u64, reason: &str) {
        self.amend(serial, |decision| {
            if decision.count == 1 {
                decision.reason = Some(reason.to_owned());
            }
        });
    }

    /// Changes a decision that is still kept, and has it told again.
    fn amend(&self, serial: u64, change: impl Fn(&mut EgressDecision)) {
        let mut inner = lock(&self.inner);
        let Inner { recent, windows, .. } = &mut *inner;
        let kept = recent.iter_mut().rev().find(|kept| kept.serial == serial);
        let is_kept = kept.is_some();
        let counting = windows.values_mut().filter_map(|window| window.counting.as_mut());
        for decision in kept.into_iter().chain(counting.filter(|counting| counting.serial == serial)) {
            change(decision);
        }
        if is_kept {
            inner.moved.insert(serial);
            if inner.moved_at.is_none() {
                inner.moved_at = Some(Instant::now() + WINDOW);
                self.opened.notify_one();
            }
        }
    }

    /// The last decisions, the newest last.
    #[must_use]
    pub fn recent(&self) -> Vec<EgressDecision> {
        lock(&self.inner).recent.iter().cloned().collect()
    }

    /// Tells what was counted when its second is over, for ever.
    pub async fn tell_counts(&self, outbox: &Outbox) {
        loop {
            let next = {
                let mut inner = lock(&self.inner);
                inner.close(Instant::now(), outbox);
                inner.windows.values().map(|window| window.until).chain(inner.moved_at).min()
            };
            match next {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => self.opened.notified().await,
            }
        }
    }
}

impl Inner {
    /// Ends the windows whose second is over.
    fn close(&mut self, now: Instant, outbox: &Outbox) {
        self.windows.retain(|_, window| {
            if window.until > now {
                return true;
            }
            if let Some(counting) = window.counting.take() {
                outbox.tell(Tell::Decided(counting));
            }
            false
        });
        if self.windows.is_empty() {
            self.windows.shrink_to(16);
        }
        if self.moved_at.is_some_and(|at| at <= now) {
            self.moved_at = None;
            let moved = std::mem::take(&mut self.moved);
            for decision in self.recent.iter().filter(|kept| moved.contains(&kept.serial)) {
                outbox.tell(Tell::Decided(decision.clone()));
            }
        }
    }
}

fn keep(recent: &mut VecDeque<EgressDecision>, decision: EgressDecision) {
    if recent.len() == KEPT {
        recent.pop_front();
    }
    recent.push_back(decision);
}

fn decision(entry: Entry, serial: u64) -> EgressDecision {
    EgressDecision {
        serial,
        at_ms: now_ms(),
        host: entry.host,
        port: entry.port,
        via: entry.via,
        action: entry.action,
        layer: entry.layer,
        rule: entry.rule,
        reason: entry.reason.map(str::to_owned),
        request: entry.request,
        count: 1,
        bytes_up: 0,
        bytes_down: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Out;

    fn entry(host: &str) -> Entry {
        Entry::new(host, 443, EgressVia::Tls, EgressAction::Deny, EgressLayer::Default)
    }

    async fn told(outbox: &Outbox) -> (String, u32) {
        match outbox.next().await {
            Out::Tell(Tell::Decided(decision)) => (decision.host, decision.count),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_first_is_told_at_once_and_the_rest_of_the_second_as_one() {
        let (log, outbox) = (Log::default(), Outbox::default());
        let now = Instant::now();
        for _ in 0..5 {
            log.add(entry("a.example"), &outbox, now);
        }
        log.add(entry("b.example"), &outbox, now);
        assert_eq!(told(&outbox).await, ("a.example".to_owned(), 1));
        assert_eq!(told(&outbox).await, ("b.example".to_owned(), 1));
        assert_eq!(log.recent().iter().map(|kept| kept.count).collect::<Vec<_>>(), [1, 4, 1]);
        log.add(entry("a.example"), &outbox, now + WINDOW);
        assert_eq!(told(&outbox).await, ("a.example".to_owned(), 4));
        assert_eq!(told(&outbox).await, ("a.example".to_owned(), 1));
    }

    #[test]
    fn what_became_of_one_is_not_said_of_several() {
        let (log, outbox, now) = (Log::default(), Outbox::default(), Instant::now());
        let allowed = || Entry { action: EgressAction::Allow, ..entry("a.example") };
        let add = || log.add(allowed(), &outbox, now).expect("a decision");
        let (alone, several) = (add(), add());
        log.failed(alone, "unreachable");
        log.failed(several, "unreachable");
        assert_eq!(add(), several);
        log.failed(several, "unreachable");
        let reasons: Vec<_> = log.recent().into_iter().map(|kept| (kept.count, kept.reason)).collect();
        assert_eq!(reasons, [(1, Some("unreachable".to_owned())), (2, None)]);
    }

    #[tokio::test]
    async fn a_flood_of_hosts_stays_small() {
        let (log, outbox) = (Log::default(), Outbox::default());
        let now = Instant::now();
        for number in 0..10_000 {
            log.add(entry(&format!("host{number}.example")), &outbox, now);
        }
        assert_eq!(log.recent().len(), KEPT);
        assert_eq!(lock(&log.inner).windows.len(), KINDS);
        assert_eq!(told(&outbox).await.0, format!("host{}.example", 10_000 - KEPT));
    }

    #[test]
    fn bytes_are_added_to_the_decision_and_hosts_are_printable() {
        let (log, outbox) = (Log::default(), Outbox::default());
        let serial = log.add(entry("a\u{1b}[31m\nb"), &outbox, Instant::now()).expect("a decision");
        log.moved(serial, 3, 4);
        log.moved(serial, 1, 1);
        let recent = log.recent();
        assert_eq!((recent[0].bytes_up, recent[0].bytes_down), (4, 5));
        assert!(!recent[0].host.contains(char::is_control));
    }
}
