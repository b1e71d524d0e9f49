//! Credentials on the wire: where Claude's login comes from, who holds what of it, and how it is.
//!
//! A value travels in one direction only, from a client to the daemon, as a [`Secret`]. Nothing that the daemon answers
//! has a field for one.

mod environment;
mod secret;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

pub use environment::{ClientEnvironment, ENVIRONMENT, EnvironmentVariable};
pub use secret::Secret;

use crate::params::SandboxRef;

/// How a sandbox holds what Claude Code needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum CredentialMode {
    /// The sandbox holds a placeholder; its gateway puts the real credential on requests to the API host.
    Brokered,
    /// The sandbox signs in by itself and keeps its own login.
    Isolated,
    /// The sandbox holds what requests need, and nothing that renews it.
    Token,
    /// The sandbox holds a copy of the login, kept the same on both sides.
    Sync,
}

impl CredentialMode {
    /// Every mode, the one that gives a sandbox least first.
    pub const ALL: [Self; 4] = [Self::Brokered, Self::Isolated, Self::Token, Self::Sync];

    /// The name as it is written in settings and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brokered => "brokered",
            Self::Isolated => "isolated",
            Self::Token => "token",
            Self::Sync => "sync",
        }
    }
}

/// Where a credential comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum CredentialSource {
    /// An API key for Amazon Bedrock in the environment.
    BedrockKey,
    /// Temporary AWS credentials for Amazon Bedrock in the environment.
    BedrockSession,
    /// Google Vertex AI, with access tokens of this machine's Google login.
    Vertex,
    /// `ANTHROPIC_AUTH_TOKEN` in the environment.
    EnvironmentToken,
    /// `ANTHROPIC_API_KEY` in the environment.
    EnvironmentKey,
    /// The person's own `apiKeyHelper`, run on the host.
    KeyHelper,
    /// `CLAUDE_CODE_OAUTH_TOKEN` in the environment, as `claude setup-token` gives it.
    EnvironmentLogin,
    /// An API key in the system's keyring.
    StoredKey,
    /// A token of `claude setup-token` in the system's keyring.
    StoredLogin,
    /// A login that the real `claude` made in a directory kept for it.
    LoginHome,
    /// The login of Claude Code on this machine.
    HostLogin,
}

impl CredentialSource {
    /// The name as it is written in settings and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BedrockKey => "bedrockKey",
            Self::BedrockSession => "bedrockSession",
            Self::Vertex => "vertex",
            Self::EnvironmentToken => "environmentToken",
            Self::EnvironmentKey => "environmentKey",
            Self::KeyHelper => "keyHelper",
            Self::EnvironmentLogin => "environmentLogin",
            Self::StoredKey => "storedKey",
            Self::StoredLogin => "storedLogin",
            Self::LoginHome => "loginHome",
            Self::HostLogin => "hostLogin",
        }
    }
}

/// Which credentials are meant: a sandbox's, a project's, or those that a new sandbox would get.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct CredentialsParams {
    /// The sandbox, when one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<SandboxRef>,
    /// Claude Code's variables in the client's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ClientEnvironment>,
}

/// What can be kept in the keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum StoredCredential {
    /// An API key: presented as `x-api-key`.
    ApiKey,
    /// A token of another provider, as in `ANTHROPIC_AUTH_TOKEN`: presented as `authorization`.
    AuthToken,
    /// A token of `claude setup-token`.
    SetupToken,
}

/// Keeps a credential for later.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct CredentialsSetParams {
    /// What it is.
    pub kind: StoredCredential,
    /// The value. It is put where it belongs and never given back.
    pub value: Secret,
    /// URL of the endpoint that it is for, unless that is Anthropic's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// Forgets a credential, here and in every sandbox that has it from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsSignOutParams {
    /// Where it comes from. The host's own login is only no longer used: it is not ours to end.
    pub source: CredentialSource,
}

/// Chooses where a sandbox's credential comes from and how it is held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct CredentialsSetModeParams {
    /// The sandbox; new sandboxes when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<SandboxRef>,
    /// The source; the first that has something when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<CredentialSource>,
    /// The mode; the source's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CredentialMode>,
    /// Says that the person read what the choice means. A choice that has an explanation is refused without.
    #[serde(default)]
    pub consent: bool,
    /// Claude Code's variables in the client's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ClientEnvironment>,
}

