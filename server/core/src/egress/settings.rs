//! The egress settings of a layer: what is valid, and what a project may not decide by itself.

use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::egress::{EgressAction, EgressConfig, EgressLimits, EgressRule};

use super::host::Host;
use super::pattern::{PatternError, Target};
use super::policy::{DEFAULT_CONNECTIONS, DEFAULT_CONNECTIONS_PER_SECOND, DEFAULT_HOLD_SECONDS};
use super::presets::{ALWAYS, preset, presets};
use super::rule::{Read, rule_text, shown};
use crate::config::ConfigError;
use crate::quantity::parse_bytes;

/// Most entries of all lists together.
const MAX_ENTRIES: usize = 10_000;
/// Most ports that all rules name together: the gateway listens on each.
const MAX_PORTS: usize = 256;
/// Longest that a connection may be held, seconds.
const MAX_HOLD_SECONDS: u32 = 600;
/// Most masked paths.
const MAX_MASKED: usize = 1000;

/// Checks egress settings, of one layer or of several joined.
///
/// # Errors
/// When a value cannot be used; the first one is named.
pub fn check(config: &EgressConfig) -> Result<(), ConfigError> {
    let counts = [
        config.presets.as_ref().map(Vec::len),
        config.allow.as_ref().map(Vec::len),
        config.deny.as_ref().map(Vec::len),
        config.rules.as_ref().map(Vec::len),
        config.hosts.as_ref().map(std::collections::BTreeMap::len),
    ];
    if counts.into_iter().flatten().sum::<usize>() > MAX_ENTRIES {
        return Err(value("egress", format!("at most {MAX_ENTRIES} hosts and rules can be given")));
    }
    for name in config.presets.iter().flatten() {
        preset(name).ok_or_else(|| not_a_preset(name))?;
    }
    let mut ports = std::collections::BTreeSet::new();
    for (list, setting) in [(&config.allow, "egress.allow"), (&config.deny, "egress.deny")] {
        for text in list.iter().flatten() {
            ports.extend(Target::parse(text).map_err(|cause| not_a_host(setting, text, &cause))?.port);
        }
    }
    for rule in config.rules.iter().flatten() {
        Read::of(rule).map_err(|cause| value("egress.rules", cause.to_string()))?;
        ports.extend(rule.ports.iter().flatten());
    }
    if ports.len() > MAX_PORTS {
        return Err(value("egress.rules", format!("all rules together name more than {MAX_PORTS} ports")));
    }
    for name in config.hosts.iter().flat_map(std::collections::BTreeMap::keys) {
        let is_name = matches!(Host::parse(name), Ok(Host::Name(_)));
        if !is_name {
            return Err(value("egress.hosts", format!("'{}' is not a name", shown(name))));
        }
    }
    if config.hold_seconds.is_some_and(|seconds| !(1..=MAX_HOLD_SECONDS).contains(&seconds)) {
        return Err(value("egress.holdSeconds", format!("give a number from 1 to {MAX_HOLD_SECONDS}")));
    }
    config.limits.as_ref().map_or(Ok(()), check_limits)
}

fn check_limits(limits: &EgressLimits) -> Result<(), ConfigError> {
    for (number, most, setting) in [
        (limits.connections, 4096, "egress.limits.connections"),
        (limits.connections_per_second, 100_000, "egress.limits.connectionsPerSecond"),
    ] {
        if number.is_some_and(|number| !(1..=most).contains(&number)) {
            return Err(value(setting, format!("give a number from 1 to {most}")));
        }
    }
    for (text, setting) in
        [(&limits.upload, "egress.limits.upload"), (&limits.upload_per_second, "egress.limits.uploadPerSecond")]
    {
        if text.as_deref().is_some_and(|text| parse_bytes(text).is_none_or(|bytes| bytes == 0)) {
            return Err(value(setting, "give an amount like 1g or 10m, or leave it out for no limit"));
        }
    }
    Ok(())
}

