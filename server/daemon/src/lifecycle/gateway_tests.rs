//! Gateways beside operations: what happens when gateways, sandboxes, networks or the daemon end by themselves.

use std::sync::Arc;

use boxwood_core::plan;
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::params::PruneParams;

use crate::lifecycle::gateway;
use crate::lifecycle::place::{self, Block, Place};
use crate::lifecycle::tests::{Saboteur, World, open};
use crate::prune::{self, Extent};

/// Looks again and again until it finds what it looks for; the stand-in has no event for "everybody has reacted".
pub(super) async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if look().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it never came: {what}");
}

/// A running sandbox with a gateway, and the names of both containers.
pub(super) async fn running() -> (World, String, String) {
    let world = World::new().await;
    let end = world.play(plan::create(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    world.quiet().await;
    let id = world.daemon.registry.list().remove(0).id;
    (world, format!("boxwood-{id}"), format!("boxwood-gateway-{id}"))
}

pub(super) fn state(world: &World, container: &str) -> String {
    world.engine.snapshot().containers.get(container).map(|found| found.state.clone()).unwrap_or_default()
}

fn asked(world: &World, gateway: &str) -> usize {
    world.engine.lines_read(gateway).iter().filter(|line| line.contains("\"configure\"")).count()
}

/// Has the host's routes lead to these blocks, as Linux tells it.
fn lead_to(world: &World, blocks: &[Block]) {
    let printed = |number: u32| format!("{:08X}", u32::from_ne_bytes(number.to_be_bytes()));
    let line = |block: &Block| {
        let mask = u32::MAX << (32 - block.prefix);
        format!("br0\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\n", printed(block.first), printed(mask))
    };
    let lines: String = blocks.iter().map(line).collect();
    let heading = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
    std::fs::write(world.directory.path().join("routes"), format!("{heading}{lines}")).expect("written");
}

/// The first two blocks that the sandbox's network and the network outside can have.
fn first_two(world: &World) -> (Vec<Block>, Vec<Block>) {
    let inner = place::candidates(&world.identity().id).map(Place::block).take(2).collect();
    (inner, place::outer_candidates(&world.daemon.installation).take(2).collect())
}

/// The addresses that the sandbox's network and the network outside have.
fn subnets(world: &World) -> (String, String) {
    let networks = world.engine.snapshot().networks;
    let subnet = |name: &str| networks.get(name).map(|network| network.subnet.clone()).unwrap_or_default();
    (subnet(&gateway::network_name(&world.identity().id)), subnet(&gateway::outer_name(&world.daemon.installation)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_networks_get_no_addresses_that_the_host_has_routes_to() {
    for (skipped, is_there) in [(0, false), (0, true), (1, true)] {
        let world = World::new().await;
        let (inner, outer) = first_two(&world);
        if is_there {
            lead_to(&world, &[&inner[..skipped], &outer[..skipped]].concat());
        }
        let end = world.play(plan::create(true), Network::Gateway, Saboteur::default()).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        assert_eq!(subnets(&world), (inner[skipped].to_string(), outer[skipped].to_string()), "{skipped} {is_there}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_keeps_its_addresses_whatever_the_host_has_routes_to() {
    let (world, sandbox, gateway) = running().await;
    let before = subnets(&world);
    let end = world.play(plan::stop(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let (inner, outer) = first_two(&world);
    lead_to(&world, &[inner[0], outer[0]]);
    let (engine, _) = world.daemon.link.engine().await.expect("an engine");
    world.engine.remove_container(&gateway);
    engine.remove_network(&sandbox).await.expect("nobody runs on it");
    let end = world.play(plan::start(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    assert_eq!(subnets(&world), before, "the one is made anew for the same sandbox, the other is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_that_leave_no_addresses_are_named() {
    let (inner, outer) = {
        let world = World::new().await;
        let inner: Vec<_> = place::candidates(&world.identity().id).map(Place::block).collect();
        (inner, place::outer_candidates(&world.daemon.installation).collect::<Vec<_>>())
    };
    for (all, whose) in [(inner, "sandbox's"), (outer, "gateways'")] {
        let world = World::new().await;
        lead_to(&world, &all);
        let end = world.play(plan::create(true), Network::Gateway, Saboteur::default()).await;
        let problem = end.error.expect("it is refused");
        assert_eq!((end.outcome, problem.code), (OutcomeKind::Failed, boxwood_protocol::ErrorCode::EgressGateway));
        assert_eq!(problem.message, format!("there are no addresses left for the {whose} network"));
        let hint = problem.hint.unwrap_or_default();
        assert!(hint.contains("'docker network ls'") && hint.contains("'ip route'"), "{hint}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_has_nothing_but_its_gateway() {
    let (world, sandbox, gateway) = running().await;
    let made = world.engine.creation(&sandbox).expect("it is there");
    let gateway_address = made["HostConfig"]["Dns"][0].as_str().expect("a name server").to_owned();
    assert_eq!(made["HostConfig"]["NetworkMode"], sandbox.as_str());
    assert_eq!(made["HostConfig"]["CapAdd"], serde_json::Value::Null);
    let mounts = made["HostConfig"]["Mounts"].as_array().expect("mounts").clone();
    let resolv = mounts.iter().find(|mount| mount["Target"] == "/etc/resolv.conf").expect("its own name server");
    let text = std::fs::read_to_string(resolv["Source"].as_str().expect("a file")).expect("read");
    assert_eq!((text, &resolv["ReadOnly"]), (format!("nameserver {gateway_address}\n"), &serde_json::json!(true)));
    let everything = world.engine.snapshot();
    let network = &everything.networks[&sandbox];
    assert!(network.internal && network.subnet.ends_with("/22"));
    assert_eq!(everything.containers[&sandbox].networks.len(), 1);
    assert_eq!(everything.containers[&gateway].networks.len(), 2);
    assert!(everything.containers[&gateway].networks.contains(&format!("{sandbox} {gateway_address}")));
    assert_eq!(asked(&world, &gateway), 1, "it has its policy");
    let project = Some(world.daemon.registry.list().remove(0).project);
    for labels in [&network.labels, &everything.containers[&gateway].labels] {
        assert_eq!(labels.get("dev.boxwood.project").cloned(), project, "whoever looks at the engine sees whose it is");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_ends_is_started_again_with_its_policy() {
    let (world, sandbox, gateway) = running().await;
    for times in 2..4 {
        world.engine.kill_container(&gateway, 1);
        until("the gateway with its policy", async || {
            state(&world, &gateway) == "running" && asked(&world, &gateway) >= times
        })
        .await;
    }
    world.engine.remove_container(&gateway);
    until("another gateway", async || state(&world, &gateway) == "running" && asked(&world, &gateway) >= 1).await;
    assert_eq!(state(&world, &sandbox), "running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_ends_with_its_sandbox() {
    let (world, sandbox, gateway) = running().await;
    world.engine.kill_container(&sandbox, 137);
    until("the gateway's end", async || state(&world, &gateway) == "exited").await;
    world.engine.remove_container(&sandbox);
    until("the network's end", async || {
        let everything = world.engine.snapshot();
        everything.containers.is_empty() && !everything.networks.contains_key(&sandbox)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_somebody_else_starts_has_its_gateway_too() {
    let (world, sandbox, gateway) = running().await;
    let end = world.play(plan::stop(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    assert_eq!((state(&world, &sandbox).as_str(), state(&world, &gateway).as_str()), ("exited", "exited"));
    let (engine, _) = world.daemon.link.engine().await.expect("an engine");
    engine.start_container(&sandbox).await.expect("started");
    until("the gateway with its policy", async || state(&world, &gateway) == "running" && asked(&world, &gateway) == 2)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_and_gateways_that_were_tidied_away_are_made_again() {
    let (world, sandbox, gateway) = running().await;
    let subnet = world.engine.snapshot().networks[&sandbox].subnet.clone();
    let end = world.play(plan::stop(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let (engine, _) = world.daemon.link.engine().await.expect("an engine");
    world.engine.remove_container(&gateway);
    for network in world.engine.snapshot().networks.keys() {
        engine.remove_network(network).await.expect("nobody runs on it");
    }
    let end = world.play(plan::start(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let everything = world.engine.snapshot();
    assert_eq!(everything.networks[&sandbox].subnet, subnet);
    assert_eq!(everything.containers[&sandbox].networks.len(), 1);
    assert_eq!(state(&world, &gateway), "running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_daemon_talks_to_the_gateways_that_run() {
    let (world, _, gateway) = running().await;
    world.watcher.abort();
    let (again, watcher) = open(&world.engine, world.directory.path()).await;
    until("another conversation", async || asked(&world, &gateway) == 2).await;
    let id = again.registry.list().remove(0).id;
    assert!(again.egress.knows(&id));
    drop(Arc::clone(&again));
    watcher.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tidying_spares_what_is_used_and_leaves_nothing_else() {
    let (world, _, gateway) = running().await;
    let tidy = async |extent| {
        let started = prune::start(&world.daemon, extent, &PruneParams::default());
        let end = world.daemon.operations.wait(&started.operation_id).await.expect("an end");
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    };
    let before = world.engine.snapshot();
    tidy(Extent::Unused).await;
    let after = world.engine.snapshot();
    assert_eq!((&after.containers, &after.networks), (&before.containers, &before.networks));
    assert!(after.images.values().any(|image| image.tags.contains(&before.containers[&gateway].image)));
    tidy(Extent::Everything).await;
    let after = world.engine.snapshot();
    assert!(after.containers.is_empty() && after.networks.is_empty(), "{after:?}");
    assert!(!after.images.values().any(|image| image.tags.contains(&before.containers[&gateway].image)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ours_is_left_alone() {
    let world = World::new().await;
    let end = world.play(plan::create(false), Network::Open, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    world.quiet().await;
    let name = world.daemon.registry.list().remove(0).container;
    let (engine, _) = world.daemon.link.engine().await.expect("an engine");
    let foreign = boxwood_engine::NetworkSpec { name: name.clone(), ..boxwood_engine::NetworkSpec::default() };
    engine.create_network(&foreign).await.expect("made");
    let end = world.play(plan::recreate(false, true), Network::Gateway, Saboteur::default()).await;
    let problem = end.error.expect("it is refused");
    assert_eq!((end.outcome, problem.code), (OutcomeKind::Failed, boxwood_protocol::ErrorCode::NameConflict));
    assert!(world.engine.snapshot().networks.contains_key(&name));
    assert_eq!(state(&world, &name), "running", "the old one is back");
}
