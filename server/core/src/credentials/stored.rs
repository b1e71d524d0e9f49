//! What is kept in the system's keyring, or in a file with mode 0600 where there is none: one credential with what belongs to
//! it.

use boxwood_protocol::credentials::{CredentialSource, Secret, StoredCredential};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::environment::{Endpoint, KeyForm, Material, Server, usable};
use super::select::Problem;

const VERSION: u32 = 1;

/// Why a credential is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It is empty, or has characters that no key has.
    #[error("this is no key: it is empty or has white space or other characters in it that no key has")]
    NotAToken,
    /// A refresh token: whoever uses it logs everybody else out.
    #[error("this is the part of a login that renews it, which only Claude Code itself may hold; sign in instead")]
    RefreshToken,
    /// Something else than was said.
    #[error("this is {}, not {}", words(*.found), words(*.asked))]
    OtherKind {
        /// What was said.
        asked: StoredCredential,
        /// What it is.
        found: StoredCredential,
    },
    /// The base URL is none.
    #[error("the base URL must be of the form https://HOST[:PORT][/PATH], without a password or a query")]
    NotAnEndpoint,
    /// A token of a subscription goes to Anthropic only.
    #[error("a token of 'claude setup-token' works with Anthropic's own API only, so it has no base URL")]
    NoEndpoint,
}

const fn words(kind: StoredCredential) -> &'static str {
    match kind {
        StoredCredential::ApiKey => "an API key",
        StoredCredential::AuthToken => "a token of another provider",
        StoredCredential::SetupToken => "a token of 'claude setup-token'",
    }
}

/// What Anthropic's prefixes say a value is.
fn recognise(value: &str) -> Result<Option<StoredCredential>, StoreError> {
    if value.starts_with("sk-ant-ort") {
        return Err(StoreError::RefreshToken);
    }
    Ok(if value.starts_with("sk-ant-oat") {
        Some(StoredCredential::SetupToken)
    } else if value.starts_with("sk-ant-api") {
        Some(StoredCredential::ApiKey)
    } else {
        None
    })
}

/// A credential that is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stored {
    version: u32,
    kind: StoredCredential,
    value: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    stored_at_ms: i64,
}

impl Stored {
    /// Takes a credential over as a person entered it.
    ///
    /// # Errors
    /// When it is not what it is said to be.
    pub fn new(
        kind: StoredCredential,
        value: Secret,
        base_url: Option<String>,
        now_ms: i64,
    ) -> Result<Self, StoreError> {
        let value = usable(value).map_err(|_| StoreError::NotAToken)?;
        if let Some(found) = recognise(value.reveal())?
            && found != kind
        {
            return Err(StoreError::OtherKind { asked: kind, found });
        }
        match &base_url {
            Some(_) if kind == StoredCredential::SetupToken => return Err(StoreError::NoEndpoint),
            Some(url) if Server::of_url(url).is_none() => return Err(StoreError::NotAnEndpoint),
            _ => {}
        }
        Ok(Self { version: VERSION, kind, value, base_url, stored_at_ms: now_ms })
    }

    /// Reads what [`Self::render`] gave.
    ///
    /// # Errors
    /// When it is anything else. What stands there is not repeated.
    pub fn parse(text: &Secret) -> Result<Self, Problem> {
        let stored: Self = serde_json::from_str(text.reveal()).map_err(|_| Problem::Unreadable)?;
        let is_known = stored.version == VERSION && recognise(stored.value.reveal()).is_ok();
        if is_known { Ok(stored) } else { Err(Problem::Unreadable) }
    }

    /// The text to keep.
    #[must_use]
    pub fn render(&self) -> Secret {
        Secret::new(serde_json::to_string(self).unwrap_or_default())
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> StoredCredential {
        self.kind
    }

    /// The source that it is for.
    #[must_use]
    pub const fn source(&self) -> CredentialSource {
        match self.kind {
            StoredCredential::ApiKey | StoredCredential::AuthToken => CredentialSource::StoredKey,
            StoredCredential::SetupToken => CredentialSource::StoredLogin,
        }
    }

    /// When it was stored, milliseconds since 1970.
    #[must_use]
    pub const fn stored_at_ms(&self) -> i64 {
        self.stored_at_ms
    }

    /// What it gives. A key goes where it was stored for, wherever the environment points to.
    ///
    /// # Errors
    /// When what was stored cannot be used any more.
    pub fn material(self) -> Result<Material, Problem> {
        let url = match self.base_url {
            None => None,
            Some(url) => {
                let server = Server::of_url(&url).ok_or(Problem::NotAnEndpoint)?;
                Some((url, server))
            }
        };
        let endpoint = Endpoint { url, ..Endpoint::default() };
        let value = usable(self.value)?;
        Ok(match self.kind {
            StoredCredential::ApiKey => Material::Key { value, form: KeyForm::Key, endpoint },
            StoredCredential::AuthToken => Material::Key { value, form: KeyForm::Bearer, endpoint },
            StoredCredential::SetupToken => Material::SetupToken { value, endpoint },
        })
    }
}

#[cfg(test)]
mod tests {
    use StoredCredential::{ApiKey, AuthToken, SetupToken};

