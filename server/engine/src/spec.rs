//! Engine objects in the product's terms.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::Ipv4Addr;

use bytes::Bytes;

/// What an engine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// For example `20.10.24`.
    pub version: String,
    /// `linux` or `windows`: what its containers are.
    pub os: String,
    /// In Go's terms: `amd64`, `arm64`.
    pub arch: String,
    /// Processors.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Whether it runs without root.
    pub is_rootless: bool,
    /// Where it keeps its data, on its own machine.
    pub root_directory: String,
    /// Id that stays the same while the engine's data does.
    pub id: String,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Made and never started.
    Created,
    /// Running.
    Running,
    /// Suspended.
    Paused,
    /// Between two runs.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Could not be removed.
    Dead,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    /// Image reference it was made from.
    pub image: String,
    /// What it is doing.
    pub state: ContainerState,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// When it was made, seconds since 1970.
    pub created_unix: i64,
}

/// What a container's health is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// It has no health check.
    None,
    /// Not yet checked.
    Starting,
    /// The last check passed.
    Healthy,
    /// Several checks in a row failed.
    Unhealthy,
}

/// The last health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// The verdict.
    pub state: HealthState,
    /// What the last check printed.
    pub output: String,
}

/// A container with its details.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerDetail {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    /// Image reference it was made from.
    pub image: String,
    /// Id of that image.
    pub image_id: String,
    /// What it is doing.
    pub state: ContainerState,
    /// Exit status of the last run.
    pub exit_code: Option<i64>,
    /// Whether the last run ended for want of memory.
    pub is_oom_killed: bool,
    /// What the engine says of a start that failed.
    pub error: String,
    /// Health.
    pub health: HealthReport,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was last started, RFC 3339; `None` when never.
    pub started_at: Option<String>,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// `uid:gid`.
    pub user: String,
    /// Memory limit, bytes; 0 for none.
    pub memory_bytes: u64,
    /// Processor limit in billionths; 0 for none.
    pub nano_cpus: u64,
    /// Limit of processes; 0 for none.
    pub pids: u32,
    /// Limit of open files; 0 for none.
    pub nofile: u32,
    /// Networks it is on, by name. One that does not run is on them when it starts.
    pub networks: Vec<Attachment>,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Name of the network.
    pub network: String,
    /// Its address there: the one it has, or the one it asked for and gets when it starts.
    pub ipv4: Option<Ipv4Addr>,
}

/// What is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A path of the engine's machine.
    Bind {
        /// Path there; must exist.
        source: String,
        /// Path inside.
        target: String,
        /// Whether the inside cannot write.
        read_only: bool,
    },
    /// A named volume.
    Volume {
        /// Name.
        name: String,
        /// Path inside.
        target: String,
        /// Whether the inside cannot write.
        read_only: bool,
        /// Whether the engine leaves an empty volume empty instead of copying the image's files at `target` into it.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs {
        /// Path inside.
        target: String,
        /// Most bytes.
        size_bytes: u64,
        /// Mode bits, for example `0o1777`.
        mode: u32,
    },
}

/// What network a container has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// The engine's default.
    Default,
    /// None.
    #[default]
    None,
    /// A named network. Whether it is there is looked at when the container starts.
    Named {
        /// Name.
        name: String,
        /// Address there; the engine chooses one when `None`.
        ipv4: Option<Ipv4Addr>,
    },
}

/// How the engine checks a container's health by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSpec {
    /// Program and arguments, executed without a shell.
    pub command: Vec<String>,
    /// Seconds between checks.
    pub interval_seconds: u32,
    /// Seconds after which a check has failed.
    pub timeout_seconds: u32,
    /// Failures in a row until the container is unhealthy.
    pub retries: u32,
}

