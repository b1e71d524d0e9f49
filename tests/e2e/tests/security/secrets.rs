//! A key that was given once must stand in one private file, and nowhere else that somebody can look.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use boxwood_e2e::api::{Api, KEY};
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::{Cli, World, docker, world::program};
use boxwood_protocol::params::EnsureResult;

/// Says where the key stands in a text, if it does.
fn check(what: &str, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    // Also its recognisable part alone, as in a key that was cut or quoted.
    for part in [KEY, &KEY[14..44]] {
        let found = text.windows(part.len()).position(|window| window == part.as_bytes());
        if let Some(at) = found {
            let near = String::from_utf8_lossy(&text[at.saturating_sub(120)..at]).into_owned();
            panic!("the key stands in {what}, after: {near}");
        }
    }
}

/// Every regular file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

/// Numbers of this world's processes of the product.
fn processes(world: &World) -> Vec<u32> {
    let mark = format!("BOXWOOD_STATE_DIR={}", world.state().display());
    let numbers = fs::read_dir("/proc").expect("there are processes").flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|pid| {
            let is_ours = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program());
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            is_ours && environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .collect()
}

/// What the engine says about a container, and what the container's processes can be seen to hold.
fn check_container(world: &World, name: &str) {
    check("what the engine says of the container", docker::docker(["inspect", name]));
    check("the processes as the engine lists them", docker::docker(["top", name, "-eo", "pid,args"]));
    check(
        "the image's history",
        docker::docker(["history", "--no-trunc", &docker::docker(["inspect", "--format", "{{.Image}}", name])]),
    );
    // Its own shell's are excepted by nothing: no process inside is given the key by the product.
    let everywhere =
        world.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; env; mount; cat /etc/passwd; true").ok();
    check("the command lines and environments inside", everywhere.stdout);
    check("the container's log", docker::docker(["logs", name]));
}

#[test]
fn a_key_that_the_gateway_puts_on_requests_stands_nowhere() {
    let mut world = World::new();
    let api = Api::serve(&mut world);
    world.write("README", "a project\n");
    let started = world.boxwood(["start", "--json", "-vv"]).run().ok();
    for (what, said) in [("the result", &started.stdout), ("the most talkative log on the screen", &started.stderr)] {
        check(what, said);
    }
    let result: EnsureResult = serde_json::from_slice(&started.stdout).expect("a result");
    let sandbox = result.sandbox;
    assert_eq!(world.exec(["claude", "-p", "say the-key-works"]).ok().out().trim(), "the-key-works");
    assert!(!api.questions().is_empty());
    let _: EnsureResult = world.boxwood(["refresh", "--json"]).run().json();
    // Looked at while Claude is at work: it must not hand the key to what it starts, either.
    let mut terminal = Terminal::open(&world, "attach");
    terminal.wait_for("bypass permissions on");
    terminal.press(b"say it-is-used");
    terminal.wait_for("say it-is-used");
    terminal.press(b"\r");
    terminal.wait_for("\u{25cf} it-is-used");
    check_container(&world, &sandbox.container);
    // The client on the terminal has the key in its environment, because the person put it there.
    terminal.press(b"\x1dd");
    assert_eq!(terminal.wait(), 0);

    for words in [
        &["list"][..],
        &["inspect"],
        &["inspect", "--config"],
        &["logs"],
        &["stats"],
        &["stats", "--operations"],
        &["doctor"],
        &["daemon", "status"],
        &["attach"],
    ] {
        for further in [&["--json"][..], &[]] {
            let done = world.boxwood([words, further].concat()).run();
            check(&format!("what {words:?} says"), [done.stdout, done.stderr].concat());
        }
    }
    let running = processes(&world);
    assert!(running.contains(&world.daemon().expect("it runs").pid), "the daemon is among them");
    for pid in running {
        for file in ["cmdline", "environ"] {
            // One that has ended meanwhile shows nothing to anybody.
            let shown = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            check(&format!("the {file} of a process of the product"), shown);
        }
    }

    for directory in [world.state(), world.runtime(), world.root().join("config"), world.project().to_path_buf()] {
        for file in files(&directory) {
            check(&file.display().to_string(), fs::read(&file).unwrap_or_default());
            check("a file's name", file.as_os_str().as_encoded_bytes());
        }
    }
    assert!(
        files(&world.state()).iter().any(|file| file.starts_with(world.state().join("logs"))),
        "there are logs to look at"
    );
}

#[test]
fn a_key_does_not_stand_in_what_an_error_says() {
    let mut world = World::new();
    world.set("ANTHROPIC_API_KEY", KEY);
    world.set("CLAUDE_CODE_OAUTH_TOKEN", KEY);
    world.set("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:9/{}", "path"));
    for words in [
        &["start", "--image", "boxwood-test-no-such-image:0"][..],
        &["start", "--memory", "1m"],
        &["start", "--env", "ANTHROPIC_API_KEY"],
        &["start", "--env", &format!("MY_API_KEY={KEY}")],
    ] {
        for further in [&["--json"][..], &["-vv"]] {
            let done = world.boxwood([words, further].concat()).run();
            assert_ne!(done.status, 0, "{}", done.told("went well"));
            check(&format!("what {words:?} says"), [done.stdout, done.stderr].concat());
        }
    }
    for file in files(&world.state().join("logs")) {
        check(&file.display().to_string(), fs::read(&file).unwrap_or_default());
    }
    assert!(world.has_no_container());
}

#[test]
fn a_key_goes_away_with_the_state() {
    let mut world = World::new();
    world.set("ANTHROPIC_API_KEY", KEY);
    let _ = world.start();
    let _ = world.boxwood(["remove", "--purge-state", "--yes", "--json"]).run().ok();
    for file in files(&world.root()) {
        check(&file.display().to_string(), fs::read(&file).unwrap_or_default());
    }
}

#[test]
fn the_persons_own_keys_and_files_are_not_inside() {
    let world = World::new();
    for (path, text) in [
        (".ssh/id_ed25519", "private"),
        (".aws/credentials", "private"),
        (".claude/.credentials.json", "{}"),
        (".netrc", "private"),
    ] {
        let target = world.home().join(path);
        fs::create_dir_all(target.parent().expect("it has one")).expect("made");
        fs::write(target, text).expect("written");
    }
    let _ = world.start();
    let home = world.home();
    let seen = Cli::new(program())
        .only_env(world.environment())
        .within(world.project())
        .args([OsStr::new("exec"), OsStr::new("--"), OsStr::new("ls"), OsStr::new("-A"), home.as_os_str()])
        .run();
    assert_ne!(seen.status, 0, "the home directory is not there: {}", seen.out());
    let inside = world
        .sh("find / -xdev \\( -name 'id_ed25519' -o -name '.netrc' -o -name 'credentials' \\) 2>/dev/null; true")
        .ok();
    assert_eq!(inside.out(), "");
    assert_eq!(world.sh("env | grep -c SSH_AUTH_SOCK").out(), "0\n");
}
