//! Everything that can be wrong: each is found, named, and has its next step.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use boxwood_core::paths::Paths;
use boxwood_engine::EngineError;
use boxwood_engine::endpoint::Endpoint;
use boxwood_protocol::params::{CheckStatus, DoctorCheck, DoctorReport};
use boxwood_testkit::docker::{FakeDocker, ImageSeed};
use serde_json::json;

use super::{LITTLE_SPACE, NO_SPACE, claude, examine, room};
use crate::daemon::Daemon;
use crate::materials::base;
use crate::materials::helper::Programs;
use crate::sys::User;

const GIB: u64 = 1 << 30;

/// A machine on which all is well.
struct Machine {
    engine: FakeDocker,
    directory: tempfile::TempDir,
    daemon: Arc<Daemon>,
}

impl Machine {
    fn new() -> Self {
        let machine = Self::without_image();
        machine.engine.add_image(&ImageSeed::new(base::BASE));
        machine
    }

    fn without_image() -> Self {
        let engine = FakeDocker::start();
        engine.set_info("MemTotal", json!(8 * GIB));
        let host = engine.host();
        Self::with(engine, move || Endpoint::parse(&host, "test"))
    }

    fn with(engine: FakeDocker, find: impl Fn() -> Result<Endpoint, EngineError> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("there").to_string_lossy().into_owned();
        std::fs::create_dir_all(directory.path().join("project/.boxwood")).expect("made");
        std::fs::create_dir_all(directory.path().join("home")).expect("made");
        let paths = Paths::resolve(
            &|name| match name {
                "BOXWOOD_STATE_DIR" => Some(format!("{root}/state")),
                "BOXWOOD_CACHE_DIR" => Some(format!("{root}/cache")),
                "HOME" => Some(format!("{root}/home")),
                _ => None,
            },
            1000,
        );
        let keyring = |name: &str| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned());
        let mut daemon = Daemon::open(paths, &keyring, Box::new(find)).expect("opened");
        let program = directory.path().join("helper");
        std::fs::write(&program, "a program").expect("written");
        let own = Arc::get_mut(&mut daemon).expect("nobody else has it yet");
        (own.helpers, own.user) = (Programs::of(&program), User { uid: 1000, gid: 1000 });
        Self { engine, directory, daemon }
    }

    fn own(&mut self) -> &mut Daemon {
        Arc::get_mut(&mut self.daemon).expect("nobody else has it yet")
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.directory.path().join("project").join(path), text).expect("written");
    }

    async fn report(&self) -> DoctorReport {
        let project = self.directory.path().join("project").to_string_lossy().into_owned();
        let report = examine(&self.daemon, Some(&project), None).await;
        for check in &report.checks {
            let has_hint = check.hint.as_ref().is_some_and(|hint| !hint.is_empty());
            assert_eq!(has_hint, check.status != CheckStatus::Ok, "the next step of {check:?}");
        }
        assert_eq!(Some(report.status), report.checks.iter().map(|check| check.status).max());
        report
    }

    /// Sees to it that one check comes to this, and that its words and its next step have these in them.
    async fn finds(&self, id: &str, status: CheckStatus, word: &str, next: &str) {
        let report = self.report().await;
        let found = report.checks.iter().find(|check| check.id == id);
        let found = found.unwrap_or_else(|| panic!("{id} is not examined: {report:?}"));
        assert!(found.status == status && found.detail.contains(word), "{found:?}");
        assert!(found.hint.clone().unwrap_or_default().contains(next), "{found:?}");
        assert!(report.status >= status, "{report:?}");
    }
}

