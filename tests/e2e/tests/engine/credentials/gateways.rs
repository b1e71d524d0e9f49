//! What gateways put on requests, when the daemon that gave it to them is no more.

use boxwood_e2e::api::{Api, KEY};
use boxwood_e2e::cli::Cli;
use boxwood_e2e::{World, docker, until};
use boxwood_protocol::credentials::{CredentialMode, CredentialSource, CredentialsStatus};
use boxwood_protocol::params::EnsureResult;
use serde_json::json;

/// A call from a terminal that knows of no key.
fn bare(world: &World, words: &[&str]) -> Cli {
    world.boxwood(words).env("ANTHROPIC_API_KEY", "").env("ANTHROPIC_BASE_URL", "")
}

fn works(world: &World) {
    let done = bare(world, &["exec", "--", "claude", "-p", "say hello"]).run();
    assert_eq!((done.status, done.out().trim()), (0, "hello"), "{}", done.told("claude in a sandbox"));
}

fn status(world: &World) -> CredentialsStatus {
    bare(world, &["credentials", "status", "--json"]).run().json()
}

#[test]
fn a_key_of_a_terminal_outlives_the_daemon_in_the_gateway() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let _ = world.start();
    works(&world);
    world.kill_daemon();
    let _ = bare(&world, &["list"]).run().ok();
    works(&world);
    let status = status(&world);
    let held = (status.source, status.mode);
    assert_eq!(held, (Some(CredentialSource::EnvironmentKey), Some(CredentialMode::Brokered)), "{status:?}");
    assert!(status.warnings.iter().any(|warning| warning.contains("only its gateway")), "{status:?}");
}

#[test]
fn a_gateway_that_lost_a_stored_key_gets_it_again_from_the_next_daemon() {
    let mut world = World::new();
    world.set("BOXWOOD_KEYRING", "file");
    let api = Api::serve(&mut world);
    let port: u16 = api.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    world.configure(&json!({ "network": "gateway", "egress": {
        "hosts": { "api.test": docker::gateway() }, "rules": [{ "host": "api.test", "ports": [port], "action": "allow", "private": true }],
    } }));
    let url = format!("http://api.test:{port}");
    let _ = bare(&world, &["credentials", "set", "api-key", "--base-url", &url]).input(KEY).run().ok();
    let started: EnsureResult = bare(&world, &["start", "--json"]).run().json();
    world.forget_image(&started.sandbox.image);
    works(&world);
    world.kill_daemon();
    let filter = world.filter().expect("there was a daemon");
    let gateway = docker::containers_of("gateway", &filter).pop().expect("a gateway");
    let _ = docker::docker(["kill", gateway.as_str()]);
    let _ = bare(&world, &["list"]).run().ok();
    until("the key in the new gateway", || {
        let done = bare(&world, &["exec", "--", "claude", "-p", "say hello"]).run();
        (done.status == 0 && done.out().trim() == "hello").then_some(())
    });
}
