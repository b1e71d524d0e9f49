//! The engine's own view, through its own client.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs the client and gives what it printed, without the last line break.
///
/// # Panics
/// When it fails.
#[must_use]
#[track_caller]
pub fn docker<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    try_docker(&args).unwrap_or_else(|words| panic!("docker {args:?}: {words}"))
}

/// The same; a failure gives what the client said.
///
/// # Errors
/// When the client fails.
///
/// # Panics
/// When there is no client.
pub fn try_docker<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Result<String, String> {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output().expect("there is a docker client");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Both streams of the engine's client, as bytes, whether it fails or not.
///
/// # Panics
/// When there is no client.
#[must_use]
pub fn both(args: &[&str]) -> Vec<u8> {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output().expect("there is a docker client");
    [output.stdout, output.stderr].concat()
}

/// What the engine knows of a container; [`None`] when there is none.
///
/// # Panics
/// When the client prints no JSON.
#[must_use]
pub fn inspect(container: &str) -> Option<Value> {
    let text = try_docker(&["container", "inspect", container]).ok()?;
    let mut all: Vec<Value> = serde_json::from_str(&text).expect("the engine speaks JSON");
    all.pop()
}

/// Ids of the containers, also ended ones, that fit a filter.
#[must_use]
pub fn containers(filter: &str) -> Vec<String> {
    lines(&docker(["ps", "--all", "--quiet", "--no-trunc", "--filter", filter]))
}

/// Ids of those of them that have this role.
#[must_use]
pub fn containers_of(role: &str, filter: &str) -> Vec<String> {
    let role = format!("label=dev.boxwood.role={role}");
    lines(&docker(["ps", "--all", "--quiet", "--no-trunc", "--filter", filter, "--filter", &role]))
}

/// Names of the volumes that fit a filter.
#[must_use]
pub fn volumes(filter: &str) -> Vec<String> {
    lines(&docker(["volume", "ls", "--quiet", "--filter", filter]))
}

/// Ids of the networks that fit a filter.
#[must_use]
pub fn networks(filter: &str) -> Vec<String> {
    lines(&docker(["network", "ls", "--quiet", "--no-trunc", "--filter", filter]))
}

/// Ids of the tagged images that fit a filter.
#[must_use]
pub fn images(filter: &str) -> Vec<String> {
    lines(&docker(["image", "ls", "--quiet", "--no-trunc", "--filter", filter, "--filter", "dangling=false"]))
}

/// Ids of all images that fit a filter, also of those that only others are built upon.
#[must_use]
pub fn all_images(filter: &str) -> Vec<String> {
    lines(&docker(["image", "ls", "--all", "--quiet", "--no-trunc", "--filter", filter]))
}

/// The address at which containers on the default network reach this machine: their default route.
///
/// # Panics
/// When they have none.
#[must_use]
pub fn gateway() -> String {
    let table = docker(["run", "--rm", "debian:bookworm-slim", "cat", "/proc/net/route"]);
    let routes = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let hexadecimal = routes
        .filter(|route| route.get(1) == Some(&"00000000"))
        .find_map(|route| u32::from_str_radix(route.get(2)?, 16).ok());
    // The kernel writes the address in the byte order of the machine.
    std::net::Ipv4Addr::from(hexadecimal.expect("containers have a default route").to_ne_bytes()).to_string()
}

/// Sees to it that the small image without glibc is there.
///
/// # Panics
/// When it cannot be built.
pub fn ensure_musl_image() -> &'static str {
    ensure_image("boxwood-test-musl", "images/test/musl.Dockerfile")
}

/// Sees to it that the image is there that has what people's projects fetch things with, and the servers of git.
///
/// # Panics
/// When it cannot be built.
pub fn ensure_clients_image() -> &'static str {
    ensure_image("boxwood-test-clients", "tests/fakes/clients.Dockerfile")
}

fn ensure_image(name: &'static str, definition: &str) -> &'static str {
    if try_docker(&["image", "inspect", name]).is_err() {
        let definition = crate::world::repository().join(definition);
        let file = std::fs::File::open(&definition).expect("the image's definition is there");
        let built = Command::new("docker").args(["build", "--tag", name, "-"]).stdin(file).output();
        let built = built.expect("there is a docker client");
        assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
    }
    name
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
