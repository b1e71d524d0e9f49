//! Who the person is to git, read from their own configuration and written down for a sandbox.

/// What is asked of the person's configuration, as `git config --get-regexp` takes it.
pub const WANTED: &str = r"^(user\.(name|email|signingkey)|gpg\.format|commit\.gpgsign)$";

/// Longest value that is carried.
const LONGEST: usize = 1024;

/// How public keys begin, as git and OpenSSH write them.
const KEYS: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

/// What the person's own configuration says of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `user.name`.
    pub name: Option<String>,
    /// `user.email`.
    pub email: Option<String>,
    /// `user.signingkey`: a key itself, or the path of a file with one.
    pub signing_key: Option<String>,
    /// `gpg.format`; without it git means OpenPGP.
    pub format: Option<String>,
    /// `commit.gpgsign`.
    pub signs: bool,
}

impl Identity {
    /// Reads what `git config --null --get-regexp` printed: a name, a line break, a value, a NUL. Of several values the last
    /// counts, as in git. What is too long or has control characters in it is left out.
    #[must_use]
    pub fn parse(output: &[u8]) -> Self {
        let mut identity = Self::default();
        for entry in output.split(|byte| *byte == 0) {
            let Ok(entry) = std::str::from_utf8(entry) else { continue };
            // A name alone is a switch that is on.
            let (name, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            if value.len() > LONGEST || value.chars().any(char::is_control) {
                continue;
            }
            let given = (!value.is_empty()).then(|| value.to_owned());
            match name {
                "user.name" => identity.name = given,
                "user.email" => identity.email = given,
                "user.signingkey" => identity.signing_key = given,
                "gpg.format" => identity.format = given,
                "commit.gpgsign" => identity.signs = is_on(value),
                _ => {}
            }
        }
        identity
    }

    /// Whether signatures are made with an SSH key.
    #[must_use]
    pub fn is_ssh(&self) -> bool {
        self.format.as_deref() == Some("ssh")
    }

    /// Path of the file with the public key, when that is what the configuration names.
    #[must_use]
    pub fn key_file(&self) -> Option<&str> {
        self.signing_key.as_deref().filter(|key| self.is_ssh() && public_key(key).is_none())
    }
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1")
}

/// The public key in a text: its first line, if it is one. A private key is none.
#[must_use]
pub fn public_key(text: &str) -> Option<&str> {
    let text = text.trim();
    let line = text.strip_prefix("key::").unwrap_or(text).lines().next()?.trim();
    let mut words = line.split(' ');
    let (kind, key) = (words.next()?, words.next()?);
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    let is_kind = KEYS.iter().any(|known| kind.starts_with(known));
    (is_kind && is_key && line.len() <= 16 * LONGEST && !line.chars().any(char::is_control)).then_some(line)
}

/// What a sandbox is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// A configuration of git's, for the whole system inside.
    pub configuration: String,
    /// What the person should know.
    pub warnings: Vec<String>,
}

/// Writes a sandbox's own system-wide configuration. The image's comes first, so that this one counts where both say
/// something; what a repository or the sandbox's home says counts over both.
///
/// `file` is what the file holds that [`Identity::key_file`] names; `helper` is asked for credentials.
#[must_use]
pub fn carry(identity: &Identity, file: Option<&str>, has_agent: bool, helper: &str) -> Carried {
    let mut carried = Carried::default();
    let mut sections = vec![("include", vec![("path", "/etc/gitconfig".to_owned())])];
    let user = [("name", &identity.name), ("email", &identity.email)];
    let mut user: Vec<_> = user.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    let key = identity.signing_key.as_deref().and_then(|key| public_key(key).or_else(|| public_key(file?)));
    let can_sign = identity.is_ssh() && has_agent && key.is_some();
    if let (Some(key), true) = (key, identity.is_ssh()) {
        user.push(("signingkey", format!("key::{key}")));
        sections.push(("gpg", vec![("format", "ssh".to_owned())]));
    }
    sections.push(("user", user));
    if identity.signs {
        sections.push(("commit", vec![("gpgsign", can_sign.to_string())]));
        carried.warnings.extend(unsigned(identity, key.is_some(), has_agent));
    }
    // Kept out of the way of paths with spaces and of whatever PATH a program inside has.
    sections.push(("credential", vec![("helper", helper.to_owned())]));
    for (section, pairs) in sections.iter().filter(|(_, pairs)| !pairs.is_empty()) {
        carried.configuration.push_str(&format!("[{section}]\n"));
        for (key, value) in pairs {
            carried.configuration.push_str(&format!("\t{key} = {}\n", quoted(value)));
        }
    }
    carried
}

