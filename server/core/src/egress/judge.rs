//! The verdict on a connection or a request: one pure function of a policy and what was asked for.

use std::collections::{BTreeSet, HashMap};

use boxwood_protocol::egress::{EgressAction, EgressLayer, EgressPolicy, EgressRule, PlacedRule};

use super::address::{Block, is_never, is_private};
use super::host::Host;
use super::path;
use super::pattern::Pattern;
use super::rule::{Detail, Ports, Read, RuleError};

/// What is known of the requests on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requests<'a> {
    /// This request is to be judged.
    This {
        /// Its method.
        method: &'a str,
        /// Its path as it was sent, with or without a query.
        path: &'a str,
    },
    /// Each will be judged as it comes: the connection is HTTP in the clear, or TLS that the gateway opens. The
    /// verdict is the best that any request can get.
    Later,
    /// None will be seen: the connection is spliced or speaks another protocol. Rules about methods, paths and
    /// inspection let nothing through here, and refuse whatever they might refuse.
    Never,
}

/// What somebody wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The host.
    pub host: &'a Host,
    /// The port.
    pub port: u16,
    /// What is known of requests.
    pub requests: Requests<'a>,
    /// Now, milliseconds since 1970.
    pub now_ms: u64,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What becomes of it.
    pub action: EgressAction,
    /// The rule that decided: an index into the policy's rules.
    pub rule: Option<usize>,
    /// The layer that decided.
    pub layer: EgressLayer,
    /// Whether TLS must be opened, so that each request is judged.
    pub opens_tls: bool,
    /// Whether the name may lead to private addresses. Where requests come later, each one's own verdict says it.
    pub private: bool,
    /// Why it was refused, when no rule did: for a decision's `reason`.
    pub reason: Option<&'static str>,
}

/// Reason of a refusal: the host means the gateway itself, everybody or nobody.
pub const REASON_NEVER: &str = "never-allowed";
/// Reason of a refusal: a private address that no rule names.
pub const REASON_PRIVATE: &str = "private-address";

struct Entry {
    index: usize,
    layer: EgressLayer,
    ports: Ports,
    detail: Option<Detail>,
    action: EgressAction,
    private: bool,
    inspect: bool,
}

/// A rule as it was written, in a form that has an order.
fn written(rule: &EgressRule) -> impl Ord + '_ {
    (&rule.host, &rule.ports, &rule.methods, &rule.paths, rule.private, rule.inspect)
}

/// A policy ready to be asked. Rules are in the order in which they decide; each bucket lists those about the same
/// hosts, so that a verdict looks at a handful of rules however many there are.
pub struct Compiled {
    policy: EgressPolicy,
    entries: Vec<Entry>,
    exact: HashMap<Host, Vec<u32>>,
    below: HashMap<String, Vec<u32>>,
    blocks: HashMap<Block, Vec<u32>>,
    lengths: BTreeSet<u8>,
    any: Vec<u32>,
    has_detail: bool,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Compiled").field("rules", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Compiled {
    /// Makes a policy ready.
    ///
    /// # Errors
    /// When a rule cannot be read; nothing of such a policy may be used.
    pub fn new(policy: &EgressPolicy) -> Result<Self, RuleError> {
        let mut read = Vec::with_capacity(policy.rules.len());
        for (index, placed) in policy.rules.iter().enumerate() {
            let rule = Read::of(&placed.rule)?;
            read.push((strength(placed, &rule), index, placed, rule));
        }
        // Everything that a rule says takes part, so that the order in which rules were given never does.
        read.sort_unstable_by(|(a, _, x, a_rule), (b, _, y, b_rule)| {
            a.cmp(b)
                .then_with(|| {
                    (&a_rule.pattern, &a_rule.ports, &a_rule.detail).cmp(&(
                        &b_rule.pattern,
                        &b_rule.ports,
                        &b_rule.detail,
                    ))
                })
                .then_with(|| x.preset.cmp(&y.preset))
                // Rules that mean the same can be written in several ways.
                .then_with(|| written(&x.rule).cmp(&written(&y.rule)))
        });
        let mut compiled = Self {
            policy: policy.clone(),
            entries: Vec::with_capacity(read.len()),
            exact: HashMap::new(),
            below: HashMap::new(),
            blocks: HashMap::new(),
            lengths: BTreeSet::new(),
            any: Vec::new(),
            has_detail: read.iter().any(|(_, _, _, rule)| rule.detail.is_some()),
        };
        for (_, index, placed, read) in read {
            compiled.add(index, placed, read);
        }
        Ok(compiled)
    }

