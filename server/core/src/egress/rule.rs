//! A rule, read once: what it names in normal form, and its text for people.

use boxwood_protocol::egress::{EgressAction, EgressRule};

use super::path::PathPattern;
use super::pattern::{Pattern, PatternError};

/// Ports of a rule that allows and names none.
pub const WEB_PORTS: [u16; 2] = [80, 443];
/// Most ports, methods or paths of one rule.
const MAX_PARTS: usize = 256;

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its host is none.
    #[error("'{text}': {cause}")]
    Host {
        /// What it says.
        text: String,
        /// What is wrong with it.
        cause: PatternError,
    },
    /// A list of it is empty.
    #[error("an empty list of {0} would fit nothing; leave it out")]
    Empty(&'static str),
    /// A list of it is too long.
    #[error("more than 256 {0} in one rule")]
    Many(&'static str),
    /// A port that is none.
    #[error("0 is not a port")]
    Port,
    /// A method that is none.
    #[error("{0:?} is not an HTTP method")]
    Method(String),
    /// A path that no request can have.
    #[error("{0:?} is not a path: it starts with '/' and has at most one '*', at its end")]
    Path(String),
}

/// The ports that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ports {
    /// These, in order.
    Some(Box<[u16]>),
    /// Every port.
    All,
}

impl Ports {
    pub(super) fn has(&self, port: u16) -> bool {
        match self {
            Self::Some(list) => list.contains(&port),
            Self::All => true,
        }
    }

    pub(super) fn named(&self) -> &[u16] {
        match self {
            Self::Some(list) => list,
            Self::All => &[],
        }
    }
}

/// What a rule asks of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Detail {
    /// Upper case, in order; empty for all.
    methods: Vec<String>,
    /// In order; empty for all.
    paths: Vec<PathPattern>,
}

impl Detail {
    /// Whether a request fits. A path that is not normal (`None`) fits no rule about paths that lets something
    /// through, and every one that refuses.
    pub(super) fn fits(&self, method: &str, path: Option<&str>, action: EgressAction) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|one| one.eq_ignore_ascii_case(method));
        let path_fits = self.paths.is_empty()
            || path.map_or(action == EgressAction::Deny, |path| self.paths.iter().any(|one| one.matches(path)));
        method_fits && path_fits
    }
}

/// A rule in the form that is compared.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) pattern: Pattern,
    pub(super) ports: Ports,
    pub(super) detail: Option<Detail>,
}

impl Read {
    pub(super) fn of(rule: &EgressRule) -> Result<Self, RuleError> {
        let pattern = Pattern::parse(&rule.host).map_err(|cause| RuleError::Host { text: shown(&rule.host), cause })?;
        Ok(Self { pattern, ports: ports(rule)?, detail: detail(rule)? })
    }
}

/// A rule that is left without ports refuses or asks on every port, and allows the ports of the web.
fn ports(rule: &EgressRule) -> Result<Ports, RuleError> {
    let Some(ports) = bounded(rule.ports.as_deref(), "ports")? else {
        return Ok(match rule.action {
            EgressAction::Allow => Ports::Some(Box::new(WEB_PORTS)),
            EgressAction::Ask | EgressAction::Deny => Ports::All,
        });
    };
    if ports.contains(&0) {
        return Err(RuleError::Port);
    }
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports.dedup();
    Ok(Ports::Some(ports.into()))
}

fn detail(rule: &EgressRule) -> Result<Option<Detail>, RuleError> {
    let methods = bounded(rule.methods.as_deref(), "methods")?;
    let paths = bounded(rule.paths.as_deref(), "paths")?;
    if methods.is_none() && paths.is_none() {
        return Ok(None);
    }
    let is_method =
        |text: &str| (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let mut methods: Vec<String> = methods
        .unwrap_or_default()
        .iter()
        .map(|text| is_method(text).then(|| text.to_ascii_uppercase()).ok_or_else(|| RuleError::Method(shown(text))))
        .collect::<Result<_, _>>()?;
    let mut paths: Vec<PathPattern> = paths
        .unwrap_or_default()
        .iter()
        .map(|text| PathPattern::parse(text).ok_or_else(|| RuleError::Path(shown(text))))
        .collect::<Result<_, _>>()?;
    methods.sort_unstable();
    methods.dedup();
    paths.sort_unstable();
    paths.dedup();
    Ok(Some(Detail { methods, paths }))
}

fn bounded<'a, T>(list: Option<&'a [T]>, what: &'static str) -> Result<Option<&'a [T]>, RuleError> {
    match list {
        Some([]) => Err(RuleError::Empty(what)),
        Some(list) if list.len() > MAX_PARTS => Err(RuleError::Many(what)),
        list => Ok(list),
    }
}

/// The start of a text that may be anything.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

/// A rule as people write it, without what becomes of it: `*.github.com:443`, `GET,HEAD api.example.com/v1/*`.
#[must_use]
pub fn rule_text(rule: &EgressRule) -> String {
    let mut text = String::new();
    if let Some(methods) = &rule.methods {
        text.push_str(&methods.join(","));
        text.push(' ');
    }
    let pattern = Pattern::parse(&rule.host);
    match &rule.ports {
        None => text.push_str(&pattern.map_or_else(|_| shown(&rule.host), |pattern| pattern.to_string())),
        Some(ports) => {
            text.push_str(&pattern.map_or_else(|_| shown(&rule.host), |pattern| pattern.before_port()));
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            text.push(':');
            text.push_str(&ports.join(","));
        }
    }
    match rule.paths.as_deref() {
        None => {}
        Some([path]) => text.push_str(&shown(path)),
        Some(paths) => {
            text.push('{');
            text.push_str(&paths.iter().map(|path| shown(path)).collect::<Vec<_>>().join(","));
            text.push('}');
        }
    }
    text
}
