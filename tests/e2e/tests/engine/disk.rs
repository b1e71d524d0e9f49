//! A full disk: state, or a part of it, on a tiny file system of its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use boxwood_e2e::{Cli, World, world::program};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::{CheckStatus, DoctorReport, EnsureAction};

/// The words before a command that make it root's; [`None`] when this user cannot become root.
fn becoming_root() -> Option<&'static [&'static str]> {
    [&[][..], &["sudo", "-n"]].into_iter().find(|words| {
        let mut line = words.iter().chain(&["id", "-u"]);
        let mut command = Command::new(line.next().expect("there is a word"));
        command.args(line).stderr(Stdio::null()).output().is_ok_and(|output| output.stdout == b"0\n")
    })
}

fn run_as_root(words: &'static [&'static str], command: &[&str]) {
    let line: Vec<&str> = words.iter().chain(command).copied().collect();
    assert!(Command::new(line[0]).args(&line[1..]).status().expect("it starts").success(), "{line:?}");
}

/// Puts the daemon's files on a tiny file system, starts one sandbox, and gives the directory to fill.
///
/// Root mounts it over all of the state. Who cannot become root mounts it where only the daemon sees it, in a name space
/// of its own; the engine does not see it there, so the homes of sandboxes stay where they are.
fn on_a_tiny_disk(world: &World) -> PathBuf {
    let state = world.state();
    fs::create_dir_all(&state).expect("a directory");
    let place = state.to_string_lossy().into_owned();
    let owner = fs::metadata(&state).expect("there");
    let (uid, gid) = (owner.uid(), owner.gid());
    if let Some(root) = becoming_root() {
        run_as_root(
            root,
            &["mount", "-t", "tmpfs", "-o", &format!("size=8m,mode=700,uid={uid},gid={gid}"), "boxwood-test", &place],
        );
        // Lazily, because a container that is being removed may still hold it for a moment.
        world.at_end(move || run_as_root(root, &["umount", "--lazy", &place]));
        let _ = world.start();
        return state;
    }
    let _ = world.start();
    let _ = world.boxwood(["daemon", "stop"]).run().ok();
    let script = format!(
        "mount -t tmpfs -o size=64k,mode=700 none \"$0/journal\" && exec unshare --user --map-user={uid} --map-group={gid} \"$@\""
    );
    let own_mounts = Cli::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, &place]);
    let _ = own_mounts
        .args([&*program().to_string_lossy(), "list"])
        .only_env(world.environment())
        .within(world.project())
        .run()
        .ok();
    let pid = world.daemon().expect("it was started").pid;
    PathBuf::from(format!("/proc/{pid}/root{place}/journal"))
}

fn fill(directory: &Path) -> PathBuf {
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
    let disk = on_a_tiny_disk(&world);
    let sandbox = world.start().sandbox;
    let _ = world.sh("echo kept >~/note").ok();
    let filler = fill(&disk);

    let error = world.boxwood(["start", "--json", "--session", "second"]).run().refused(ErrorCode::DiskFull);
    assert!(error.to_string().contains(&*world.state().to_string_lossy()), "it says where: {error}");
    assert_eq!(world.list().len(), 1, "what was begun is undone");
    assert_eq!(world.containers().len(), 1);
    assert!(world.daemon().is_some(), "the daemon lives");
    assert_eq!(world.sh("cat ~/note").ok().out(), "kept\n", "and what was there is there");
    let _ = world.boxwood(["inspect", "--json"]).run().ok();
    if disk == world.state() {
        let done = world.boxwood(["doctor", "--json"]).run();
        let report: DoctorReport = serde_json::from_slice(&done.stdout).expect("a report");
        let found = report.checks.iter().find(|check| check.id == "state-disk").expect("it is examined");
        assert_eq!((done.status, found.status), (1, CheckStatus::Failed), "{found:?}");
        assert!(found.hint.as_ref().is_some_and(|hint| hint.contains("boxwood prune")), "{found:?}");
    }

    fs::remove_file(filler).expect("removed");
    assert_eq!(world.start_with(["--session", "second"]).action, EnsureAction::Created, "with room again, it works");
    assert_eq!(world.start().sandbox.id, sandbox.id);
    let _ = world.boxwood(["daemon", "stop"]).run().ok();
    assert_eq!(world.list().len(), 2, "the state can be read");
}
