//! What the engine itself says of a sandbox's container, and what its processes find.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use boxwood_e2e::{World, docker, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::sandbox::{Health, SandboxState};
use serde_json::{Value, json};

fn host_config(world: &World) -> Value {
    docker::inspect(&world.inspect().container_id).expect("it is there")["HostConfig"].take()
}

fn nofile(host: &Value) -> Value {
    host["Ulimits"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|limit| limit["Name"] == "nofile")
        .cloned()
        .unwrap_or_default()
}

#[test]
fn limits_and_confinement_are_on_by_default() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    let host = host_config(&world);
    assert_eq!(host["Memory"], json!(8_u64 << 30));
    assert_eq!(host["MemorySwap"], host["Memory"], "no swap beyond the memory");
    assert_eq!(host["PidsLimit"], json!(4096));
    assert_eq!(nofile(&host), json!({ "Name": "nofile", "Soft": 16384, "Hard": 16384 }));
    assert_eq!(host["NanoCpus"], json!(0), "all processors");
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert!(host["CapAdd"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert_eq!(host["Init"], json!(false), "the first process is the one that guards what is mounted");
    assert_eq!(host["Privileged"], json!(false));
    let labels = &docker::inspect(&sandbox.container).expect("it is there")["Config"]["Labels"];
    assert_eq!(labels["dev.boxwood.project"], json!(sandbox.project));
    for label in ["owner", "installation", "session", "config", "version", "trace"] {
        assert!(labels[format!("dev.boxwood.{label}")].as_str().is_some_and(|value| !value.is_empty()), "{label}");
    }
}

#[test]
fn limits_follow_the_flags() {
    let world = World::new();
    let _ = world.start_with([
        "--memory",
        "1g",
        "--cpus",
        "0.5",
        "--pids",
        "256",
        "--nofile",
        "2048",
        "--env",
        "COLOUR=blue",
        "--network",
        "none",
    ]);
    let host = host_config(&world);
    assert_eq!((&host["Memory"], &host["MemorySwap"]), (&json!(1 << 30), &json!(1 << 30)));
    assert_eq!((&host["NanoCpus"], &host["PidsLimit"]), (&json!(500_000_000), &json!(256)));
    assert_eq!(nofile(&host)["Hard"], json!(2048));
    assert_eq!(host["NetworkMode"], "none");
    assert_eq!(world.sh("echo $COLOUR; ulimit -n; ls /sys/class/net").ok().out(), "blue\n2048\nlo\n");
    let detail = world.inspect();
    assert_eq!((detail.limits.cpus, detail.limits.pids, detail.limits.nofile), (0.5, 256, 2048));
}

#[test]
fn the_number_of_processes_is_bounded() {
    let world = World::new();
    let _ = world.start_with(["--pids", "64"]);
    let done = world.sh("i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i + 1)); done");
    assert_ne!(done.status, 0);
    assert!(done.err().contains("fork"), "{}", done.told("was not held back"));
    let _ = world.boxwood(["restart", "--json"]).run().ok();
    assert_eq!(world.inspect().sandbox.state, SandboxState::Running);
}

#[test]
fn values_out_of_range_are_refused_before_anything_is_made() {
    let world = World::new();
    for flags in [
        ["--memory", "1m"],
        ["--memory", "lots"],
        ["--pids", "1"],
        ["--nofile", "2"],
        ["--cpus", "-1"],
        ["--env", "MY_TOKEN=1"],
        ["--env", "HOME=/"],
    ] {
        let refused = world.boxwood([&["start", "--json", flags[0]][..], &[flags[1]]].concat()).run();
        let error = if refused.status == 2 { continue } else { refused.error() };
        assert_eq!(error.code, ErrorCode::ConfigInvalid, "{flags:?}: {error}");
    }
    assert!(world.has_no_container());
    assert!(world.listing().is_empty());
}

#[test]
fn files_belong_to_the_person_on_both_sides() {
    let world = World::new();
    world.write("from-the-host", "h");
    let own = fs::metadata(world.project()).expect("there");
    let _ = world.start();
    let _ = world.sh("echo more >>from-the-host; mkdir -p a/b; echo x >a/b/c; echo y >~/in-home").ok();
    assert_eq!(world.sh("echo $(id -u):$(id -g)").ok().out().trim(), format!("{}:{}", own.uid(), own.gid()));
    assert_eq!(world.inspect().user, format!("{}:{}", own.uid(), own.gid()));
    for path in ["from-the-host", "a", "a/b", "a/b/c"] {
        let made = fs::metadata(world.project().join(path)).expect(path);
        assert_eq!((made.uid(), made.gid()), (own.uid(), own.gid()), "{path}");
    }
    fs::remove_dir_all(world.project().join("a")).expect("the person may remove it");
    assert_eq!(world.sh("test -O from-the-host && echo mine").ok().out(), "mine\n");
}

#[test]
fn health_comes_from_checks_inside() {
    let world = World::new();
    let _ = world.start();
    let detail = world.inspect();
    assert_eq!(detail.sandbox.health, Health::Healthy);
    for name in ["workspace-mounted", "workspace-writable", "workspace-disk", "claude"] {
        assert!(detail.checks.iter().any(|check| check.name == name && check.ok), "{name}: {:?}", detail.checks);
    }
    let configured = docker::inspect(&detail.container_id).expect("there")["Config"]["Healthcheck"].take();
    assert_eq!(configured["Test"][2], "health", "the engine goes on asking: {configured}");
    let engine_says = until("the engine's own check", || {
        let state = docker::inspect(&detail.container_id)?["State"]["Health"].take();
        (state["Status"] != "starting").then_some(state)
    });
    assert_eq!(engine_says["Status"], "healthy", "{engine_says}");
}

#[test]
fn the_sandbox_has_an_init_that_collects_the_dead() {
    let world = World::new();
    let _ = world.start();
    let _ = world.sh("(sh -c 'exit 0' & exec true) & wait").ok();
    let zombies =
        "for p in /proc/[0-9]*/stat; do read -r n c s rest <$p 2>/dev/null && [ \"$s\" = Z ] && echo $n; done; true";
    until("no dead process is left", || world.sh(zombies).ok().out().is_empty().then_some(()));
}
