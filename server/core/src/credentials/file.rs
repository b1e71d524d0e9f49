//! Claude Code's credential file: `.credentials.json`, or the same text in the macOS Keychain.
//!
//! The shape was read from Claude Code 2.1.329. Only `claudeAiOauth` is Claude's login; beside it stand logins of MCP
//! servers, secrets of plugins and others, which are kept when the file is written and never leave it. What this version
//! does not know is kept, too.

use boxwood_protocol::credentials::Secret;
use serde_json::{Map, Value, json};
use thiserror::Error;
use zeroize::Zeroize as _;

use super::view::{AccountId, Fingerprint, LoginState, View};

/// Largest file that is read, bytes. A real one has about a kilobyte.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Longest token, bytes; it becomes a header of a request.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The last moment that JavaScript's dates know, milliseconds since 1970.
const MAX_TIME_MS: i64 = 8_640_000_000_000_000;
/// How soon a login ends that Claude Code is to renew. It renews what ends within five minutes.
const HASTENED_MS: i64 = 4 * 60 * 1000;
/// The scope without which Claude Code says that it is not logged in.
pub const INFERENCE: &str = "user:inference";

const LOGIN: &str = "claudeAiOauth";
const ACCESS: &str = "accessToken";
const REFRESH: &str = "refreshToken";
const EXPIRES: &str = "expiresAt";
const REFRESH_EXPIRES: &str = "refreshTokenExpiresAt";
const SCOPES: &str = "scopes";
/// What an access-only projection keeps beside the token. A list of what is harmless, not of what is secret: a field
/// that a later version adds may be either.
const HARMLESS: [&str; 7] =
    [EXPIRES, SCOPES, "subscriptionType", "subscriptionTypeSource", "rateLimitTier", "accountUuid", "organizationUuid"];

