//! What the daemon and a sandbox's gateway say to each other: JSON-RPC 2.0, one message a line, on the gateway's
//! standard input and output. Only the daemon asks; the gateway tells.
//!
//! A line is at most [`MAX_LINE_BYTES`] long. The gateway refuses every connection until it has a policy, and keeps
//! the last one when nobody talks to it any more.

use serde::{Deserialize, Serialize};

use crate::egress::{EgressAction, EgressAsk, EgressDecision, EgressPolicy};

/// Longest message, bytes.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// The name that a gateway answers with its own main address, whatever the policy says, even before there is one. Asking
/// for it is no decision and is not logged: by it, sandboxes are checked from inside.
pub const OWN_NAME: &str = "gateway.boxwood.internal";

/// A request to the gateway. The answer is [`Answer`] with the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "camelCase")]
pub enum Ask {
    /// Enforce this from now on. Flows that it no longer allows are cut; others go on. Answers [`Status`].
    Configure(Box<Configure>),
    /// Answers [`Status`].
    Status(Nothing),
    /// Lets the connections that wait under an id go on, or refuses them. Answers [`Status`].
    Decide(Decide),
}

/// No parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// What to enforce.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configure {
    /// Grows with every policy of a sandbox.
    pub revision: u64,
    /// The policy.
    pub policy: EgressPolicy,
    /// The authority that this sandbox trusts, for hosts whose TLS is opened; without it these hosts are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<Authority>,
    /// Authorities that the gateway itself trusts beside the public ones: PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<String>,
    /// Addresses of names that are not to be looked up, for tests and for hosts of this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostEntry>,
}

impl std::fmt::Debug for Configure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Configure").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// A certificate authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Certificate, PEM.
    pub certificate: String,
    /// Private key, PKCS#8 PEM.
    pub key: String,
}

/// A name with a fixed address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostEntry {
    /// Name.
    pub name: String,
    /// Address.
    pub address: std::net::IpAddr,
}

/// An answer for connections that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decide {
    /// Id of the question.
    pub ask: String,
    /// `allow` or `deny`.
    pub action: EgressAction,
}

/// How the gateway is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Number of this run, so that a restart is noticed.
    pub run: u64,
    /// Revision of the policy; 0 when there is none yet.
    pub revision: u64,
    /// Connections open now.
    pub open: u32,
    /// Connections and requests that the policy let through: what all decisions that allow stand for together.
    pub allowed: u64,
    /// What was refused: what all decisions that deny stand for together. Connections, requests, and questions for names,
    /// because nothing follows one that is refused; the same name again within a second is the same question. What was let
    /// through and then cut, or led where it may not, is in both counts.
    pub blocked: u64,
    /// How often each rule decided, also about questions for names that it refused: indexes into the policy's rules, with
    /// counts.
    pub hits: Vec<(usize, u64)>,
    /// What waits for an answer.
    pub asks: Vec<EgressAsk>,
    /// The last decisions, at most 256, the newest last.
    pub recent: Vec<EgressDecision>,
}

/// What the gateway tells without being asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "camelCase")]
pub enum Tell {
    /// It runs and has no policy yet, or someone attached again.
    Ready(Status),
    /// Something was decided. The same again within a second only raises the count of the next; of a question for a name
    /// not even that. Told again under the same number when connections that it let pass have ended: then with the bytes
    /// they moved, in place of the one before.
    Decided(EgressDecision),
    /// A connection waits, or one more, or until later.
    Asking(EgressAsk),
    /// None waits under this id any more.
    Asked {
        /// Id of the question.
        id: String,
    },
}

/// A request with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// Chosen by the daemon.
    pub id: u64,
    /// The request.
    #[serde(flatten)]
    pub ask: Ask,
}

/// An answer with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// The request's.
    pub id: u64,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Status>,
    /// When it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// JSON-RPC's number.
    pub code: i32,
    /// Plain words.
    pub message: String,
}

/// A notification with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// What is told.
    #[serde(flatten)]
    pub tell: Tell,
}
