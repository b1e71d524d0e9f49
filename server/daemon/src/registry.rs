//! The sandboxes there are, as the engine's events tell.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use boxwood_core::labels;
use boxwood_core::paths::Paths;
use boxwood_engine::{ContainerDetail, ContainerState, HealthState, Mount};
use boxwood_protocol::Event;
use boxwood_protocol::config::{ImageVariant, Lifetime};
use boxwood_protocol::sandbox::{
    Enforcement, Health, HealthCheck, Limits, MountInfo, SandboxDetail, SandboxInfo, SandboxState,
};
use tokio::sync::watch;

use crate::egress::Label;
use crate::hub::Hub;
use crate::lifecycle::{gateway, guard};

/// A sandbox's container and what was made of it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) info: SandboxInfo,
    pub(crate) detail: ContainerDetail,
}

/// What a check right after a start found; the engine's own checks come later.
#[derive(Debug, Clone)]
struct Verified {
    started_at: Option<String>,
    checks: Vec<HealthCheck>,
}

#[derive(Default)]
struct Table {
    known: HashMap<String, Known>,
    verified: HashMap<String, Verified>,
    outdated: HashMap<String, bool>,
    /// Paths that guards named when they ended containers.
    bare: HashMap<String, String>,
    /// What is known of networks, by sandbox id.
    labels: HashMap<String, Label>,
}

/// All sandboxes of this installation, by container id.
pub(crate) struct Registry {
    table: Mutex<Table>,
    hub: Hub,
    /// Whether the engine was asked once, with or without success; and how many run.
    ready: watch::Sender<bool>,
    running: watch::Sender<usize>,
}