/// One of the two places whose logins are kept the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum CredentialSide {
    /// This machine: the login of Claude Code here, or the login home.
    Host,
    /// The sandbox.
    Sandbox,
}

/// Says which of two logins is to be kept, where that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialsResolveParams {
    /// The sandbox.
    pub target: SandboxRef,
    /// Whose login takes the place of the other. What it replaces is kept as a backup.
    pub keep: CredentialSide,
}

/// How a login is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum CredentialHealth {
    /// It works.
    Ok,
    /// It works, and ends within days.
    Expiring,
    /// It works, and something should be looked at.
    Attention,
    /// It ended, or was refused.
    Expired,
    /// The keyring, or the host's own store, is locked or cannot be read.
    Unreadable,
    /// There is none.
    SignedOut,
}

/// Whose login it is, as far as it says so itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct CredentialAccount {
    /// Id of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Address of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Kind of subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

/// Whether a source is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum CredentialUse {
    /// It is the one.
    Chosen,
    /// It has something; another one comes first.
    Available,
    /// It has something, and is used only when the person chooses it.
    ByChoice,
    /// It has something that cannot be used.
    Unusable,
    /// It has nothing.
    Absent,
}

/// A source, and why it is used or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSourceReport {
    /// The source.
    pub source: CredentialSource,
    /// Its name for a person.
    pub title: String,
    /// Whether it is used.
    pub usage: CredentialUse,
    /// Why, in plain words.
    pub reason: String,
}

/// A mode that the source in use can serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CredentialModeReport {
    /// The mode.
    pub mode: CredentialMode,
    /// What the sandbox then holds, in plain words.
    pub holds: String,
    /// Whether it is what the source gets when nothing is chosen.
    pub is_default: bool,
    /// Whether the sandbox can have it as it is.
    pub is_available: bool,
    /// What the person must know before choosing it; a choice with an explanation needs consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub explanation: Option<String>,
}

/// How Claude's credentials are. There is no field for a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsStatus {
    /// Id of the sandbox it is about; left out for new sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sandbox: Option<String>,
    /// The source in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub source: Option<CredentialSource>,
    /// The mode in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub mode: Option<CredentialMode>,
    /// Whose login it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub account: Option<CredentialAccount>,
    /// When one must sign in again, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub expires_at_ms: Option<i64>,
    /// Whole days until then; negative once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub days_left: Option<i64>,
    /// When the access token was last renewed, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub last_refresh_ms: Option<i64>,
    /// How it is.
    pub health: CredentialHealth,
    /// How it is, in plain words.
    pub detail: String,
    /// What to do, unless it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub next_step: Option<String>,
    /// True when both sides have a login and the person has to say which one is to be kept.
    pub is_in_conflict: bool,
    /// Every source in the order in which they are asked.
    pub sources: Vec<CredentialSourceReport>,
    /// The modes that the source in use can serve.
    pub modes: Vec<CredentialModeReport>,
    /// What the person should know although it works.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_shown() {
        let environment = ClientEnvironment::read(&|name| Some(format!("value-of-{name}")));
        assert_eq!(environment.0.len(), ENVIRONMENT.len());
        let value = Secret::new("value-of-key".into());
        let set = CredentialsSetParams { kind: StoredCredential::ApiKey, value, base_url: None };
        let shown = format!("{environment:?} {set:?} {:?}", Secret::default());
        assert!(!shown.contains("value-of") && shown.contains("ANTHROPIC_API_KEY"), "{shown}");
    }

    #[test]
    fn a_value_crosses_the_wire_as_a_string() {
        let set: CredentialsSetParams =
            serde_json::from_str(r#"{"kind":"setupToken","value":"t"}"#).expect("parameters");
        assert_eq!(set.value.reveal(), "t");
        assert_eq!(serde_json::to_string(&set.value.duplicate()).expect("a string"), "\"t\"");
    }

    #[test]
    fn an_empty_variable_is_none_and_others_are_not_looked_at() {
        let environment = ClientEnvironment::read(&|name| match name {
            "ANTHROPIC_API_KEY" => Some(String::new()),
            "ANTHROPIC_MODEL" => Some("m".into()),
            "PATH" => Some("/bin".into()),
            _ => None,
        });
        assert_eq!(environment.0.keys().collect::<Vec<_>>(), ["ANTHROPIC_MODEL"]);
    }
}
