//! Operations: what takes longer than a request may.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::error::RpcError;

/// Where a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Stream {
    /// Standard output of a command.
    Stdout,
    /// Standard error of a command.
    Stderr,
    /// A line of a build or of Boxwood itself.
    Log,
}

/// The answer to a method that starts an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct OperationStarted {
    /// Id of the operation, also its trace id in logs and labels: 32 lower-case hexadecimal digits.
    pub operation_id: String,
}

/// Names an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationParams {
    /// Id as given by [`OperationStarted`].
    pub operation_id: String,
}

/// The answer to a request to cancel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// False when the operation had already ended.
    pub was_running: bool,
}

/// An operation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct OperationSummary {
    /// Id of the operation.
    pub operation_id: String,
    /// What it does: the last part of the method's name, for example `ensure`.
    pub kind: String,
    /// The sandbox it works on, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox_id: Option<String>,
    /// The project it works for, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub project: Option<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// How it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub outcome: Option<OutcomeKind>,
}

/// The three ways an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum OutcomeKind {
    /// It did what it was asked.
    Ok,
    /// It was cancelled and undone.
    Cancelled,
    /// It failed and was undone.
    Failed,
}

/// The end of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct OperationEnd {
    /// Id of the operation.
    pub operation_id: String,
    /// What it did.
    pub kind: String,
    /// How it ended.
    pub outcome: OutcomeKind,
    /// What it gives, when it went well; its type is the method's `ends`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "unknown")]
    pub result: Option<serde_json::Value>,
    /// Why it did not, otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub error: Option<RpcError>,
    /// What could not be undone after a failure, each in plain words; the next start of the daemon tries again.
    #[serde(default)]
    pub left_over: Vec<String>,
    /// How long it took, milliseconds.
    #[ts(type = "number")]
    pub duration_ms: u64,
}

/// Durations and outcomes of one kind of operation since the daemon first kept them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Kind of operation.
    pub kind: String,
    /// How many ended well.
    #[ts(type = "number")]
    pub ok: u64,
    /// How many were cancelled.
    #[ts(type = "number")]
    pub cancelled: u64,
    /// How many failed.
    #[ts(type = "number")]
    pub failed: u64,
    /// Middle duration of the last 128, milliseconds.
    #[ts(type = "number")]
    pub median_ms: u64,
    /// Duration that 95 of 100 of the last 128 stay under, milliseconds.
    #[ts(type = "number")]
    pub p95_ms: u64,
    /// Longest of the last 128, milliseconds.
    #[ts(type = "number")]
    pub max_ms: u64,
}
