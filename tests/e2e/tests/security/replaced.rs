//! A mount is bound to the file that it stands over, and the kernel takes it away with that file. So a sandbox ends at once
//! when the host replaces, moves or removes something that is protected or masked in it; a start protects it again.

use std::fs;
use std::time::{Duration, Instant};

use boxwood_e2e::docker::inspect;
use boxwood_e2e::{World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};

const OLD: &str = "old contents\n";
const NEW: &str = "new contents\n";
const SECRET: &str = "the-secret-that-nobody-inside-may-see\n";

/// A project with a repository and a secret, and beside each protected path a neighbour that is not.
fn world() -> World {
    let world = World::new();
    for path in [".git/config", ".git/description", ".envrc", "free", "packages/free"] {
        world.write(path, OLD);
    }
    for path in [".env", "packages/.netrc"] {
        world.write(path, SECRET);
    }
    fs::create_dir_all(world.project().join(".git/hooks")).expect("made");
    world
}

/// Replaces a file as editors and git do: writes another one, and gives it the name.
fn replace(world: &World, path: &str, contents: &str) {
    let new = world.root().join("new");
    fs::write(&new, contents).expect("written");
    fs::rename(new, world.project().join(path)).expect("renamed");
}

/// Waits until the sandbox has ended, and says why it did.
#[track_caller]
fn ended(world: &World) -> String {
    let info: SandboxInfo = until("the end", || {
        world.list().into_iter().next().filter(|info| info.state == SandboxState::Failed && info.detail.is_some())
    });
    let _ = world.boxwood(["exec", "--json", "--", "true"]).run().refused(ErrorCode::SandboxNotRunning);
    info.detail.unwrap_or_default()
}

fn text(world: &World, path: &str) -> String {
    fs::read_to_string(world.project().join(path)).expect("it is there")
}

/// Waits inside for the file that the host puts there, and writes into it a moment later.
fn writer(world: &World, path: &str) -> boxwood_e2e::Running {
    let line =
        format!("echo ready >&2; until grep -q new {path}; do sleep 0.01; done; sleep 0.1; echo broken >>{path}");
    let writer = world.boxwood(["exec", "--", "sh", "-c", &line]).spawn();
    writer.wait_for_line("ready");
    writer
}

#[test]
fn a_protected_file_that_the_host_replaces_stays_out_of_reach() {
    let world = world();
    let _ = world.start();
    for (path, neighbour) in [(".git/config", ".git/description"), (".envrc", "free")] {
        let twin = writer(&world, neighbour);
        replace(&world, neighbour, NEW);
        let _ = twin.wait().ok();
        assert_eq!(text(&world, neighbour), format!("{NEW}broken\n"), "what is not protected is shared as ever");

        let attempt = writer(&world, path);
        replace(&world, path, NEW);
        let why = ended(&world);
        assert_ne!(attempt.wait().status, 0);
        assert!(why.starts_with(path) && why.contains("'boxwood start'"), "{why}");
        assert_eq!(text(&world, path), NEW, "it is as the host made it");

        let _ = world.start();
        assert_ne!(world.sh(&format!("echo broken >>{path}")).status, 0, "{path} is protected again");
        let _ = world.sh(&format!("grep new {path} && echo more >>{neighbour}")).ok();
        fs::write(world.project().join(neighbour), OLD).expect("written");
    }
}

#[test]
fn a_masked_file_that_the_host_replaces_is_not_read() {
    let world = world();
    let _ = world.start();
    for (path, neighbour) in [(".env", "free"), ("packages/.netrc", "packages/free")] {
        let reader = |path: &str| {
            let line =
                format!("echo ready >&2; until grep -q . {path}; do sleep 0.01; done; sleep 0.1; cat {path} >seen");
            let reader = world.boxwood(["exec", "--", "sh", "-c", &line]).spawn();
            reader.wait_for_line("ready");
            reader
        };
        fs::write(world.project().join(neighbour), "").expect("written");
        let twin = reader(neighbour);
        replace(&world, neighbour, NEW);
        let _ = twin.wait().ok();
        assert_eq!(text(&world, "seen"), NEW);

        fs::remove_file(world.project().join("seen")).expect("removed");
        let attempt = reader(path);
        replace(&world, path, SECRET);
        let why = ended(&world);
        assert_ne!(attempt.wait().status, 0);
        assert!(why.starts_with(path), "{why}");
        assert!(!world.project().join("seen").exists());

        let _ = world.start();
        let read = world.sh(&format!("cat {path}; cat {neighbour}")).ok().out();
        assert_eq!(read, NEW, "it is masked again");
    }
}

