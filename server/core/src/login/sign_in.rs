//! A sign-in as it is seen on the screen.
//!
//! The screen is looked at whenever the cursor has moved on, and never where the bytes happen to be cut: what is seen
//! depends on the bytes alone. A line counts once the cursor has left it, for programs draw a line word by word.

use boxwood_protocol::credentials::Secret;
use boxwood_protocol::login::LoginKind;
use thiserror::Error;

use super::address::{Address, AddressError};
use super::code::{Code, CodeError};
use super::screen::{Change, Screen};
use crate::credentials::file::is_token;

/// How the line begins in which the code is to be pasted.
const PROMPT: &str = "Paste code here";
/// What the address to sign in at has in it, whatever its host.
const AUTHORIZE: &str = "/oauth/authorize";
/// What stands above the token.
const TOKEN_HEADING: &str = "Your OAuth token";
const TOKEN_PREFIX: &str = "sk-ant-oat";
const SUCCESS: &str = "Login successful";
/// What stands before the reason why it did not work.
const FAILURES: [&str; 4] = ["OAuth error:", "Couldn't log in:", "Login failed:", "Sign-in failed:"];
/// What the reason says when it was the code.
const REFUSED_CODE: &str = "code wasn't accepted";
/// How much of a code has to be hidden behind stars until it is known to have been pasted.
const STARS: usize = 20;
/// Most letters of a reason that are repeated.
const LONGEST_REASON: usize = 240;

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Where the person signs in.
    Url(Address),
    /// The code is wanted, see [`SignIn::answer`].
    WantsCode,
    /// This is to be typed now.
    Type(Secret),
    /// The token of `claude setup-token`.
    Token(Secret),
    /// `claude auth login` has signed in.
    SignedIn,
    /// It did not work. Nothing is seen after that.
    Failed(Failure),
}

/// Why a sign-in did not work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The address is not one that may be opened.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// The code was not accepted.
    #[error("the code was not accepted")]
    WrongCode,
    /// What Claude Code said.
    #[error("Claude Code says: {0}")]
    Said(String),
    /// It ended without a word.
    #[error("Claude Code ended with status {0} before anybody was signed in")]
    Ended(i64),
}

#[derive(Debug)]
enum Stage {
    /// Nothing is asked yet.
    Opening,
    /// The code is wanted, of the sign-in that has this state.
    Asked(Address),
    /// The code was given.
    Given { code: Code, is_entered: bool },
    /// It is over, well or not.
    Over { is_well: bool },
}

