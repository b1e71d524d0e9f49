//! The twin of the hunt: a secret is put into each kind of place, in one form or another, and has to be found there.

use std::fs;
use std::process::{Command, Stdio};

use boxwood_e2e::docker::{docker, try_docker};
use boxwood_e2e::leaks::{Canary, Hunt, forms};
use boxwood_e2e::leaks_places::{Watch, engine_log, look_everywhere};
use boxwood_e2e::leaks_relay::Relay;
use boxwood_e2e::rpc::Rpc;
use boxwood_e2e::{World, until};
use serde_json::json;

/// Opens nothing. Every place has one of its own.
fn planted(name: &'static str) -> Canary {
    let tail = name.bytes().rev().map(char::from).filter(char::is_ascii_alphanumeric).collect::<String>();
    Canary::new(name, format!("sk-ant-oat01-planted/{}+{tail}-{}", name.replace([' ', ':'], "."), "end-of-it"))
}

/// A canary as text in one of its forms.
fn written(canary: &Canary, form: &str) -> String {
    let found = forms(&canary.value).into_iter().find(|(name, _)| *name == form).expect("a form");
    String::from_utf8(found.1).expect("a form that is text")
}

#[test]
fn every_form_is_found_wherever_it_stands() {
    let canary = planted("any");
    for (form, bytes) in forms(&canary.value) {
        for before in 0..5 {
            let mut hunt = Hunt::new(std::slice::from_ref(&canary));
            hunt.look("text:", [&vec![b'x'; before][..], &bytes, b"yz"].concat());
            assert!(!hunt.hits().is_empty(), "{form}");
        }
    }
    let mut hunt = Hunt::new(std::slice::from_ref(&canary));
    hunt.look("text:", canary.value.replace('-', "_"));
    hunt.look("text:", &canary.value[..canary.value.len() / 3]);
    assert_eq!(hunt.hits(), [], "what is something else is not found");
    assert_eq!(hunt.looked().len(), 1);
}

#[test]
fn a_secret_in_an_archive_of_archives_is_found() {
    let canary = planted("archive");
    let directory = tempfile::tempdir().expect("a directory");
    let tar = |archive: &str, what: &str| {
        let done = Command::new("tar").current_dir(directory.path()).args(["cf", archive, what]).status();
        assert!(done.expect("there is a tar").success());
    };
    fs::write(directory.path().join("file"), &canary.value).expect("written");
    tar("inner.tar", "file");
    tar("outer.tar", "inner.tar");
    let mut hunt = Hunt::new(&[canary]);
    hunt.look_archive("layers", &fs::read(directory.path().join("outer.tar")).expect("there"));
    assert!(hunt.hits().iter().all(|hit| hit.place == "layers/inner.tar/file"), "{:?}", hunt.hits());
    assert!(!hunt.hits().is_empty());
}

/// Name of a canary, and where it has to be found.
const PLACES: [(&str, &str); 23] = [
    ("arguments", "arguments:cat"),
    ("environment", "environment:cat"),
    ("short arguments", "arguments:"),
    ("arguments inside", "inside:"),
    ("environment inside", "inside:"),
    ("label", "container:what the engine says"),
    ("volume label", "volume:what the engine says"),
    ("network label", "network:what the engine says"),
    ("image label", "image:what the engine says"),
    ("history", "image:history"),
    ("layer", "layers"),
    ("file", "files"),
    ("volume", "contents"),
    ("container log", "log:container"),
    ("engine log", "log:engine"),
    ("exec", "log:events"),
    ("home", "state:"),
    ("product log", "/logs/"),
    ("project", "project:"),
    ("file name", "project:"),
    ("link", "project:"),
    ("socket", "socket:to the daemon"),
    ("answer", "socket:from the daemon"),
];

