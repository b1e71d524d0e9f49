//! Signing in: what the real `claude` shows on a terminal that a program drives, read for the person, and what is typed into
//! it for them.
//!
//! `claude auth login` and `claude setup-token` were made for a person who looks. [`SignIn`] looks in the person's place:
//! it takes the bytes that arrive, however they are cut, and says what they mean. What it has on its screen may be a
//! token, so the screen is overwritten when it goes, and nothing here shows what it holds.

mod address;
mod code;
mod screen;
mod sign_in;

pub use address::{Address, AddressError};
pub use code::{Code, CodeError};
pub use screen::{COLUMNS, ROWS};
pub use sign_in::{Failure, Seen, SignIn};

#[cfg(test)]
mod tests;

use boxwood_protocol::login::LoginKind;

/// Arguments of `claude` for a way to sign in.
#[must_use]
pub const fn arguments(kind: LoginKind) -> &'static [&'static str] {
    match kind {
        LoginKind::Login => &["auth", "login"],
        LoginKind::SetupToken => &["setup-token"],
        LoginKind::Console => &["auth", "login", "--console"],
    }
}

/// Name of the login home that is the person's own.
pub const DEFAULT_HOME: &str = "default";

/// Longest name of a login home.
const LONGEST_NAME: usize = 128;

/// Whether a text can name a login home: it becomes the name of a directory, beside others that begin with a dot.
#[must_use]
pub fn is_home_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.starts_with('.') && text.chars().all(is_plain)
}
