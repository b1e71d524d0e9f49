//! The table of methods.
//!
//! A line gives the wire name, the marker type, the parameters and the result. A line ending in `ends X` starts an
//! operation: it answers [`OperationStarted`] at once and the operation's end carries an `X`.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use ts_rs::TS;

use crate::config::{ApproveParams, ConfigReport};
use crate::credentials::{
    CredentialsParams, CredentialsResolveParams, CredentialsSetModeParams, CredentialsSetParams,
    CredentialsSignOutParams, CredentialsStatus,
};
use crate::egress::{
    EgressAsk, EgressBypassParams, EgressDecideParams, EgressDecision, EgressForgetParams, EgressLogParams,
    EgressReport, EgressTestParams, EgressVerdict,
};
use crate::git::{GitDecideParams, GitReport, GitRevokeParams};
use crate::login::{LoginAcceptParams, LoginCodeParams, LoginStartParams};
use crate::operation::{Cancelled, Metric, OperationEnd, OperationParams, OperationStarted, OperationSummary};
use crate::params::{
    AttachParams, AttachTarget, DaemonStatus, DaemonStopParams, DoctorParams, DoctorReport, Empty, EnsureParams,
    EnsureResult, ExecParams, ExecResult, HelloParams, HelloResult, ImageBuildParams, ImageInfo, LogsParams,
    LogsResult, ProjectParams, PruneParams, PruneReport, RemoveParams, SandboxCount, SandboxFilter, SandboxRef,
    StatsSample, TemplateInfo, TemplateInsertParams, TemplateInsertResult,
};
use crate::sandbox::{SandboxDetail, SandboxInfo};

/// A request of the contract, tying its wire name to its types.
pub trait Method {
    /// Name on the wire, for example `boxwood/sandbox/list`.
    const NAME: &'static str;
    /// Parameters, always one JSON object.
    type Params: Serialize + DeserializeOwned + Send + 'static;
    /// The direct answer.
    type Result: Serialize + DeserializeOwned + Send + Clone + 'static;
    /// What the end of the operation carries, the same as `Result` when the method starts none.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;
}

/// Reads a value as a type of the contract and writes it again, without what the type does not know.
pub type Check = fn(&Value) -> serde_json::Result<Value>;

/// The [`Check`] for `T`.
///
/// # Errors
///
/// When the value is no `T`.
pub fn check<T: Serialize + DeserializeOwned>(value: &Value) -> serde_json::Result<Value> {
    serde_json::to_value(T::deserialize(value)?)
}

/// What generators and checks know of a method.
#[derive(Debug, Clone)]
pub struct MethodInfo {
    /// Name on the wire.
    pub name: &'static str,
    /// Name of the marker type.
    pub rust_name: &'static str,
    /// One paragraph of documentation.
    pub doc: &'static str,
    /// TypeScript name of the parameters.
    pub params: fn(&ts_rs::Config) -> String,
    /// TypeScript name of the direct answer.
    pub result: fn(&ts_rs::Config) -> String,
    /// TypeScript name of what the operation ends with, when the method starts one.
    pub outcome: Option<fn(&ts_rs::Config) -> String>,
    /// Reads and writes the parameters.
    pub check_params: Check,
    /// Reads and writes the direct answer.
    pub check_result: Check,
    /// Reads and writes what the operation ends with, or the direct answer when the method starts none.
    pub check_outcome: Check,
}