#[test]
fn a_secret_in_any_kind_of_place_is_found() {
    let canaries: Vec<Canary> = PLACES.iter().map(|(name, _)| planted(name)).collect();
    let of = |name: &str| canaries.iter().find(|canary| canary.name == name).expect("one of them");
    let plain = |name: &str| of(name).value.clone();

    let world = World::new();
    world.write(
        "Dockerfile",
        format!(
            "FROM debian:bookworm-slim\nLABEL planted=\"{}\"\nRUN : '{}'\nRUN echo '{}' >/layer\nRUN rm /layer\n",
            plain("image label"),
            written(of("history"), "in hexadecimal digits"),
            written(of("layer"), "in base 64"),
        ),
    );
    let sandbox = world.start_with(["--dockerfile", "Dockerfile", "--network", "none"]).sandbox;
    let relay = Relay::before(&world);
    let watch = Watch::begin(&canaries);
    let installation = world.filter().expect("a daemon").replace("label=", "");
    let label = |name: &str| format!("planted={}", plain(name));

    // The engine's objects; the volume is in a container of its own.
    let (volume, network) = (format!("boxwood-test-planted-{}", std::process::id()), "boxwood-test-planted");
    let network = format!("{network}-{}", std::process::id());
    let _ = docker(["volume", "create", "--label", &installation, "--label", &label("volume label"), &volume]);
    let _ = docker([
        "network",
        "create",
        "--internal",
        "--label",
        &installation,
        "--label",
        &label("network label"),
        &network,
    ]);
    let mount = format!("{volume}:/planted");
    let write = format!(
        "echo '{}' >/planted/file; echo '{}'",
        written(of("volume"), "percent-encoded"),
        plain("container log")
    );
    let keeper = docker([
        "run",
        "--detach",
        "--label",
        &installation,
        "--label",
        &label("label"),
        "--network",
        "none",
        "--volume",
        &mount,
        "debian:bookworm-slim",
        "sh",
        "-c",
        &format!("{write}; exec sleep 600"),
    ]);
    let removed = volume.clone();
    world.at_end(move || drop(try_docker(&["volume", "rm", "--force", &removed])));
    until("the planted log", || docker(["logs", &keeper]).contains("planted").then_some(()));
    let _ = docker(["exec", "--user", "0", &sandbox.container, "sh", "-c", &format!(": '{}'", plain("exec"))]);
    let _ = docker([
        "exec",
        "--user",
        "0",
        &sandbox.container,
        "sh",
        "-c",
        &format!("echo '{}' >/etc/planted", plain("file")),
    ]);

    // What cannot be run is told in the engine's log.
    let none = format!("/{}", written(of("engine log"), "in hexadecimal digits"));
    let _ = try_docker(&["exec", &sandbox.container, &none]).expect_err("there is no such program");

    // Processes that go on, on the host and inside, and one that does not.
    let mut going = Command::new("cat")
        .args(["-", &plain("arguments")])
        .env("PLANTED", plain("environment"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("cat starts");
    let short = Command::new("sh").args(["-c", "sleep 0.4; true", &plain("short arguments")]).status();
    assert!(short.expect("sh starts").success());
    let inside = format!("PLANTED='{}' exec sleep 600", plain("environment inside"));
    let _ = docker(["exec", "--detach", &sandbox.container, "sh", "-c", &inside]);
    let _ = docker(["exec", "--detach", &sandbox.container, "sh", "-c", "sleep 600; true", &plain("arguments inside")]);

    // Files.
    fs::write(world.home_of(&sandbox).join("planted"), plain("home")).expect("written");
    fs::write(world.state().join("logs/planted"), written(of("product log"), "in base 64")).expect("written");
    world.write("planted", written(of("project"), "in part"));
    world.write(&plain("file name"), "");
    std::os::unix::fs::symlink(plain("link"), world.project().join("link")).expect("made");

    // The socket: what is said to the daemon, and what an answer repeats.
    let mut rpc = Rpc::open(&world);
    let _ = rpc.ask("boxwood/daemon/status", &json!({ "planted": plain("socket") })).expect("answered");
    let mut hunt = Hunt::new(&canaries);
    look_everywhere(&mut hunt, &world, &[&sandbox]);
    let said = relay.traffic();
    hunt.look("socket:to the daemon", said.to_daemon);
    hunt.look("socket:from the daemon", [said.from_daemon, plain("answer").into_bytes()].concat());
    let (ended, events) = watch.end();
    hunt.add(ended);
    hunt.look("log:events", events);
    drop(going.stdin.take());
    drop(going.wait());
    // Who may not read that log finds nothing in it.
    let is_readable = |name: &str| name != "engine log" || engine_log().is_some();
    let missed: Vec<_> = PLACES
        .iter()
        .filter(|(name, _)| is_readable(name))
        .filter(|(name, place)| !hunt.hits().iter().any(|hit| hit.canary == *name && hit.place.contains(place)))
        .collect();
    assert!(missed.is_empty(), "these were not found: {missed:?}");
    for (kind, bytes) in hunt.looked() {
        assert!(*bytes > 0, "nothing was looked at in {kind}");
    }
}
