//! The daemon listens to its own user only.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};

use boxwood_e2e::{World, docker};
use boxwood_protocol::ErrorCode;

/// Says as another user what becomes of a connection to the socket in a directory of the host. A container is the way
/// to be somebody else that an ordinary user has too.
fn as_somebody_else(directory: &str) -> String {
    let script = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; \
                  connect($s, pack_sockaddr_un('/run/boxwood/daemon.sock')) or do { print \"refused: $!\"; exit }; \
                  syswrite($s, \"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\
Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n\"); \
                  my $n = sysread($s, my $answer, 4096); print $n ? \"answered: $answer\" : 'hung up';";
    docker::docker([
        "run",
        "--rm",
        "--user",
        "65534:65534",
        "--network",
        "none",
        "--volume",
        &format!("{directory}:/run/boxwood"),
        "debian:bookworm-slim",
        "perl",
        "-e",
        script,
    ])
}

#[test]
fn the_directory_is_private_and_others_are_turned_away() {
    let world = World::new();
    let _ = world.list();
    let directory = world.runtime();
    assert_eq!(fs::metadata(&directory).expect("there").permissions().mode() & 0o7777, 0o700);
    let socket = fs::metadata(directory.join("daemon.sock")).expect("there");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let place = directory.to_string_lossy().into_owned();
    assert!(as_somebody_else(&place).starts_with("refused"), "the directory is closed to them");

    // Even if somebody opens the doors, the daemon looks at who comes in.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("changed");
    fs::set_permissions(directory.join("daemon.sock"), fs::Permissions::from_mode(0o666)).expect("changed");
    assert_eq!(as_somebody_else(&place), "hung up");
    let _ = world.boxwood(["list", "--json"]).run().refused(ErrorCode::SocketUnsafe);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).expect("changed");
    assert!(world.list().is_empty(), "the daemon is well");
}

#[test]
fn a_directory_that_others_could_use_is_not_used() {
    for prepare in [open_to_all as fn(&World), a_link, a_file] {
        let world = World::new();
        prepare(&world);
        let error = world.boxwood(["list", "--json"]).run().refused(ErrorCode::SocketUnsafe);
        assert!(error.to_string().contains(&*world.runtime().to_string_lossy()), "{error}");
        assert!(!world.runtime().join("daemon.sock").exists());
    }
}

fn open_to_all(world: &World) {
    fs::DirBuilder::new().mode(0o777).create(world.runtime()).expect("made");
    fs::set_permissions(world.runtime(), fs::Permissions::from_mode(0o777)).expect("changed");
}

fn a_link(world: &World) {
    fs::create_dir(world.root().join("elsewhere")).expect("made");
    symlink(world.root().join("elsewhere"), world.runtime()).expect("a link");
}

fn a_file(world: &World) {
    fs::write(world.runtime(), "").expect("written");
}

#[test]
fn what_is_kept_is_private() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    let home = world.home_of(&sandbox);
    let own = fs::metadata(world.project()).expect("there").uid();
    for (path, is_directory) in [
        (world.state().join("sandboxes"), true),
        (home.clone(), true),
        (home.join(".claude"), true),
        (world.state().join("logs"), true),
        (world.state().join("installation"), false),
    ] {
        let metadata = fs::metadata(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
        assert_eq!(metadata.is_dir(), is_directory);
        assert_eq!(
            metadata.permissions().mode() & 0o077,
            0,
            "{} is open to others: {:o}",
            path.display(),
            metadata.permissions().mode()
        );
        assert_eq!(metadata.uid(), own);
    }
    for entry in fs::read_dir(world.state().join("logs")).expect("there").flatten() {
        assert_eq!(entry.metadata().expect("there").permissions().mode() & 0o077, 0, "{}", entry.path().display());
    }
}
