use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn spec() -> ContainerSpec {
    ContainerSpec {
        name: "boxwood-a-00000000".to_owned(),
        image: "debian:bookworm-slim".to_owned(),
        command: vec!["keep".to_owned(), "--ephemeral".to_owned()],
        env: BTreeMap::from([("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1=1".to_owned())]),
        labels: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        user: "1000:1000".to_owned(),
        workdir: "/w".to_owned(),
        hostname: "a".to_owned(),
        mounts: vec![
            Mount::Bind { source: "/w".to_owned(), target: "/w".to_owned(), read_only: false },
            Mount::Bind { source: "/k".to_owned(), target: "/h/k".to_owned(), read_only: true },
            Mount::Volume {
                name: "runtime".to_owned(),
                target: "/opt/boxwood".to_owned(),
                read_only: true,
                no_copy: true,
            },
            Mount::Tmpfs { target: "/tmp".to_owned(), size_bytes: 4096, mode: 0o1777 },
        ],
        memory_bytes: 1 << 30,
        nano_cpus: 1_500_000_000,
        pids: 100,
        nofile: 1024,
        network: NetworkMode::Default,
        health: Some(HealthSpec {
            command: vec!["check".to_owned(), "-q".to_owned()],
            interval_seconds: 30,
            timeout_seconds: 5,
            retries: 3,
        }),
        ..ContainerSpec::default()
    }
}

fn request(spec: &ContainerSpec) -> Value {
    serde_json::to_value(body(spec)).expect("a request is JSON")
}

#[test]
fn the_request_says_all_and_no_more() {
    let expected = json!({
        "Image": "debian:bookworm-slim",
        "Entrypoint": ["keep"],
        "Cmd": ["--ephemeral"],
        "Env": ["A=1=1", "B=2"],
        "Labels": { "k": "v" },
        "User": "1000:1000",
        "WorkingDir": "/w",
        "Hostname": "a",
        "StopSignal": "SIGTERM",
        "Healthcheck": {
            "Test": ["CMD", "check", "-q"],
            "Interval": 30_000_000_000_i64,
            "Timeout": 5_000_000_000_i64,
            "Retries": 3,
        },
        "HostConfig": {
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Privileged": false,
            "Init": true,
            "AutoRemove": false,
            "Memory": 1 << 30,
            "MemorySwap": 1 << 30,
            "NanoCpus": 1_500_000_000,
            "PidsLimit": 100,
            "Ulimits": [{ "Name": "nofile", "Soft": 1024, "Hard": 1024 }],
            "Mounts": [
                { "Type": "bind", "Source": "/w", "Target": "/w", "ReadOnly": false },
                { "Type": "bind", "Source": "/k", "Target": "/h/k", "ReadOnly": true,
                  "BindOptions": { "Propagation": "rprivate", "NonRecursive": true } },
                { "Type": "volume", "Source": "runtime", "Target": "/opt/boxwood", "ReadOnly": true,
                  "VolumeOptions": { "NoCopy": true } },
                { "Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": { "SizeBytes": 4096, "Mode": 0o1777 } },
            ],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m", "max-file": "3" } },
        },
    });
    assert_eq!(request(&spec()), expected);
}

#[test]
fn no_limit_is_said_by_saying_nothing() {
    let host = &request(&ContainerSpec { memory_bytes: 0, nano_cpus: 0, pids: 0, nofile: 0, ..spec() })["HostConfig"];
    for limit in ["Memory", "MemorySwap", "NanoCpus", "PidsLimit", "Ulimits"] {
        assert_eq!(host.get(limit), None, "{limit}");
    }
}

#[test]
fn without_a_health_check_the_images_own_is_off() {
    assert_eq!(request(&ContainerSpec { health: None, ..spec() })["Healthcheck"], json!({ "Test": ["NONE"] }));
}

#[test]
fn networks_are_named_as_the_engine_does() {
    let network = |network| request(&ContainerSpec { network, ..spec() })["HostConfig"]["NetworkMode"].clone();
    assert_eq!(network(NetworkMode::Default), Value::Null);
    assert_eq!(network(NetworkMode::None), json!("none"));
    assert_eq!(network(NetworkMode::Named { name: "egress".to_owned(), ipv4: None }), json!("egress"));
}

#[test]
fn a_gateway_has_what_it_needs_and_no_more() {
    let gateway = ContainerSpec {
        network: NetworkMode::Named { name: "inner".to_owned(), ipv4: Some([198, 18, 4, 2].into()) },
        dns: vec![[198, 18, 4, 2].into()],
        capabilities: vec!["NET_ADMIN".to_owned()],
        sysctls: BTreeMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())]),
        read_only_root: true,
        open_stdin: true,
        without_init: true,
        without_log: true,
        ..spec()
    };
    let (plain, request) = (request(&spec()), request(&gateway));
    let mut expected = plain;
    expected["OpenStdin"] = json!(true);
    expected["StdinOnce"] = json!(false);
    expected["NetworkingConfig"] =
        json!({ "EndpointsConfig": { "inner": { "IPAMConfig": { "IPv4Address": "198.18.4.2" } } } });
    let host = &mut expected["HostConfig"];
    host["NetworkMode"] = json!("inner");
    host["Dns"] = json!(["198.18.4.2"]);
    host["CapAdd"] = json!(["NET_ADMIN"]);
    host["Sysctls"] = json!({ "net.ipv4.ip_unprivileged_port_start": "0" });
    host["ReadonlyRootfs"] = json!(true);
    host["Init"] = json!(false);
    host["LogConfig"] = json!({ "Type": "none" });
    assert_eq!(request, expected);
}

#[test]
fn a_command_of_one_word_leaves_no_room_for_the_images() {
    let request = request(&ContainerSpec { command: vec!["keep".to_owned()], ..spec() });
    assert_eq!((&request["Entrypoint"], &request["Cmd"]), (&json!(["keep"]), &json!([])));
}
