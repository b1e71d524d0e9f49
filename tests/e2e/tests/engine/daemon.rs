//! When the daemon leaves without being asked: because nothing is to be done, or because a newer one takes over.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::world::{is_alive, program};
use boxwood_e2e::{Cli, World, until};
use boxwood_protocol::params::{EnsureAction, EnsureResult};
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};

/// A world whose daemons leave after a second with nothing to do.
fn hasty() -> World {
    let mut world = World::new();
    world.set("BOXWOOD_IDLE_SECONDS", "1");
    world
}

/// Number of a hasty daemon: it may have left between two calls, and another comes.
fn number_of_hasty(world: &World) -> u32 {
    until("a daemon", || {
        let _ = world.list();
        world.daemon().map(|status| status.pid)
    })
}

fn wait_for_end(pid: u32) {
    until("the daemon's end", || (!is_alive(pid)).then_some(()));
}

#[test]
fn it_leaves_when_nothing_runs_and_comes_back_when_asked() {
    let world = hasty();
    let number = number_of_hasty(&world);
    wait_for_end(number);
    assert!(!world.runtime().join("daemon.sock").exists(), "it takes its socket away");
    let log = fs::read_to_string(world.state().join("logs/daemon.log")).expect("it has a log");
    assert!(log.contains(r#""message":"idle""#), "it says why it left: {log}");
    assert_ne!(number_of_hasty(&world), number, "whatever asks first brings another");
}

#[test]
fn it_stays_as_long_as_a_sandbox_runs() {
    let world = hasty();
    let _ = world.start();
    let number = world.daemon().expect("a sandbox keeps it").pid;
    // Another daemon begins its wait later than this one would, so by its end this one would be gone.
    let other = hasty();
    wait_for_end(number_of_hasty(&other));
    assert_eq!(world.daemon().map(|status| status.pid), Some(number), "it is there, though nobody asked for anything");

    let stopped: SandboxInfo = world.boxwood(["stop", "--json"]).run().json();
    wait_for_end(number);
    let known: Vec<_> = world.list().into_iter().map(|known| (known.id, known.state)).collect();
    assert_eq!(known, [(stopped.id, SandboxState::Stopped)], "the next one knows what there is");
    assert_eq!(world.start().action, EnsureAction::Started);
}

/// The program under test as an update brings it: the same, with what lies beside it, in another place and with a later
/// date.
fn newer(world: &World) -> PathBuf {
    let (old, directory) = (program(), world.root().join("newer"));
    fs::create_dir(&directory).expect("a directory");
    for entry in fs::read_dir(old.parent().expect("it lies somewhere")).expect("readable").flatten() {
        let is_helper = entry.file_name().to_string_lossy().starts_with("boxwood-") && entry.path().is_file();
        if is_helper || entry.path() == old {
            fs::copy(entry.path(), directory.join(entry.file_name())).expect("copied");
        }
    }
    let new = directory.join(old.file_name().expect("it has a name"));
    let date = old.metadata().and_then(|data| data.modified()).expect("it has a date") + Duration::from_secs(1);
    File::options().append(true).open(&new).and_then(|file| file.set_modified(date)).expect("dated");
    new
}

fn list_with(program: &Path, world: &World) -> Vec<SandboxInfo> {
    let call = Cli::new(program).only_env(world.environment()).within(world.project());
    call.args(["list", "--json"]).run().json()
}

#[test]
fn a_newer_build_takes_over_and_sandboxes_go_on() {
    let world = World::new();
    let _ = world.start();
    let (container, old) = (world.inspect().container_id, world.daemon().expect("it runs").pid);
    let mut command =
        world.boxwood(["exec", "--", "sh", "-c", "echo begun >&2; read line; echo $line"]).input("").spawn();
    command.wait_for_line("begun");

    let listed = list_with(&newer(&world), &world);
    let new = world.daemon().expect("it runs").pid;
    assert_ne!(new, old);
    assert!(!is_alive(old), "there are never two");
    assert_eq!(listed.iter().map(|known| known.state).collect::<Vec<_>>(), [SandboxState::Running]);
    assert_eq!(world.inspect().container_id, container);

    let mut keys = command.stdin.take().expect("open");
    std::io::Write::write_all(&mut keys, b"still here\n").expect("written");
    drop(keys);
    assert_eq!(command.wait().ok().out(), "still here\n", "what ran in it was not disturbed");
    assert_eq!(world.start().action, EnsureAction::Attached);
    assert_eq!(world.daemon().expect("it runs").pid, new, "the older program is content with the newer daemon");
}

#[test]
fn a_newer_build_waits_until_the_older_daemon_has_nothing_to_do() {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    let newer = newer(&world);
    gate.hold("POST", "/containers/create?name=boxwood-project", Moment::Before);
    let call = world.boxwood(["start", "--json"]).spawn();
    gate.wait_held();
    let old = world.daemon().expect("it runs").pid;
    let _ = list_with(&newer, &world);
    assert_eq!(world.daemon().expect("it runs").pid, old, "it has something to do and stays");
    gate.release();
    let started: EnsureResult = call.wait().json();
    assert_eq!(started.action, EnsureAction::Created, "what it did was not broken off");

    assert_eq!(list_with(&newer, &world).len(), 1);
    assert_ne!(world.daemon().expect("it runs").pid, old);
    assert!(!is_alive(old));
}
