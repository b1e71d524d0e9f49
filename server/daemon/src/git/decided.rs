//! What the person decided about git credentials, by project and host, kept from one sandbox to the next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use boxwood_core::content_hash;
use boxwood_core::paths::Paths;
use boxwood_protocol::git::{GitAnswer, GitApproval};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files;

/// Version of the stored form; a reader takes its own version and older ones.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decided {
    version: u32,
    /// Canonical path, for people who look at the file.
    project: String,
    #[serde(default)]
    hosts: BTreeMap<String, GitAnswer>,
}

fn directory(paths: &Paths) -> PathBuf {
    paths.state.join("git-approvals")
}

fn file(paths: &Paths, project: &str) -> PathBuf {
    directory(paths).join(format!("{}.json", content_hash([project.as_bytes()])))
}

fn read(paths: &Paths, project: &str) -> Decided {
    files::read_json::<Decided>(&file(paths, project))
        .filter(|decided| decided.version <= VERSION && decided.project == project)
        .unwrap_or_else(|| Decided { project: project.to_owned(), ..Decided::default() })
}

/// What was decided for a host.
pub(super) fn get(paths: &Paths, project: &str, host: &str) -> Option<GitAnswer> {
    read(paths, project).hosts.get(host).copied()
}

/// Everything that was decided for a project.
pub(super) fn all(paths: &Paths, project: &str) -> Vec<GitApproval> {
    let hosts = read(paths, project).hosts.into_iter();
    hosts.map(|(host, answer)| GitApproval { host, answer }).collect()
}

/// Requests come several at a time, and each change has to see the one before.
static TURN: Mutex<()> = Mutex::new(());

/// Decides about a host, or with nothing takes back what was decided. Gives what was decided before.
pub(super) fn put(paths: &Paths, project: &str, host: &str, answer: Option<GitAnswer>) -> Result<Option<GitAnswer>> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut decided = read(paths, project);
    let before = match answer {
        Some(answer) => decided.hosts.insert(host.to_owned(), answer),
        None => decided.hosts.remove(host),
    };
    if before != answer {
        decided.version = VERSION;
        files::private_directory(&directory(paths))?;
        files::write_json(&file(paths, project), &decided)?;
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_belongs_to_one_project_and_can_be_taken_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0);
        assert_eq!(get(&paths, "/a", "x.example"), None);
        assert_eq!(put(&paths, "/a", "x.example", Some(GitAnswer::Allow)).expect("kept"), None);
        assert_eq!(get(&paths, "/a", "x.example"), Some(GitAnswer::Allow));
        assert_eq!((get(&paths, "/b", "x.example"), all(&paths, "/a").len()), (None, 1));
        assert_eq!(put(&paths, "/a", "x.example", Some(GitAnswer::Deny)).expect("kept"), Some(GitAnswer::Allow));
        assert_eq!(put(&paths, "/a", "x.example", None).expect("kept"), Some(GitAnswer::Deny));
        assert_eq!(put(&paths, "/a", "x.example", None).expect("nothing"), None);
        assert!(all(&paths, "/a").is_empty());
    }
}
