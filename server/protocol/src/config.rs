//! Settings of a sandbox, declared once for the user's file, the project's file, the editor and the command line.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::egress::EgressConfig;

/// How long a sandbox lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Lifetime {
    /// Stopped and started, until it is removed.
    #[default]
    Persistent,
    /// Removed when Claude ends; conversations stay on disk.
    Ephemeral,
}

/// The agent images on offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImageVariant {
    /// Git, ripgrep, curl and what else a person expects at a prompt.
    #[default]
    Slim,
    /// Slim with build tools, Python and Node.
    Full,
    /// Slim with a Rust toolchain and a C compiler.
    Rust,
    /// Slim with Python, pip and venv.
    Python,
}

impl ImageVariant {
    /// Every variant.
    pub const ALL: [Self; 4] = [Self::Slim, Self::Full, Self::Rust, Self::Python];

    /// The name as it is written in configuration and tags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slim => "slim",
            Self::Full => "full",
            Self::Rust => "rust",
            Self::Python => "python",
        }
    }
}

/// What the network of a sandbox may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// What the policy allows, through a gateway outside the container.
    #[default]
    Gateway,
    /// Everything the engine's default network can reach.
    Open,
    /// Nothing at all.
    None,
}

/// Whether a sandbox may ask the host's SSH agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SshAgent {
    /// No.
    #[default]
    Off,
    /// Yes: keys never leave the agent, but what runs inside can sign in and sign with each of them.
    On,
}

/// Where the project appears inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WorkspacePath {
    /// At the same absolute path as on the host, so that conversations can be resumed on both sides.
    #[default]
    Same,
    /// At `/workspaces/<name>`, as devcontainers have it.
    Workspaces,
}

/// One layer of settings; what it leaves out comes from the layer below: editor or flags over project over user over
/// defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct SandboxConfig {
    /// Agent image to use when the project brings none: `slim`, `full` (build tools, Python, Node), `rust` or `python`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "slim"))]
    pub variant: Option<ImageVariant>,
    /// Image to run instead of an agent image, for example `node:22` or the project's own. Nothing is built into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Dockerfile to build and run instead, relative to the project: for example `.boxwood/Dockerfile`, `.devcontainer/Dockerfile` or `Dockerfile`. `auto` takes the first of these that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// `persistent` sandboxes are stopped and started until removed; `ephemeral` ones are removed when Claude ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "persistent"))]
    pub lifetime: Option<Lifetime>,
    /// Most memory the sandbox may use, for example `8g` or `512m`. There is no swap beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "8g"))]
    pub memory: Option<String>,
    /// Most processors the sandbox may use; fractions are allowed. 0 means all of the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 0.0))]
    pub cpus: Option<f64>,
    /// Most processes and threads the sandbox may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 4096))]
    pub pids: Option<u32>,
    /// Most files a process of the sandbox may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 16384))]
    pub nofile: Option<u32>,
    /// Network of the sandbox: `gateway` for what the policy allows, `open` for everything, `none` for no network at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "gateway"))]
    pub network: Option<Network>,
    /// Where the project appears inside: at the `same` path as on the host, or under `/workspaces`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "same"))]
    pub workspace_path: Option<WorkspacePath>,
    /// Environment variables of the sandbox. Not for secrets: anyone who can inspect the container can read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Further paths, relative to the project, that are read-only inside because something on the host runs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_paths: Option<Vec<String>>,
    /// What the sandbox may reach when its network is `gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<EgressConfig>,
    /// Files and directories of the project that the sandbox cannot read: paths relative to the project, `*` for any part of a name and `**` for any directories, for example `.env` or `secrets/*.key`. Beside `.env`, `.env.local` and `.env.*.local`, and everywhere `.ssh`, `.aws`, `.gnupg`, `.netrc`, `.git-credentials`, `id_rsa` and `id_ed25519`, which are always masked; `!` in front lifts one, the last that fits decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masked_paths: Option<Vec<String>>,
    /// Files and directories of this machine beside the project that the sandbox can read and never write, for example `~/.ssh` or `/data/models:/models`: `SOURCE` or `SOURCE:TARGET`. Without a target, what is in your home appears at the same place in the sandbox's home, everything else at the same path. What runs inside can read all of it, private keys too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_mounts: Option<Vec<String>>,
    /// Further arguments for Claude Code inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claude_args: Option<Vec<String>>,
    /// Lets the sandbox use the login of Claude Code on this machine: it receives the short-lived access token, never the refresh token. Off by default; ignored in a project's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub host_login: Option<bool>,
    /// Lets the sandbox ask the SSH agent of this machine, for git over SSH and for signing commits. Keys never leave the agent, but what runs inside can use each of them while this is `on`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "off"))]
    pub ssh_agent: Option<SshAgent>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum ConfigSource {
    /// Built in.
    Default,
    /// The user's file.
    User,
    /// The project's file.
    Project,
    /// Editor settings or command-line flags of this request.
    Request,
}

/// The configuration in force for a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReport {
    /// Canonical path of the project.
    pub project: String,
    /// Every setting with its value.
    pub effective: SandboxConfig,
    /// Where each value that is not a default comes from.
    pub sources: BTreeMap<String, ConfigSource>,
    /// The project's file, when it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub project_file: Option<String>,
    /// Hash of the project's file and of the Dockerfile it names; what an approval is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub content_hash: Option<String>,
    /// Settings in the project's file that ask for more than the default, each in plain words.
    pub widens: Vec<String>,
    /// True when there is nothing to approve or it has been approved as it stands.
    pub is_approved: bool,
}

/// Approves a project's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveParams {
    /// Path of the project.
    pub project: String,
    /// The hash that the person saw; refused when the content is another by now.
    pub content_hash: String,
}