/// A container to make. What is not said here is always the same: no new privileges, no privileged mode, no devices, no
/// capabilities but those that are named, and the image's entry point replaced by `command`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSpec {
    /// Name.
    pub name: String,
    /// Image reference or id.
    pub image: String,
    /// Program and arguments, replacing the image's entry point and command.
    pub command: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `uid:gid`.
    pub user: String,
    /// Directory of the main process.
    pub workdir: String,
    /// Host name inside.
    pub hostname: String,
    /// Mounts, parents before children.
    pub mounts: Vec<Mount>,
    /// Memory limit in bytes, swap included; 0 for none.
    pub memory_bytes: u64,
    /// Processor limit in billionths of one; 0 for none.
    pub nano_cpus: u64,
    /// Limit of processes and threads; 0 for none.
    pub pids: u32,
    /// Limit of open files per process; 0 for the engine's default.
    pub nofile: u32,
    /// Network.
    pub network: NetworkMode,
    /// Name servers; the engine's own when empty.
    pub dns: Vec<Ipv4Addr>,
    /// Health check; `None` switches off the image's own.
    pub health: Option<HealthSpec>,
    /// Capabilities it begins with, for example `NET_ADMIN`; all others are taken away.
    pub capabilities: Vec<String>,
    /// Kernel settings of its own namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Whether its root file system cannot be written.
    pub read_only_root: bool,
    /// Whether the main process has an input that stays open whoever attaches and leaves.
    pub open_stdin: bool,
    /// Whether the main process is the first process itself, without the engine's init above it.
    pub without_init: bool,
    /// Whether the engine keeps nothing of what the main process prints.
    pub without_log: bool,
}

/// A network to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it leads nowhere: only its own containers can be reached.
    pub internal: bool,
    /// Its addresses, for example `198.18.4.0/22`; the engine chooses when `None`.
    pub subnet: Option<String>,
    /// Options of the engine's bridge driver.
    pub options: BTreeMap<String, String>,
}

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkDetail {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// Whether it leads nowhere.
    pub internal: bool,
    /// Its addresses.
    pub subnet: Option<String>,
    /// Options of its driver.
    pub options: HashMap<String, String>,
    /// Running containers that are on it, by id, with their addresses; empty in lists.
    pub members: BTreeMap<String, Option<Ipv4Addr>>,
}

/// A command to start in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Further environment.
    pub env: Vec<String>,
    /// `uid:gid`; the container's when empty.
    pub user: String,
    /// Directory; the container's when empty.
    pub workdir: String,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether it gets input.
    pub stdin: bool,
}

/// Where a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output, or everything when there is a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it came from.
    pub stream: OutputStream,
    /// The bytes, not necessarily whole lines or characters.
    pub bytes: Bytes,
}

/// A container's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StatsReading {
    /// 100 is one whole processor, over the time since the reading before.
    pub cpu_percent: f64,
    /// Memory without the reclaimable page cache, bytes.
    pub memory_bytes: u64,
    /// Memory limit, bytes.
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes received.
    pub network_rx_bytes: u64,
    /// Bytes sent.
    pub network_tx_bytes: u64,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDetail {
    /// `sha256:…`.
    pub id: String,
    /// References with tags.
    pub tags: Vec<String>,
    /// Size, bytes.
    pub size_bytes: u64,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// In Go's terms.
    pub arch: String,
    /// Environment that containers of it begin with, `KEY=VALUE`.
    pub env: Vec<String>,
}

/// An image to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildSpec {
    /// Reference to give it.
    pub tag: String,
    /// Path of the Dockerfile in the context.
    pub dockerfile: String,
    /// Stage to stop at; the last when empty.
    pub target: String,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The context, a tar archive, optionally gzipped.
    pub context: Bytes,
    /// Whether to leave out the engine's cache.
    pub no_cache: bool,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeDetail {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: HashMap<String, String>,
}

/// A change of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// `create`, `start`, `die`, `destroy`, `health_status: healthy`, `oom`, `pause`, … as the engine says.
    pub action: String,
    /// Which container.
    pub container_id: String,
    /// Its labels, and what the engine adds (`name`, `image`, `exitCode`).
    pub attributes: HashMap<String, String>,
}
