//! What is remembered of a login beside what its file says: when its access token was made, and attempts that failed since.
//! Marks and times only.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use boxwood_core::credentials::{Fingerprint, View};
use serde::{Deserialize, Serialize};

use crate::files;

/// A note about one login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    /// Mark of the access token that it is about.
    access: Fingerprint,
    /// When that was first there, milliseconds since 1970.
    pub(crate) renewed_at_ms: i64,
    /// When it ends. In the file it may be made to look sooner, to have it renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<i64>,
    /// Attempts to renew it that failed.
    #[serde(default)]
    pub(crate) failures: u32,
    /// When the last of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed_at_ms: Option<i64>,
}

impl Note {
    /// The note kept in `file` about a login as it is now, made or begun anew when the token is another one. `login` is the
    /// file of the login, whose age is the best guess for a token that was not seen coming. `None` without a token.
    pub(crate) fn of(file: &Path, view: &View, login: Option<&Path>, now_ms: i64) -> Option<Self> {
        let access = view.access.clone()?;
        let known: Option<Self> = files::read_json(file);
        if let Some(known) = known.filter(|known| known.access == access) {
            return Some(known);
        }
        let made = login.and_then(changed_ms).filter(|made| *made <= now_ms).unwrap_or(now_ms);
        let note =
            Self { access, renewed_at_ms: made, expires_at_ms: view.expires_at_ms, failures: 0, failed_at_ms: None };
        note.keep(file);
        Some(note)
    }

    /// Counts an attempt that failed.
    pub(crate) fn failed(mut self, file: &Path, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        self.failed_at_ms = Some(now_ms);
        self.keep(file);
    }

    /// The login with the end that its token really has.
    pub(crate) fn complete(&self, view: &View) -> View {
        View { expires_at_ms: view.expires_at_ms.max(self.expires_at_ms), ..view.clone() }
    }

    fn keep(&self, file: &Path) {
        let kept = file.parent().map_or(Ok(true), files::private_directory).and_then(|_| files::write_json(file, self));
        if let Err(problem) = kept {
            tracing::warn!(%problem, "when a login was renewed is not remembered");
        }
    }
}

fn changed_ms(path: &Path) -> Option<i64> {
    let changed = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(changed.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use boxwood_core::credentials::CredentialFile;
    use serde_json::json;

    use super::*;

    fn view(token: &str, expires_at_ms: i64) -> View {
        let login = json!({ "claudeAiOauth": { "accessToken": token, "refreshToken": "r", "expiresAt": expires_at_ms,
            "scopes": ["user:inference"] } });
        CredentialFile::parse(login.to_string().as_bytes()).expect("a login").view()
    }

    #[test]
    fn a_token_keeps_its_times_and_another_begins_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("notes/login.json");
        let first = Note::of(&file, &view("a", 9_000), None, 1_000).expect("a token");
        assert_eq!((first.renewed_at_ms, first.failures), (1_000, 0));
        first.failed(&file, 2_000);
        let hastened = Note::of(&file, &view("a", 3_000), None, 2_500).expect("a token");
        assert_eq!((hastened.renewed_at_ms, hastened.failures, hastened.failed_at_ms), (1_000, 1, Some(2_000)));
        assert_eq!(hastened.complete(&view("a", 3_000)).expires_at_ms, Some(9_000));
        let second = Note::of(&file, &view("b", 9_000), None, 4_000).expect("a token");
        assert_eq!((second.renewed_at_ms, second.failures), (4_000, 0));
        assert_eq!(Note::of(&file, &View::absent(), None, 5_000), None);
    }

    #[test]
    fn a_token_that_was_not_seen_coming_is_as_old_as_its_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, login) = (directory.path().join("note.json"), directory.path().join("login"));
        fs::write(&login, "{}").expect("written");
        let written = changed_ms(&login).expect("a time");
        let of =
            |token: &str, now_ms| Note::of(&file, &view(token, 9_000), Some(&login), now_ms).map(|n| n.renewed_at_ms);
        assert_eq!(of("a", written + 5), Some(written));
        assert_eq!(of("b", written - 5), Some(written - 5), "a file from the future");
    }
}
