//! The daemon may be killed at any moment; so may whoever asked it.

use boxwood_e2e::cli::signal;
use boxwood_e2e::gate::{Gate, Moment};
use boxwood_e2e::{World, docker, until};
use boxwood_protocol::params::{EnsureAction, EnsureResult};
use boxwood_protocol::sandbox::{Health, SandboxState};

/// The request that makes a sandbox; other containers are made on the way to it.
const CREATE: &str = "/containers/create?name=boxwood-project";

/// Kills the daemon while the engine's answer to a request is on its way, and gives the world back.
fn killed_at(path: &str, verb: &[&str], prepare: impl Fn(&World)) -> (World, Gate) {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    prepare(&world);
    let _ = world.list();
    gate.hold("POST", path, Moment::After);
    let call = world.boxwood([verb, &["--json"]].concat()).spawn();
    gate.wait_held();
    world.kill_daemon();
    gate.release();
    let told = call.wait();
    assert_ne!(told.status, 0, "{}", told.told("was told that all went well"));
    (world, gate)
}

#[test]
fn by_both_a_start_interrupted_by_a_kill_leaves_nothing_half_made() {
    for path in [CREATE, "/start", "/exec"] {
        let (world, _gate) = killed_at(path, &["start"], |world| {
            let _ = world.start();
            let _ = world.boxwood(["remove", "--json", "--purge-state", "--yes"]).run().ok();
        });
        assert!(world.containers().len() == 1, "{path}: killed in the middle");
        // Whatever asks first starts the daemon, and that repairs before it answers about sandboxes.
        until("the repair", || world.list().is_empty().then_some(()));
        until("the repair", || world.has_no_container().then_some(()));
        until("the repair", || world.listing().is_empty().then_some(()));
        let journal = std::fs::read_dir(world.state().join("journal")).map(Iterator::count).unwrap_or_default();
        assert_eq!(journal, 0, "{path}: nothing is left to repair");
        assert_eq!(world.start().action, EnsureAction::Created, "{path}");
        assert_eq!(world.exec(["echo", "well"]).ok().out(), "well\n");
    }
}

#[test]
fn a_start_right_after_a_kill_waits_for_the_repair() {
    let (world, _gate) = killed_at(CREATE, &["start"], |_| {});
    let result: EnsureResult = world.start();
    assert_eq!((result.action, result.sandbox.state), (EnsureAction::Created, SandboxState::Running));
    assert_eq!(world.containers().len(), 1);
}

#[test]
fn a_refresh_interrupted_by_a_kill_gives_the_old_sandbox_back() {
    let (world, _gate) = killed_at(CREATE, &["refresh"], |world| {
        let _ = world.start();
        let _ = world.sh("echo kept >~/note; echo old >/tmp/old").ok();
    });
    assert_eq!(world.containers().len(), 2, "killed in the middle");
    let known = until("the repair", || world.list().into_iter().find(|known| known.state == SandboxState::Running));
    until("the repair", || (world.containers().len() == 1).then_some(()));
    assert_eq!(docker::inspect(&known.container).expect("it has its name again")["State"]["Running"], true);
    assert_eq!(world.sh("cat ~/note /tmp/old").ok().out(), "kept\nold\n");
    assert_eq!(world.start().action, EnsureAction::Attached);
}

#[test]
fn a_sandbox_goes_on_when_the_daemon_is_killed() {
    let world = World::new();
    let _ = world.start();
    let id = world.inspect().container_id;
    let command = world.boxwood(["exec", "--", "sh", "-c", "echo begun >&2; read line; echo $line"]).input("").spawn();
    command.wait_for_line("begun");
    world.kill_daemon();
    let mut command = command;
    let mut keys = command.stdin.take().expect("open");
    std::io::Write::write_all(&mut keys, b"still here\n").expect("written");
    drop(keys);
    let done = command.wait().ok();
    assert_eq!(done.out(), "still here\n", "a command does not depend on the daemon");
    let result = world.start();
    assert_eq!(result.action, EnsureAction::Attached);
    assert_eq!(world.inspect().container_id, id);
    until("the new daemon knows how it is", || (world.inspect().sandbox.health == Health::Healthy).then_some(()));
}

#[test]
fn an_operation_goes_on_when_who_asked_for_it_is_killed() {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    gate.hold("POST", CREATE, Moment::Before);
    let call = world.boxwood(["start", "--json"]).spawn();
    gate.wait_held();
    call.signal("KILL");
    assert_eq!(call.wait().status, 137);
    let daemon = world.daemon().expect("it lives");
    gate.release();
    let result = world.start();
    assert_eq!(result.sandbox.state, SandboxState::Running, "the second request joins the first or finds its result");
    assert_eq!(world.containers().len(), 1);
    assert_eq!(world.daemon().expect("it lives").pid, daemon.pid);
}

#[test]
fn the_daemon_leaves_in_order_when_told_by_the_system() {
    let world = World::new();
    let _ = world.start();
    let pid = world.daemon().expect("it runs").pid;
    signal(pid, "TERM");
    until("its end", || (!boxwood_e2e::world::is_alive(pid)).then_some(()));
    assert!(!world.runtime().join("daemon.sock").exists(), "it takes its socket away");
    assert_eq!(world.start().action, EnsureAction::Attached);
}
