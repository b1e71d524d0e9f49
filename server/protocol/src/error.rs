//! Errors as clients see them: a stable code, plain words, the next step.
//!
//! The hint and the actions of a code stand in this one file; whoever raises the error only says what happened.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Something the person can do about an error; an editor shows it as a button, the CLI as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Ask again.
    Retry,
    /// Run the examination.
    RunDoctor,
    /// Open the log.
    ShowLogs,
    /// Open the settings.
    OpenSettings,
    /// Open the project's configuration file.
    OpenConfig,
    /// Approve the project's configuration.
    ApproveConfig,
    /// Start the sandbox.
    StartSandbox,
    /// Start the server process anew.
    RestartServer,
    /// Remove what is unused.
    CleanUp,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $code:literal, exit $exit:literal, $hint:expr, [$($action:ident),*];)+) => {
        /// What went wrong. The string form is stable and meant for scripts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)+
        }

        impl ErrorCode {
            /// Every code, in numeric order within its group.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable string form.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The JSON-RPC error number.
            #[must_use]
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $number),+ }
            }

            /// The exit status of the CLI.
            #[must_use]
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit),+ }
            }

            /// The next step, in plain words.
            #[must_use]
            pub const fn hint(self) -> Option<&'static str> {
                match self { $(Self::$variant => $hint),+ }
            }

            /// What the person can be offered.
            #[must_use]
            pub const fn actions(self) -> &'static [Action] {
                match self { $(Self::$variant => &[$(Action::$action),*]),+ }
            }

            /// What the code means.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

