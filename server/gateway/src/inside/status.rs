//! A file that says how it is, for whoever looks from inside or outside.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::firewall::Six;

/// Where the policy is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Label {
    /// In the container itself.
    Inside,
    /// Nowhere, or not for everything.
    Off,
}

/// How it is.
#[derive(Debug)]
pub struct Status {
    file: PathBuf,
    /// Which program set the rules.
    pub rules: Option<&'static str>,
    /// The number of the policy that the gateway has; 0 for none.
    pub revision: u64,
    /// How often the rules had to be set again.
    pub set_again: u64,
    /// Why the rules may not be there.
    unheld: Option<String>,
    six: Six,
    /// Why not everything is let through that should be.
    trouble: Option<String>,
}

/// The file's content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    label: Label,
    reason: &'a str,
    rules: Option<&'a str>,
    revision: u64,
    set_again: u64,
}

impl Status {
    /// Not enforced yet.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        let unheld = Some("it starts".to_owned());
        Self { file: file.to_owned(), rules: None, revision: 0, set_again: 0, unheld, six: Six::Held, trouble: None }
    }

    /// Says whether the rules are there, or why not.
    pub fn set_rules(&mut self, unheld: Option<String>) {
        self.unheld = unheld;
        self.tell();
    }

    /// Says how IPv6 is. True when that is not how it was.
    pub fn set_six(&mut self, six: Six) -> bool {
        let is_other = self.six != six;
        self.six = six;
        if is_other {
            self.tell();
        }
        is_other
    }

    /// Says whether the gateway does what the policy says, or why not.
    pub fn set_gateway(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
        self.tell();
    }

    /// The label, and what is to be said about it.
    #[must_use]
    pub fn word(&self) -> (Label, String) {
        let six = match &self.six {
            Six::Held => None,
            Six::Unused(reason) => {
                Some(format!("IPv4 is held; IPv6 has no rules ({reason}), and the container has no address of it"))
            }
            Six::Open(reason) => Some(format!("IPv6 is open ({reason}); IPv4 is held")),
        };
        let (label, reasons) = match (&self.unheld, &self.six) {
            (Some(_), _) => (Label::Off, [self.unheld.clone(), None]),
            (None, Six::Open(_)) => (Label::Off, [six, self.trouble.clone()]),
            (None, _) => (Label::Inside, [self.trouble.clone(), six]),
        };
        (label, reasons.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }

    /// Writes the file. When that cannot be done, standard error says it.
    pub fn tell(&self) {
        if let Err(cause) = self.write() {
            eprintln!("boxwood-gateway: {} cannot be written: {cause}", self.file.display());
        }
    }

    /// Whole or not at all, and readable by everybody.
    fn write(&self) -> std::io::Result<()> {
        let directory = self.file.parent().unwrap_or(Path::new("/"));
        if !directory.is_dir() {
            fs::create_dir_all(directory)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        }
        let new = self.file.with_extension("new");
        // Nothing that stands there is written through, not even a link.
        let _ = fs::remove_file(&new);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
        let (label, reason) = self.word();
        let Self { rules, revision, set_again, .. } = *self;
        let content = Content { label, reason: &reason, rules, revision, set_again };
        file.write_all(serde_json::to_string_pretty(&content)?.as_bytes())?;
        fs::rename(&new, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_how_it_is() {
        let directory = std::env::temp_dir().join(format!("boxwood-inside-{}", std::process::id()));
        let file = directory.join("deep/inside.json");
        let mut status = Status::new(&file);
        status.set_rules(None);
        status.set_rules(Some("no right".to_owned()));
        let text = fs::read_to_string(&file).expect("written");
        assert!(text.contains(r#""label": "off""#) && text.contains("no right"), "{text}");
        fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn what_one_part_says_does_not_hide_what_another_says() {
        let directory = std::env::temp_dir().join(format!("boxwood-word-{}", std::process::id()));
        let mut status = Status::new(&directory.join("inside.json"));
        assert_eq!(status.word().0, Label::Off);
        status.set_rules(None);
        assert_eq!(status.word(), (Label::Inside, String::new()));
        status.set_gateway(Some("nothing is let through: no file".to_owned()));
        status.set_rules(None);
        assert_eq!(status.word(), (Label::Inside, "nothing is let through: no file".to_owned()));
        status.set_rules(Some("nft: no".to_owned()));
        status.set_gateway(None);
        assert_eq!(status.word(), (Label::Off, "nft: no".to_owned()));
        fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn where_only_ipv6_has_no_rules_it_says_so_and_not_that_all_is_open() {
        let directory = std::env::temp_dir().join(format!("boxwood-six-{}", std::process::id()));
        let mut status = Status::new(&directory.join("inside.json"));
        status.set_rules(None);
        assert!(status.set_six(Six::Open("no ip6tables".to_owned())));
        assert_eq!(status.word(), (Label::Off, "IPv6 is open (no ip6tables); IPv4 is held".to_owned()));
        assert!(!status.set_six(Six::Open("no ip6tables".to_owned())));
        assert!(status.set_six(Six::Unused("no ip6tables".to_owned())));
        let (label, reason) = status.word();
        assert!(
            label == Label::Inside && reason.contains("IPv4 is held; IPv6 has no rules (no ip6tables)"),
            "{reason}"
        );
        fs::remove_dir_all(directory).expect("removed");
    }
}
