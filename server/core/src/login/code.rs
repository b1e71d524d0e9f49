//! What the person copies in the browser, before it is typed for them.

use boxwood_protocol::credentials::Secret;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest text that is taken.
const LONGEST: usize = 4096;

/// A code of the sign-in that runs.
#[derive(Debug)]
pub struct Code(Secret);

/// Why what was given is not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodeError {
    /// There is nothing in it.
    #[error("there is no code")]
    Empty,
    /// The part that names the sign-in is missing.
    #[error("this is only a part of the code: it goes on after a '#'")]
    Cut,
    /// It is of another sign-in.
    #[error("this code is of another sign-in: open the address that is shown now")]
    OfAnother,
    /// It has characters that no code has.
    #[error("this is not a code: it has characters in it that no code has")]
    NotACode,
}

impl Code {
    /// Takes a code as the person copied it: `CODE#STATE`, or the address of the page that shows it. Claude Code does not look
    /// at the state that is given to it in every case, so it is compared here: a code of somebody else's sign-in would
    /// sign the person in to that somebody's account.
    ///
    /// # Errors
    /// When it is not a code of the sign-in that has this state.
    pub fn of(pasted: &Secret, state: &str) -> Result<Self, CodeError> {
        let text = pasted.reveal().trim();
        if text.is_empty() {
            return Err(CodeError::Empty);
        }
        let (code, given) = match text.strip_prefix("https://").and_then(|rest| rest.split_once('?')) {
            Some((_, query)) => {
                let value = |name: &str| {
                    let pairs = query.split(['&', '#']).filter_map(|pair| pair.split_once('='));
                    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
                };
                (value("code").ok_or(CodeError::NotACode)?, value("state"))
            }
            None => text.split_once('#').map_or((text, None), |(code, state)| (code, Some(state))),
        };
        // Whatever is typed is a key that is pressed: nothing but letters may be.
        let is_plain = |part: &str| {
            part.len() <= LONGEST
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(&byte))
        };
        if !is_plain(code) || !given.is_none_or(is_plain) {
            return Err(CodeError::NotACode);
        }
        let given = given.filter(|given| !given.is_empty()).ok_or(CodeError::Cut)?;
        if code.is_empty() {
            return Err(CodeError::Cut);
        }
        if given != state {
            return Err(CodeError::OfAnother);
        }
        Ok(Self(Secret::new(format!("{code}#{given}"))))
    }

    /// What is typed.
    pub(super) fn keys(&self, with_enter: bool) -> Secret {
        let end = if with_enter { "\r" } else { "" };
        Secret::new(format!("{}{end}", self.0.reveal()))
    }

    /// Whether a text repeats the code or its first part.
    pub(super) fn is_given_away_by(&self, text: &str) -> bool {
        let code = Zeroizing::new(self.0.reveal().split('#').next().unwrap_or_default().to_owned());
        text.contains(code.as_str())
    }

    /// How many letters it has.
    pub(super) fn len(&self) -> usize {
        self.0.reveal().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, CodeError> {
        Code::of(&Secret::new(text.to_owned()), "st_ate").map(|code| code.0.reveal().to_owned())
    }

    #[test]
    fn a_code_of_this_sign_in_is_taken_as_it_may_be_copied() {
        for text in [
            "co-de#st_ate",
            "  co-de#st_ate\n",
            "https://platform.claude.com/oauth/code/callback?code=co-de&state=st_ate",
            "https://platform.claude.com/oauth/code/callback?state=st_ate&code=co-de#_",
        ] {
            assert_eq!(of(text).as_deref(), Ok("co-de#st_ate"), "{text}");
        }
    }

    #[test]
    fn whatever_else_is_given_is_not_typed() {
        for (text, expected) in [
            ("", CodeError::Empty),
            (" \n", CodeError::Empty),
            ("co-de", CodeError::Cut),
            ("co-de#", CodeError::Cut),
            ("#st_ate", CodeError::Cut),
            ("co-de#other", CodeError::OfAnother),
            ("co-de#st_ate2", CodeError::OfAnother),
            ("co-de#st_ate#st_ate", CodeError::NotACode),
            ("co\rde#st_ate", CodeError::NotACode),
            ("co\u{1b}[Ade#st_ate", CodeError::NotACode),
            ("co de#st_ate", CodeError::NotACode),
            ("cöde#st_ate", CodeError::NotACode),
            ("https://platform.claude.com/oauth/code/callback?code=co-de&state=other", CodeError::OfAnother),
            ("https://platform.claude.com/oauth/code/callback?code=co-de", CodeError::Cut),
            ("https://platform.claude.com/?state=st_ate", CodeError::NotACode),
        ] {
            assert_eq!(of(text), Err(expected), "{text:?}");
        }
    }
}
