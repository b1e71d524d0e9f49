//! Git credentials of the host in sandboxes: which hosts the person allowed, and which requests wait.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::params::SandboxRef;

/// A request for a credential that waits for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct GitAsk {
    /// Tells this question from others of the daemon.
    pub id: String,
    /// Host, with its port where that is not 443.
    pub host: String,
    /// Project whose sandboxes the answer is for.
    pub project: String,
    /// When it is refused without an answer, milliseconds since 1970.
    pub until_ms: u64,
}

/// What the person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum GitAnswer {
    /// The sandbox gets the credential when git asks for it.
    Allow,
    /// It does not, and nobody is asked.
    Deny,
}

/// What was decided for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct GitApproval {
    /// Host, with its port where that is not 443.
    pub host: String,
    /// The decision.
    pub answer: GitAnswer,
}

/// Decisions and open questions of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct GitReport {
    /// Canonical path of the project.
    pub project: String,
    /// What was decided, by host.
    pub approvals: Vec<GitApproval>,
    /// Requests that wait.
    pub asks: Vec<GitAsk>,
}

/// Decides about a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitDecideParams {
    /// Which sandbox, or the project; the decision is for the whole project.
    pub target: SandboxRef,
    /// Host, or `host:port`.
    pub host: String,
    /// The decision.
    pub answer: GitAnswer,
}

/// Takes a decision back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitRevokeParams {
    /// Which sandbox, or the project.
    pub target: SandboxRef,
    /// Host, or `host:port`.
    pub host: String,
}
