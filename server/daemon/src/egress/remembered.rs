//! What the person decided for a project, kept from one sandbox to the next.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use boxwood_core::content_hash;
use boxwood_core::egress::narrowed;
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

/// Requests come several at a time, and each change has to see the one before.
static TURN: Mutex<()> = Mutex::new(());

/// Changes what is kept for `project`, and returns what the change returns.
pub(super) fn change<T>(paths: &Paths, project: &str, change: impl FnOnce(&mut Remembered) -> T) -> Result<T> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = get(paths, project);
    let mut after = before.clone();
    let outcome = change(&mut after);
    if after != before {
        put(paths, after)?;
    }
    Ok(outcome)
}

fn put(paths: &Paths, mut remembered: Remembered) -> Result<()> {
    remembered.version = VERSION;
    let path = file(paths, &remembered.project);
    files::private_directory(&paths.state.join("egress"))?;
    files::write_json(&path, &remembered)
}

/// What a project's files may add to the policy: `wishes` once they are approved; until then what neither they nor those
/// that were approved before would refuse. Also says whether that is all they wish.
pub(super) fn approved(paths: &Paths, project: &str, wishes: EgressConfig, is_approved: bool) -> (EgressConfig, bool) {
    let known = get(paths, project).approved;
    if !is_approved {
        let counts = narrowed(&known.unwrap_or_default(), &wishes);
        let is_all = counts == narrowed(&wishes, &wishes);
        return (counts, is_all);
    }
    let is_news = match &known {
        Some(known) => *known != wishes,
        None => wishes != EgressConfig::default(),
    };
    if is_news && let Err(problem) = change(paths, project, |kept| kept.approved = Some(wishes.clone())) {
        tracing::warn!(%problem, project, "what was approved could not be kept");
    }
    (wishes, true)
}

#[cfg(test)]
mod tests {
    use boxwood_core::egress::policy::rule_for;
    use boxwood_protocol::egress::EgressAction;

    use super::*;

    fn paths(directory: &tempfile::TempDir) -> Paths {
        let root = directory.path().to_string_lossy().into_owned();
        Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0)
    }

    fn add(paths: &Paths, host: &str) {
        let rule = rule_for(host, EgressAction::Allow).expect("a host");
        change(paths, "/a", |kept| kept.rules.push(rule)).expect("kept");
    }

    #[test]
    fn what_was_decided_belongs_to_one_project() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(&directory);
        add(&paths, "example.com");
        assert_eq!(get(&paths, "/a").rules.len(), 1);
        assert!(get(&paths, "/b").rules.is_empty());
    }

    #[test]
    fn no_decision_is_lost_when_several_come_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(&directory);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let paths = &paths;
                scope.spawn(move || (0..20).for_each(|number| add(paths, &format!("host{number}.of{thread}.example"))));
            }
        });
        assert_eq!(get(&paths, "/a").rules.len(), 80);
    }

    #[test]
    fn new_wishes_wait_for_approval_and_what_they_close_does_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let paths = paths(&directory);
        let wish = |allow: &[&str], deny: &[&str]| {
            let list = |hosts: &[&str]| Some(hosts.iter().map(|host| (*host).to_owned()).collect());
            EgressConfig { allow: list(allow), deny: list(deny), ..EgressConfig::default() }
        };
        let counts = |wishes, is_approved| {
            let (config, is_all) = approved(&paths, "/p", wishes, is_approved);
            let rules = config.rules.iter().flatten().map(|rule| (rule.host.clone(), rule.action));
            let lists = [(&config.allow, EgressAction::Allow), (&config.deny, EgressAction::Deny)];
            let lists =
                lists.into_iter().flat_map(|(list, action)| list.iter().flatten().map(move |host| (host, action)));
            let mut all: Vec<_> = rules.chain(lists.map(|(host, action)| (host.clone(), action))).collect();
            all.sort();
            (all, is_all)
        };
        let (allowed, denied) =
            (|host: &str| (host.to_owned(), EgressAction::Allow), |host: &str| (host.to_owned(), EgressAction::Deny));
        assert_eq!(counts(wish(&["a.example"], &[]), false), (vec![], false));
        assert_eq!(
            counts(wish(&["a.example", "b.example"], &[]), true),
            (vec![allowed("a.example"), allowed("b.example")], true)
        );
        let narrower = wish(&["a.example"], &["c.example"]);
        assert_eq!(counts(narrower, false), (vec![allowed("a.example"), denied("c.example")], true));
        assert_eq!(counts(wish(&["a.example", "x.example"], &[]), false), (vec![allowed("a.example")], false));
        assert_eq!(counts(EgressConfig::default(), true), (vec![], true));
        assert_eq!(counts(wish(&["a.example"], &[]), false), (vec![], false));
    }
}
