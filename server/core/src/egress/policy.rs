//! One policy out of all layers: presets, files, flags, and what the person decided.

use std::collections::{BTreeMap, BTreeSet};

use boxwood_protocol::config::{ConfigSource, SandboxConfig};
use boxwood_protocol::egress::{
    EgressAction, EgressConfig, EgressLayer, EgressLimits, EgressPolicy, EgressRule, PlacedRule,
};
use boxwood_protocol::gateway::HostEntry;

use super::host::Host;
use super::pattern::{PatternError, Target};
use super::presets::{ALWAYS, preset};
use super::rule::rule_text;
use super::settings;
use crate::config::ConfigError;
use crate::quantity::parse_bytes;

/// What becomes of hosts that no rule names, when no layer says.
pub const DEFAULT_ACTION: EgressAction = EgressAction::Ask;
/// Seconds that a connection waits for an answer, when no layer says.
pub const DEFAULT_HOLD_SECONDS: u32 = 60;
/// Connections open at a time, when no layer says.
pub const DEFAULT_CONNECTIONS: u32 = 1024;
/// New connections a second, when no layer says.
pub const DEFAULT_CONNECTIONS_PER_SECOND: u32 = 200;

/// The egress settings of each source, kept apart because a rule's source decides how strong it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressLayers {
    /// The user's file.
    pub user: EgressConfig,
    /// The project's files, approved.
    pub project: EgressConfig,
    /// Flags or editor settings.
    pub request: EgressConfig,
}

/// What the person decided while sandboxes ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// For this project, kept in Boxwood's state.
    pub remembered: Vec<EgressRule>,
    /// For this sandbox until it stops.
    pub session: Vec<EgressRule>,
    /// Until when everything is let through, milliseconds since 1970; 0 for not at all.
    pub bypass_until_ms: u64,
}

impl EgressLayers {
    /// Takes the egress settings out of the layers that [`crate::config::merge`] joins.
    #[must_use]
    pub fn of(layers: &[(ConfigSource, SandboxConfig)]) -> Self {
        let mut all = Self::default();
        for (source, layer) in layers {
            let Some(egress) = &layer.egress else { continue };
            let place = match source {
                ConfigSource::User => &mut all.user,
                ConfigSource::Project => &mut all.project,
                ConfigSource::Request => &mut all.request,
                ConfigSource::Default => continue,
            };
            *place = over(place, egress);
        }
        all
    }

    /// The settings in force, without who gave them: lists joined, the person's own bounds kept. `None` when no layer
    /// says anything.
    #[must_use]
    pub fn joined(&self) -> Option<EgressConfig> {
        let below = bounded(&self.user, &self.project);
        let joined = over(&below, &self.request);
        (joined != EgressConfig::default()).then_some(joined)
    }

    /// The policy.
    ///
    /// # Errors
    /// When a setting is not valid; the first one is named.
    pub fn policy(&self, decided: &Decided) -> Result<EgressPolicy, ConfigError> {
        let joined = self.joined().unwrap_or_default();
        settings::check(&joined)?;
        let mut rules = Vec::new();
        rules.extend(placed(EgressLayer::Session, &decided.session));
        rules.extend(placed(EgressLayer::Remembered, &decided.remembered));
        rules.extend(of_config(EgressLayer::Request, &self.request)?);
        rules.extend(of_config(EgressLayer::Project, &self.project)?);
        rules.extend(of_config(EgressLayer::User, &self.user)?);
        for placed in &mut rules {
            if placed.layer == EgressLayer::User && placed.rule.action == EgressAction::Deny {
                placed.layer = EgressLayer::UserDeny;
            }
        }
        rules.extend(of_presets(joined.presets.as_deref().unwrap_or_default())?);
        // The strongest first, as they are shown.
        rules.sort_by(|a, b| (a.layer, &a.preset).cmp(&(b.layer, &b.preset)));
        let mut seen = BTreeSet::new();
        rules.retain(|placed| seen.insert((placed.layer, placed.preset.clone(), format!("{:?}", placed.rule))));
        let limits = joined.limits.unwrap_or_default();
        let bytes = |text: Option<String>| text.as_deref().and_then(parse_bytes).unwrap_or_default();
        Ok(EgressPolicy {
            rules,
            default: joined.default.unwrap_or(DEFAULT_ACTION),
            hold_seconds: joined.hold_seconds.unwrap_or(DEFAULT_HOLD_SECONDS),
            connections: limits.connections.unwrap_or(DEFAULT_CONNECTIONS),
            connections_per_second: limits.connections_per_second.unwrap_or(DEFAULT_CONNECTIONS_PER_SECOND),
            upload_bytes: bytes(limits.upload),
            upload_bytes_per_second: bytes(limits.upload_per_second),
            bypass_until_ms: decided.bypass_until_ms,
        })
    }

