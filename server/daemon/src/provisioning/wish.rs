//! What the person chose: for a sandbox, in the settings, or for all. What a choice means is said before it is made; a
//! setting is made in silence, so what it means is said when a sandbox begins to hold what it chooses.

use std::path::PathBuf;

use boxwood_core::credentials::select::Wish;
use boxwood_core::credentials::source::{self, When};
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use serde::{Deserialize, Serialize};

use super::hold::Held;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::files;
use crate::records::Record;
use crate::registry::Known;
use crate::settings::{self, Settings};

/// What a person chose. That what it means was read was asked for then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chosen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<CredentialSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<CredentialMode>,
}

/// What the setting `hostLogin` chooses, on the command line `--host-login`.
const BY_SETTING: Held = Held { source: Some(CredentialSource::HostLogin), mode: CredentialMode::Token };

/// What counts for a sandbox, or for new ones.
pub(super) fn of(daemon: &Daemon, sandbox: Option<&str>, is_host_login: bool) -> Wish {
    let chosen = sandbox.and_then(|sandbox| daemon.records.get(sandbox)).and_then(|record| record.chosen);
    let by_setting = Chosen { source: BY_SETTING.source, mode: Some(BY_SETTING.mode) };
    let by_setting = is_host_login.then_some(by_setting);
    let chosen = chosen.or(by_setting).or_else(|| for_all(daemon)).unwrap_or_default();
    Wish { source: chosen.source, mode: chosen.mode, consent: true }
}

/// The settings that a sandbox would be made with now; `None` when they cannot be read.
pub(super) fn settings_of(daemon: &Daemon, known: &Known) -> Option<Settings> {
    let made_with = daemon.records.get(&known.info.id).map(|record| record.request).unwrap_or_default();
    settings::load(&daemon.paths, &known.info.project, &made_with).ok()
}

/// Whether the setting is on: of a sandbox, or of new ones for whose project nothing else is said.
pub(super) fn is_host_login(daemon: &Daemon, known: Option<&Known>) -> bool {
    match known {
        Some(known) => settings_of(daemon, known).is_some_and(|settings| settings.resolved.host_login),
        None => settings::of_person(&daemon.paths).is_ok_and(|settings| settings.host_login == Some(true)),
    }
}

/// Whether it is the setting that has a sandbox begin to hold what it chooses, or go on without having said what that means.
pub(super) fn is_to_explain(record: &Record, is_host_login: bool, now: Held) -> bool {
    let is_new = record.held != Some(now) || record.is_unexplained;
    is_host_login && record.chosen.is_none() && now == BY_SETTING && is_new
}

/// What the setting means, where it has a sandbox hold what it chooses and nobody was told yet.
pub(super) fn untold(daemon: &Daemon, sandbox: &str) -> Option<String> {
    let entry = source::of(BY_SETTING.source?)?;
    let When::Explained(text) = entry.service(BY_SETTING.mode)?.when else { return None };
    let is_due = daemon.records.get(sandbox).is_some_and(|record| record.is_unexplained);
    is_due.then(|| format!("by the setting 'hostLogin' it uses the {}. {text}", entry.title))
}

/// The same for whoever tells the person, once.
pub(crate) fn tell(daemon: &Daemon, sandbox: &str) -> Option<String> {
    let text = untold(daemon, sandbox)?;
    let mut record = daemon.records.get(sandbox)?;
    record.is_unexplained = false;
    // Told once more is better than an error for what was done.
    let _ =
        daemon.records.put(sandbox, record).inspect_err(|problem| tracing::warn!(sandbox, %problem, "not remembered"));
    Some(text)
}

/// Of sandboxes that go on with what the setting chooses although the person has ended that: how to end it.
pub(super) fn goes_on(daemon: &Daemon, source: CredentialSource) -> Vec<String> {
    let is_by_setting = |sandbox: &String| {
        let record = daemon.records.get(sandbox).unwrap_or_default();
        Some(source) == BY_SETTING.source && record.held == Some(BY_SETTING) && record.chosen.is_none()
    };
    let all = daemon.registry.list().into_iter().map(|info| info.id).filter(is_by_setting);
    all.map(|id| format!("{id}: the setting 'hostLogin' gives it this login still; turn it off and start it again"))
        .collect()
}

fn file(daemon: &Daemon) -> PathBuf {
    daemon.paths.state.join("credentials.json")
}

/// What the person chose for sandboxes for which nothing else is chosen.
pub(crate) fn for_all(daemon: &Daemon) -> Option<Chosen> {
    files::read_json(&file(daemon))
}

/// Remembers it.
pub(crate) fn choose_for_all(daemon: &Daemon, chosen: Chosen) -> Result<()> {
    files::write_json(&file(daemon), &chosen)
}

#[cfg(all(test, unix))]
mod tests;
