//! Names that others have taken.

use boxwood_e2e::{World, docker};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::EnsureAction;

#[test]
fn a_foreign_container_of_the_same_name_is_left_alone() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    let _ = world.boxwood(["remove", "--json", "--purge-state", "--yes"]).run().ok();
    let name = sandbox.container.clone();
    let foreign = docker::docker(["create", "--name", &name, "debian:bookworm-slim", "true"]);
    let to_remove = foreign.clone();
    world.at_end(move || drop(docker::try_docker(&["rm", "--force", &to_remove])));

    let error = world.boxwood(["start", "--json"]).run().refused(ErrorCode::NameConflict);
    assert!(error.message.contains(&name), "{error}");
    let after = docker::inspect(&name).expect("the foreign one is there");
    assert_eq!(after["Id"], foreign.as_str());
    assert_eq!(after["State"]["Status"], "created", "and untouched");
    assert!(!world.home_of(&sandbox).exists(), "what was begun is undone");
    assert!(world.listing().is_empty());
    for verb in ["stop", "remove", "inspect"] {
        let _ = world.boxwood([verb, "--json", &name]).run().refused(ErrorCode::SandboxNotFound);
    }
    let _ = docker::docker(["rename", &name, &format!("{name}-moved")]);
    assert_eq!(world.start().action, EnsureAction::Created, "the hint helps");
}

#[test]
fn a_foreign_container_with_a_borrowed_label_is_left_alone() {
    let world = World::new();
    let _ = world.start();
    let project = world.project().to_string_lossy().into_owned();
    let foreign = docker::docker([
        "create",
        "--label",
        &format!("dev.boxwood.project={project}"),
        "--label",
        "dev.boxwood.role=sandbox",
        "debian:bookworm-slim",
        "true",
    ]);
    let to_remove = foreign.clone();
    world.at_end(move || drop(docker::try_docker(&["rm", "--force", &to_remove])));
    assert_eq!(world.list().len(), 1);
    let _ = world.boxwood(["remove", "--json"]).run().ok();
    assert!(docker::inspect(&foreign).is_some());
}
