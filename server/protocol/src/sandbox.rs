//! A sandbox as clients see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::config::{ImageVariant, Lifetime, Network};

/// What the container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum SandboxState {
    /// Being made.
    Creating,
    /// Running.
    Running,
    /// Suspended by the engine.
    Paused,
    /// Ended with status 0, or stopped on request.
    Stopped,
    /// Ended otherwise, for example killed or out of memory.
    Failed,
}

/// What the last health check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// Not running, so not checked.
    None,
    /// Running and not yet checked.
    Starting,
    /// Every check passed.
    Healthy,
    /// A check failed.
    Unhealthy,
}

/// Where the network policy is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Enforcement {
    /// In a gateway outside the container.
    Outside,
    /// By rules inside the container.
    Inside,
    /// Nowhere: the network is open, or there is none.
    Off,
}

/// A sandbox in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxInfo {
    /// Stable id, made from project and session: `<basename>-<hash8>[-<session>]`.
    pub id: String,
    /// Name of the container.
    pub container: String,
    /// Canonical path of the project on the host.
    pub project: String,
    /// Name of the session; `default` unless one was given.
    pub session: String,
    /// What the container is doing.
    pub state: SandboxState,
    /// What the last health check said.
    pub health: Health,
    /// The first failed check, or why the container ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub detail: Option<String>,
    /// Kept until removed, or removed when it ends.
    pub lifetime: Lifetime,
    /// The network that it was made with.
    #[serde(default)]
    pub network: Network,
    /// Where the network policy is enforced, as last checked from inside.
    pub enforcement: Enforcement,
    /// Why enforcement is weaker than what was asked for, or cannot be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub alarm: Option<String>,
    /// Connections and lookups that were refused since the sandbox started.
    #[serde(default)]
    #[ts(type = "number")]
    pub blocked: u64,
    /// Until when everything is let through, milliseconds since 1970; absent when the policy holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub bypass_until_ms: Option<u64>,
    /// Image reference.
    pub image: String,
    /// Version of Claude Code inside.
    pub claude_version: String,
    /// When the container was made, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was last started, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub started_at: Option<String>,
    /// Exit status of the main process, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub exit_code: Option<i64>,
    /// True when the configuration in force differs from the one it was made with, so a refresh would change it.
    pub is_outdated: bool,
}

/// A mount of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MountInfo {
    /// Path on the host, or the name of a volume.
    pub source: String,
    /// Path inside.
    pub target: String,
    /// Whether the inside can write.
    pub is_read_only: bool,
}

/// Limits of a sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Memory in bytes; there is no swap beyond it.
    #[ts(type = "number")]
    pub memory_bytes: u64,
    /// Processors, in units of one.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u32,
    /// Open files per process.
    pub nofile: u32,
}

/// A sandbox with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxDetail {
    /// The short form.
    pub sandbox: SandboxInfo,
    /// Id of the container, 64 hexadecimal digits.
    pub container_id: String,
    /// The limits it was made with.
    pub limits: Limits,
    /// Its mounts.
    pub mounts: Vec<MountInfo>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `uid:gid` of its processes.
    pub user: String,
    /// Where its home and conversations are kept on the host.
    pub state_directory: String,
    /// Hash of the configuration it was made with.
    pub config_hash: String,
    /// Variant of the agent image, unless the project brings its own image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub variant: Option<ImageVariant>,
    /// What the last health check said, check by check.
    pub checks: Vec<HealthCheck>,
}

/// One check of the health of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// For example `workspace-writable`.
    pub name: String,
    /// Whether it passed.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}
