//! What the two sides had in common, remembered between decisions: marks of logins, no login.

use serde::{Deserialize, Serialize};

use super::{Decision, Part, Side};
use crate::credentials::view::{AccountId, Fingerprint, LoginState, Sameness, View, sameness};

/// The version of the record's form that is written.
const VERSION: u32 = 1;
/// How many replaced logins are remembered. A login is renewed every few hours, so this is weeks.
const RETIRED: usize = 128;

/// What is remembered of a sandbox whose login is kept the same as the host's. Deleted with the sandbox's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Version of the form.
    version: u32,
    /// The login that both sides had last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreed: Option<Fingerprint>,
    /// Whose it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// A copy that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    /// Logins that others took the place of, the oldest first: their refresh tokens are used.
    #[serde(default)]
    retired: Vec<Fingerprint>,
}

/// A copy that may have been made or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pending {
    /// What is copied.
    login: Fingerprint,
    /// What it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<Fingerprint>,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, agreed: None, account: None, pending: None, retired: Vec::new() }
    }
}

impl Record {
    /// Reads a record. One of another version, or that cannot be read, is as good as none: without one, more is asked and
    /// nothing is done wrong.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).ok().filter(|record: &Self| record.version == VERSION).unwrap_or_default()
    }

    /// The text to write.
    #[must_use]
    pub fn render(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// To be written before a copy is made.
    pub fn begin(&mut self, decision: &Decision, host: &View, sandbox: &View) {
        let Decision::Copy { from, part: Part::Login, over } = decision else { return };
        let source = match from {
            Side::Host => host,
            Side::Sandbox => sandbox,
        };
        self.pending = source.login.clone().map(|login| Pending { login, over: over.clone() });
        // What the person decides for is no old one any more.
        self.retired.retain(|retired| Some(retired) != source.login.as_ref());
    }

    /// To be written when both sides were found, or made, the same. Does nothing when they are not.
    pub fn settle(&mut self, host: &View, sandbox: &View) {
        let Some(login) = host.login.as_ref().filter(|_| host.state == LoginState::Full && host.login == sandbox.login)
        else {
            return;
        };
        let pending = self.pending.take().filter(|pending| pending.login == *login).and_then(|pending| pending.over);
        let before = self.agreed.replace(login.clone());
        for old in [before, pending].into_iter().flatten() {
            if old != *login {
                self.retire(old);
            }
        }
        self.retired.retain(|retired| retired != login);
        self.account = host.account.clone().or_else(|| sandbox.account.clone()).or_else(|| self.account.take());
    }

    /// Remembers that a login was replaced, for example because another sandbox renewed it.
    pub fn retire(&mut self, login: Fingerprint) {
        self.retired.retain(|retired| *retired != login);
        self.retired.push(login);
        let surplus = self.retired.len().saturating_sub(RETIRED);
        self.retired.drain(..surplus);
    }

    pub(super) fn is_retired(&self, login: &Fingerprint) -> bool {
        self.retired.contains(login)
    }

    pub(super) fn is_agreed(&self, login: &Fingerprint) -> bool {
        self.agreed.as_ref() == Some(login)
    }

    pub(super) const fn has_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Whether `login` may have been copied over what `other` is now: a copy of it was begun, and there is another login
    /// than at that time.
    pub(super) fn may_have_been_copied(&self, login: &Fingerprint, other: &View) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|pending| pending.login == *login && other.login.is_some() && other.login != pending.over)
    }

    pub(super) fn account_of(&self, view: &View) -> Sameness {
        sameness(self.account.as_ref(), view.account.as_ref())
    }
}
