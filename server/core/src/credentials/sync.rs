//! Keeping a login the same on both sides: what is to be done, given what is found there and what was agreed before.
//!
//! A refresh token works once, and whoever presents a used one is logged out. So a login goes to the other side only when it
//! is known, or there is good reason to believe, that it came after the one there: it changed since both sides had
//! the same, and its times do not contradict. A side that has less than was agreed (it was refused, or somebody signed
//! out) is never given again what it had. Whatever is not clear is a [`Conflict`], and nothing is touched.
//!
//! Order of the work, which a kill may interrupt anywhere: take Claude Code's own locks of both directories, read both,
//! [`decide`], [`Record::begin`] and write the record, copy by atomic replace, [`Record::settle`] and write the record.

mod record;

pub use boxwood_protocol::credentials::CredentialSide as Side;
pub use record::Record;

use super::view::{Age, Clock, Fingerprint, LoginState, Sameness, View};

/// The side that is not this one.
#[must_use]
pub const fn other(side: Side) -> Side {
    match side {
        Side::Host => Side::Sandbox,
        Side::Sandbox => Side::Host,
    }
}

const fn words(side: Side) -> &'static str {
    match side {
        Side::Host => "this machine",
        Side::Sandbox => "the sandbox",
    }
}

/// How much of a login is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it: [`super::CredentialFile::set_login`].
    Login,
    /// The access token, so that work goes on there: [`super::CredentialFile::access_only`]. It cannot log anybody out.
    AccessToken,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Keep(Kept),
    /// Copy from one side to the other.
    Copy {
        /// Where the login is taken from.
        from: Side,
        /// How much of it.
        part: Part,
        /// The login that is replaced; the copy is given up when another one stands there by then.
        over: Option<Fingerprint>,
    },
    /// Nothing, and the person must know.
    Conflict(Conflict),
}

/// Why nothing is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Both have the same. [`Record::settle`] is to be told nevertheless: it may be news, after a kill or a sign-in.
    Equal,
    /// There is no login anywhere.
    NoLogin,
    /// The other side works with an access token that it was lent.
    Lent,
}

/// Why the two sides are left as they are although they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// A file cannot be read; another program may be writing it.
    Unreadable(Side),
    /// A file holds a refresh token that Claude Code would not use.
    Incomplete(Side),
    /// The logins are of different accounts.
    OtherAccount,
    /// It cannot be told whether the logins are of one account.
    AccountUnknown,
    /// A side had the login and has none any more.
    SignedOut(Side),
    /// A side was refused with the login that the other one still has.
    Refused(Side),
    /// A side has another login than before, and its times say that it is an old one.
    LooksOlder(Side),
    /// Both sides changed, and it cannot be told which came last.
    Unclear,
    /// A side has an access token that is newer than the other's login.
    NewerToken(Side),
    /// Nothing that is left on either side works any more.
    NothingWorks,
}

impl Conflict {
    /// What is wrong, in plain words.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Unreadable(side) => format!("the credential file of {} cannot be read", words(side)),
            Self::Incomplete(side) => format!("the login of {} is incomplete", words(side)),
            Self::OtherAccount => "this machine and the sandbox are signed in to different accounts".to_owned(),
            Self::AccountUnknown => "it cannot be told whether both logins are of the same account".to_owned(),
            Self::SignedOut(side) => format!("{} was signed out", words(side)),
            Self::Refused(side) => format!("the login of {} was refused", words(side)),
            Self::LooksOlder(side) => format!("the login of {} is another one, and older than before", words(side)),
            Self::Unclear => "both logins changed, and it cannot be told which is the newer".to_owned(),
            Self::NewerToken(side) => format!("{} has a newer token than the other side's login", words(side)),
            Self::NothingWorks => "no login is left that still works".to_owned(),
        }
    }

    /// Whether there are two logins, of which the person can say that one is to be kept.
    #[must_use]
    pub const fn is_between_two(self) -> bool {
        matches!(self, Self::OtherAccount | Self::AccountUnknown | Self::LooksOlder(_) | Self::Unclear)
    }

    /// What to do about it.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::Unreadable(_) => "look at the file; it was left as it is",
            Self::Incomplete(_) | Self::Refused(_) | Self::NothingWorks => "sign in again with 'boxwood login'",
            Self::OtherAccount | Self::AccountUnknown | Self::LooksOlder(_) | Self::Unclear | Self::NewerToken(_) => {
                "say which login to keep, or give the sandbox one of its own"
            }
            Self::SignedOut(_) => "sign in there again, or say that the other login is to be used",
        }
    }
}

/// What a side has; a file that cannot be read is `None`.
pub type Seen<'a> = Option<&'a View>;

/// What is to be done about the logins of two sides.
#[must_use]
pub fn decide(host: Seen<'_>, sandbox: Seen<'_>, record: &Record, clock: &Clock) -> Decision {
    let host = match host {
        Some(view) => view,
        None => return Decision::Conflict(Conflict::Unreadable(Side::Host)),
    };
    let sandbox = match sandbox {
        Some(view) => view,
        None => return Decision::Conflict(Conflict::Unreadable(Side::Sandbox)),
    };
    let pair = Pair { host, sandbox, record, clock };
    pair.decide().unwrap_or_else(Decision::Conflict)
}

