//! What the daemon tells of an operation while it runs, and what it leaves to find it by.

use std::fs;

use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::{World, docker};
use boxwood_protocol::Event;
use boxwood_protocol::contract::{Cancel, Ensure, Prune, Wait};
use boxwood_protocol::operation::{OperationEnd, OperationParams, OutcomeKind};
use boxwood_protocol::params::{EnsureParams, EnsureResult, PruneParams};
use serde_json::Value;

/// The request that makes a sandbox. What may take long, its images for example, is there by then.
const CREATE: &str = "/containers/create?name=boxwood-project";

/// Label of what an operation made.
const TRACE: &str = "dev.boxwood.trace";

/// Reads events up to the end of an operation.
fn until_end_of(operation: &str, events: &mut Rpc) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let event = events.event();
        let is_last = matches!(&event, Event::OperationEnded { end } if end.operation_id == operation);
        seen.push(event);
        if is_last {
            return seen;
        }
    }
}

#[test]
fn an_operation_that_is_cancelled_twice_ends_once() {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    let _ = world.list();
    let mut calls = Rpc::open(&world);
    gate.hold("POST", CREATE, Moment::Before);
    let project = world.project().to_string_lossy().into_owned();
    let started = calls.call::<Ensure>(&EnsureParams { project, ..EnsureParams::default() }).expect("it begins");
    gate.wait_held();
    let mut events = Rpc::open(&world);
    let Event::Snapshot { operations, .. } = events.subscribe() else { panic!("it begins with how things stand") };
    assert_eq!(operations.iter().map(|known| &known.operation_id).collect::<Vec<_>>(), [&started.operation_id]);

    let operation = OperationParams { operation_id: started.operation_id.clone() };
    assert!(calls.call::<Cancel>(&operation).expect("answered").was_running);
    let _ = calls.call::<Cancel>(&operation).expect("asking again is no error");
    gate.release();
    let end: OperationEnd = calls.call::<Wait>(&operation).expect("it ends");
    assert_eq!(end.outcome, OutcomeKind::Cancelled);
    let trace = end.error.as_ref().and_then(|error| error.trace_id.as_deref());
    assert_eq!(trace, Some(started.operation_id.as_str()), "the error says where to look in the log");
    assert!(!calls.call::<Cancel>(&operation).expect("answered").was_running);
    assert_eq!(calls.call::<Wait>(&operation).expect("it is remembered"), end, "it stays as it ended");

    // Events come in order: what another operation says comes after all that was said of this one.
    let other = calls.call::<Prune>(&PruneParams { dry_run: true }).expect("it begins");
    let ends: Vec<OperationEnd> = until_end_of(&other.operation_id, &mut events)
        .into_iter()
        .filter_map(|event| match event {
            Event::OperationEnded { end } => Some(end),
            _ => None,
        })
        .filter(|known| known.operation_id == end.operation_id)
        .collect();
    assert_eq!(ends, [end], "it is told once");
}

#[test]
fn an_operation_has_one_id_in_events_label_and_log() {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    let _ = world.list();
    gate.hold("POST", CREATE, Moment::Before);
    let call = world.boxwood(["start", "--json"]).spawn();
    gate.wait_held();
    let mut events = Rpc::open(&world);
    let Event::Snapshot { operations, .. } = events.subscribe() else { panic!("it begins with how things stand") };
    let [operation] = operations.as_slice() else { panic!("one operation runs: {operations:?}") };
    let id = &operation.operation_id;
    assert!(id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    gate.release();
    let started: EnsureResult = call.wait().json();

    let steps: Vec<_> = until_end_of(id, &mut events)
        .into_iter()
        .filter_map(|event| match event {
            Event::OperationProgress { operation_id, .. } => Some(operation_id),
            _ => None,
        })
        .collect();
    assert!(!steps.is_empty() && steps.iter().all(|step| step == id), "{id}: {steps:?}");

    let made = docker::inspect(&started.sandbox.container).expect("it is there");
    assert_eq!(made["Config"]["Labels"][TRACE], id.as_str());
    let found = docker::containers(&format!("label={TRACE}={id}"));
    assert!(found.contains(&world.inspect().container_id), "the engine finds it by that: {found:?}");

    let log = fs::read_to_string(world.state().join("logs/daemon.log")).expect("there is a log");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let own: Vec<Value> = lines.filter(|line| line["span"]["trace"] == id.as_str()).collect();
    for message in ["began", "ended"] {
        assert_eq!(own.iter().filter(|line| line["message"] == message).count(), 1, "{message}: {own:?}");
    }
}