/// Why commits inside are not signed although the person signs theirs.
fn unsigned(identity: &Identity, has_key: bool, has_agent: bool) -> Option<String> {
    let why = match (identity.is_ssh(), has_key, has_agent) {
        (false, ..) => {
            "only SSH keys can sign there: 'git config --global gpg.format ssh' has git sign with one, and the setting \
             'sshAgent' lets the sandbox ask for it"
        }
        (true, false, _) => "'user.signingkey' names no public SSH key; give it the path of a '.pub' file",
        (true, true, false) => "that needs the SSH agent: set 'sshAgent' to 'on', or use '--ssh-agent'",
        (true, true, true) => return None,
    };
    Some(format!("commits in the sandbox are not signed: {why}"))
}

/// A value as git reads it back unchanged.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            // Nothing else can be written, and [`Identity::parse`] lets nothing of it through.
            other if other.is_control() => {}
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== person@host";

    fn identity(text: &str) -> Identity {
        Identity::parse(text.replace('|', "\0").as_bytes())
    }

    #[test]
    fn the_last_value_counts_and_what_is_odd_is_left_out() {
        let read = identity("user.name\nA|user.name\nB \"C\"|commit.gpgsign|user.email\na@b\n[core]\n|other.key\nx|");
        assert_eq!(read.name.as_deref(), Some("B \"C\""));
        assert_eq!((read.email, read.signs), (None, true));
        assert_eq!(Identity::parse(b"user.name\n\xff\0"), Identity::default());
        assert_eq!(identity(&format!("user.name\n{}|", "x".repeat(LONGEST + 1))), Identity::default());
        assert_eq!(identity("user.name\nA|user.name\n|").name, None);
    }

    #[test]
    fn a_public_key_is_told_from_a_path_and_from_a_private_key() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(public_key(text), expected, "{text}");
        check(KEY, Some(KEY));
        check(&format!("key::{KEY}\n"), Some(KEY));
        check(&format!("{KEY}\nssh-rsa B x"), Some(KEY));
        check("~/.ssh/id_ed25519.pub", None);
        check("ssh-keys/mine", None);
        check("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", None);
        check("ssh-ed25519 AA\u{7}AA", None);
        assert_eq!(identity("gpg.format\nssh|user.signingkey\n~/k.pub|").key_file(), Some("~/k.pub"));
        assert_eq!(identity("user.signingkey\n~/k.pub|").key_file(), None, "an OpenPGP key is no file");
    }

    #[test]
    fn commits_are_signed_only_where_they_can_be() {
        let check = |text: &str, file: Option<&str>, has_agent: bool, signs: &str, words: &str| {
            let carried = carry(&identity(text), file, has_agent, "!helper");
            let expected = format!("gpgsign = \"{signs}\"");
            assert!(carried.configuration.contains(&expected), "{text}: {}", carried.configuration);
            assert_eq!(carried.warnings.is_empty(), words.is_empty(), "{:?}", carried.warnings);
            assert!(carried.warnings.iter().all(|warning| warning.contains(words)), "{:?}", carried.warnings);
        };
        let ssh = "commit.gpgsign\ntrue|gpg.format\nssh|user.signingkey\n";
        check(&format!("{ssh}{KEY}|"), None, true, "true", "");
        check(&format!("{ssh}{KEY}|"), None, false, "false", "sshAgent");
        check(&format!("{ssh}~/k.pub|"), Some(KEY), true, "true", "");
        check(&format!("{ssh}~/k.pub|"), None, true, "false", "names no public");
        check("commit.gpgsign\ntrue|user.signingkey\nABCD|", None, true, "false", "only SSH keys");
        let carried = carry(&identity("user.signingkey\nABCD|"), None, true, "!helper");
        assert!(carried.warnings.is_empty() && !carried.configuration.contains("sign"), "{carried:?}");
    }

    #[test]
    fn no_value_ends_its_line_or_its_quotes() {
        let carried = carry(&identity("user.name\nA\"; \\ # [x] $(y)|"), None, false, "!helper");
        let line = carried.configuration.lines().find(|line| line.starts_with("\tname"));
        assert_eq!(line, Some("\tname = \"A\\\"; \\\\ # [x] $(y)\""));
        assert_eq!(quoted("a\nb\u{1b}"), "\"a\\nb\"");
    }
}
