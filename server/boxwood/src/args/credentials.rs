//! The verbs of `credentials`.

use boxwood_protocol::credentials::{CredentialMode, CredentialSide, CredentialSource, StoredCredential};
use clap::{Args, Subcommand};

use super::ConsentArguments;

/// Every source, in the order in which they are asked.
const SOURCES: [CredentialSource; 11] = [
    CredentialSource::BedrockKey,
    CredentialSource::BedrockSession,
    CredentialSource::Vertex,
    CredentialSource::EnvironmentToken,
    CredentialSource::EnvironmentKey,
    CredentialSource::KeyHelper,
    CredentialSource::EnvironmentLogin,
    CredentialSource::StoredKey,
    CredentialSource::StoredLogin,
    CredentialSource::LoginHome,
    CredentialSource::HostLogin,
];

/// Whose credentials are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WhoseArguments {
    /// Id or container name of a sandbox, or an unambiguous beginning [default: the project's, else new sandboxes].
    #[arg(long, value_name = "SANDBOX")]
    pub(crate) sandbox: Option<String>,
    /// What new sandboxes get, also where the project has one already.
    #[arg(long, conflicts_with = "sandbox")]
    pub(crate) new: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsVerb {
    /// Show whose login is used, where it comes from, what a sandbox holds of it and how long it lasts.
    Status {
        #[command(flatten)]
        whose: WhoseArguments,
    },
    /// Keep a key or a token; it is typed without being shown, or read from standard input.
    Set {
        /// What it is: api-key, auth-token (another provider's) or setup-token (of 'claude setup-token').
        #[arg(value_name = "KIND", value_parser = stored)]
        kind: StoredCredential,
        /// URL of the endpoint that it is for, unless that is Anthropic's own.
        #[arg(long, value_name = "URL", value_parser = base_url)]
        base_url: Option<String>,
    },
    /// Forget a credential, here and in every sandbox that has it from here.
    SignOut {
        /// Where it comes from, as 'status' names it [default: the one in use].
        #[arg(value_parser = source)]
        source: Option<CredentialSource>,
    },
    /// Choose how a sandbox holds the credential: brokered, isolated, token or sync.
    Mode {
        /// The mode; 'status' lists what the sandbox holds in each.
        #[arg(value_parser = mode)]
        mode: CredentialMode,
        /// Where the credential comes from, as 'status' names it [default: the one in use].
        #[arg(long, value_parser = source)]
        source: Option<CredentialSource>,
        #[command(flatten)]
        whose: WhoseArguments,
        #[command(flatten)]
        consent: ConsentArguments,
    },
    /// Say which of two logins to keep, where that could not be told; the other one is kept as a backup.
    Resolve {
        /// Whose login takes the place of the other: host or sandbox.
        #[arg(long, value_name = "SIDE", value_parser = side)]
        keep: CredentialSide,
        /// Id or container name, or an unambiguous beginning [default: the project's sandbox].
        #[arg(long, value_name = "SANDBOX")]
        sandbox: Option<String>,
    },
}

/// Names are as the wire has them; with dashes and in any case, as flags are written, they are understood too.
fn name(text: &str) -> String {
    text.replace('-', "").to_lowercase()
}

fn one_of<T: Copy>(text: &str, known: impl IntoIterator<Item = (T, &'static str)>) -> Result<T, String> {
    let known: Vec<(T, &str)> = known.into_iter().collect();
    let found = known.iter().find(|(_, written)| name(written) == name(text)).map(|(value, _)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(_, written)| *written).collect();
        format!("choose one of {}", names.join(", "))
    })
}

fn mode(text: &str) -> Result<CredentialMode, String> {
    one_of(text, CredentialMode::ALL.map(|mode| (mode, mode.as_str())))
}

fn source(text: &str) -> Result<CredentialSource, String> {
    one_of(text, SOURCES.map(|source| (source, source.as_str())))
}

fn side(text: &str) -> Result<CredentialSide, String> {
    one_of(text, [(CredentialSide::Host, "host"), (CredentialSide::Sandbox, "sandbox")])
}

/// What the kinds are called; a value that was put there by mistake is not repeated.
fn stored(text: &str) -> Result<StoredCredential, String> {
    let kinds = [
        (StoredCredential::ApiKey, "api-key"),
        (StoredCredential::AuthToken, "auth-token"),
        (StoredCredential::SetupToken, "setup-token"),
    ];
    one_of(text, kinds)
}

/// A URL in the form of one; whether anything answers there is not looked at.
fn base_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if host.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("write it as https://HOST or https://HOST/PATH".to_owned());
    }
    // Every process of this machine can read the arguments of another.
    if host.contains('@') {
        return Err("leave out what stands before the @: an argument is no place for a secret".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_as_they_are_shown_and_as_flags_are_written() {
        for known in SOURCES {
            assert_eq!(source(known.as_str()), Ok(known));
        }
        assert_eq!(source("host-login"), Ok(CredentialSource::HostLogin));
        assert_eq!(mode("Token"), Ok(CredentialMode::Token));
        assert_eq!(stored("api-key"), Ok(StoredCredential::ApiKey));
        assert_eq!(mode("half"), Err("choose one of brokered, isolated, token, sync".to_owned()));
        assert_eq!(stored("sk-ant-value").map_err(|error| error.contains("sk-ant")), Err(false));
    }

    #[test]
    fn every_source_of_the_contract_can_be_named() {
        // One that is missing here fails to compile.
        let place = |source: CredentialSource| match source {
            CredentialSource::BedrockKey => 0,
            CredentialSource::BedrockSession => 1,
            CredentialSource::Vertex => 2,
            CredentialSource::EnvironmentToken => 3,
            CredentialSource::EnvironmentKey => 4,
            CredentialSource::KeyHelper => 5,
            CredentialSource::EnvironmentLogin => 6,
            CredentialSource::StoredKey => 7,
            CredentialSource::StoredLogin => 8,
            CredentialSource::LoginHome => 9,
            CredentialSource::HostLogin => 10,
        };
        assert!(SOURCES.iter().enumerate().all(|(at, source)| place(*source) == at));
    }

    #[test]
    fn an_endpoint_is_a_url_without_a_secret() {
        for right in ["https://api.example", "http://localhost:8080/v1", "https://[::1]/"] {
            assert_eq!(base_url(right).as_deref(), Ok(right));
        }
        for wrong in ["", "api.example", "https://", "ftp://a", "https://a b", "https://user:secret@a", "https://a\n"] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }
}
