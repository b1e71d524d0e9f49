//! A file that says how it is, for whoever looks from inside or outside.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where the policy is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Label {
    /// In the container itself.
    Inside,
    /// Nowhere.
    Off,
}

/// How it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    #[serde(skip)]
    file: PathBuf,
    label: Label,
    reason: String,
    /// Which program set the rules.
    pub rules: Option<&'static str>,
    /// The policy's number; 0 for none.
    pub revision: u64,
    /// How often the rules had to be set again.
    pub set_again: u64,
}

impl Status {
    /// Not enforced yet.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        let reason = "it starts".to_owned();
        Self { file: file.to_owned(), label: Label::Off, reason, rules: None, revision: 0, set_again: 0 }
    }

    /// Says how it is now. When the file cannot be written, standard error says it.
    pub fn set(&mut self, label: Label, reason: &str) {
        self.label = label;
        reason.clone_into(&mut self.reason);
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
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
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
        status.set(Label::Inside, "");
        status.set(Label::Off, "no right");
        let text = fs::read_to_string(&file).expect("written");
        assert!(text.contains(r#""label": "off""#) && text.contains("no right"), "{text}");
        fs::remove_dir_all(directory).expect("removed");
    }
}