/// Does what the person chose about a conflict: the login of `winner` is taken, whatever the record says.
///
/// # Errors
/// When there is nothing to take, or something that cannot be read.
pub fn settle_for(winner: Side, host: Seen<'_>, sandbox: Seen<'_>, clock: &Clock) -> Result<Decision, Conflict> {
    let (from, to) = match winner {
        Side::Host => (host, sandbox),
        Side::Sandbox => (sandbox, host),
    };
    let from = from.ok_or(Conflict::Unreadable(winner))?;
    let to = to.ok_or(Conflict::Unreadable(other(winner)))?;
    if from.state != LoginState::Full || from.is_over(clock) {
        return Err(Conflict::NothingWorks);
    }
    if from.login == to.login {
        return Ok(Decision::Keep(Kept::Equal));
    }
    Ok(Decision::Copy { from: winner, part: Part::Login, over: to.login.clone() })
}

struct Pair<'a> {
    host: &'a View,
    sandbox: &'a View,
    record: &'a Record,
    clock: &'a Clock,
}

type Decided = Result<Decision, Conflict>;

impl Pair<'_> {
    const fn at(&self, side: Side) -> &View {
        match side {
            Side::Host => self.host,
            Side::Sandbox => self.sandbox,
        }
    }

    /// Whether a side's login could be the newest.
    fn is_candidate(&self, side: Side) -> bool {
        let view = self.at(side);
        view.state == LoginState::Full
            && !view.is_over(self.clock)
            && view.login.as_ref().is_some_and(|login| !self.record.is_retired(login))
    }

    /// Whether both sides had this side's login, so that what the other one has now came after it, or instead of it.
    fn is_known(&self, side: Side) -> bool {
        let Some(login) = &self.at(side).login else { return false };
        self.record.is_agreed(login) || self.record.may_have_been_copied(login, self.at(other(side)))
    }

    fn decide(&self) -> Decided {
        if self.host.state == LoginState::Full && self.host.login == self.sandbox.login {
            return Ok(Decision::Keep(Kept::Equal));
        }
        for side in [Side::Host, Side::Sandbox] {
            if self.at(side).state == LoginState::Stub && self.at(side).login.is_some() {
                return Err(Conflict::Incomplete(side));
            }
        }
        if self.host.account_of(self.sandbox) == Sameness::Another {
            return Err(Conflict::OtherAccount);
        }
        match (self.is_candidate(Side::Host), self.is_candidate(Side::Sandbox)) {
            (false, false) => self.none(),
            (true, false) => self.one(Side::Host),
            (false, true) => self.one(Side::Sandbox),
            (true, true) => self.both(),
        }
    }

    fn none(&self) -> Decided {
        let is_lost = |view: &View| matches!(view.state, LoginState::Full | LoginState::Blank);
        if is_lost(self.host) || is_lost(self.sandbox) {
            return Err(Conflict::NothingWorks);
        }
        Ok(Decision::Keep(Kept::NoLogin))
    }

    /// One side has a login that may be the newest, the other has none, or one that is known to be over.
    fn one(&self, from: Side) -> Decided {
        let (source, target) = (self.at(from), self.at(other(from)));
        if self.record.account_of(source) == Sameness::Another {
            return Err(Conflict::OtherAccount);
        }
        match target.state {
            LoginState::Absent if self.record.has_agreed() => Err(Conflict::SignedOut(other(from))),
            LoginState::Absent => self.copy(from),
            LoginState::Full => self.over_old(from),
            LoginState::Stub | LoginState::Blank if self.is_known(from) => self.lend(from),
            LoginState::Stub | LoginState::Blank => self.copy(from),
            LoginState::AccessOnly => {
                if !target.is_access_over(self.clock) && source.age_beside(target, self.clock) == Age::Older {
                    Err(Conflict::NewerToken(other(from)))
                } else if self.is_known(from) {
                    self.lend(from)
                } else {
                    self.copy(from)
                }
            }
        }
    }

    /// The other side's login is one that was replaced before, or has ended.
    fn over_old(&self, from: Side) -> Decided {
        let target = self.at(other(from));
        let is_ours = target.login.as_ref().is_some_and(|login| self.record.is_retired(login));
        if !is_ours && self.at(from).account_of(target) != Sameness::Same {
            return Err(Conflict::AccountUnknown);
        }
        self.copy(from)
    }

    /// The other side had this login and has less now: it was refused with it. It gets what cannot be refused for good.
    fn lend(&self, from: Side) -> Decided {
        let (source, target) = (self.at(from), self.at(other(from)));
        if source.is_access_over(self.clock) {
            return Err(Conflict::Refused(other(from)));
        }
        if target.access == source.access {
            return Ok(Decision::Keep(Kept::Lent));
        }
        Ok(Decision::Copy { from, part: Part::AccessToken, over: target.login.clone() })
    }

    fn both(&self) -> Decided {
        if self.host.account_of(self.sandbox) != Sameness::Same {
            return Err(Conflict::AccountUnknown);
        }
        let changed = match (self.is_known(Side::Host), self.is_known(Side::Sandbox)) {
            (true, false) => Some(Side::Sandbox),
            (false, true) => Some(Side::Host),
            _ => None,
        };
        match (changed, self.host.age_beside(self.sandbox, self.clock)) {
            (Some(Side::Host), Age::Older) => Err(Conflict::LooksOlder(Side::Host)),
            (Some(Side::Sandbox), Age::Newer) => Err(Conflict::LooksOlder(Side::Sandbox)),
            (Some(side), _) => self.copy(side),
            (None, Age::Newer) => self.copy(Side::Host),
            (None, Age::Older) => self.copy(Side::Sandbox),
            (None, Age::Unclear) => Err(Conflict::Unclear),
        }
    }

    fn copy(&self, from: Side) -> Decided {
        Ok(Decision::Copy { from, part: Part::Login, over: self.at(other(from)).login.clone() })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
