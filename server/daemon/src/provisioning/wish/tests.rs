//! The setting that shares the login of this machine: whose it is, and that what it means is said.

use std::fs;
use std::sync::Arc;

use boxwood_core::config::PROJECT_FILE;
use boxwood_core::paths::Paths;
use boxwood_engine::EngineError;
use boxwood_protocol::config::SandboxConfig;
use serde_json::json;

use super::*;
use crate::provisioning::hold::Subject;
use crate::sys;

const SANDBOX: &str = "p-1";

struct Machine {
    root: tempfile::TempDir,
    daemon: Arc<Daemon>,
}

impl Machine {
    /// One on which Claude Code is signed in.
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let text = |name: &str| Some(root.path().join(name).to_string_lossy().into_owned());
        let lookup = |name: &str| match name {
            "HOME" => text("home"),
            "BOXWOOD_STATE_DIR" => text("state"),
            "BOXWOOD_KEYRING" => Some("file".to_owned()),
            _ => None,
        };
        let none = || Err(EngineError::Endpoint { endpoint: "none".to_owned(), reason: "there is none".to_owned() });
        let daemon = Daemon::open(Paths::resolve(&lookup, 0), &lookup, Box::new(none)).expect("opened");
        let login = json!({ "claudeAiOauth": { "accessToken": "access", "refreshToken": "refresh",
            "expiresAt": sys::now_ms() + 8 * 60 * 60 * 1000, "scopes": ["user:inference"] } });
        let machine = Self { root, daemon };
        machine.put("home/.claude/.credentials.json", &login.to_string());
        fs::create_dir_all(machine.daemon.records.home(SANDBOX)).expect("made");
        machine
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn settings(&self, request: Option<bool>) -> Settings {
        let project = self.root.path().join("project").to_string_lossy().into_owned();
        let request = SandboxConfig { host_login: request, ..SandboxConfig::default() };
        settings::load(&self.daemon.paths, &project, &request).expect("valid")
    }

    /// What the sandbox holds when it is started with such a setting.
    async fn hold(&self, request: Option<bool>) -> Option<Held> {
        let settings = self.settings(request);
        let resolved = Some(&settings.resolved);
        let subject =
            Subject { daemon: &self.daemon, sandbox: SANDBOX, workspace: "/project", resolved, has_gateway: true };
        drop(subject.hold(None).await.expect("held"));
        self.daemon.records.get(SANDBOX).and_then(|record| record.held)
    }

    fn choose(&self, chosen: Option<Chosen>) {
        let record = self.daemon.records.get(SANDBOX).unwrap_or_default();
        self.daemon.records.put(SANDBOX, Record { chosen, ..record }).expect("kept");
    }
}

#[tokio::test]
async fn what_the_setting_means_is_said_once_each_time_it_begins_to_count() {
    let machine = Machine::new();
    for _ in 0..2 {
        assert_eq!(machine.hold(Some(true)).await, Some(BY_SETTING));
        // Also when it is held again before anybody was told, as by a start that failed in the end.
        assert_eq!(machine.hold(Some(true)).await, Some(BY_SETTING));
        let text = tell(&machine.daemon, SANDBOX).expect("said");
        assert!(text.contains("'hostLogin'") && text.contains("Whatever runs in the sandbox can use your"), "{text}");
        assert_eq!(tell(&machine.daemon, SANDBOX), None);
        assert_eq!(machine.hold(Some(true)).await, Some(BY_SETTING));
        assert_eq!(tell(&machine.daemon, SANDBOX), None, "it goes on as it was");
        assert_ne!(machine.hold(None).await, Some(BY_SETTING));
        assert_eq!(tell(&machine.daemon, SANDBOX), None);
    }
}

#[tokio::test]
async fn a_choice_that_was_explained_before_it_was_made_is_not_explained_again() {
    let machine = Machine::new();
    machine.choose(Some(Chosen { source: BY_SETTING.source, mode: Some(BY_SETTING.mode) }));
    for request in [None, Some(true)] {
        assert_eq!(machine.hold(request).await, Some(BY_SETTING));
        assert_eq!(tell(&machine.daemon, SANDBOX), None);
    }
    // And one that says otherwise counts more than the setting.
    machine.choose(Some(Chosen { source: None, mode: Some(CredentialMode::Isolated) }));
    assert_ne!(machine.hold(Some(true)).await, Some(BY_SETTING));
}

#[tokio::test]
async fn a_project_does_not_choose_it_whatever_was_approved() {
    let machine = Machine::new();
    machine.put(&format!("project/{PROJECT_FILE}"), r#"{ "hostLogin": true, "memory": "64g" }"#);
    let report = machine.settings(None).report;
    settings::approve(&machine.daemon.paths, &report.project, &report.content_hash.expect("a hash")).expect("approved");
    assert_eq!(machine.hold(None).await.and_then(|held| held.source), None);
    assert!(!is_host_login(&machine.daemon, None));
    // The person's own file does, for every project.
    let own = machine.daemon.paths.user_config();
    fs::create_dir_all(own.parent().expect("a directory")).expect("made");
    fs::write(own, r#"{ "hostLogin": true }"#).expect("written");
    assert_eq!(machine.hold(None).await, Some(BY_SETTING));
    assert!(is_host_login(&machine.daemon, None));
    // And a project does not choose against it either.
    machine.put(&format!("project/{PROJECT_FILE}"), r#"{ "hostLogin": false }"#);
    assert_eq!(machine.hold(None).await, Some(BY_SETTING));
}