    /// Names whose addresses are given, for the gateway.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostEntry> {
        let joined = self.joined().unwrap_or_default().hosts.unwrap_or_default();
        let hosts: BTreeMap<_, _> = joined
            .into_iter()
            .filter_map(|(name, address)| Some((Host::parse(&name).ok()?.name()?.to_owned(), address)))
            .collect();
        hosts.into_iter().map(|(name, address)| HostEntry { name, address }).collect()
    }
}

/// The rule for `name`, `*.name` or `name:port`.
///
/// # Errors
/// When it is none of these.
pub fn rule_for(text: &str, action: EgressAction) -> Result<EgressRule, PatternError> {
    let target = Target::parse(text)?;
    Ok(EgressRule {
        host: target.pattern.to_string(),
        ports: target.port.map(|port| vec![port]),
        action,
        methods: None,
        paths: None,
        private: None,
        inspect: None,
    })
}

fn placed(layer: EgressLayer, rules: &[EgressRule]) -> impl Iterator<Item = PlacedRule> {
    rules.iter().map(move |rule| PlacedRule { layer, preset: None, rule: rule.clone() })
}

fn of_config(layer: EgressLayer, config: &EgressConfig) -> Result<Vec<PlacedRule>, ConfigError> {
    let mut rules: Vec<EgressRule> = config.rules.clone().unwrap_or_default();
    for (list, action, setting) in
        [(&config.allow, EgressAction::Allow, "egress.allow"), (&config.deny, EgressAction::Deny, "egress.deny")]
    {
        for text in list.iter().flatten() {
            rules.push(rule_for(text, action).map_err(|cause| settings::not_a_host(setting, text, &cause))?);
        }
    }
    rules.sort_by_cached_key(|rule| (rule.action, rule_text(rule)));
    Ok(placed(layer, &rules).collect())
}

fn of_presets(names: &[String]) -> Result<Vec<PlacedRule>, ConfigError> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).chain([ALWAYS]).collect();
    let mut rules = Vec::new();
    for name in names {
        let preset = preset(name).ok_or_else(|| settings::not_a_preset(name))?;
        for text in &preset.hosts {
            let rule = rule_for(text, EgressAction::Allow)
                .map_err(|cause| settings::not_a_host("egress.presets", text, &cause))?;
            rules.push(PlacedRule { layer: EgressLayer::Preset, preset: Some(name.to_owned()), rule });
        }
    }
    Ok(rules)
}

/// Lays one layer over another: lists are joined, everything else is replaced.
#[must_use]
pub fn over(below: &EgressConfig, above: &EgressConfig) -> EgressConfig {
    let limits = match (below.limits.clone(), above.limits.clone()) {
        (Some(below), Some(above)) => Some(EgressLimits {
            connections: above.connections.or(below.connections),
            connections_per_second: above.connections_per_second.or(below.connections_per_second),
            upload: above.upload.or(below.upload),
            upload_per_second: above.upload_per_second.or(below.upload_per_second),
        }),
        (below, above) => above.or(below),
    };
    let hosts = match (below.hosts.clone(), above.hosts.clone()) {
        (Some(mut below), Some(above)) => {
            below.extend(above);
            Some(below)
        }
        (below, above) => above.or(below),
    };
    EgressConfig {
        presets: joined(below.presets.as_ref(), above.presets.as_ref()),
        allow: joined(below.allow.as_ref(), above.allow.as_ref()),
        deny: joined(below.deny.as_ref(), above.deny.as_ref()),
        rules: joined(below.rules.as_ref(), above.rules.as_ref()),
        hosts,
        default: above.default.or(below.default),
        hold_seconds: above.hold_seconds.or(below.hold_seconds),
        limits,
    }
}

/// Lays the project's settings over the user's, where the user's bounds stay: of both the stricter one counts.
fn bounded(user: &EgressConfig, project: &EgressConfig) -> EgressConfig {
    let mut all = over(user, project);
    all.default = user.default.max(project.default);
    if let (Some(user), Some(project), Some(limits)) = (&user.limits, &project.limits, &mut all.limits) {
        limits.connections = least(user.connections, project.connections);
        limits.connections_per_second = least(user.connections_per_second, project.connections_per_second);
        limits.upload = fewest(user.upload.as_ref(), project.upload.as_ref());
        limits.upload_per_second = fewest(user.upload_per_second.as_ref(), project.upload_per_second.as_ref());
    }
    all
}

pub(super) fn least(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

pub(super) fn fewest(a: Option<&String>, b: Option<&String>) -> Option<String> {
    // A text that is no amount comes first, so that it is found and named.
    [a, b].into_iter().flatten().min_by_key(|text| parse_bytes(text)).cloned()
}

fn joined<T: Clone + PartialEq>(below: Option<&Vec<T>>, above: Option<&Vec<T>>) -> Option<Vec<T>> {
    let (Some(below), Some(above)) = (below, above) else { return above.or(below).cloned() };
    let mut all = below.clone();
    all.extend(above.iter().filter(|one| !below.contains(one)).cloned());
    Some(all)
}
