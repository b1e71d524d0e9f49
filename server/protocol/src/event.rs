//! What the daemon tells its subscribers without being asked.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::egress::{EgressAsk, EgressDecision};
use crate::git::GitAsk;
use crate::login::LoginAsk;
use crate::operation::{OperationEnd, OperationSummary, Stream};
use crate::params::{EngineStatus, StatsSample};
use crate::sandbox::SandboxInfo;

/// What a subscriber wants beside the changes of sandboxes, operations and the engine, which everybody gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscribeParams {
    /// Ids of sandboxes whose figures are wanted about once a second; the engine is asked only while someone wants them.
    #[serde(default)]
    pub stats: Vec<String>,
}

/// A change, as it happened. A subscription begins with a [`Event::Snapshot`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// Everything as it stands when the subscription begins, and again after events were lost.
    Snapshot {
        /// All sandboxes.
        sandboxes: Vec<SandboxInfo>,
        /// Connections that wait for the person, by sandbox.
        #[serde(default)]
        asks: std::collections::BTreeMap<String, Vec<EgressAsk>>,
        /// What running sign-ins ask of the person, by operation.
        #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
        #[ts(as = "Option<std::collections::BTreeMap<String, Vec<LoginAsk>>>", optional)]
        logins: std::collections::BTreeMap<String, Vec<LoginAsk>>,
        /// The operations that run.
        operations: Vec<OperationSummary>,
        /// The engine.
        engine: EngineStatus,
    },
    /// A sandbox is new or differs from before.
    SandboxChanged {
        /// The sandbox as it now is.
        sandbox: SandboxInfo,
    },
    /// A sandbox is gone.
    SandboxRemoved {
        /// Its id.
        id: String,
    },
    /// The engine came, went or changed.
    EngineChanged {
        /// The engine as it now is.
        engine: EngineStatus,
    },
    /// Figures of a sandbox.
    Stats {
        /// Which sandbox.
        sandbox_id: String,
        /// The reading.
        sample: StatsSample,
    },
    /// A connection of a sandbox was let through or refused.
    EgressDecided {
        /// Which sandbox.
        sandbox_id: String,
        /// The decision.
        decision: EgressDecision,
    },
    /// A connection of a sandbox waits for the person, or one more for the same host.
    EgressAsking {
        /// Which sandbox.
        sandbox_id: String,
        /// The question.
        ask: EgressAsk,
    },
    /// No connection waits for an answer to this question any more.
    EgressAsked {
        /// Which sandbox.
        sandbox_id: String,
        /// Id of the question.
        ask_id: String,
    },
    /// Something about Claude's credentials is no longer as it was: whoever shows them asks for their status anew. How
    /// they are depends on who asks, whose environment may hold some, so it is not told here.
    CredentialsChanged {
        /// The sandbox whose credentials they are; left out when it may be every sandbox's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        sandbox_id: Option<String>,
    },
    /// Git in a sandbox asks for a credential of this machine, and the person was not asked about that host before.
    GitAsking {
        /// Which sandbox.
        sandbox_id: String,
        /// The question.
        ask: GitAsk,
    },
    /// This question about a git credential is no longer open.
    GitAsked {
        /// Which sandbox.
        sandbox_id: String,
        /// Id of the question.
        ask_id: String,
    },
    /// A sign-in asks something of the person.
    LoginAsks {
        /// Which operation.
        operation_id: String,
        /// What it asks.
        ask: LoginAsk,
    },
    /// An operation began.
    OperationStarted {
        /// The operation.
        operation: OperationSummary,
    },
    /// An operation went on to a step, or further in one.
    OperationProgress {
        /// Which operation.
        operation_id: String,
        /// Short name of the step, for example `image`.
        step: String,
        /// What is being done, in plain words.
        message: String,
        /// Steps done.
        done: u32,
        /// Steps in all.
        total: u32,
        /// Share of this step that is done, 0 to 100, when it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        percent: Option<u8>,
    },
    /// Output of an operation: lines of a build, pieces of a command's output.
    OperationOutput {
        /// Which operation.
        operation_id: String,
        /// Where it came from.
        stream: Stream,
        /// The text; for a command's output this may be part of a line.
        text: String,
    },
    /// An operation ended. Sent exactly once per operation.
    OperationEnded {
        /// How it ended.
        end: OperationEnd,
    },
}
