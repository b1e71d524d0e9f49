//! What the person decided for a project, kept from one sandbox to the next.

use std::path::PathBuf;

use boxwood_core::content_hash;
use boxwood_core::paths::Paths;
use boxwood_protocol::egress::{EgressConfig, EgressRule};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files;

/// Version of the stored form; a reader takes its own version and older ones.
const VERSION: u32 = 1;

/// What is kept for a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remembered {
    version: u32,
    /// Canonical path, for people who look at the file.
    pub(super) project: String,
    /// What was decided for good.
    #[serde(default)]
    pub(super) rules: Vec<EgressRule>,
    /// The project's own wishes as they were when they were last approved; they count while new ones await approval.
    #[serde(default)]
    pub(super) approved: Option<EgressConfig>,
}

fn file(paths: &Paths, project: &str) -> PathBuf {
    paths.state.join("egress").join(format!("{}.json", content_hash([project.as_bytes()])))
}

/// What was decided for `project`.
pub(super) fn get(paths: &Paths, project: &str) -> Remembered {
    files::read_json::<Remembered>(&file(paths, project))
        .filter(|remembered| remembered.version <= VERSION && remembered.project == project)
        .unwrap_or_else(|| Remembered { project: project.to_owned(), ..Remembered::default() })
}

/// Keeps it.
pub(super) fn put(paths: &Paths, mut remembered: Remembered) -> Result<()> {
    remembered.version = VERSION;
    let path = file(paths, &remembered.project);
    files::private_directory(&paths.state.join("egress"))?;
    files::write_json(&path, &remembered)
}

/// What a project's files may add to the policy: `wishes` once they are approved, until then what was approved before.
pub(super) fn approved(paths: &Paths, project: &str, wishes: EgressConfig, is_approved: bool) -> EgressConfig {
    let mut remembered = get(paths, project);
    if !is_approved {
        return remembered.approved.unwrap_or_default();
    }
    let is_news = match &remembered.approved {
        Some(known) => *known != wishes,
        None => wishes != EgressConfig::default(),
    };
    if is_news {
        remembered.approved = Some(wishes.clone());
        if let Err(problem) = put(paths, remembered) {
            tracing::warn!(%problem, project, "what was approved could not be kept");
        }
    }
    wishes
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::egress::EgressAction;

    use super::*;

    #[test]
    fn what_was_decided_belongs_to_one_project() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0);
        let mut remembered = get(&paths, "/a");
        remembered.rules.push(EgressRule {
            host: "example.com".to_owned(),
            ports: None,
            action: EgressAction::Allow,
            methods: None,
            paths: None,
            private: None,
            inspect: None,
        });
        put(&paths, remembered).expect("kept");
        assert_eq!(get(&paths, "/a").rules.len(), 1);
        assert!(get(&paths, "/b").rules.is_empty());
    }

    #[test]
    fn new_wishes_wait_for_approval_and_the_old_ones_count_meanwhile() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0);
        let wish = |host: &str| EgressConfig { allow: Some(vec![host.to_owned()]), ..EgressConfig::default() };
        let approved = |wishes, is_approved| approved(&paths, "/p", wishes, is_approved);
        assert_eq!(approved(wish("a.example"), false), EgressConfig::default());
        assert_eq!(approved(wish("a.example"), true), wish("a.example"));
        assert_eq!(approved(wish("b.example"), false), wish("a.example"));
        assert_eq!(approved(wish("b.example"), true), wish("b.example"));
        assert_eq!(approved(EgressConfig::default(), true), EgressConfig::default());
        assert_eq!(approved(wish("c.example"), false), EgressConfig::default());
    }
}
