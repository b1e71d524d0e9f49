//! Signing in with nothing on the host: what a client asks, and what it is asked while it lasts.
//!
//! The real `claude` signs in, in a container of its own. A client opens the address in the person's browser, and hands on
//! what the person copies there. Neither a code nor what comes of it is ever told.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::credentials::Secret;
use crate::params::SandboxRef;

/// How to sign in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum LoginKind {
    /// With a subscription, by `claude auth login`. The login is kept in a login home.
    #[default]
    Login,
    /// With a subscription, by `claude setup-token`. The token, good for a year, is kept in the keyring.
    SetupToken,
    /// With an account of the console, by `claude auth login --console`. The key is kept in the keyring.
    Console,
}

impl LoginKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Login, Self::SetupToken, Self::Console];
}

/// Begins to sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct LoginStartParams {
    /// How.
    #[serde(default)]
    pub kind: LoginKind,
    /// Name of the login home; the person's own, `default`, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The sandbox whose own login home it is to be, in the place of a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<SandboxRef>,
    /// Says that a login which is there may be replaced. It is refused without.
    #[serde(default)]
    pub replace: bool,
}

/// What the person copied in the browser.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginCodeParams {
    /// The operation that signs in.
    pub operation_id: String,
    /// The code as it was copied. It goes to `claude` and nowhere else.
    pub code: Secret,
}

/// Whether the login of another account than before may take its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginAcceptParams {
    /// The operation that signs in.
    pub operation_id: String,
    /// False ends it and leaves the login before as it was.
    pub accept: bool,
}

/// What a sign-in asks of the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LoginAsk {
    /// Open this address in a browser and sign in there.
    Url {
        /// The address: always `https`, always a host of Anthropic's.
        url: String,
    },
    /// Give the code that the browser shows in the end.
    WantsCode,
    /// What was given is not the code of this sign-in; it was not handed on. Give the right one.
    WrongCode {
        /// What is wrong with it, in plain words.
        reason: String,
    },
    /// It is another account than before, or may be one. Say whether it is to take its place.
    OtherAccount {
        /// Whose login it was, as far as it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        before: Option<String>,
        /// Whose login it is now, as far as it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        now: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_from_a_message_and_shown_nowhere() {
        let params: LoginCodeParams =
            serde_json::from_str(r#"{"operationId":"o","code":"the-code#state"}"#).expect("parameters");
        assert_eq!(params.code.reveal(), "the-code#state");
        assert!(!format!("{params:?}").contains("the-code"));
    }

    #[test]
    fn everything_about_a_start_can_be_left_out() {
        let params: LoginStartParams = serde_json::from_str("{}").expect("parameters");
        assert_eq!(params, LoginStartParams::default());
        assert_eq!(params.kind, LoginKind::Login);
        let named: LoginStartParams = serde_json::from_str(r#"{"kind":"setupToken"}"#).expect("parameters");
        assert_eq!(named.kind, LoginKind::SetupToken);
    }
}
