//! A sandbox that runs and is not well: what is told of it, and what starts and restarts make of it.

use std::os::unix::fs::PermissionsExt as _;

use boxwood_e2e::{World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::EnsureAction;
use boxwood_protocol::sandbox::{Health, SandboxInfo, SandboxState};
use serde_json::json;

/// A daemon asks what runs already whether it is well. Waits until one has found this.
fn found(world: &World, health: Health) -> SandboxInfo {
    world.kill_daemon();
    until("what a new daemon finds", || world.list().into_iter().find(|sandbox| sandbox.health == health))
}

fn failed_checks(world: &World) -> Vec<String> {
    world.inspect().checks.into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

/// Lists the sandbox as unhealthy for the reason `check`; people can still get in, a restart says why it does not work,
/// and once `mend` has run a restart helps.
fn is_unhealthy(world: &World, check: &str, mend: impl FnOnce()) {
    let sandbox = found(world, Health::Unhealthy);
    assert_eq!(sandbox.state, SandboxState::Running, "it goes on");
    let detail = sandbox.detail.expect("a reason");
    assert!(detail.starts_with(&format!("{check}: ")), "{detail}");
    assert_eq!(failed_checks(world), [check]);
    let shown = world.boxwood(["list"]).run().ok().out();
    assert!(shown.contains("unhealthy"), "{shown}");
    assert_eq!(world.start().action, EnsureAction::Attached, "who wants to look into it can");
    assert_eq!(world.exec(["echo", "inside"]).ok().out(), "inside\n");

    let error = world.boxwood(["restart", "--json"]).run().refused(ErrorCode::SandboxUnhealthy);
    assert!(error.causes.iter().any(|cause| cause.starts_with(&format!("{check}: "))), "{error:?}");
    mend();
    let _ = world.boxwood(["restart", "--json"]).run().ok();
    assert_eq!(world.list().remove(0).health, Health::Healthy);
    assert_eq!(failed_checks(world), Vec::<String>::new());
}

#[test]
fn a_sandbox_in_which_claude_does_not_answer_is_unhealthy() {
    let world = World::new();
    // Of all programs inside only claude needs this library.
    world.configure(&json!({ "env": { "LD_LIBRARY_PATH": "/home/boxwood/broken" } }));
    assert_eq!(world.start().sandbox.health, Health::Healthy);
    let _ = world.sh("mkdir ~/broken; echo broken >~/broken/libm.so.6").ok();
    is_unhealthy(&world, "claude", || {
        let home = world.home_of(&world.list().remove(0));
        std::fs::remove_file(home.join("broken/libm.so.6")).expect("removed");
    });
}

#[test]
fn a_sandbox_that_cannot_write_its_workspace_is_unhealthy() {
    let world = World::new();
    assert_eq!(world.start().sandbox.health, Health::Healthy);
    let permit = |mode| {
        let project = world.project();
        std::fs::set_permissions(project, std::fs::Permissions::from_mode(mode)).expect("its owner may");
    };
    permit(0o555);
    is_unhealthy(&world, "workspace-writable", || permit(0o755));
}
