//! A full disk: state on a tiny file system of its own.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use boxwood_e2e::{World, docker};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::EnsureAction;

/// Runs a command as root on the engine's machine: who may use the engine may do that.
fn as_root(command: &[&str]) {
    let is_root = Command::new("id").arg("-u").output().expect("there is a program named id").stdout == b"0\n";
    if is_root {
        let status = Command::new(command[0]).args(&command[1..]).status().expect("it starts");
        assert!(status.success(), "{command:?}");
    } else {
        let enter = ["run", "--rm", "--privileged", "--pid=host", "debian:bookworm-slim", "nsenter", "--target", "1", "--mount", "--"];
        let _ = docker::docker(enter.iter().chain(command));
    }
}

/// Mounts a file system of this size over a directory until the world ends.
fn mount_tiny(world: &World, directory: &Path, size: &str) {
    fs::create_dir_all(directory).expect("a directory");
    let owner = fs::metadata(directory).expect("there");
    let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
    let place = directory.to_string_lossy().into_owned();
    as_root(&["mount", "-t", "tmpfs", "-o", &format!("size={size},mode=700,uid={uid},gid={gid}"), "boxwood-test", &place]);
    // Lazily, because a container that is being removed may still hold it for a moment.
    world.at_end(move || as_root(&["umount", "--lazy", &place]));
}

fn fill(directory: &Path) -> std::path::PathBuf {
    let filler = directory.join("filler");
    let mut file = fs::File::create(&filler).expect("a file");
    for piece in [64 * 1024, 1024, 1] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
    filler
}

#[test]
fn a_full_state_directory_is_said_clearly_and_loses_nothing() {
    let world = World::new();
    mount_tiny(&world, &world.state(), "8m");
    let sandbox = world.start().sandbox;
    let _ = world.sh("echo kept >~/note").ok();
    let filler = fill(&world.state());

    let error = world.boxwood(["start", "--json", "--session", "second"]).run().refused(ErrorCode::DiskFull);
    assert!(error.to_string().contains(&world.state().to_string_lossy().into_owned()), "it says where: {error}");
    assert_eq!(world.list().len(), 1, "what was begun is undone");
    assert_eq!(world.containers().len(), 1);
    assert!(world.daemon().is_some(), "the daemon lives");
    assert_eq!(world.sh("cat ~/note").ok().out(), "kept\n", "and what was there is there");
    let _ = world.boxwood(["inspect", "--json"]).run().ok();

    fs::remove_file(filler).expect("removed");
    assert_eq!(world.start_with(["--session", "second"]).action, EnsureAction::Created, "with room again, it works");
    assert_eq!(world.start().sandbox.id, sandbox.id);
    let _ = world.boxwood(["daemon", "stop"]).run().ok();
    assert_eq!(world.list().len(), 2, "the state can be read");
}