fn is_well(check: &&DoctorCheck) -> bool {
    check.status == CheckStatus::Ok
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_engine_the_image_and_the_project_is_wrong_where_all_is_well() {
    let machine = Machine::new();
    let report = machine.report().await;
    let well: Vec<_> = report.checks.iter().filter(is_well).map(|check| check.id.as_str()).collect();
    for id in ["version", "engine", "engine-resources", "image", "user", "helper", "config"] {
        assert!(well.contains(&id), "{id}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_cannot_be_used_is_named_with_the_way_out() {
    use CheckStatus::Failed;

    let mut gone = Machine::new();
    gone.engine.stop();
    gone.finds("engine", Failed, "no engine answers", "start Docker").await;

    let refuse = || Err(EngineError::Permission { endpoint: "unix:///run/docker.sock".to_owned() });
    let refused = Machine::with(FakeDocker::start(), refuse);
    refused.finds("engine", Failed, "permission denied at unix:///run/docker.sock", "usermod -aG docker").await;

    let old = Machine::new();
    old.engine.set_max_api("1.40");
    old.finds("engine", Failed, "1.40", "Docker 20.10 or newer").await;

    let other = Machine::with(FakeDocker::start(), || Endpoint::parse("nonsense", "DOCKER_HOST"));
    other.finds("engine", Failed, "nonsense", "DOCKER_HOST").await;

    let windows = Machine::new();
    windows.engine.set_info("OSType", json!("windows"));
    windows.finds("engine-os", Failed, "windows", "Linux containers").await;

    let small = Machine::new();
    small.engine.set_info("MemTotal", json!(GIB));
    small.finds("engine-resources", CheckStatus::Warning, "1.0 GiB", "4 GiB").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_are_missing_or_cannot_be_looked_at_are_named() {
    use CheckStatus::{Failed, Ok, Warning};

    // Not root, so that a registry is the only way to it.
    let machine = Machine::without_image();
    machine.finds("image", Warning, "debian:bookworm-slim is not there yet", "a registry answers").await;
    machine.engine.fail_always(("GET", "/images/"), 500, "the store is damaged");
    machine.finds("image", Failed, "the store is damaged", "boxwood doctor").await;

    let machine = Machine::new();
    machine.write(".boxwood/sandbox.jsonc", r#"{ "image": "example.invalid/own:1" }"#);
    machine.finds("project-image", Warning, "example.invalid/own:1", "pulls it").await;
    machine.engine.add_image(&ImageSeed::new("example.invalid/own:1"));
    machine.finds("project-image", Ok, "is there", "").await;
    machine.write(".boxwood/sandbox.jsonc", r#"{ "dockerfile": "Dockerfile" }"#);
    machine.finds("project-image", Failed, "Dockerfile cannot be read", "correct the file").await;
    machine.write("Dockerfile", "FROM debian:bookworm-slim\n");
    machine.finds("project-image", Ok, "Dockerfile", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_person_the_programs_and_the_project_are_looked_at() {
    use CheckStatus::{Failed, Warning};

    let mut machine = Machine::new();
    machine.own().user = User { uid: 0, gid: 0 };
    machine.finds("user", Warning, "you are root", "ordinary user").await;
    let nowhere = machine.directory.path().join("nowhere");
    machine.own().helpers = Programs::of(&nowhere);
    machine.finds("helper", Failed, "nowhere cannot be read", "").await;
    machine.write(".boxwood/sandbox.jsonc", "{ oops");
    machine.finds("config", Failed, "sandbox.jsonc", "correct the file").await;
    machine.write(".boxwood/sandbox.jsonc", r#"{ "memory": "64g" }"#);
    machine.finds("config", Warning, "64g", "--approve-config").await;
    std::fs::remove_dir_all(machine.directory.path().join("project")).expect("removed");
    machine.finds("project", Failed, "cannot be opened", "").await;
}

#[test]
fn a_disk_is_judged_by_what_is_free() {
    use CheckStatus::{Failed, Ok, Warning};

    let of = |free| room("state-disk", "Space", Path::new("/state"), free);
    let judged = [0, NO_SPACE - 1, NO_SPACE, LITTLE_SPACE - 1, LITTLE_SPACE, u64::MAX].map(|free| of(free).status);
    assert_eq!(judged, [Failed, Failed, Warning, Warning, Ok, Ok]);
    let full = of(0);
    assert!(full.detail.contains("/state"), "{full:?}");
    assert!(full.hint.is_some_and(|hint| hint.contains("boxwood prune")));
}

#[tokio::test]
async fn claude_is_at_hand_or_can_be_had_or_somebody_has_to_see_to_it() {
    let machine = Machine::new();
    let programs = machine.directory.path().join("programs");
    std::fs::create_dir(&programs).expect("made");
    let of = |path: &OsStr| claude(&machine.daemon, path);
    let missing = of(programs.as_os_str());
    assert_eq!(missing.status, CheckStatus::Failed);
    assert!(missing.hint.is_some_and(|hint| hint.contains("npm")));
    std::fs::write(programs.join(if cfg!(windows) { "npm.cmd" } else { "npm" }), "").expect("written");
    assert_eq!(of(programs.as_os_str()).status, CheckStatus::Ok);
    std::fs::create_dir_all(machine.daemon.paths.cache.join("claude/package")).expect("made");
    assert!(of(OsStr::new("")).detail.ends_with("is at hand"));
}

#[cfg(unix)]
#[test]
fn only_root_with_its_tool_makes_the_base_image() {
    let programs = tempfile::tempdir().expect("a directory");
    let (root, person) = (User { uid: 0, gid: 0 }, User { uid: 1000, gid: 1000 });
    let path = programs.path().as_os_str();
    assert!(!base::can_be_made(root, path));
    std::fs::write(programs.path().join("debootstrap"), "").expect("written");
    assert!(base::can_be_made(root, path) && !base::can_be_made(person, path));
}
