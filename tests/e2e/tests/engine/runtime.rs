//! A package or a runtime volume that is not what it should be is never used. A volume is named after what is in it: with
//! a helper of its own this world has one of its own, and the one that all others use stays as it is.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use boxwood_e2e::world::{pinned_claude, program};
use boxwood_e2e::{Cli, World, docker};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::EnsureAction;

/// Notes what it is asked for and delivers the file that the link `supply` beside its directory leads to.
const NPM: &str = r#"#!/bin/sh
here=$(dirname "$(dirname "$0")")
echo "$*" >>"$here/asked"
for destination; do :; done
cp "$here/supply" "$destination/$(cat "$here/name")" 2>/dev/null || { echo "nothing to be had here" >&2; exit 1; }
"#;

fn value(world: &World, name: &str) -> Option<OsString> {
    world.environment().iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn arch() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" }
}

/// Gives the world a helper that no other has.
fn own_helper(world: &mut World) {
    let beside = program().with_file_name(format!("boxwood-helper-linux-{}", arch()));
    let mut helper = fs::read(value(world, "BOXWOOD_HELPER").map_or(beside, PathBuf::from)).expect("a helper");
    // An executable ends where its tables say; what follows is not looked at.
    helper.extend_from_slice(world.root().as_os_str().as_encoded_bytes());
    let own = world.root().join("boxwood-helper");
    fs::write(&own, helper).expect("written");
    world.set("BOXWOOD_HELPER", own);
}

/// From the next daemon on packages come from a directory of the world's own, and from an `npm` that has only what this
/// test gives it.
fn own_packages(world: &mut World, name: &str) {
    let root = world.root();
    let (bin, npm) = (root.join("bin"), root.join("bin/npm"));
    fs::create_dir_all(&bin).expect("made");
    fs::create_dir_all(root.join("cache/claude")).expect("made");
    fs::write(root.join("name"), name).expect("written");
    fs::write(&npm, NPM).expect("written");
    let _ = Cli::new("chmod").args(["755".as_ref(), npm.as_os_str()]).run().ok();
    let mut path = bin.into_os_string();
    path.push(":");
    path.push(value(world, "PATH").expect("a path"));
    world.set("PATH", path);
    world.set("BOXWOOD_CACHE_DIR", root.join("cache"));
}

/// The beginning of a package, as a download that broke off leaves it.
fn broken_off(package: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = fs::File::open(package).expect("there").take(1 << 20).read_to_end(&mut bytes).expect("read");
    bytes
}

fn names(directory: &Path) -> Vec<OsString> {
    fs::read_dir(directory).expect("there").map(|entry| entry.expect("read").file_name()).collect()
}

#[test]
fn a_damaged_package_is_never_used_and_a_changed_volume_is_filled_anew() {
    let mut world = World::new();
    own_helper(&mut world);
    let _ = world.start();
    let is_runtime = |source: &String| source.starts_with("boxwood-runtime-");
    let volume = world.inspect().mounts.into_iter().map(|mount| mount.source).find(is_runtime).expect("a volume");
    let to_remove = volume.clone();
    world.at_end(move || drop(docker::try_docker(&["volume", "rm", &to_remove])));
    let _ = world.boxwood(["remove", "--json", "--purge-state", "--yes"]).run().ok();
    world.kill_daemon();

    let change = "printf X | dd of=/runtime/bin/claude bs=1 seek=1000000 conv=notrunc";
    let there = format!("{volume}:/runtime");
    let _ = docker::docker(["run", "--rm", "--volume", &there, "debian:bookworm-slim", "sh", "-c", change]);
    // What says that this installation has verified the volume.
    fs::remove_dir_all(world.state().join("runtime")).expect("it had");
    let name = format!("anthropic-ai-claude-code-linux-{}-{}.tgz", arch(), pinned_claude());
    let good = PathBuf::from(value(&world, "BOXWOOD_CACHE_DIR").expect("a cache")).join("claude").join(&name);
    own_packages(&mut world, &name);
    let (cache, supply) = (world.root().join("cache/claude"), world.root().join("supply"));
    fs::write(cache.join(&name), broken_off(&good)).expect("written");

    let error = world.boxwood(["start", "--json"]).run().refused(ErrorCode::RuntimeFailed);
    assert!(error.to_string().contains("nothing to be had here"), "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains(&name)), "the person is told where to put a good one");
    assert_eq!(names(&cache), Vec::<OsString>::new(), "the damaged package is gone");
    fs::write(&supply, broken_off(&good)).expect("written");
    let error = world.boxwood(["start", "--json"]).run().refused(ErrorCode::RuntimeFailed);
    assert!(error.to_string().contains("its digest differs"), "{error:?}");
    assert_eq!(names(&cache), Vec::<OsString>::new(), "nor is a damaged download kept");
    assert!(world.has_no_container());
    let asked = fs::read_to_string(world.root().join("asked")).expect("npm was asked");
    assert_eq!(asked.matches(&format!("claude-code-linux-{}@{}", arch(), pinned_claude())).count(), 2, "{asked}");

    fs::remove_file(&supply).expect("removed");
    std::os::unix::fs::symlink(&good, &supply).expect("linked");
    assert_eq!(world.start().action, EnsureAction::Created);
    assert!(world.inspect().mounts.iter().any(|mount| mount.source == volume), "the same volume");
    let _ = world.exec(["/opt/boxwood/bin/boxwood-helper", "verify", "--root", "/opt/boxwood"]).ok();
    assert!(world.exec(["claude", "--version"]).ok().out().starts_with(&pinned_claude()));
    assert_eq!(names(&cache), [name.as_str()], "and the good package is kept");
}
