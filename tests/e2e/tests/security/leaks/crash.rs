//! A process of the product that dies badly leaves nothing of what it knew.

use std::fs;
use std::path::{Path, PathBuf};

use boxwood_e2e::Cli;
use boxwood_e2e::cli::signal;
use boxwood_e2e::docker::{docker, inspect};
use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::internet::gateways_of;
use boxwood_e2e::leaks::{Canary, Hunt};
use boxwood_e2e::leaks_places::look_at_world;
use boxwood_e2e::until;
use boxwood_e2e::world::{is_alive, program};

/// The limit of what a process leaves behind when it dies badly: soft and hard.
fn most_of_a_core(pid: u32) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

/// Files in a directory that are what is left of a process.
fn cores(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("core"));
    files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path()).collect()
}

#[test]
fn a_daemon_and_a_gateway_that_die_badly_leave_nothing_of_what_they_knew() {
    let realm = Realm::new();
    let key = realm.identity.key();
    let canaries = [Canary::new("key", &key)];
    // Whoever starts the daemon lets processes leave as much as they want.
    let program = program();
    let allowed = format!("ulimit -c $(ulimit -H -c); exec {} list", program.display());
    let listed = Cli::new("sh").only_env(realm.world.environment()).within(realm.world.root());
    let _ = listed.args(["-c", &allowed]).run().ok();
    realm.keep("api-key", &key);
    let sandbox = realm.start();
    realm.works("", "with-the-key");

    let daemon = realm.world.daemon().expect("it runs").pid;
    assert_eq!(most_of_a_core(daemon), ["0", "0"], "the daemon");
    let directory = fs::read_link(format!("/proc/{daemon}/cwd")).expect("it runs");
    let before = cores(&directory);
    signal(daemon, "ABRT");
    until("the daemon's death", || (!is_alive(daemon)).then_some(()));
    assert_eq!(cores(&directory), before, "the daemon left a core");

    let gateway = gateways_of(&realm.world).pop().expect("a gateway");
    let pid = inspect(&gateway).expect("it is there")["State"]["Pid"].as_u64().expect("it runs");
    let pid = u32::try_from(pid).expect("a number");
    // The first process of a container is not ended by such a signal, so its limit has to do.
    assert_eq!(most_of_a_core(pid), ["0", "0"], "the gateway");

    let mut hunt = Hunt::new(&canaries);
    for container in [&gateway, &sandbox.container] {
        hunt.look("container:what the engine says", docker(["inspect", container]));
    }
    // The engine keeps no log of a gateway.
    hunt.look("log:container", docker(["logs", &sandbox.container]));
    look_at_world(&mut hunt, &realm.world);
    hunt.judge("after a crash", &[("key", "state:/state/credentials/api-key")]);
}
