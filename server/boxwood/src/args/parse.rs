//! Reads the arguments. What was put there by mistake and looks like a secret is not repeated: a terminal's scrollback and
//! a job's log outlive the mistake.

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue};

use super::Arguments;

/// Where errors have what was written.
const WRITTEN: [ContextKind; 4] =
    [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::TrailingArg];
/// What stands in an error where a secret would.
const HIDDEN: &str = "…";
/// Longest word that is surely none.
const SHORT: usize = 24;

/// The arguments of this process. Ends it when they are none.
pub(crate) fn parse() -> Arguments {
    Arguments::try_parse().unwrap_or_else(|error| discreet(error).exit())
}

fn discreet(mut error: clap::Error) -> clap::Error {
    for kind in WRITTEN {
        let is_secret = matches!(error.get(kind), Some(ContextValue::String(text)) if looks_secret(text));
        if is_secret {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
            // What is suggested has the word in it once more.
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

/// A word as it may stand in an error.
pub(crate) fn shown(word: &str) -> &str {
    if looks_secret(word) { HIDDEN } else { word }
}

/// Whether a word looks like a key or a token: a prefix that they have, or long and of their letters only.
fn looks_secret(word: &str) -> bool {
    let is_of_letters = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte));
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    word.contains("sk-ant-") || (word.len() > SHORT && is_of_letters && has_digit && !word.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        const KEY: &str = "sk-ant-api03-canary";
        for words in [
            &["credentials", "set", KEY][..],
            &["credentials", "set", "api-key", KEY],
            &["credentials", "mode", KEY],
            &["credentials", "sign-out", KEY],
            &["credentials", "set", "--sk-ant-api03-canary"],
            &["login", KEY],
            &[KEY],
            &["credentials", KEY],
            &["credentials", "set", "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"],
        ] {
            let read = Arguments::try_parse_from([&["boxwood"], words].concat());
            let said = discreet(read.expect_err("refused")).to_string();
            assert!(!said.contains("canary") && !said.contains("AbCdEf"), "{words:?}: {said}");
        }
    }

    #[test]
    fn what_was_mistyped_is_repeated() {
        for (words, expected) in [
            (&["strat"][..], "'strat'"),
            (&["credentials", "set", "api-kye"], "'api-kye'"),
            (&["list", "--jsno"], "--jsno"),
        ] {
            let read = Arguments::try_parse_from([&["boxwood"], words].concat());
            let said = discreet(read.expect_err("refused")).to_string();
            assert!(said.contains(expected), "{said}");
        }
    }
}