/// Why a credential file cannot be used. No message repeats what stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileError {
    /// Larger than [`MAX_BYTES`].
    #[error("the credential file has {0} bytes, more than any that Claude Code writes")]
    TooLarge(usize),
    /// No bytes, or only white space.
    #[error("the credential file is empty")]
    Empty,
    /// Not UTF-8.
    #[error("the credential file is not text")]
    NotText,
    /// JSON that ends too early.
    #[error("the credential file is cut off")]
    Truncated,
    /// No JSON.
    #[error("the credential file is not valid JSON at line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON, but no object.
    #[error("the credential file is not a JSON object")]
    NotAnObject,
    /// A known field with something else in it.
    #[error("'{field}' in the credential file is not {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What Claude Code writes there.
        expected: &'static str,
    },
    /// A time that is none.
    #[error("'{0}' in the credential file is not a time")]
    NotATime(&'static str),
    /// A token with characters that no token has, or too long for a header.
    #[error("'{0}' in the credential file is not a token")]
    NotAToken(&'static str),
}

/// A credential file that was read.
///
/// There is no `Clone`: whoever needs a part of it makes a projection. Its texts are overwritten when it goes.
#[derive(Default)]
pub struct CredentialFile {
    map: Map<String, Value>,
}

impl CredentialFile {
    /// Reads a file, or the value of the Keychain's item.
    ///
    /// # Errors
    ///
    /// When it is not what Claude Code writes. Unknown fields are no error, and are kept.
    pub fn parse(contents: &[u8]) -> Result<Self, FileError> {
        if contents.len() > MAX_BYTES {
            return Err(FileError::TooLarge(contents.len()));
        }
        let text = std::str::from_utf8(contents).map_err(|_| FileError::NotText)?;
        if text.trim().is_empty() {
            return Err(FileError::Empty);
        }
        let mut value: Value = serde_json::from_str(text).map_err(|cause| {
            if cause.is_eof() {
                FileError::Truncated
            } else {
                FileError::Malformed { line: cause.line(), column: cause.column() }
            }
        })?;
        let Value::Object(map) = &mut value else {
            wipe(&mut value);
            return Err(FileError::NotAnObject);
        };
        // From here on the file overwrites itself whatever happens.
        let file = Self { map: std::mem::take(map) };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), FileError> {
        let login = match self.map.get(LOGIN) {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(login)) => login,
            Some(_) => return Err(FileError::WrongType { field: LOGIN, expected: "an object" }),
        };
        for field in [ACCESS, REFRESH] {
            match login.get(field) {
                None | Some(Value::Null) => {}
                Some(Value::String(token)) if is_token(token) => {}
                Some(Value::String(_)) => return Err(FileError::NotAToken(field)),
                Some(_) => return Err(FileError::WrongType { field, expected: "a text" }),
            }
        }
        for field in [EXPIRES, REFRESH_EXPIRES] {
            match login.get(field) {
                None | Some(Value::Null) => {}
                Some(Value::Number(_)) => {
                    time(login, field).ok_or(FileError::NotATime(field))?;
                }
                Some(_) => return Err(FileError::WrongType { field, expected: "a number" }),
            }
        }
        match login.get(SCOPES) {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Array(scopes)) if scopes.iter().all(Value::is_string) => Ok(()),
            Some(_) => Err(FileError::WrongType { field: SCOPES, expected: "a list of texts" }),
        }
    }

    /// A file with a token of `claude setup-token`, or a placeholder for one: it has the one scope, and neither an end
    /// nor anything to renew it by.
    #[must_use]
    pub fn of_setup_token(token: &Secret) -> Self {
        let login = json!({ ACCESS: token.reveal(), SCOPES: [INFERENCE] });
        Self { map: Map::from_iter([(LOGIN.to_owned(), login)]) }
    }

    fn login(&self) -> Option<&Map<String, Value>> {
        self.map.get(LOGIN).and_then(Value::as_object)
    }

    fn token(&self, field: &str) -> Option<&str> {
        self.login()?.get(field)?.as_str().filter(|token| !token.is_empty())
    }

    /// The access token, for whoever sends it.
    #[must_use]
    pub fn access_token(&self) -> Option<Secret> {
        self.token(ACCESS).map(|token| Secret::new(token.to_owned()))
    }

    /// The scopes of the login.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes = self.login().and_then(|login| login.get(SCOPES)).and_then(Value::as_array);
        scopes.into_iter().flatten().filter_map(Value::as_str)
    }

    /// What kind of subscription the login says it has; a text from the file, not to be shown as it is.
    #[must_use]
    pub fn subscription(&self) -> Option<&str> {
        self.login()?.get("subscriptionType")?.as_str()
    }

    /// What is in the file, without what is secret.
    #[must_use]
    pub fn view(&self) -> View {
        let Some(login) = self.login() else { return View::absent() };
        let (access, refresh) = (self.token(ACCESS), self.token(REFRESH));
        let is_usable = self.scopes().any(|scope| scope == INFERENCE);
        let is_blanked = [ACCESS, REFRESH].iter().any(|field| login.get(*field).is_some_and(Value::is_string));
        let state = match (access, refresh) {
            (Some(_), Some(_)) if is_usable => LoginState::Full,
            (Some(_), None) if is_usable => LoginState::AccessOnly,
            (None, None) if is_blanked => LoginState::Blank,
            _ => LoginState::Stub,
        };
        View {
            state,
            account: login.get("accountUuid").and_then(Value::as_str).and_then(AccountId::parse),
            login: refresh.map(|refresh| Fingerprint::of(&["login", access.unwrap_or_default(), refresh])),
            access: access.map(|access| Fingerprint::of(&["access", access])),
            expires_at_ms: time(login, EXPIRES),
            refresh_expires_at_ms: time(login, REFRESH_EXPIRES),
        }
    }

    /// The file with the access token and nothing that renews it, nor anything that is not Claude's. Claude Code uses such
    /// a file until the token ends. `None` when there is no token that it would use.
    #[must_use]
    pub fn access_only(&self) -> Option<Self> {
        if !matches!(self.view().state, LoginState::AccessOnly | LoginState::Full) {
            return None;
        }
        let login = self.login()?;
        let kept = std::iter::once(ACCESS).chain(HARMLESS).filter_map(|field| {
            let value = login.get(field).filter(|value| !value.is_null())?;
            // An object where a text is expected could carry anything, and so could a text that repeats a secret.
            let is_plain = !value.is_object() && (field == SCOPES || !value.is_array());
            let mut is_harmless = true;
            each_text(value, &mut |text| is_harmless &= field == ACCESS || !self.is_given_away_by(text));
            (is_plain && is_harmless).then(|| (field.to_owned(), value.clone()))
        });
        let login = Value::Object(kept.collect());
        Some(Self { map: Map::from_iter([(LOGIN.to_owned(), login)]) })
    }

    /// The file with Claude's login, whole, and nothing else. `None` when there is none.
    #[must_use]
    pub fn login_only(&self) -> Option<Self> {
        let login = self.map.get(LOGIN).filter(|login| login.is_object())?;
        Some(Self { map: Map::from_iter([(LOGIN.to_owned(), login.clone())]) })
    }

    /// Takes over Claude's login from another file and keeps everything else. `None` is to have no login.
    pub fn set_login(&mut self, from: Option<&Self>) {
        let login = from.and_then(|from| from.map.get(LOGIN)).filter(|login| login.is_object()).cloned();
        let before = match login {
            Some(login) => self.map.insert(LOGIN.to_owned(), login),
            None => self.map.shift_remove(LOGIN),
        };
        if let Some(mut before) = before {
            wipe(&mut before);
        }
    }

    /// Has Claude Code renew the login as soon as it looks at it, for which `claude plugin list` is enough: it renews what
    /// ends within five minutes. Only the time changes, so a kill before the renewal loses nothing. False when there
    /// is no login that it could renew, or when it would renew it anyway.
    pub fn hasten(&mut self, now_ms: i64) -> bool {
        let view = self.view();
        let soon = now_ms.saturating_add(HASTENED_MS);
        if view.state != LoginState::Full || view.expires_at_ms.is_some_and(|end| end <= soon) {
            return false;
        }
        if let Some(login) = self.map.get_mut(LOGIN).and_then(Value::as_object_mut) {
            login.insert(EXPIRES.to_owned(), json!(soon));
        }
        true
    }

    /// Whether nothing at all is left in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The text to write.
    #[must_use]
    pub fn render(&self) -> Secret {
        // Serialised from a reference, so that no copy of the map is made.
        Secret::new(serde_json::to_string(&self.map).unwrap_or_default())
    }

    /// Whether `text` holds one of the file's secrets, or is a piece of one; by this, what is shown is checked. Everything
    /// is a secret that is not known to be harmless.
    #[must_use]
    pub fn is_given_away_by(&self, text: &str) -> bool {
        let mut found = false;
        let mut compare = |secret: &str| {
            found |= secret.len() >= 8 && (text.contains(secret) || (text.len() >= 8 && secret.contains(text)));
        };
        for (name, value) in &self.map {
            match value.as_object().filter(|_| name == LOGIN) {
                Some(login) => {
                    let secrets = login.iter().filter(|(field, _)| !HARMLESS.contains(&field.as_str()));
                    secrets.for_each(|(_, value)| each_text(value, &mut compare));
                }
                None => each_text(value, &mut compare),
            }
        }
        found
    }
}

impl std::fmt::Debug for CredentialFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialFile").field("state", &self.view().state).finish_non_exhaustive()
    }
}

impl Drop for CredentialFile {
    fn drop(&mut self) {
        self.map.values_mut().for_each(wipe);
    }
}

/// Overwrites every text below a value. The reader bounds how deep values nest.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn each_text(value: &Value, seen: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(list) => list.iter().for_each(|value| each_text(value, seen)),
        Value::Object(map) => map.values().for_each(|value| each_text(value, seen)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a text can stand in a header as a token: a line break in it would be a header of its own.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.len() <= MAX_TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A time in milliseconds; JavaScript may write a whole number with an exponent.
fn time(login: &Map<String, Value>, field: &str) -> Option<i64> {
    let number = login.get(field)?;
    let time = match number.as_i64() {
        Some(time) => time,
        None => {
            let time = number.as_f64().filter(|time| time.fract() == 0.0 && time.abs() <= MAX_TIME_MS as f64)?;
            time as i64
        }
    };
    (0..=MAX_TIME_MS).contains(&time).then_some(time)
}

#[cfg(test)]
mod tests;
