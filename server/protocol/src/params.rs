//! Parameters and results of the methods.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

pub use crate::catalog::{
    CheckStatus, DoctorCheck, DoctorReport, ImageBuildParams, ImageInfo, TemplateInfo, TemplateInsertParams,
    TemplateInsertResult, TemplateOption,
};
use crate::config::SandboxConfig;
use crate::credentials::ClientEnvironment;
use crate::sandbox::{SandboxInfo, SandboxState};

/// No parameters, or nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(type = "Record<string, never>")]
pub struct Empty {}

/// Who the client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelloParams {
    /// `cli`, `lsp` or another name for the log.
    pub client: String,
    /// Version of the client's program.
    pub version: String,
    /// [`crate::PROTOCOL_VERSION`] of the client.
    pub protocol: u32,
}

/// Who the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct HelloResult {
    /// Version of the daemon's program.
    pub version: String,
    /// [`crate::PROTOCOL_VERSION`] of the daemon.
    pub protocol: u32,
    /// Process id.
    pub pid: u32,
    /// Identifies the program file, so that a rebuilt one of the same version is told apart.
    pub build: String,
}

/// The engine as the daemon sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EngineStatus {
    /// Whether it answers.
    pub is_available: bool,
    /// Where it is asked, for example `unix:///var/run/docker.sock`.
    pub endpoint: String,
    /// Where the endpoint was found: `DOCKER_HOST`, `context NAME` or `default`.
    pub source: String,
    /// Version of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub version: Option<String>,
    /// API version that was agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub api_version: Option<String>,
    /// Why it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub problem: Option<String>,
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since it started.
    #[ts(type = "number")]
    pub uptime_seconds: u64,
    /// Resident memory in bytes, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub memory_bytes: Option<u64>,
    /// Open connections.
    pub clients: u32,
    /// Sandboxes that run.
    pub running_sandboxes: u32,
    /// Operations that run.
    pub operations: u32,
    /// The engine.
    pub engine: EngineStatus,
    /// Directory of the log files.
    pub log_directory: String,
    /// Directory of the state.
    pub state_directory: String,
    /// Path of the socket, or name of the pipe.
    pub socket: String,
}

/// Asks the daemon to leave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct DaemonStopParams {
    /// Leave even while operations run; they are cancelled and undone first.
    #[serde(default)]
    pub force: bool,
}

/// A project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ProjectParams {
    /// Path of the project; symbolic links are followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// What is examined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct DoctorParams {
    /// Path of a project that is looked at too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Claude Code's variables in the client's environment, from which a sandbox would be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ClientEnvironment>,
}

/// Which sandboxes are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct SandboxFilter {
    /// Only this project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// Names one sandbox: by id or container name, or by project and session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct SandboxRef {
    /// Id, container name, or an unambiguous beginning of either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Path of the project, when no id is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Session of the project; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Brings a project's sandbox to life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EnsureParams {
    /// Path of the project; symbolic links are followed.
    #[serde(default)]
    #[ts(optional = false)]
    pub project: String,
    /// Name of the session: 1 to 32 of `a-z`, `0-9`, `-`; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Settings of the editor or the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<SandboxConfig>,
    /// Claude Code's variables in the client's environment. Left out by a client that does not know them, which leaves a
    /// credential from there as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ClientEnvironment>,
}

/// How a sandbox came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum EnsureAction {
    /// It was made.
    Created,
    /// It was there and stopped.
    Started,
    /// It was there and running.
    Attached,
    /// It was made anew.
    Recreated,
}

/// The sandbox that is there now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EnsureResult {
    /// The sandbox.
    pub sandbox: SandboxInfo,
    /// How it came to be there.
    pub action: EnsureAction,
    /// What the person should know although all went well.
    pub warnings: Vec<String>,
}

/// Removes a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct RemoveParams {
    /// Id, container name, or an unambiguous beginning of either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Path of the project, when no id is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Session of the project; `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Also delete its home with conversations and login. Not undoable.
    #[serde(default)]
    pub purge_state: bool,
}

/// Sandboxes by state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SandboxCount {
    /// All of them.
    pub total: u32,
    /// Per state; a state without any is left out.
    #[ts(type = "Partial<Record<SandboxState, number>>")]
    pub by_state: BTreeMap<SandboxState, u32>,
}

/// Which end of the log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct LogsParams {
    /// Which sandbox.
    #[serde(default)]
    #[ts(optional = false)]
    pub target: SandboxRef,
    /// How many lines from the end; 200 when left out, 10000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
}

/// Lines of the main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct LogsResult {
    /// The lines, oldest first.
    pub lines: Vec<String>,
}

/// Runs a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ExecParams {
    /// Which sandbox.
    #[serde(default)]
    #[ts(optional = false)]
    pub target: SandboxRef,
    /// Program and arguments; no shell is involved.
    #[serde(default)]
    #[ts(optional = false)]
    pub command: Vec<String>,
    /// Directory inside; the workspace when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ExecResult {
    /// Exit status.
    #[ts(type = "number")]
    pub exit_code: i64,
    /// Standard output, the last mebibyte, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, the last mebibyte, invalid UTF-8 replaced.
    pub stderr: String,
}

/// What a terminal wants to run in a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct AttachParams {
    /// Which sandbox.
    #[serde(default)]
    #[ts(optional = false)]
    pub target: SandboxRef,
    /// What is to run; Claude's terminal when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// A shell beside Claude instead.
    #[serde(default)]
    pub shell: bool,
    /// Continue the last conversation when Claude is not running yet.
    #[serde(default)]
    pub resume_last: bool,
}

/// How to reach a process of a sandbox directly on the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AttachTarget {
    /// The sandbox.
    pub sandbox: SandboxInfo,
    /// Endpoint of the engine.
    pub endpoint: String,
    /// API version that was agreed on with the engine.
    pub api_version: String,
    /// Id of the container.
    pub container_id: String,
    /// Program and arguments to execute.
    pub command: Vec<String>,
    /// `uid:gid` to execute as.
    pub user: String,
    /// Directory to execute in.
    pub workdir: String,
}

/// One reading of a sandbox's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StatsSample {
    /// Processor use; 100 is one whole processor.
    pub cpu_percent: f64,
    /// Memory in use without the page cache, bytes.
    #[ts(type = "number")]
    pub memory_bytes: u64,
    /// Memory limit, bytes.
    #[ts(type = "number")]
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    #[ts(type = "number")]
    pub pids: u64,
    /// Bytes received since the start.
    #[ts(type = "number")]
    pub network_rx_bytes: u64,
    /// Bytes sent since the start.
    #[ts(type = "number")]
    pub network_tx_bytes: u64,
}

/// What may be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct PruneParams {
    /// Only say what would be removed.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was, or would be, removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PruneReport {
    /// True when nothing was touched.
    pub is_dry_run: bool,
    /// Containers, by name: sandboxes, each with its gateway and its network, and leftovers.
    pub containers: Vec<String>,
    /// Volumes, by name.
    pub volumes: Vec<String>,
    /// Images, by reference.
    pub images: Vec<String>,
    /// Networks of sandboxes that were gone before, and the one that gateways have in common when there is none left, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>", optional)]
    pub networks: Vec<String>,
    /// Bytes of the images that were, or would be, freed.
    #[ts(type = "number")]
    pub reclaimed_bytes: u64,
}
