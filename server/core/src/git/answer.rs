//! What the person's own git answers, as far as a sandbox is given it.

use super::Request;
use crate::credentials::Secret;

/// Longest name and password that are passed on.
const LONGEST: usize = 16 * 1024;
/// Variables with a token for GitHub, in the order in which GitHub's own command line takes them.
const TOKENS: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
/// Where such a token is for.
const GITHUB: &str = "github.com";
/// The name that goes with any token there.
const TOKEN_NAME: &str = "x-access-token";

/// A name and a password.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The name.
    pub username: Secret,
    /// The password, or what stands for one.
    pub password: Secret,
}

/// Why there is no answer. Never repeats what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Neither name nor password.
    #[error("git on this machine has no credential for it")]
    Nothing,
    /// Not lines of `key=value`, or what cannot be passed on.
    #[error("a credential helper of this machine gave something that cannot be passed on")]
    Odd,
    /// Another host or protocol than was asked for.
    #[error("a credential helper of this machine answered for another host")]
    Other,
}

impl Answer {
    /// The answer that variables of the person's environment give, as they do in CI. `None` when they have none for
    /// `request`.
    pub fn of_environment<'a>(lookup: impl Fn(&str) -> Option<&'a Secret>, request: &Request) -> Option<Self> {
        if request.place() != GITHUB {
            return None;
        }
        let is_whole = |token: &&Secret| {
            let token = token.reveal();
            !token.is_empty() && token.len() <= LONGEST && !token.contains(|c: char| c.is_control() || c == ' ')
        };
        let token = TOKENS.iter().filter_map(|name| lookup(name)).find(is_whole)?;
        Some(Self { username: Secret::new(TOKEN_NAME.to_owned()), password: token.duplicate() })
    }

    /// Reads what `git credential fill` printed for `request`. Everything but name and password stays on this side.
    ///
    /// # Errors
    /// When there is no credential in it, or one for something else.
    pub fn parse(output: &[u8], request: &Request) -> Result<Self, AnswerError> {
        let text = std::str::from_utf8(output).map_err(|_| AnswerError::Odd)?;
        let (mut username, mut password) = (None, None);
        for line in text.split('\n').take_while(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').ok_or(AnswerError::Odd)?;
            match key {
                "protocol" if value != "https" => return Err(AnswerError::Other),
                "host" if value != request.place() => return Err(AnswerError::Other),
                "username" | "password" => {
                    if value.len() > LONGEST || value.contains(['\r', '\0']) {
                        return Err(AnswerError::Odd);
                    }
                    let slot = if key == "username" { &mut username } else { &mut password };
                    *slot = (!value.is_empty()).then(|| Secret::new(value.to_owned()));
                }
                _ => {}
            }
        }
        let (Some(username), Some(password)) = (username, password) else { return Err(AnswerError::Nothing) };
        Ok(Self { username, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_the_environment_is_for_github_alone() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let (first, second, broken) = (secret("one"), secret("two"), secret("o\nhost=x"));
        let check = |host: &str, given: &[(&str, &Secret)], expected: Option<&str>| {
            let request = Request::new("https", host, Some("a/b")).expect("a request");
            let lookup = |name: &str| given.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
            let answer = Answer::of_environment(lookup, &request);
            let password = answer.as_ref().map(|answer| answer.password.reveal());
            assert_eq!(password, expected, "{host} {given:?}");
            assert!(answer.is_none_or(|answer| answer.username.reveal() == TOKEN_NAME));
        };
        check("github.com", &[("GITHUB_TOKEN", &first)], Some("one"));
        check("GitHub.com:443", &[("GITHUB_TOKEN", &first), ("GH_TOKEN", &second)], Some("two"));
        check("github.com", &[("GITHUB_TOKEN", &first), ("GH_TOKEN", &broken)], Some("one"));
        check("github.com", &[], None);
        for host in ["github.com.example", "api.github.com", "github.com:8443", "example.com"] {
            check(host, &[("GITHUB_TOKEN", &first)], None);
        }
    }

    #[test]
    fn only_name_and_password_for_what_was_asked_are_taken() {
        let request = Request::new("https", "example.com", None).expect("a request");
        let check = |text: &str, expected: Result<(&str, &str), AnswerError>| {
            let read = Answer::parse(text.as_bytes(), &request);
            let read = read.as_ref().map(|answer| (answer.username.reveal(), answer.password.reveal()));
            assert_eq!(read.map_err(|cause| *cause), expected, "{text:?}");
        };
        let asked = "protocol=https\nhost=example.com\n";
        check(&format!("{asked}username=a\npassword=b=c\noauth_refresh_token=r\nquit=0\n"), Ok(("a", "b=c")));
        check(&format!("{asked}username=a\npassword=b\n\npassword=c\n"), Ok(("a", "b")));
        check(asked, Err(AnswerError::Nothing));
        check("username=a\npassword=\n", Err(AnswerError::Nothing));
        check("host=other.example\nusername=a\npassword=b\n", Err(AnswerError::Other));
        check("protocol=http\nusername=a\npassword=b\n", Err(AnswerError::Other));
        check("username=a\npassword=b\rhost=x\n", Err(AnswerError::Odd));
        check("username=a\npassword=b\0\n", Err(AnswerError::Odd));
        check("no lines at all", Err(AnswerError::Odd));
        assert_eq!(Answer::parse(b"username=\xff\n", &request).err(), Some(AnswerError::Odd));
    }
}