    use super::*;

    fn new(kind: StoredCredential, value: &str, url: Option<&str>) -> Result<Stored, StoreError> {
        Stored::new(kind, Secret::new(value.to_owned()), url.map(str::to_owned), 7)
    }

    #[test]
    fn only_what_it_is_said_to_be_is_kept() {
        let check = |kind, value: &str, url: Option<&str>, expected: Option<StoreError>| {
            assert_eq!(new(kind, value, url).err(), expected, "{value} {url:?}");
        };
        check(ApiKey, "sk-ant-api03-x", None, None);
        check(ApiKey, " key-of-a-proxy\n", Some("https://llm.example"), None);
        check(AuthToken, "anything", Some("http://10.0.0.1:4000/v1"), None);
        check(SetupToken, "sk-ant-oat01-x", None, None);
        check(ApiKey, "", None, Some(StoreError::NotAToken));
        check(ApiKey, "two words", None, Some(StoreError::NotAToken));
        check(ApiKey, "sk-ant-ort01-x", None, Some(StoreError::RefreshToken));
        check(SetupToken, "sk-ant-ort01-x", None, Some(StoreError::RefreshToken));
        check(ApiKey, "sk-ant-oat01-x", None, Some(StoreError::OtherKind { asked: ApiKey, found: SetupToken }));
        check(SetupToken, "sk-ant-api03-x", None, Some(StoreError::OtherKind { asked: SetupToken, found: ApiKey }));
        check(ApiKey, "k", Some("llm.example"), Some(StoreError::NotAnEndpoint));
        check(SetupToken, "t", Some("https://llm.example"), Some(StoreError::NoEndpoint));
        let told = StoreError::OtherKind { asked: ApiKey, found: SetupToken }.to_string();
        assert_eq!(told, "this is a token of 'claude setup-token', not an API key");
    }

    #[test]
    fn what_was_kept_is_read_again_and_gives_what_it_is_for() {
        let kept = new(AuthToken, " token ", Some("https://llm.example/v1")).expect("kept").render();
        assert_eq!(
            kept.reveal(),
            r#"{"version":1,"kind":"authToken","value":"token","baseUrl":"https://llm.example/v1","storedAtMs":7}"#
        );
        let read = Stored::parse(&kept).expect("read");
        assert_eq!((read.kind(), read.source(), read.stored_at_ms()), (AuthToken, CredentialSource::StoredKey, 7));
        let Ok(Material::Key { value, form: KeyForm::Bearer, endpoint }) = read.material() else { panic!("a token") };
        assert_eq!((value.reveal(), endpoint.server().rule().host.as_str()), ("token", "llm.example"));
        let setup = new(SetupToken, "sk-ant-oat01-x", None).expect("kept");
        assert_eq!(setup.source(), CredentialSource::StoredLogin);
        assert!(matches!(setup.material(), Ok(Material::SetupToken { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for broken in [
            "",
            "s3cret",
            r#"{"version":2,"kind":"apiKey","value":"s3cret","storedAtMs":1}"#,
            r#"{"version":1,"kind":"s3cret","value":"s3cret","storedAtMs":1}"#,
            r#"{"version":1,"kind":"apiKey","value":"s3cret","storedAtMs":1,"more":1}"#,
            r#"{"version":1,"kind":"apiKey","value":"sk-ant-ort01-s3cret","storedAtMs":1}"#,
        ] {
            let problem = Stored::parse(&Secret::new(broken.to_owned())).expect_err(broken);
            assert_eq!(problem, Problem::Unreadable);
        }
        assert!(!format!("{:?}", new(ApiKey, "s3cret", None)).contains("s3cret"));
    }
}