/// Checks the globs of masked paths.
///
/// # Errors
/// When one is no path inside the project, or has a sign that is not supported; it is named.
pub fn check_masked(paths: &[String]) -> Result<(), ConfigError> {
    if paths.len() > MAX_MASKED {
        return Err(value("maskedPaths", format!("at most {MAX_MASKED} can be given")));
    }
    for path in paths {
        let refuse = |reason: &str| Err(value("maskedPaths", format!("'{}' {reason}", shown(path))));
        let (lifts, path) = path.strip_prefix('!').map_or((false, path.as_str()), |rest| (true, rest));
        if path.len() > 1024 || !crate::config::is_inside(path) || path.chars().any(char::is_control) {
            return refuse("is not a path inside the project");
        }
        if path.starts_with('~') {
            return refuse("is not in the project; the sandbox has nothing of your home but the project");
        }
        if path.contains(['?', '[', ']', '{', '}', '!', '\\']) {
            return refuse("has a sign other than '*' and '**', and '!' in front");
        }
        if path.split('/').any(|part| part.contains("**") && part != "**") {
            return refuse("has '**' beside other letters; it stands alone between slashes");
        }
        if !lifts && masked(path).split('/').all(|part| matches!(part, "" | "." | "*" | "**")) {
            return refuse("would hide the whole project");
        }
    }
    Ok(())
}

/// A masked path as it is compared: without `./` in front and slashes around.
#[must_use]
pub fn masked(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// What a project's own settings open beyond the defaults, each in plain words.
#[must_use]
pub fn widens(project: &SandboxConfig) -> Vec<String> {
    let mut list = Vec::from_iter(crate::mask::widens(project.masked_paths.as_deref().unwrap_or_default()));
    let Some(egress) = &project.egress else { return list };
    let names: Vec<&str> = egress.presets.iter().flatten().map(String::as_str).filter(|name| *name != ALWAYS).collect();
    if !names.is_empty() {
        list.push(format!("may reach the hosts of {}", names.join(", ")));
    }
    // In the form in which they are compared: letters of other alphabets can look like these.
    let form = |text: &String| Target::parse(text).map_or_else(|_| shown(text), |target| target.to_string());
    let allowed: Vec<String> = egress.allow.iter().flatten().map(form).collect();
    if !allowed.is_empty() {
        list.push(format!("may reach {}", allowed.join(", ")));
    }
    let of = |action: EgressAction| egress.rules.iter().flatten().filter(move |rule| rule.action == action);
    for rule in of(EgressAction::Allow) {
        list.push(format!("may reach {}{}", rule_text(rule), private_words(rule)));
    }
    for rule in of(EgressAction::Ask).filter(|rule| rule.private == Some(true)) {
        list.push(format!("may ask for {}{}", rule_text(rule), private_words(rule)));
    }
    for (name, address) in egress.hosts.iter().flatten() {
        let name = Host::parse(name).map_or_else(|_| shown(name), |host| host.to_string());
        list.push(format!("takes {address} for {name}"));
    }
    if egress.default == Some(EgressAction::Allow) {
        list.push("may reach every host that no rule denies".to_owned());
    }
    if let Some(seconds) = egress.hold_seconds.filter(|seconds| *seconds > DEFAULT_HOLD_SECONDS) {
        list.push(format!("lets connections wait {seconds} seconds for an answer"));
    }
    let limits = egress.limits.clone().unwrap_or_default();
    if let Some(number) = limits.connections.filter(|number| *number > DEFAULT_CONNECTIONS) {
        list.push(format!("opens up to {number} connections at a time"));
    }
    if let Some(number) = limits.connections_per_second.filter(|number| *number > DEFAULT_CONNECTIONS_PER_SECOND) {
        list.push(format!("opens up to {number} connections a second"));
    }
    list
}

fn private_words(rule: &EgressRule) -> &'static str {
    if rule.private == Some(true) { ", also at private addresses" } else { "" }
}

pub(super) fn not_a_host(setting: &'static str, text: &str, cause: &PatternError) -> ConfigError {
    value(setting, format!("'{}': {cause}", shown(text)))
}

pub(super) fn not_a_preset(name: &str) -> ConfigError {
    let known: Vec<&str> = presets().iter().map(|preset| preset.name.as_str()).collect();
    value("egress.presets", format!("there is no preset '{}'; there are {}", shown(name), known.join(", ")))
}

fn value(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value { setting, reason: reason.into() }
}
