//! Networks, and containers on them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use boxwood_engine::{Attachment, ContainerSpec, ContainerState, Engine, EngineError, NetworkMode, NetworkSpec};

use super::bench::Bench;

fn spec(bench: &Bench, name: &str) -> NetworkSpec {
    NetworkSpec {
        name: bench.name(name),
        labels: bench.labels(),
        internal: true,
        subnet: None,
        options: BTreeMap::from([("com.docker.network.bridge.inhibit_ipv4".to_owned(), "true".to_owned())]),
    }
}

/// A network with addresses of its own, and the first of them. Other tests on the engine may have them already.
async fn with_addresses(bench: &Bench, name: &str) -> (NetworkSpec, Ipv4Addr) {
    let begin = u32::from_le_bytes(std::array::from_fn(|at| bench.id.as_bytes()[bench.id.len() - 4 + at]));
    for step in 0..256 {
        let first =
            Ipv4Addr::from_bits(Ipv4Addr::new(198, 19, 192, 0).to_bits() + (begin.wrapping_add(step) % 1024) * 16);
        let spec = NetworkSpec { subnet: Some(format!("{first}/28")), ..spec(bench, name) };
        match bench.engine.create_network(&spec).await {
            Ok(_) => return (spec, first),
            Err(EngineError::Overlap(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("every address is taken");
}

const fn address(first: Ipv4Addr, at: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(first.to_bits() + at)
}

fn on(network: &NetworkSpec, ipv4: Option<Ipv4Addr>) -> NetworkMode {
    NetworkMode::Named { name: network.name.clone(), ipv4 }
}

pub(crate) async fn a_network_lives_and_dies(bench: &Bench) {
    let (engine, spec) = (&bench.engine, spec(bench, "net"));
    let id = engine.create_network(&spec).await.expect("a network is made");
    let taken = engine.create_network(&spec).await.expect_err("the name is taken");
    assert!(matches!(taken, EngineError::Conflict(_)), "{taken:?}");
    for key in [&id, &spec.name] {
        let found = engine.inspect_network(key).await.expect("it is found");
        assert_eq!((&found.id, &found.name, found.internal), (&id, &spec.name, true));
        assert!(found.subnet.is_some_and(|subnet| subnet.contains('/')), "the engine chooses addresses");
        assert_eq!(found.options.get("com.docker.network.bridge.inhibit_ipv4").map(String::as_str), Some("true"));
        assert!(found.members.is_empty());
    }
    let listed = engine.list_networks(&bench.filter()).await.expect("a list").remove(0);
    assert_eq!((&listed.id, listed.labels.get(&bench.label().0)), (&id, Some(&bench.label().1)));
    engine.remove_network(&spec.name).await.expect("it goes");
    engine.remove_network(&spec.name).await.expect("removing it again is fine");
    assert!(engine.inspect_network(&id).await.expect_err("it is gone").is_not_found());
    assert_eq!(engine.list_networks(&bench.filter()).await.expect("a list"), []);
}

pub(crate) async fn addresses_belong_to_one_network(bench: &Bench) {
    let (first, _) = with_addresses(bench, "first").await;
    let found = bench.engine.inspect_network(&first.name).await.expect("it is there");
    assert_eq!(found.subnet, first.subnet);
    let second = NetworkSpec { name: bench.name("second"), ..first };
    let refused = bench.engine.create_network(&second).await.expect_err("the addresses are taken");
    assert!(matches!(refused, EngineError::Overlap(_)), "{refused:?}");
}

pub(crate) async fn a_container_has_the_address_it_asks_for(bench: &Bench) {
    let engine = &bench.engine;
    let (network, first) = with_addresses(bench, "fixed").await;
    let wanted = Some(address(first, 5));
    let here = ContainerSpec { network: on(&network, wanted), ..bench.spec("here") };
    let id = engine.create_container(&here).await.expect("a container is made");
    let place = [Attachment { network: network.name.clone(), ipv4: wanted }];
    assert_eq!(engine.inspect_container(&id).await.expect("it exists").networks, place);
    engine.start_container(&id).await.expect("it starts");
    assert_eq!(engine.inspect_container(&id).await.expect("it exists").networks, place);
    let members = engine.inspect_network(&network.name).await.expect("it is there").members;
    assert_eq!(members, BTreeMap::from([(id.clone(), wanted)]));

    let same = ContainerSpec { network: on(&network, wanted), ..bench.spec("same") };
    let second = engine.create_container(&same).await.expect("a container is made");
    assert!(engine.start_container(&second).await.is_err(), "an address is given once");
    let busy = engine.remove_network(&network.name).await.expect_err("somebody is on it");
    assert!(matches!(busy, EngineError::Conflict(_)), "{busy:?}");

    engine.stop_container(&id, 1).await.expect("it stops");
    engine.start_container(&second).await.expect("the address is free");
    engine.remove_container(&second).await.expect("it goes");
    engine.remove_network(&network.name).await.expect("a stopped container keeps no network");
    assert!(engine.start_container(&id).await.expect_err("its network is gone").is_not_found());
    engine.create_network(&network).await.expect("it is made anew");
    assert!(engine.start_container(&id).await.is_err(), "a network of that name is another one");
    engine.connect_network(&network.name, &id, wanted).await.expect("it is put on that one");
    engine.start_container(&id).await.expect("it starts");
    assert_eq!(engine.inspect_container(&id).await.expect("it exists").networks, place);
}

pub(crate) async fn a_container_is_put_on_further_networks(bench: &Bench) {
    let engine = &bench.engine;
    let outer = spec(bench, "outer");
    engine.create_network(&outer).await.expect("a network is made");
    let (inner, first) = with_addresses(bench, "inner").await;
    let wanted = Some(address(first, 2));
    let both = ContainerSpec { network: on(&outer, None), ..bench.spec("both") };
    let id = engine.create_container(&both).await.expect("a container is made");
    for _ in 0..2 {
        engine.connect_network(&inner.name, &id, wanted).await.expect("it is put on it, again too");
    }
    engine.start_container(&id).await.expect("it starts");
    engine.connect_network(&inner.name, &id, wanted).await.expect("also while it runs");
    let found = engine.inspect_container(&id).await.expect("it exists");
    assert_eq!(found.state, ContainerState::Running);
    let inside = Attachment { network: inner.name.clone(), ipv4: wanted };
    assert_eq!(found.networks[0], inside, "in the order of names");
    assert_eq!(found.networks[1].network, outer.name);
    assert!(found.networks[1].ipv4.is_some(), "the engine chooses where none is asked for");
    for _ in 0..2 {
        engine.disconnect_network(&inner.name, &id).await.expect("it is taken off it, again too");
    }
    let left = engine.inspect_container(&id).await.expect("it exists").networks;
    assert_eq!((left.len(), left[0].network.as_str()), (1, outer.name.as_str()));
    let missing = engine.connect_network(&bench.name("nowhere"), &id, None).await.expect_err("there is none");
    assert!(missing.is_not_found(), "{missing:?}");
}

pub(crate) async fn a_container_without_network_is_on_none(bench: &Bench) {
    let id = bench.running("alone").await;
    assert_eq!(bench.engine.inspect_container(&id).await.expect("it exists").networks, []);
}
