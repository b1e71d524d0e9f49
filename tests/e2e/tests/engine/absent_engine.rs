//! No engine, or one that goes away.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::world::program;
use boxwood_e2e::{Cli, World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::{CheckStatus, DoctorReport, EnsureAction};
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};

/// Every verb that needs an engine, as a person would type it.
const VERBS: [&[&str]; 15] = [
    &["start"],
    &["run", "--", "true"],
    &["exec", "--", "true"],
    &["attach"],
    &["stop"],
    &["restart"],
    &["refresh"],
    &["remove"],
    &["list"],
    &["inspect"],
    &["logs"],
    &["stats"],
    &["prune"],
    &["cleanup-all", "--yes"],
    &["image", "list"],
];

#[test]
fn every_verb_says_that_no_engine_answers_and_what_to_do() {
    let mut world = World::new();
    world.set("DOCKER_HOST", "unix:///nonexistent/engine.sock");
    for verb in VERBS {
        let error = world.boxwood([&["--json"], verb].concat()).run().refused(ErrorCode::EngineUnavailable);
        assert!(error.hint.is_some_and(|hint| hint.contains("DOCKER_HOST")), "{verb:?}");
    }
    let said = world.boxwood(["start"]).run();
    assert_eq!(said.status, 69);
    assert!(
        said.err().contains("/nonexistent/engine.sock") && said.err().contains("next:"),
        "{}",
        said.told("is unclear")
    );
    assert!(world.listing().is_empty(), "nothing was left in the project");
}

#[test]
fn doctor_finds_what_is_wrong_and_what_to_do() {
    let mut world = World::new();
    world.set("DOCKER_HOST", "unix:///nonexistent/engine.sock");
    let done = world.boxwood(["doctor", "--json"]).run();
    assert_eq!(done.status, 1);
    let report: DoctorReport = serde_json::from_slice(&done.stdout).expect("a report");
    let engine = report.checks.iter().find(|check| check.id == "engine").expect("the engine is examined");
    assert_eq!((report.status, engine.status), (CheckStatus::Failed, CheckStatus::Failed));
    assert!(engine.hint.is_some() && engine.detail.contains("/nonexistent"), "{engine:?}");
}

#[test]
fn doctor_says_what_to_join_where_the_engine_refuses_the_person() {
    let mut world = World::new();
    let socket = world.root().join("refusing.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).expect("closed");
    world.set("DOCKER_HOST", format!("unix://{}", socket.display()));
    let program = program().to_string_lossy().into_owned();
    // Root could open it all the same, without this capability it cannot.
    let is_root = fs::metadata(world.project()).expect("there").uid() == 0;
    let refused: &[&str] = if is_root { &["setpriv", "--bounding-set=-dac_override"] } else { &["env"] };
    let doctor = |further: &[&str]| {
        let command = Cli::new(refused[0]).args(&refused[1..]).args([&*program, "doctor"]).args(further);
        command.only_env(world.environment()).within(world.project()).run()
    };
    let done = doctor(&["--json"]);
    assert_eq!(done.status, 1);
    let report: DoctorReport = serde_json::from_slice(&done.stdout).expect("a report");
    let engine = report.checks.iter().find(|check| check.id == "engine").expect("the engine is examined");
    assert_eq!(engine.status, CheckStatus::Failed);
    assert!(engine.detail.contains("permission denied"), "{engine:?}");
    assert!(engine.hint.as_ref().is_some_and(|hint| hint.contains("usermod -aG docker")), "{engine:?}");
    let said = doctor(&[]);
    assert_eq!(said.status, 1);
    assert!(
        said.out().contains("FAIL  Container engine") && said.out().contains("usermod -aG docker"),
        "{}",
        said.out()
    );
}

#[test]
fn doctor_finds_nothing_wrong_where_nothing_is() {
    let world = World::new();
    let report: DoctorReport = world.boxwood(["doctor", "--json"]).run().json();
    assert!(report.checks.iter().all(|check| check.status != CheckStatus::Failed), "{report:?}");
    for id in ["version", "engine", "user", "state-disk", "helper", "claude", "project-disk", "config"] {
        assert!(report.checks.iter().any(|check| check.id == id), "{id} is not examined");
    }
    for check in report.checks {
        assert!(check.status == CheckStatus::Ok || check.hint.is_some(), "{check:?} names no next step");
    }
}

#[test]
fn settings_that_name_no_engine_are_named() {
    let mut world = World::new();
    for host in ["nonsense", "ftp://x", "tcp://127.0.0.1:9"] {
        world.set("DOCKER_HOST", host);
        let error = world.boxwood(["list", "--json"]).run().error();
        assert!(matches!(error.code, ErrorCode::EngineUnavailable), "{host}: {error}");
        assert!(
            error.to_string().contains(host) || error.hint.is_some_and(|hint| hint.contains("DOCKER_HOST")),
            "{host}"
        );
        let _ = world.boxwood(["daemon", "stop"]).run().ok();
    }
}

#[test]
fn an_engine_that_goes_away_while_a_sandbox_is_made_leaves_nothing_half_made_when_it_is_back() {
    // Only a runtime volume that somebody else has filled is verified.
    let _ = World::new().start();
    // The container that verifies the runtime volume, and the sandbox itself.
    for what in ["boxwood-verify", "boxwood-project"] {
        let mut world = World::new();
        let gate = Gate::before(&mut world);
        gate.hold("POST", &format!("/containers/create?name={what}"), Moment::After);
        let start = world.boxwood(["start", "--json"]).spawn();
        gate.wait_held();
        gate.close();
        let error = start.wait().error();
        assert!(matches!(error.code, ErrorCode::EngineUnavailable | ErrorCode::EngineFailed), "{error:?}");
        assert!(error.hint.is_some(), "{error}");
        assert_eq!(world.containers().len(), 1, "{what}: it could not be undone");
        let _ = world.boxwood(["list", "--json"]).run().refused(ErrorCode::EngineUnavailable);

        gate.open();
        until("the engine is noticed", || (world.boxwood(["list"]).run().status == 0).then_some(()));
        until("it is undone now", || world.has_no_container().then_some(()));
        assert!(world.listing().is_empty(), "{what}");
        assert_eq!(world.start().action, EnsureAction::Created, "{what}");
        assert_eq!(world.containers().len(), 1, "{what}");
    }
}

#[test]
fn an_engine_that_goes_away_and_comes_back_is_no_trouble_for_a_sandbox() {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    let sandbox = world.start().sandbox;
    gate.close();
    let _ = world.boxwood(["stop", "--json"]).run().refused(ErrorCode::EngineUnavailable);
    gate.open();
    until("the engine is noticed again", || {
        let known = world.boxwood(["list", "--json"]).run();
        let known: Vec<SandboxInfo> = serde_json::from_slice(&known.stdout).ok()?;
        known.iter().any(|known| known.id == sandbox.id && known.state == SandboxState::Running).then_some(())
    });
    assert_eq!(world.exec(["echo", "well"]).ok().out(), "well\n");
    assert_eq!(world.start().action, EnsureAction::Attached);
}