    fn add(&mut self, index: usize, placed: &PlacedRule, read: Read) {
        let rank = self.entries.len() as u32;
        let private = is_meant_private(placed, &read);
        match read.pattern {
            Pattern::Exact(host) => self.exact.entry(host).or_default().push(rank),
            Pattern::Below(name) => self.below.entry(name).or_default().push(rank),
            Pattern::Block(block) => {
                self.lengths.insert(block.length());
                self.blocks.entry(block).or_default().push(rank);
            }
            Pattern::Any => self.any.push(rank),
        }
        self.entries.push(Entry {
            index,
            layer: placed.layer,
            ports: read.ports,
            detail: read.detail,
            action: placed.rule.action,
            private,
            inspect: placed.rule.inspect.unwrap_or_default(),
        });
    }

    /// The policy it was made from.
    #[must_use]
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// What becomes of a connection or a request.
    #[must_use]
    pub fn judge(&self, query: &Query<'_>) -> Judged {
        if is_never_host(query.host) {
            return refused(REASON_NEVER);
        }
        let asked = Asked {
            port: query.port,
            requests: query.requests,
            path: match query.requests {
                Requests::This { path, .. } if self.has_detail => path::normal(path),
                _ => None,
            },
            last: self.last_layer(query.now_ms),
            is_private: query.host.address().is_some_and(is_private),
        };
        let lists = self.lists(query.host);
        let first = lists
            .iter()
            .filter_map(|list| list.iter().copied().find(|rank| asked.is_decided_by(self.entry(*rank))))
            .min();
        let judged = asked.hear(first.map_or_else(|| self.otherwise(asked.last), |rank| self.by(rank)));
        self.regard(&asked, &lists, first.unwrap_or(u32::MAX), judged)
    }

    /// Regards the rules above the one that decides for certain: each may decide single requests.
    fn regard(&self, asked: &Asked<'_>, lists: &[&[u32]], before: u32, mut judged: Judged) -> Judged {
        let mut above: Vec<u32> = Vec::new();
        for list in lists {
            above
                .extend(list.iter().take_while(|rank| **rank < before).filter(|rank| asked.counts(self.entry(**rank))));
        }
        above.sort_unstable();
        let mut opens_tls = judged.opens_tls;
        for rank in above {
            let entry = self.entry(rank);
            opens_tls |= entry.detail.is_some() || entry.inspect;
            let said = asked.hear(self.by(rank));
            let is_taken = match asked.requests {
                _ if entry.detail.is_none() => false,
                Requests::This { .. } => false,
                Requests::Later => said.action < judged.action,
                Requests::Never => said.action > judged.action,
            };
            if is_taken {
                judged = said;
            }
        }
        Judged { opens_tls, ..judged }
    }

    fn entry(&self, rank: u32) -> &Entry {
        &self.entries[rank as usize]
    }

    fn by(&self, rank: u32) -> Judged {
        let entry = self.entry(rank);
        Judged {
            action: entry.action,
            rule: Some(entry.index),
            layer: entry.layer,
            opens_tls: entry.detail.is_some() || entry.inspect,
            private: entry.private,
            reason: None,
        }
    }

    /// The weakest layer that counts: while everything is let through, only what is above that.
    fn last_layer(&self, now_ms: u64) -> EgressLayer {
        if now_ms < self.policy.bypass_until_ms { EgressLayer::Bypass } else { EgressLayer::Default }
    }

    fn otherwise(&self, last: EgressLayer) -> Judged {
        let action = if last == EgressLayer::Bypass { EgressAction::Allow } else { self.policy.default };
        Judged { action, rule: None, layer: last, opens_tls: false, private: false, reason: None }
    }

