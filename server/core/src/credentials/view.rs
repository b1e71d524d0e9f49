//! What a credential file says without what it hides: its state, whose it is, when it ends, and marks by which two
//! logins are told apart.

use serde::{Deserialize, Serialize};

use crate::content_hash;

/// What a credential file holds of Claude's login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginState {
    /// No login, or no file.
    Absent,
    /// Something that Claude Code would not use: no token, or no scope to ask a model.
    Stub,
    /// Empty tokens, as Claude Code leaves them after its refresh token was refused.
    Blank,
    /// An access token without a refresh token: used until it ends, never renewed.
    AccessOnly,
    /// An access token and the refresh token that renews it.
    Full,
}

/// Id of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(String);

impl AccountId {
    /// Reads an id: 32 hexadecimal digits in groups, as a UUID is written. Nothing else is one, so nothing else is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_uuid = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        is_uuid.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A mark of tokens by which they are told apart and known again: a SHA-256, from which a token cannot be had.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn of(parts: &[&str]) -> Self {
        Self(content_hash(parts.iter().map(|part| part.as_bytes())))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fingerprint({})", self.0.get(..8).unwrap_or_default())
    }
}

/// Whether two logins are of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// Both say the same account.
    Same,
    /// They say different ones.
    Another,
    /// One of them does not say; files of older versions do not.
    Unknown,
}

/// The time, and how far the clocks that wrote the times in a file may be from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
    /// How far apart two clocks may be, milliseconds.
    pub skew_ms: i64,
}

impl Clock {
    /// A clock with the usual allowance: five minutes, as systems that rely on clocks give one another.
    #[must_use]
    pub const fn at(now_ms: i64) -> Self {
        Self { now_ms, skew_ms: 5 * 60 * 1000 }
    }

    /// Whether a moment has passed whatever the clocks say.
    #[must_use]
    pub const fn is_surely_past(&self, moment_ms: i64) -> bool {
        moment_ms.saturating_add(self.skew_ms) <= self.now_ms
    }

    /// Whether a moment is still to come whatever the clocks say.
    #[must_use]
    pub const fn is_surely_ahead(&self, moment_ms: i64) -> bool {
        moment_ms.saturating_sub(self.skew_ms) > self.now_ms
    }
}

/// Which of two logins was made later, as far as their times tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// The first.
    Newer,
    /// The second.
    Older,
    /// The times are missing, contradict each other, or are too close to tell.
    Unclear,
}

/// What a credential file holds, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its state.
    pub state: LoginState,
    /// Whose login it is. Where the file does not say, the daemon may know it from `oauthAccount` in `.claude.json`.
    pub account: Option<AccountId>,
    /// Mark of access and refresh token; there is one as soon as there is a refresh token, whatever the state.
    pub login: Option<Fingerprint>,
    /// Mark of the access token.
    pub access: Option<Fingerprint>,
    /// When the access token ends, milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// When the refresh token ends, milliseconds since 1970.
    pub refresh_expires_at_ms: Option<i64>,
}

impl View {
    /// No file, or no login in it.
    #[must_use]
    pub const fn absent() -> Self {
        Self {
            state: LoginState::Absent,
            account: None,
            login: None,
            access: None,
            expires_at_ms: None,
            refresh_expires_at_ms: None,
        }
    }

    /// Whether the access token has surely ended. One that does not say when is tried.
    #[must_use]
    pub fn is_access_over(&self, clock: &Clock) -> bool {
        self.access.is_none() || self.expires_at_ms.is_some_and(|end| clock.is_surely_past(end))
    }

    /// Whether nothing in it works any more: no access token that has not ended, and nothing to renew it by.
    #[must_use]
    pub fn is_over(&self, clock: &Clock) -> bool {
        match self.state {
            LoginState::Absent | LoginState::Stub | LoginState::Blank => true,
            LoginState::AccessOnly => self.is_access_over(clock),
            LoginState::Full => self.refresh_expires_at_ms.is_some_and(|end| clock.is_surely_past(end)),
        }
    }

    /// Whether it is the same account's.
    #[must_use]
    pub fn account_of(&self, other: &Self) -> Sameness {
        sameness(self.account.as_ref(), other.account.as_ref())
    }

    /// Which of the two was made later. Each time counts when it differs by more than the clocks may.
    #[must_use]
    pub fn age_beside(&self, other: &Self, clock: &Clock) -> Age {
        let times =
            [(self.expires_at_ms, other.expires_at_ms), (self.refresh_expires_at_ms, other.refresh_expires_at_ms)];
        let (mut newer, mut older) = (false, false);
        for (this, that) in times {
            if let (Some(this), Some(that)) = (this, that) {
                newer |= this.saturating_sub(that) > 2 * clock.skew_ms;
                older |= that.saturating_sub(this) > 2 * clock.skew_ms;
            }
        }
        match (newer, older) {
            (true, false) => Age::Newer,
            (false, true) => Age::Older,
            _ => Age::Unclear,
        }
    }
}

pub(super) fn sameness(a: Option<&AccountId>, b: Option<&AccountId>) -> Sameness {
    match (a, b) {
        (Some(a), Some(b)) if a == b => Sameness::Same,
        (Some(_), Some(_)) => Sameness::Another,
        _ => Sameness::Unknown,
    }
}