/// A sign-in.
pub struct SignIn {
    kind: LoginKind,
    parser: vte::Parser,
    screen: Screen,
    stage: Stage,
    /// The row in which something was written that the cursor has not left since.
    written: Option<usize>,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("kind", &self.kind).field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl SignIn {
    /// One that begins.
    #[must_use]
    pub fn new(kind: LoginKind) -> Self {
        Self { kind, parser: vte::Parser::new(), screen: Screen::new(), stage: Stage::Opening, written: None }
    }

    /// Takes what arrived and says what it means, in order.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for byte in bytes {
            self.parser.advance(&mut self.screen, std::slice::from_ref(byte));
            match self.screen.take_change() {
                Change::Nothing => {}
                Change::Letter => {
                    self.written = Some(self.screen.row());
                    self.letter(&mut seen);
                }
                Change::Move if self.written.is_some() => {
                    self.look(&mut seen, false);
                    self.written = self.written.filter(|row| *row == self.screen.row());
                }
                Change::Move => {}
            }
        }
        seen
    }

    /// Whether a code can be given now.
    #[must_use]
    pub const fn wants_code(&self) -> bool {
        matches!(self.stage, Stage::Asked(_))
    }

    /// Takes the code that the person copied and gives what is to be typed.
    ///
    /// # Errors
    /// When it is not the code of this sign-in; another one can be given then. When none is wanted,
    /// [`CodeError::Empty`].
    pub fn answer(&mut self, pasted: &Secret) -> Result<Secret, CodeError> {
        let Stage::Asked(address) = &self.stage else { return Err(CodeError::Empty) };
        let code = Code::of(pasted, address.state())?;
        // `auth login` reads a line. `setup-token` takes what arrives at once for pasted, the Enter key in it too.
        let is_entered = self.kind != LoginKind::SetupToken;
        let keys = code.keys(is_entered);
        self.stage = Stage::Given { code, is_entered };
        Ok(keys)
    }

    /// Takes note that the program ended, and gives what is seen by that.
    pub fn end(&mut self, status: i64) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.look(&mut seen, true);
        if !matches!(self.stage, Stage::Over { .. }) {
            self.fail(Failure::Ended(status), &mut seen);
        }
        seen
    }

    /// Whether the person is signed in, or there is a token.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self.stage, Stage::Over { is_well: true })
    }

    fn letter(&mut self, seen: &mut Vec<Seen>) {
        match &mut self.stage {
            // The cursor stays behind the prompt.
            Stage::Opening if self.screen.ends_with(PROMPT) => self.look(seen, false),
            Stage::Given { code, is_entered } if !*is_entered && self.screen.run_of('*') >= STARS.min(code.len()) => {
                *is_entered = true;
                seen.push(Seen::Type(Secret::new("\r".to_owned())));
            }
            _ => {}
        }
    }

    fn look(&mut self, seen: &mut Vec<Seen>, is_end: bool) {
        if matches!(self.stage, Stage::Over { .. }) {
            return;
        }
        let lines = self.screen.lines();
        if matches!(self.stage, Stage::Opening) && lines.iter().any(|(line, _)| line.contains(PROMPT)) {
            match lines.iter().find_map(|(line, _)| address(line)).map(Address::parse) {
                Some(Ok(address)) => {
                    seen.extend([Seen::Url(address.clone()), Seen::WantsCode]);
                    self.stage = Stage::Asked(address);
                }
                Some(Err(cause)) => return self.fail(cause.into(), seen),
                None => {}
            }
        }
        let mut whole = lines.iter().filter(|(_, has_cursor)| is_end || !has_cursor).map(|(line, _)| line.as_str());
        let mut is_token_next = false;
        let found = whole.find_map(|line| {
            if let Some(reason) = reason(line) {
                return Some(Err(self.failure(reason)));
            }
            if self.kind != LoginKind::SetupToken {
                return line.contains(SUCCESS).then_some(Ok(Seen::SignedIn));
            }
            if line.contains(TOKEN_HEADING) {
                is_token_next = true;
                return None;
            }
            let word = line.trim();
            if !is_token_next || word.is_empty() {
                return None;
            }
            is_token_next = false;
            (word.starts_with(TOKEN_PREFIX) && is_token(word)).then(|| Ok(Seen::Token(Secret::new(word.to_owned()))))
        });
        match found {
            Some(Ok(done)) => {
                self.stage = Stage::Over { is_well: true };
                self.screen = Screen::new();
                seen.push(done);
            }
            Some(Err(failure)) => self.fail(failure, seen),
            None => {}
        }
    }

    fn fail(&mut self, failure: Failure, seen: &mut Vec<Seen>) {
        self.stage = Stage::Over { is_well: false };
        seen.push(Seen::Failed(failure));
    }

    /// A reason in Claude Code's words, unless there is something in it that must not be shown.
    fn failure(&self, reason: &str) -> Failure {
        if reason.contains(REFUSED_CODE) {
            return Failure::WrongCode;
        }
        let repeats_code = match &self.stage {
            Stage::Given { code, .. } => code.is_given_away_by(reason),
            _ => false,
        };
        if repeats_code || reason.contains("sk-ant-") {
            return Failure::Said("something that cannot be repeated here".to_owned());
        }
        let shown = reason.chars().filter(|letter| !letter.is_control()).take(LONGEST_REASON).collect();
        Failure::Said(shown)
    }
}

/// The address to sign in at, when there is one in the line.
fn address(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.contains("://") && word.contains(AUTHORIZE))
}

/// Why it did not work, when the line says so.
fn reason(line: &str) -> Option<&str> {
    FAILURES
        .iter()
        .find_map(|mark| line.split_once(mark))
        .map(|(_, reason)| reason.trim())
        .filter(|text| !text.is_empty())
}