    /// The lists of rules about a host, each in the order in which they decide.
    fn lists(&self, host: &Host) -> Vec<&[u32]> {
        let mut lists: Vec<&[u32]> = Vec::with_capacity(8);
        lists.extend(self.exact.get(host).map(Vec::as_slice));
        match host {
            Host::Name(name) if !self.below.is_empty() => {
                let mut rest = name.as_str();
                while let Some((_, upper)) = rest.split_once('.') {
                    lists.extend(self.below.get(upper).map(Vec::as_slice));
                    rest = upper;
                }
            }
            Host::Name(_) => {}
            Host::Address(address) => {
                let around = self.lengths.iter().filter_map(|length| Block::around(*address, *length));
                lists.extend(around.filter_map(|block| self.blocks.get(&block)).map(Vec::as_slice));
            }
        }
        if !self.any.is_empty() {
            lists.push(&self.any);
        }
        lists
    }

    /// Whether TLS to a host must be opened, so that each request is judged.
    #[must_use]
    pub fn opens_tls(&self, host: &Host, port: u16, now_ms: u64) -> bool {
        self.judge(&Query { host, port, requests: Requests::Later, now_ms }).opens_tls
    }

    /// Every port that a rule names: what a gateway has to listen on beside its usual ones.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        self.entries.iter().flat_map(|entry| entry.ports.named()).copied().collect()
    }

    /// The best that a connection to any port of a host can get: by this, questions for its address are answered.
    #[must_use]
    pub fn may_resolve(&self, host: &Host, now_ms: u64) -> EgressAction {
        // 0 stands for all ports that no rule names.
        let mut ports = BTreeSet::from([0]);
        for rank in self.lists(host).into_iter().flatten() {
            ports.extend(self.entry(*rank).ports.named());
        }
        ports
            .into_iter()
            .map(|port| self.judge(&Query { host, port, requests: Requests::Later, now_ms }).action)
            .min()
            .unwrap_or(EgressAction::Deny)
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(&self, judged: &Judged) -> Option<&PlacedRule> {
        self.policy.rules.get(judged.rule?)
    }
}

/// A query, with what has to be known for every rule.
struct Asked<'a> {
    port: u16,
    requests: Requests<'a>,
    /// The request's path in normal form, if it has one.
    path: Option<String>,
    /// The weakest layer that counts.
    last: EgressLayer,
    is_private: bool,
}

impl Asked<'_> {
    /// Whether a rule about the host has a say.
    fn counts(&self, entry: &Entry) -> bool {
        entry.layer <= self.last && entry.ports.has(self.port)
    }

    /// Whether a rule about the host decides for certain, when no stronger one does.
    fn is_decided_by(&self, entry: &Entry) -> bool {
        self.counts(entry)
            && match (&entry.detail, self.requests) {
                (None, Requests::Never) => !(entry.inspect && entry.action == EgressAction::Allow),
                (None, _) => true,
                (Some(detail), Requests::This { method, .. }) => {
                    detail.fits(method, self.path.as_deref(), entry.action)
                }
                (Some(_), Requests::Later | Requests::Never) => false,
            }
    }

    /// What is said, unless the host is a private address and that was not meant.
    fn hear(&self, said: Judged) -> Judged {
        let is_meant = !self.is_private || said.private || said.action == EgressAction::Deny;
        if is_meant { said } else { refused(REASON_PRIVATE) }
    }
}

/// What decides between two rules about the same host, the stronger one first: layer, closeness, detail, strictness,
/// and what is more explicit.
fn strength(placed: &PlacedRule, read: &Read) -> impl Ord + use<> {
    (
        placed.layer,
        read.pattern.openness(),
        read.detail.is_none(),
        core::cmp::Reverse(placed.rule.action),
        !is_meant_private(placed, read),
        !placed.rule.inspect.unwrap_or_default(),
    )
}

/// Whoever writes private addresses into a rule means private addresses.
fn is_meant_private(placed: &PlacedRule, read: &Read) -> bool {
    placed.rule.private.unwrap_or_else(|| read.pattern.is_private())
}

fn is_never_host(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Address(address) => is_never(*address),
    }
}

const fn refused(reason: &'static str) -> Judged {
    Judged {
        action: EgressAction::Deny,
        rule: None,
        layer: EgressLayer::BuiltIn,
        opens_tls: false,
        private: false,
        reason: Some(reason),
    }
}