#[test]
fn moving_and_removing_count_as_well_and_writing_into_a_file_does_not() {
    let world = world();
    world.write(".vscode/settings.json", "{}");
    let path = |name: &str| world.project().join(name);
    let _ = world.start();
    // What changes nothing of the mounts changes nothing at all.
    fs::write(path(".envrc"), NEW).expect("written");
    fs::write(path(".env"), SECRET).expect("written");
    replace(&world, ".vscode/settings.json", r#"{"a": 1}"#);
    replace(&world, ".git/index", "x");
    replace(&world, "free", NEW);
    assert_eq!(world.sh("cat .envrc .vscode/settings.json free").ok().out(), format!("{NEW}{{\"a\": 1}}{NEW}"));
    assert_ne!(world.sh("echo x >.vscode/settings.json").status, 0);

    let changes: [(&str, &dyn Fn()); 4] = [
        (".envrc", &|| fs::rename(path(".envrc"), path("aside")).expect("moved")),
        (".git/config", &|| fs::remove_file(path(".git/config")).expect("removed")),
        (".vscode", &|| fs::remove_dir_all(path(".vscode")).expect("removed")),
        (".git", &|| fs::rename(path(".git"), path("repository")).expect("moved")),
    ];
    for (name, change) in changes {
        change();
        let why = ended(&world);
        assert!(why.starts_with(name), "{name}: {why}");
        let _ = world.start();
    }
}

#[test]
fn the_guard_cannot_be_stopped_blinded_or_looked_into() {
    let world = world();
    let _ = world.start();
    for line in ["head -c 1 /proc/{}/environ", "readlink /proc/{}/fd/0", "ls /proc/{}/root/", "cat /proc/{}/maps"] {
        assert_ne!(world.sh(&line.replace("{}", "1")).status, 0, "'{line}' of the guard was possible");
        let _ = world.sh(&line.replace("{}", "self")).ok();
    }
    let _ = world.sh("kill -STOP 1; kill -KILL 1; kill -TSTP 1; kill -USR1 1; kill -QUIT 1; kill -HUP 1").ok();
    // Many changes of names beside the guarded one, so that some are lost on the way.
    let _ = world.sh("cd .git && i=0; while [ $i -lt 3000 ]; do : >$i.lock; rm $i.lock; i=$((i + 1)); done").ok();
    assert_eq!(world.list()[0].state, SandboxState::Running);
    replace(&world, ".git/config", NEW);
    assert!(ended(&world).starts_with(".git/config"));
}

#[test]
fn it_ends_within_a_moment_and_without_a_daemon() {
    let world = world();
    let sandbox = world.start().sandbox;
    let is_running = |name: &str| inspect(name).is_some_and(|detail| detail["State"]["Running"] == true);
    let mut times = Vec::new();
    for round in 0..3 {
        let _ = world.start();
        world.kill_daemon();
        let began = Instant::now();
        replace(&world, ".git/config", &format!("{NEW}{round}\n"));
        until("the end", || (!is_running(&sandbox.container)).then_some(()));
        times.push(began.elapsed());
        let code = inspect(&sandbox.container).expect("it is there")["State"]["ExitCode"].take();
        assert_eq!(code, 79);
        assert!(ended(&world).starts_with(".git/config"), "the next daemon knows why");
    }
    println!("after a protected file was replaced the engine said that the sandbox had ended after {times:?}");
    assert!(times.iter().min().is_some_and(|best| *best < Duration::from_secs(1)), "{times:?}");
}

#[test]
fn an_ephemeral_sandbox_stays_until_somebody_has_looked() {
    let world = world();
    let _ = world.start_with(["--ephemeral"]);
    replace(&world, ".envrc", NEW);
    assert!(ended(&world).starts_with(".envrc"));
    let _ = world.boxwood(["remove", "--json"]).run().ok();
    assert!(world.list().is_empty());
}