impl Registry {
    pub(crate) fn new(hub: Hub) -> Self {
        Self { table: Mutex::default(), hub, ready: watch::channel(false).0, running: watch::channel(0).0 }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on requests need not wait for the first look at the engine.
    pub(crate) fn set_ready(&self) {
        self.ready.send_replace(true);
    }

    /// Waits for the first look at the engine.
    pub(crate) async fn ready(&self) {
        let _ = self.ready.subscribe().wait_for(|is_ready| *is_ready).await;
    }

    /// Follows how many run.
    pub(crate) fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    /// Takes in a container as it now is.
    pub(crate) fn update(&self, detail: ContainerDetail) -> SandboxInfo {
        let mut table = self.lock();
        let verified = table
            .verified
            .get(&detail.id)
            .filter(|verified| verified.started_at == detail.started_at)
            .map(|verified| verified.checks.clone());
        let is_outdated = table.outdated.get(&detail.id).copied().unwrap_or(false);
        let bare = table.bare.get(&detail.id).map(String::as_str);
        let mut info = describe(&detail, verified.as_deref(), is_outdated, bare);
        if let Some(label) = table.labels.get(&info.id) {
            labelled(&mut info, label);
        }
        let is_changed = table.known.get(&detail.id).map(|known| &known.info) != Some(&info);
        table.known.insert(detail.id.clone(), Known { info: info.clone(), detail });
        self.count(&table);
        drop(table);
        if is_changed {
            self.hub.tell(Event::SandboxChanged { sandbox: info.clone() });
        }
        info
    }

    /// Takes in what is now known of a sandbox's network.
    pub(crate) fn relabel(&self, sandbox_id: &str, label: Label) {
        let mut table = self.lock();
        let mut changed = Vec::new();
        for known in table.known.values_mut().filter(|known| known.info.id == sandbox_id && is_current(known)) {
            let before = known.info.clone();
            labelled(&mut known.info, &label);
            if known.info != before {
                changed.push(known.info.clone());
            }
        }
        table.labels.insert(sandbox_id.to_owned(), label);
        drop(table);
        for sandbox in changed {
            self.hub.tell(Event::SandboxChanged { sandbox });
        }
    }

    /// Takes note of a check right after a start.
    pub(crate) fn verified(&self, detail: &ContainerDetail, checks: Vec<HealthCheck>) {
        self.lock().verified.insert(detail.id.clone(), Verified { started_at: detail.started_at.clone(), checks });
    }

    /// Takes note of whether a refresh would change a container.
    pub(crate) fn outdated(&self, container_id: &str, is_outdated: bool) {
        let mut table = self.lock();
        table.outdated.insert(container_id.to_owned(), is_outdated);
        let known = table.known.get_mut(container_id).filter(|known| known.info.is_outdated != is_outdated);
        let changed = known.map(|known| {
            known.info.is_outdated = is_outdated;
            known.info.clone()
        });
        drop(table);
        if let Some(sandbox) = changed {
            self.hub.tell(Event::SandboxChanged { sandbox });
        }
    }

    /// Takes note of the path for which a guard ended a container.
    pub(crate) fn bare(&self, container_id: &str, path: Option<String>) {
        let mut table = self.lock();
        match path {
            Some(path) => drop(table.bare.insert(container_id.to_owned(), path)),
            None => drop(table.bare.remove(container_id)),
        }
    }

    /// Takes note that a container is gone.
    pub(crate) fn remove(&self, container_id: &str) {
        let mut table = self.lock();
        table.verified.remove(container_id);
        table.bare.remove(container_id);
        table.outdated.remove(container_id);
        let Some(known) = table.known.remove(container_id) else { return };
        let is_replaced = table.known.values().any(|other| other.info.id == known.info.id);
        self.count(&table);
        drop(table);
        if !is_replaced {
            self.hub.tell(Event::SandboxRemoved { id: known.info.id });
        }
    }

    /// Drops every container but these.
    pub(crate) fn retain(&self, container_ids: &[String]) {
        let gone: Vec<String> = self.lock().known.keys().filter(|id| !container_ids.contains(id)).cloned().collect();
        for id in gone {
            self.remove(&id);
        }
    }

    fn count(&self, table: &Table) {
        let running = table.known.values().filter(|known| known.info.state == SandboxState::Running).count();
        self.running.send_if_modified(|count| std::mem::replace(count, running) != running);
    }

    /// All, by id.
    pub(crate) fn list(&self) -> Vec<SandboxInfo> {
        let mut list: Vec<_> =
            self.lock().known.values().filter(|known| is_current(known)).map(|known| known.info.clone()).collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list
    }

    /// One by sandbox id.
    pub(crate) fn get(&self, sandbox_id: &str) -> Option<Known> {
        self.lock().known.values().find(|known| known.info.id == sandbox_id && is_current(known)).cloned()
    }

    /// One with everything that is known of it.
    pub(crate) fn detail(&self, known: &Known, paths: &Paths) -> SandboxDetail {
        let table = self.lock();
        let verified = table.verified.get(&known.detail.id).map(|verified| verified.checks.clone());
        let detail = &known.detail;
        let reported = reported(detail, verified.as_deref());
        SandboxDetail {
            container_id: detail.id.clone(),
            limits: Limits {
                memory_bytes: detail.memory_bytes,
                cpus: detail.nano_cpus as f64 / 1e9,
                pids: detail.pids,
                nofile: detail.nofile,
            },
            mounts: detail.mounts.iter().map(mount).collect(),
            labels: detail.labels.clone().into_iter().collect(),
            user: detail.user.clone(),
            state_directory: paths.sandbox(&known.info.id).display().to_string(),
            config_hash: detail.labels.get(labels::CONFIG).cloned().unwrap_or_default(),
            variant: ImageVariant::ALL
                .into_iter()
                .find(|variant| known.info.image.starts_with(&format!("boxwood-agent:{}-", variant.as_str()))),
            checks: if reported.is_empty() { verified.unwrap_or_default() } else { reported },
            sandbox: known.info.clone(),
        }
    }

    /// Those whose id or container name is, or begins with, `text`; an exact one alone.
    pub(crate) fn find(&self, text: &str) -> Vec<Known> {
        let table = self.lock();
        let current = || table.known.values().filter(|known| is_current(known));
        let exact: Vec<_> = current()
            .filter(|known| known.info.id == text || known.info.container == text || known.detail.id == text)
            .cloned()
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        current()
            .filter(|known| {
                known.info.id.starts_with(text)
                    || known.info.container.starts_with(text)
                    || (text.len() >= 6 && known.detail.id.starts_with(text))
            })
            .cloned()
            .collect()
    }
}

fn labelled(info: &mut SandboxInfo, label: &Label) {
    info.enforcement = label.enforcement;
    info.alarm.clone_from(&label.alarm);
    info.blocked = label.blocked;
    info.bypass_until_ms = label.bypass_until_ms;
}

fn mount(mount: &Mount) -> MountInfo {
    let (source, target, is_read_only) = match mount {
        Mount::Bind { source, target, read_only } => (source.clone(), target, *read_only),
        Mount::Volume { name, target, read_only, .. } => (name.clone(), target, *read_only),
        Mount::Tmpfs { target, .. } => ("tmpfs".to_owned(), target, false),
    };
    MountInfo { source, target: target.clone(), is_read_only }
}

/// A container set aside during a refresh carries another name than its sandbox's; it is not the sandbox.
fn is_current(known: &Known) -> bool {
    known.info.container == format!("boxwood-{}", known.info.id)
}

/// A container in the contract's terms.
fn describe(
    detail: &ContainerDetail,
    verified: Option<&[HealthCheck]>,
    is_outdated: bool,
    bare: Option<&str>,
) -> SandboxInfo {
    let label = |key: &str| detail.labels.get(key).cloned().unwrap_or_default();
    let state = match detail.state {
        ContainerState::Created => SandboxState::Creating,
        ContainerState::Running | ContainerState::Restarting => SandboxState::Running,
        ContainerState::Paused => SandboxState::Paused,
        ContainerState::Exited | ContainerState::Dead | ContainerState::Removing => {
            if matches!(detail.exit_code, None | Some(0 | 143)) && !detail.is_oom_killed && detail.error.is_empty() {
                SandboxState::Stopped
            } else {
                SandboxState::Failed
            }
        }
    };
    let checks = reported(detail, verified);
    let failed = checks.iter().find(|check| !check.ok);
    let health = match (state, detail.health.state) {
        (SandboxState::Running, HealthState::Healthy) => Health::Healthy,
        (SandboxState::Running, HealthState::Unhealthy) => Health::Unhealthy,
        (SandboxState::Running, HealthState::Starting | HealthState::None) => match verified {
            Some(_) if failed.is_some() => Health::Unhealthy,
            Some(_) => Health::Healthy,
            None => Health::Starting,
        },
        _ => Health::None,
    };
    let exit_code = detail
        .exit_code
        .filter(|_| !matches!(state, SandboxState::Running | SandboxState::Creating | SandboxState::Paused));
    let why = match state {
        SandboxState::Failed if detail.is_oom_killed => Some("it ran out of memory".to_owned()),
        SandboxState::Failed if guard::has_ended(detail) => Some(guard::words(bare)),
        SandboxState::Failed if !detail.error.is_empty() => Some(detail.error.clone()),
        SandboxState::Failed => exit_code.map(|code| match code {
            137 => "it was killed".to_owned(),
            code => format!("its main process ended with status {code}"),
        }),
        SandboxState::Running => failed.map(|check| format!("{}: {}", check.name, check.detail)),
        _ => None,
    };
    SandboxInfo {
        id: label(labels::SANDBOX),
        container: detail.name.clone(),
        project: label(labels::PROJECT),
        session: label(labels::SESSION),
        state,
        health,
        detail: why,
        lifetime: if label(labels::LIFETIME) == "ephemeral" { Lifetime::Ephemeral } else { Lifetime::Persistent },
        network: gateway::network_of(&detail.labels),
        enforcement: Enforcement::Off,
        // Until its gateway is talked to; then the label says what is so.
        alarm: (state == SandboxState::Running && gateway::is_used(&detail.labels))
            .then(|| "it was not yet checked from inside".to_owned()),
        blocked: 0,
        bypass_until_ms: None,
        image: detail.labels.get(labels::IMAGE).unwrap_or(&detail.image).clone(),
        claude_version: label(labels::CLAUDE),
        created_at: detail.created_at.clone(),
        started_at: detail.started_at.clone(),
        exit_code,
        is_outdated,
    }
}

/// What is known of the checks. Until the engine has decided for this run, what it has is of the run before.
fn reported(detail: &ContainerDetail, verified: Option<&[HealthCheck]>) -> Vec<HealthCheck> {
    match (detail.health.state, verified) {
        (HealthState::Healthy | HealthState::Unhealthy, _) | (_, None) => parse_checks(&detail.health.output),
        (_, Some(verified)) => verified.to_vec(),
    }
}

/// The checks in what the helper's `health` printed; none when it printed something else.
pub(crate) fn parse_checks(output: &str) -> Vec<HealthCheck> {
    #[derive(serde::Deserialize)]
    struct Report {
        checks: Vec<HealthCheck>,
    }
    output
        .find('{')
        .and_then(|begin| serde_json::Deserializer::from_str(&output[begin..]).into_iter::<Report>().next())
        .and_then(std::result::Result::ok)
        .map(|report| report.checks)
        .unwrap_or_default()
}

/// A container as the engine tells of it, with nothing in it that a test is about but these.
#[cfg(test)]
pub(crate) fn container(
    id: String,
    name: String,
    state: ContainerState,
    labels: HashMap<String, String>,
) -> ContainerDetail {
    ContainerDetail {
        id,
        name,
        image: String::new(),
        image_id: String::new(),
        state,
        exit_code: None,
        is_oom_killed: false,
        error: String::new(),
        health: boxwood_engine::HealthReport { state: HealthState::None, output: String::new() },
        created_at: String::new(),
        started_at: None,
        mounts: Vec::new(),
        user: String::new(),
        memory_bytes: 0,
        nano_cpus: 0,
        pids: 0,
        nofile: 0,
        networks: Vec::new(),
        labels,
    }
}