codes! {
    /// The method does not exist.
    UnknownMethod = -32601, "rpc.unknownMethod", exit 70, Some("update Boxwood so that both sides have the same version"), [RestartServer];
    /// The parameters do not have the shape the method asks for.
    InvalidParams = -32602, "rpc.invalidParams", exit 64, None, [];
    /// The request is larger than the server accepts.
    RequestTooLarge = -32007, "rpc.requestTooLarge", exit 64, None, [];
    /// A fault in Boxwood itself.
    Internal = -32603, "internal", exit 70, Some("this is a fault in Boxwood; the log has the details under the trace id"), [ShowLogs, RestartServer];

    /// The daemon could not be started or reached.
    DaemonUnavailable = -33001, "daemon.unavailable", exit 69, Some("run 'boxwood doctor'; the daemon's log says why it left"), [RestartServer, ShowLogs];
    /// The daemon speaks another version of the contract.
    DaemonVersion = -33002, "daemon.version", exit 69, Some("run 'boxwood daemon stop' and try again"), [RestartServer];
    /// The daemon is about to leave or has work that must end first.
    DaemonBusy = -33003, "daemon.busy", exit 75, Some("wait for the running operations to end, or add --force"), [Retry];
    /// Another user owns the socket directory, or it is open to others.
    SocketUnsafe = -33004, "daemon.socketUnsafe", exit 77, Some("remove the directory, or set BOXWOOD_RUNTIME_DIR to one that only you can enter"), [];

    /// No container engine answers.
    EngineUnavailable = -33101, "engine.unavailable", exit 69, Some("start Docker, or point DOCKER_HOST or the docker context at a running engine; 'boxwood doctor' shows what was tried"), [Retry, RunDoctor];
    /// The engine answers but refuses this user.
    EnginePermission = -33102, "engine.permission", exit 77, Some("add yourself to the engine's group ('sudo usermod -aG docker $USER'), then sign in again"), [Retry, RunDoctor];
    /// The engine is older than API 1.41.
    EngineTooOld = -33103, "engine.tooOld", exit 69, Some("update the engine to Docker 20.10 or newer"), [RunDoctor];
    /// The engine refused or failed a request.
    EngineFailed = -33104, "engine.failed", exit 70, Some("run 'boxwood doctor'; the engine's own log may say more"), [Retry, RunDoctor, ShowLogs];
    /// The engine, or the disk that holds the state, is out of space.
    DiskFull = -33105, "disk.full", exit 74, Some("free some space, for example with 'boxwood prune'"), [CleanUp, Retry];
    /// A name that must be free is taken by an object Boxwood did not make.
    NameConflict = -33106, "engine.nameConflict", exit 73, Some("rename or remove the other object; Boxwood never touches what it did not make"), [Retry];

    /// No sandbox fits the reference.
    SandboxNotFound = -33201, "sandbox.notFound", exit 66, Some("'boxwood list' shows the sandboxes there are; 'boxwood start' makes one"), [StartSandbox];
    /// The sandbox is not running.
    SandboxNotRunning = -33202, "sandbox.notRunning", exit 69, Some("run 'boxwood start' first"), [StartSandbox];
    /// The sandbox started and ended at once, or did not become healthy.
    SandboxUnhealthy = -33203, "sandbox.unhealthy", exit 70, Some("'boxwood logs' shows what its main process said"), [ShowLogs, Retry];
    /// The reference fits several sandboxes.
    SandboxAmbiguous = -33204, "sandbox.ambiguous", exit 64, Some("name the session with --session, or give the sandbox's full name"), [];
    /// Another operation holds the sandbox.
    SandboxBusy = -33205, "sandbox.busy", exit 75, Some("wait for it to end, or cancel it"), [Retry];

    /// The project directory does not exist, is not a directory, or may not be read.
    ProjectInvalid = -33301, "project.invalid", exit 66, Some("give the path of an existing directory"), [];
    /// The project directory is one that must not be mounted whole, such as the root or the home directory.
    ProjectForbidden = -33302, "project.forbidden", exit 77, Some("choose a project directory inside it"), [];

    /// A configuration file cannot be read.
    ConfigInvalid = -33401, "config.invalid", exit 78, Some("correct the file; 'boxwood inspect --config' shows what is in force"), [OpenConfig];
    /// The project's configuration asks for more than the default and has not been approved as it stands.
    ConfigApproval = -33402, "config.approvalRequired", exit 77, Some("read the file, then approve it with 'boxwood start --approve-config'"), [ApproveConfig, OpenConfig];

    /// An image could not be pulled, built or read.
    ImageFailed = -33501, "image.failed", exit 70, Some("the lines above come from the build; correct the Dockerfile or check the network, then try again"), [Retry, ShowLogs];
    /// Claude Code for the sandbox could not be had or is not what it should be.
    RuntimeFailed = -33502, "runtime.failed", exit 70, Some("check the network and that 'npm' is installed, or put the package file into the cache directory that the message names"), [Retry, RunDoctor];

    /// The operation was cancelled.
    Cancelled = -33601, "operation.cancelled", exit 130, None, [Retry];
    /// No operation has this id.
    OperationNotFound = -33602, "operation.notFound", exit 66, None, [];

    /// The template does not exist or an option has no such value.
    TemplateInvalid = -33701, "template.invalid", exit 64, Some("'boxwood template list' shows the templates and their options"), [];
    /// The state on disk could not be read or written.
    StateFailed = -33801, "state.failed", exit 74, Some("check the permissions of, and the space in, the directory that the message names"), [ShowLogs];

    /// The gateway of a sandbox does not answer or refused.
    EgressGateway = -33901, "egress.gateway", exit 69, Some("the sandbox has no network until its gateway answers: 'boxwood restart' starts both anew; 'boxwood doctor' examines the engine"), [Retry, RunDoctor, ShowLogs];
    /// A sandbox can reach what it must not be able to reach, so it was not left running.
    EgressLeak = -33902, "egress.leak", exit 70, Some("this engine does not keep the sandbox's network apart; run 'boxwood doctor', or give up enforcement with --network open"), [RunDoctor, ShowLogs];
    /// Nothing was decided for this host, or no connection to it waits.
    EgressNothing = -33903, "egress.nothing", exit 66, Some("'boxwood egress policy' shows what is in force, 'boxwood egress ask' what waits"), [];

    /// A choice about a credential has a consequence that the person is to read first; the hint is the explanation.
    CredentialConsent = -34001, "credentials.consent", exit 77, None, [];
    /// A credential cannot be used as it was asked for, or is not there.
    CredentialUnusable = -34002, "credentials.unusable", exit 69, Some("'boxwood credentials status' shows every source and what is wrong with it"), [RunDoctor];
    /// The keyring, or the file in its place, does not keep or give back a credential.
    CredentialStore = -34003, "credentials.store", exit 69, Some("unlock the keyring and try again"), [Retry, RunDoctor];
    /// Claude Code holds its own locks of a login for too long.
    CredentialLocked = -34004, "credentials.locked", exit 75, Some("another Claude Code is writing its login; try again in a moment"), [Retry];

    /// A sign-in to the same login home is running.
    LoginRunning = -34101, "login.running", exit 75, Some("go on with the one that runs, or cancel it first"), [];
    /// Somebody is signed in there already.
    LoginExists = -34102, "login.exists", exit 73, Some("say that it may be replaced: 'boxwood login --replace'"), [];
    /// The code was not accepted.
    LoginWrongCode = -34103, "login.wrongCode", exit 77, Some("sign in again, and copy the whole code that the browser shows in the end"), [Retry];
    /// Nobody gave the code in time.
    LoginTimedOut = -34104, "login.timedOut", exit 75, Some("sign in again; the code is awaited for ten minutes"), [Retry];
    /// Claude Code could not sign in.
    LoginFailed = -34105, "login.failed", exit 70, Some("check that the network reaches claude.com and platform.claude.com, then sign in again"), [Retry, RunDoctor];
    /// No sign-in with this id waits for that.
    LoginNotAsked = -34106, "login.notAsked", exit 66, None, [];
}

/// An error as it crosses the wire: JSON-RPC's `message` is [`RpcError::message`], its `data` is this object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RpcError {
    /// Stable code.
    pub code: ErrorCode,
    /// What failed, in plain words, without a full stop.
    pub message: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub hint: Option<String>,
    /// What the person can be offered, the best first.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// What led to it, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// Where to look in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub trace_id: Option<String>,
}

impl RpcError {
    /// An error with the code's own hint and actions.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: code.hint().map(str::to_owned),
            actions: code.actions().to_vec(),
            causes: Vec::new(),
            trace_id: None,
        }
    }

    /// The same error with what led to it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// The same error with a hint that knows more than the code's own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RpcError {}
