//! `git-askpass`: for programs that know no credential helpers and ask a person, by `GIT_ASKPASS`, for a name and then for a
//! password. It answers from where `git-credential` does, and only what is asked for a URL.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::linux::error::Error;
use crate::linux::git_credential::{self, Attributes};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Name,
    Password,
}

impl Wanted {
    const fn key(self) -> &'static str {
        match self {
            Self::Name => "username",
            Self::Password => "password",
        }
    }
}

/// Prints the answer on a line, or nothing and exit status 1.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode, Error> {
    let [prompt] = args else {
        return Err(Error::Usage("git-askpass takes the prompt, as git gives it".to_owned()));
    };
    let Some((wanted, attributes)) = prompt.to_str().and_then(read) else { return Ok(ExitCode::FAILURE) };
    match git_credential::value_of(&attributes, wanted.key())? {
        Some(value) => {
            println!("{value}");
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(ExitCode::FAILURE),
    }
}

/// Reads `Username for 'https://example.com': ` and `Password for 'https://me@example.com': `. The words are translated;
/// the URL, which has a name in it when the password is asked for, is not.
fn read(prompt: &str) -> Option<(Wanted, Attributes)> {
    let begin = prompt.find("https://")? + "https://".len();
    let end = prompt[begin..].find(['\'', '"', ' ']).map_or(prompt.len(), |end| begin + end);
    let (place, path) = prompt[begin..end].trim_end_matches(':').split_once('/').unwrap_or((&prompt[begin..end], ""));
    let (is_named, host) = match place.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, place),
    };
    let is_password = is_named || prompt.to_ascii_lowercase().starts_with("password");
    let wanted = if is_password { Wanted::Password } else { Wanted::Name };
    (!host.is_empty()).then(|| (wanted, Attributes::https(host, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_read_by_their_url() {
        let check = |prompt: &str, expected: Option<(Wanted, &str, &str)>| {
            let expected = expected.map(|(wanted, host, path)| (wanted, Attributes::https(host, path)));
            assert_eq!(read(prompt), expected, "{prompt}");
        };
        check("Username for 'https://a.example': ", Some((Wanted::Name, "a.example", "")));
        check("Password for 'https://me@a.example': ", Some((Wanted::Password, "a.example", "")));
        check("Password for 'https://a.example:8443/x/y.git': ", Some((Wanted::Password, "a.example:8443", "x/y.git")));
        check("Passwort f\u{fc}r 'https://me%40b.example@a.example': ", Some((Wanted::Password, "a.example", "")));
        check("Benutzername f\u{fc}r \"https://a.example\": ", Some((Wanted::Name, "a.example", "")));
        for nothing in ["", "Enter passphrase for key '/k': ", "Username for 'http://a.example': ", "https://"] {
            check(nothing, None);
        }
    }
}
