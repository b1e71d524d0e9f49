//! The variables of the environment that are about credentials of Claude and git, declared once for all clients.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Secret;

/// A variable of the environment that is a credential, says where Claude's are or how its endpoint is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: &'static str,
    /// Whether its value must be shown nowhere.
    pub is_secret: bool,
}

const fn secret(name: &'static str) -> EnvironmentVariable {
    EnvironmentVariable { name, is_secret: true }
}

const fn plain(name: &'static str) -> EnvironmentVariable {
    EnvironmentVariable { name, is_secret: false }
}

/// The variables that clients look for and send. Whatever else stands in an environment stays there.
pub const ENVIRONMENT: &[EnvironmentVariable] = &[
    secret("ANTHROPIC_API_KEY"),
    secret("ANTHROPIC_AUTH_TOKEN"),
    secret("CLAUDE_CODE_OAUTH_TOKEN"),
    secret("AWS_BEARER_TOKEN_BEDROCK"),
    secret("AWS_ACCESS_KEY_ID"),
    secret("AWS_SECRET_ACCESS_KEY"),
    secret("AWS_SESSION_TOKEN"),
    secret("GH_TOKEN"),
    secret("GITHUB_TOKEN"),
    plain("CI"),
    plain("ANTHROPIC_BASE_URL"),
    plain("ANTHROPIC_MODEL"),
    plain("ANTHROPIC_SMALL_FAST_MODEL"),
    plain("ANTHROPIC_DEFAULT_OPUS_MODEL"),
    plain("ANTHROPIC_DEFAULT_SONNET_MODEL"),
    plain("ANTHROPIC_DEFAULT_HAIKU_MODEL"),
    plain("CLAUDE_CODE_USE_BEDROCK"),
    plain("ANTHROPIC_BEDROCK_BASE_URL"),
    plain("AWS_REGION"),
    plain("AWS_DEFAULT_REGION"),
    plain("CLAUDE_CODE_USE_VERTEX"),
    plain("ANTHROPIC_VERTEX_BASE_URL"),
    plain("ANTHROPIC_VERTEX_PROJECT_ID"),
    plain("CLOUD_ML_REGION"),
];

/// The variables of [`ENVIRONMENT`] that a client found in its own.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(type = "Record<string, string>")]
pub struct ClientEnvironment(pub BTreeMap<String, Secret>);

impl ClientEnvironment {
    /// Reads them from an environment. An empty value counts as none.
    #[must_use]
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let held = |name: &str| lookup(name).filter(|value| !value.is_empty()).map(Secret::new);
        Self(ENVIRONMENT.iter().filter_map(|it| Some((it.name.to_owned(), held(it.name)?))).collect())
    }
}

impl Clone for ClientEnvironment {
    /// Requests are handed on whole, and their values with them.
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|(name, value)| (name.clone(), value.duplicate())).collect())
    }
}

impl std::fmt::Debug for ClientEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