macro_rules! contract {
    ($($(#[doc = $doc:literal])+ $name:literal => $marker:ident($params:ty) -> $result:ty $(, ends $outcome:ty)?;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug)]
            pub struct $marker;
            impl Method for $marker {
                const NAME: &'static str = $name;
                type Params = $params;
                type Result = $result;
                type Outcome = contract!(@outcome $result $(, $outcome)?);
            }
        )+
        /// Every method, in the order of the reference.
        pub const METHODS: &[MethodInfo] = &[$(MethodInfo {
            name: $name,
            rust_name: stringify!($marker),
            doc: concat!($($doc, "\n"),+),
            params: <$params as TS>::name,
            result: <$result as TS>::name,
            outcome: contract!(@info $($outcome)?),
            check_params: check::<$params>,
            check_result: check::<$result>,
            check_outcome: check::<contract!(@outcome $result $(, $outcome)?)>,
        }),+];
    };
    (@outcome $result:ty) => { $result };
    (@outcome $result:ty, $outcome:ty) => { $outcome };
    (@info) => { None };
    (@info $outcome:ty) => { Some(<$outcome as TS>::name) };
}

contract! {
    /// Opens a conversation: each side learns the other's versions. The first request of every connection.
    "boxwood/daemon/hello" => Hello(HelloParams) -> HelloResult;
    /// Says how the daemon is: process, uptime, clients, sandboxes, engine.
    "boxwood/daemon/status" => Status(Empty) -> DaemonStatus;
    /// Asks the daemon to leave. Sandboxes keep running. Refused while operations run, unless forced.
    "boxwood/daemon/stop" => StopDaemon(DaemonStopParams) -> Empty;

    /// Brings a project's sandbox to life: creates, starts or finds it. Asking twice gives the same one.
    "boxwood/sandbox/ensure" => Ensure(EnsureParams) -> OperationStarted, ends EnsureResult;
    /// Stops a sandbox; its workspace and state stay.
    "boxwood/sandbox/stop" => Stop(SandboxRef) -> OperationStarted, ends SandboxInfo;
    /// Stops and starts a sandbox.
    "boxwood/sandbox/restart" => Restart(SandboxRef) -> OperationStarted, ends SandboxInfo;
    /// Makes the container anew from its image and configuration; workspace and state stay.
    "boxwood/sandbox/refresh" => Refresh(EnsureParams) -> OperationStarted, ends EnsureResult;
    /// Removes a sandbox. Its conversations and home stay on disk unless `purgeState` says otherwise.
    "boxwood/sandbox/remove" => Remove(RemoveParams) -> OperationStarted, ends Empty;
    /// All sandboxes, or a project's.
    "boxwood/sandbox/list" => List(SandboxFilter) -> Vec<SandboxInfo>;
    /// How many sandboxes there are, by state.
    "boxwood/sandbox/count" => Count(SandboxFilter) -> SandboxCount;
    /// One sandbox with its limits, mounts and configuration.
    "boxwood/sandbox/inspect" => Inspect(SandboxRef) -> SandboxDetail;
    /// The last lines that the sandbox's main process wrote.
    "boxwood/sandbox/logs" => Logs(LogsParams) -> OperationStarted, ends LogsResult;
    /// Runs a command in a sandbox, capturing its output; each piece also arrives as an event.
    "boxwood/sandbox/exec" => Exec(ExecParams) -> OperationStarted, ends ExecResult;
    /// One reading of a sandbox's processor, memory and process figures.
    "boxwood/sandbox/stats" => Stats(SandboxRef) -> OperationStarted, ends StatsSample;
    /// What a terminal needs to attach to a sandbox or to run a command in it directly on the engine.
    "boxwood/sandbox/attach" => Attach(AttachParams) -> AttachTarget;
    /// Removes what no sandbox uses any more: stopped sandboxes, old images and runtime volumes, leftovers.
    "boxwood/sandbox/prune" => Prune(PruneParams) -> OperationStarted, ends PruneReport;
    /// Removes every container, volume and image carrying the product's labels. State on disk stays.
    "boxwood/sandbox/cleanupAll" => CleanupAll(PruneParams) -> OperationStarted, ends PruneReport;

    /// The operations that run, and the last that ended.
    "boxwood/operation/list" => Operations(Empty) -> Vec<OperationSummary>;
    /// Asks an operation to stop; what it did so far is undone.
    "boxwood/operation/cancel" => Cancel(OperationParams) -> Cancelled;
    /// Answers when an operation has ended, or at once when it already has.
    "boxwood/operation/wait" => Wait(OperationParams) -> OperationEnd;
    /// Counts, outcomes and durations of operations by kind.
    "boxwood/operation/metrics" => Metrics(Empty) -> Vec<Metric>;

    /// The configuration in force for a project, where each value comes from, and what awaits approval.
    "boxwood/config/get" => GetConfig(ProjectParams) -> ConfigReport;
    /// Approves a project's configuration as it stands, by its content hash.
    "boxwood/config/approve" => ApproveConfig(ApproveParams) -> ConfigReport;

    /// The network policy in force for a sandbox, rule by rule with hits, and how it is enforced.
    "boxwood/egress/policy" => EgressPolicyOf(SandboxRef) -> EgressReport;
    /// What the policy says of a connection, and which rule says so. Nothing is sent.
    "boxwood/egress/test" => EgressTest(EgressTestParams) -> EgressVerdict;
    /// Allows or denies a host, for the connections that wait, for the session or for the project. Enforced when it answers.
    "boxwood/egress/decide" => EgressDecide(EgressDecideParams) -> EgressReport;
    /// Takes back what was decided for a host. Connections that nothing else allows are cut.
    "boxwood/egress/forget" => EgressForget(EgressForgetParams) -> EgressReport;
    /// Lets everything through for a while, or ends that. Logged and shown everywhere.
    "boxwood/egress/bypass" => EgressBypass(EgressBypassParams) -> EgressReport;
    /// Connections that wait for the person.
    "boxwood/egress/asks" => EgressAsks(SandboxRef) -> Vec<EgressAsk>;
    /// The last decisions, the newest last.
    "boxwood/egress/log" => EgressLog(EgressLogParams) -> Vec<EgressDecision>;

    /// How Claude's credentials are: account, source, mode, days left, and why it is so. Never a value.
    "boxwood/credentials/status" => CredentialsStatusOf(CredentialsParams) -> CredentialsStatus;
    /// Keeps a key or a token in the system's keyring. Sandboxes that use its source have it when the operation ends.
    "boxwood/credentials/set" => SetCredential(CredentialsSetParams) -> OperationStarted, ends CredentialsStatus;
    /// Forgets a credential, here and in every sandbox that has it from here.
    "boxwood/credentials/signOut" => SignOut(CredentialsSignOutParams) -> OperationStarted, ends CredentialsStatus;
    /// Chooses where a sandbox's credential comes from and how it is held. Nothing is left of the mode before.
    "boxwood/credentials/setMode" => SetCredentialMode(CredentialsSetModeParams) -> OperationStarted, ends CredentialsStatus;
    /// Keeps one of two logins where it could not be told which is the newer; the other one is kept as a backup.
    "boxwood/credentials/resolve" => ResolveCredentials(CredentialsResolveParams) -> OperationStarted, ends CredentialsStatus;

    /// Which hosts a project's sandboxes get git credentials of this machine for, and which requests wait for the person.
    "boxwood/git/approvals" => GitApprovals(SandboxRef) -> GitReport;
    /// Lets a project's sandboxes have the person's git credential for a host, or refuses it to them, from now on.
    "boxwood/git/decide" => GitDecide(GitDecideParams) -> GitReport;
    /// Takes back what was decided for a host: the next request asks again.
    "boxwood/git/revoke" => GitRevoke(GitRevokeParams) -> GitReport;

    /// Signs in with the real `claude` in a container of its own. What it asks of the person arrives as events. A second sign-in to the same login home is refused while one runs.
    "boxwood/login/start" => StartLogin(LoginStartParams) -> OperationStarted, ends CredentialsStatus;
    /// Hands on the code that the browser showed. One that is not of this sign-in is asked for again.
    "boxwood/login/code" => LoginCode(LoginCodeParams) -> Empty;
    /// Says whether the login of another account may take the place of the one before.
    "boxwood/login/accept" => AcceptLogin(LoginAcceptParams) -> Empty;

    /// The images the product built, with their sizes.
    "boxwood/image/list" => Images(Empty) -> Vec<ImageInfo>;
    /// Builds an image variant unless one of the same content exists.
    "boxwood/image/build" => BuildImage(ImageBuildParams) -> OperationStarted, ends ImageInfo;

    /// The devcontainer templates on offer and their options.
    "boxwood/template/list" => Templates(Empty) -> Vec<TemplateInfo>;
    /// Writes a devcontainer template into a project; an existing file is never changed.
    "boxwood/template/insert" => InsertTemplate(TemplateInsertParams) -> TemplateInsertResult;

    /// Examines engine, permissions, image, disk and versions, with the next step for each failure.
    "boxwood/doctor/run" => Doctor(DoctorParams) -> OperationStarted, ends DoctorReport;
}
