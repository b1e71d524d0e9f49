//! Ctrl-C in the middle of long work.

use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::{World, docker, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::contract::{Cancel, Operations};
use boxwood_protocol::operation::{OperationParams, OutcomeKind};
use boxwood_protocol::params::{Empty, EnsureAction};

#[test]
fn an_interrupted_build_leaves_nothing() {
    let world = World::new();
    let mark = world.root().file_name().expect("it has a name").to_string_lossy().into_owned();
    // A build that would never end by itself.
    world.write(
        "Dockerfile",
        format!(
            "FROM debian:bookworm-slim\nLABEL dev.boxwood.test={mark}\nRUN echo building-{mark} && mkfifo /never && cat /never\n"
        ),
    );
    let call = world.boxwood(["start", "-v", "--dockerfile", "Dockerfile"]).spawn();
    call.wait_for_line(&format!("building-{mark}"));
    call.signal("INT");
    let done = call.wait();
    assert_eq!(done.status, 130, "{}", done.told("did not end as interrupted"));
    let builders = || docker::docker(["ps", "--all", "--no-trunc", "--format", "{{.Command}}"]);
    until("the build's container is gone", || (!builders().contains(&mark)).then_some(()));
    let left = || docker::all_images(&format!("label=dev.boxwood.test={mark}"));
    until("the build's steps are gone", || left().is_empty().then_some(()));
    assert!(world.has_no_container());
    assert!(world.list().is_empty());
    assert_eq!(world.listing(), ["Dockerfile"]);
    let sandboxes = std::fs::read_dir(world.state().join("sandboxes")).map(Iterator::count).unwrap_or_default();
    assert_eq!(sandboxes, 0, "no state of a sandbox that never was");
    assert_eq!(world.start().action, EnsureAction::Created, "and the next start is none the worse");
}

/// The first start of an installation also verifies the runtime volume that another one has filled, in a container of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    First,
    Later,
}

fn interrupted_at(start: Start, path: &str, moment: Moment) {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    match start {
        Start::First => drop(World::new().start()),
        Start::Later => {
            let _ = world.start();
            let _ = world.boxwood(["remove", "--json", "--purge-state", "--yes"]).run().ok();
        }
    }
    gate.hold("POST", path, moment);
    let call = world.boxwood(["start"]).spawn();
    gate.wait_held();
    call.signal("INT");
    // The request to cancel is on its way when the command line says so.
    call.wait_for_line("Cancelling");
    gate.release();
    let done = call.wait();
    assert_eq!(done.status, 130, "{}", done.told("did not end as interrupted"));
    until(&format!("nothing is left of a start interrupted at {path}"), || world.has_no_container().then_some(()));
    assert!(world.listing().is_empty(), "{path}");
    assert!(world.list().is_empty(), "{path}");
    assert_eq!(world.start().action, EnsureAction::Created);
}

#[test]
fn by_both_a_start_interrupted_while_the_container_is_made_is_undone() {
    interrupted_at(Start::First, "/containers/create?name=boxwood-project", Moment::Before);
    interrupted_at(Start::First, "/containers/create?name=boxwood-project", Moment::After);
}

#[test]
fn a_start_interrupted_while_the_container_starts_is_undone() {
    interrupted_at(Start::Later, "/start", Moment::After);
    interrupted_at(Start::Later, "/exec", Moment::After);
}

#[test]
fn a_start_interrupted_while_the_runtime_is_verified_is_undone() {
    interrupted_at(Start::First, "/containers/create?name=boxwood-verify", Moment::After);
    interrupted_at(Start::First, "/start", Moment::After);
}

#[test]
fn an_operation_ends_once_and_cancelling_it_then_is_no_error() {
    let world = World::new();
    let _ = world.start();
    let mut rpc = boxwood_e2e::rpc::Rpc::open(&world);
    let operations = rpc.call::<Operations>(&Empty {}).expect("a list");
    let ended = operations.iter().find(|operation| operation.kind == "ensure").expect("it is remembered");
    assert_eq!(ended.outcome, Some(OutcomeKind::Ok));
    let params = OperationParams { operation_id: ended.operation_id.clone() };
    assert!(!rpc.call::<Cancel>(&params).expect("answered").was_running);
    let unknown = OperationParams { operation_id: "0".repeat(32) };
    assert_eq!(rpc.call::<Cancel>(&unknown).map_err(|error| error.code), Err(ErrorCode::OperationNotFound));
}
