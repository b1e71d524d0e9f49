//! Two installations on one engine, as two people have them, know nothing of each other's sandboxes.

use boxwood_e2e::{World, docker};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::sandbox::SandboxState;

#[test]
fn two_installations_do_not_see_or_touch_each_others_sandboxes() {
    let one = World::new();
    let other = World::new();
    let sandbox = one.start().sandbox;
    let container = one.inspect().container_id;
    assert!(other.list().is_empty());
    for reference in [&sandbox.id, &sandbox.container, &container] {
        for verb in ["inspect", "stop", "remove", "logs"] {
            let _ = other.boxwood([verb, "--json", reference]).run().refused(ErrorCode::SandboxNotFound);
        }
        let _ = other.boxwood(["exec", "--json", reference, "--", "true"]).run().refused(ErrorCode::SandboxNotFound);
    }
    assert_eq!(one.inspect().sandbox.state, SandboxState::Running);

    // The same project, from both.
    let theirs: boxwood_protocol::params::EnsureResult =
        other.boxwood(["start", "--json"]).within(one.project()).run().json();
    assert_ne!(theirs.sandbox.id, sandbox.id);
    let _ = other.boxwood(["remove", "--json", &theirs.sandbox.id]).run().ok();
    assert_eq!(one.inspect().container_id, container);
    assert!(docker::inspect(&container).is_some());
    assert_eq!(
        one.sh("test -d .vscode && echo protected").ok().out(),
        "protected\n",
        "what the one made for its mounts stays"
    );
}

#[test]
fn a_person_without_state_sees_no_sandboxes() {
    let mut world = World::new();
    let sandbox = world.start().sandbox;
    let state = world.state();
    let _ = world.boxwood(["daemon", "stop", "--json"]).run().ok();
    world.set("BOXWOOD_STATE_DIR", world.root().join("another-state"));
    assert!(world.list().is_empty());
    let _ = world.boxwood(["daemon", "stop", "--json"]).run().ok();
    world.set("BOXWOOD_STATE_DIR", state);
    assert_eq!(world.list()[0].id, sandbox.id);
}
