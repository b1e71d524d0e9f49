//! What a sandbox may reach: rules, decisions, questions. Used by clients, by the daemon and by the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::params::SandboxRef;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EgressAction {
    /// It goes through.
    Allow,
    /// It is held while the person is asked; refused when nobody answers in time.
    Ask,
    /// It is refused.
    Deny,
}

/// Hosts, and what becomes of connections to them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EgressRule {
    /// A name (`github.com`), any name below one (`*.github.com`, which is not `github.com` itself), everything (`*`), an address (`10.1.2.3`, `[fd00::1]`) or a block of addresses (`10.1.0.0/16`).
    pub host: String,
    /// Ports. When left out, 80 and 443 for a rule that allows and every port for one that asks or denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<u16>>,
    /// What becomes of it.
    pub action: EgressAction,
    /// HTTP methods it is about, for example `GET`; all when left out. The gateway opens TLS for such a host, with an authority that only this sandbox trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// HTTP paths it is about; a `*` at the end stands for any rest. Also opens TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Lets the name lead to private, loopback and link-local addresses, which is refused otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// Opens TLS to compare each request's host with the connection's, so that a shared server cannot be used to reach another of its hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inspect: Option<bool>,
}

/// Bounds on what may pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EgressLimits {
    /// Connections open at a time; 1024 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// New connections a second; 200 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_per_second: Option<u32>,
    /// Most bytes that one connection may send, for example `1g`; no limit when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// Most bytes a second that the sandbox may send, for example `10m`; no limit when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_per_second: Option<String>,
}

/// The network policy of one layer of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EgressConfig {
    /// Ready-made sets of hosts: `claude` (always there), `npm`, `pypi`, `crates`, `go`, `debian`, `github` and others. `boxwood egress policy --presets` lists them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presets: Option<Vec<String>>,
    /// Hosts to allow, each `name`, `*.name` or `name:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Hosts to refuse, each `name`, `*.name` or `name:port`. No project can allow what your own file denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<Vec<String>>,
    /// Rules with all their detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<EgressRule>>,
    /// Addresses of names that are not to be looked up, like a line of a hosts file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<std::collections::BTreeMap<String, std::net::IpAddr>>,
    /// What becomes of hosts that no rule names: `ask` holds the connection while you are asked, `deny` refuses it, `allow` lets everything through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ask"))]
    pub default: Option<EgressAction>,
    /// Seconds that a connection is held for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 60))]
    pub hold_seconds: Option<u32>,
    /// Bounds on what may pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<EgressLimits>,
}

/// Where a rule comes from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum EgressLayer {
    /// The gateway's own rules: what no policy can allow.
    BuiltIn,
    /// Everything is let through for a while, by the person's wish.
    Bypass,
    /// Decided for this sandbox until it stops.
    Session,
    /// Decided for this project, kept in Boxwood's own state.
    Remembered,
    /// Denied in the user's file.
    UserDeny,
    /// Flags or editor settings.
    Request,
    /// The project's file, approved.
    Project,
    /// The user's file.
    User,
    /// A preset.
    Preset,
    /// No rule names the host.
    Default,
}

/// A rule with its place in the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PlacedRule {
    /// Where it comes from.
    pub layer: EgressLayer,
    /// Name of the preset, when it comes from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub preset: Option<String>,
    /// The rule.
    pub rule: EgressRule,
}

/// A whole policy as the gateway enforces it: every rule of every layer, presets written out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EgressPolicy {
    /// Rules; their order does not matter, their layers and what they say do.
    pub rules: Vec<PlacedRule>,
    /// What becomes of hosts that no rule names.
    pub default: EgressAction,
    /// Seconds that a connection is held for an answer.
    pub hold_seconds: u32,
    /// Connections open at a time.
    pub connections: u32,
    /// New connections a second.
    pub connections_per_second: u32,
    /// Most bytes that one connection may send; 0 for no limit.
    #[ts(type = "number")]
    pub upload_bytes: u64,
    /// Most bytes a second that the sandbox may send; 0 for no limit.
    #[ts(type = "number")]
    pub upload_bytes_per_second: u64,
    /// Until when everything is let through, milliseconds since 1970; 0 for not at all.
    #[ts(type = "number")]
    pub bypass_until_ms: u64,
}

/// How a connection named its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum EgressVia {
    /// A question for an address.
    Dns,
    /// The name in TLS's first message.
    Tls,
    /// A request's host, in the clear.
    Http,
    /// A request in TLS that the gateway opened.
    Https,
    /// A proxy's tunnel.
    Connect,
    /// A SOCKS proxy.
    Socks,
    /// The address that the name was given, on a port of another protocol.
    Address,
}

/// A decision that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EgressDecision {
    /// Grows by one per decision of a gateway's run.
    #[ts(type = "number")]
    pub serial: u64,
    /// When, milliseconds since 1970.
    #[ts(type = "number")]
    pub at_ms: u64,
    /// The host that was asked for; cleaned of everything that is not printable.
    pub host: String,
    /// The port; 0 for a question for an address.
    pub port: u16,
    /// How it was asked for.
    pub via: EgressVia,
    /// What became of it: never `ask`.
    pub action: EgressAction,
    /// Which layer decided.
    pub layer: EgressLayer,
    /// The rule that decided, as text, for example `*.github.com:443`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub rule: Option<String>,
    /// Why it was refused, when not by a rule: for example `private-address`, `name-mismatch`, `timeout`; or why what was
    /// allowed was not reached: `not-found`, `lookup-failed`, `unreachable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<String>,
    /// Method and path, when the gateway saw them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub request: Option<String>,
    /// How many the same in a row this stands for.
    pub count: u32,
    /// Bytes that went out; of a connection that has ended.
    #[ts(type = "number")]
    pub bytes_up: u64,
    /// Bytes that came in; of a connection that has ended.
    #[ts(type = "number")]
    pub bytes_down: u64,
}

/// A connection that waits for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EgressAsk {
    /// Id, unique for a gateway's run; connections to the same host and port share one.
    pub id: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How many connections wait.
    pub waiting: u32,
    /// Until when, milliseconds since 1970.
    #[ts(type = "number")]
    pub until_ms: u64,
}

/// What the person answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum EgressAnswer {
    /// The connections that wait now.
    AllowOnce,
    /// Until the sandbox stops.
    AllowSession,
    /// In this project from now on.
    AllowProject,
    /// The connections that wait now, and others for a minute.
    Deny,
    /// In this project from now on.
    DenyAlways,
}

/// Answers for a host, whether a connection waits or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EgressDecideParams {
    /// Which sandbox.
    pub target: SandboxRef,
    /// `name`, `*.name` or `name:port`; without a port 80 and 443, unless only other ports wait: then those.
    pub host: String,
    /// The answer.
    pub answer: EgressAnswer,
}

/// Takes back what was decided for a host, for the session and the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressForgetParams {
    /// Which sandbox.
    pub target: SandboxRef,
    /// As it was decided; `*` alone takes back everything.
    pub host: String,
}

/// Lets everything through for a while, or ends that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressBypassParams {
    /// Which sandbox.
    pub target: SandboxRef,
    /// Seconds, at most 3600; 0 ends it.
    pub seconds: u32,
}

/// Asks what would become of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EgressTestParams {
    /// Which sandbox, or which project.
    pub target: SandboxRef,
    /// Name or address.
    pub host: String,
    /// Port; 443 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// HTTP method, for rules about methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// HTTP path, for rules about paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What the policy says of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EgressVerdict {
    /// What becomes of it.
    pub action: EgressAction,
    /// Which layer says so.
    pub layer: EgressLayer,
    /// The rule that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub rule: Option<PlacedRule>,
    /// The same in plain words.
    pub explanation: String,
}

/// Asks for recent decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct EgressLogParams {
    /// Which sandbox.
    pub target: SandboxRef,
    /// At most so many, the newest; 100 when left out, at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only what was refused.
    #[serde(default)]
    pub blocked: bool,
}

/// How often a rule decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RuleHits {
    /// The rule.
    #[serde(flatten)]
    pub placed: PlacedRule,
    /// How many connections it decided since the gateway started.
    #[ts(type = "number")]
    pub hits: u64,
}

/// A ready-made set of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PresetInfo {
    /// Name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its hosts, each `name`, `*.name` or `name:port`.
    pub hosts: Vec<String>,
}

/// The policy in force for a sandbox, or for a project's next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EgressReport {
    /// The network of the sandbox, or of the next one; only `gateway` has a policy.
    #[serde(default)]
    pub network: crate::config::Network,
    /// Where it is enforced.
    pub enforcement: crate::sandbox::Enforcement,
    /// Why it is not enforced outside, when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub alarm: Option<String>,
    /// The rules, the strongest layer first.
    pub rules: Vec<RuleHits>,
    /// What becomes of hosts that no rule names.
    pub default: EgressAction,
    /// Until when everything is let through, milliseconds since 1970; 0 for not at all.
    #[ts(type = "number")]
    pub bypass_until_ms: u64,
    /// Connections that wait for an answer.
    pub asks: Vec<EgressAsk>,
    /// Connections that went through since the gateway started.
    #[ts(type = "number")]
    pub allowed: u64,
    /// Connections that were refused since then.
    #[ts(type = "number")]
    pub blocked: u64,
    /// Connections open now.
    pub open: u32,
    /// The presets that exist.
    pub presets: Vec<PresetInfo>,
}
