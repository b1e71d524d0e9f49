//! Files of the person's that a sandbox may read: only with their yes, never to write, and gone with the setting.

use std::fs;
use std::os::unix::fs::symlink;

use boxwood_e2e::World;
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::{EnsureAction, EnsureResult};

const CONFIG: &str = ".boxwood/sandbox.jsonc";
const KEY: &str = "a-private-key-of-the-persons";

/// A world whose person has keys, a git configuration and documents.
fn world() -> World {
    let world = World::new();
    for (path, contents) in [
        (".ssh/id_test", KEY),
        (".gitconfig", "[user]\n\tname = Ada of the host\n[alias]\n\tours = status\n"),
        ("docs/read.me", "documents\n"),
    ] {
        let file = world.home().join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        fs::write(file, contents).expect("written");
    }
    world
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("read").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn keys_are_read_once_that_is_approved_never_written_and_gone_with_the_setting() {
    let world = world();
    world.write(CONFIG, r#"{ "readOnlyMounts": ["~/.ssh", "~/.gitconfig"] }"#);
    let asked = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ConfigApproval);
    for named in [world.home().join(".ssh"), world.home().join(".gitconfig")] {
        assert!(asked.message.contains(&*named.to_string_lossy()), "{asked}");
    }
    assert!(asked.message.contains("private keys there become readable inside"), "{asked}");
    assert!(world.has_no_container());

    let sandbox = world.start_with(["--approve-config"]).sandbox;
    assert_eq!(world.sh("cat ~/.ssh/id_test").ok().out(), KEY);
    assert_eq!(
        world.sh("git config --global alias.ours; cat ~/.gitconfig | head -n 2 | tail -n 1").ok().out(),
        "status\n\tname = Ada of the host\n"
    );
    for line in [
        "echo other >~/.ssh/id_test",
        "touch ~/.ssh/new",
        "rm -f ~/.ssh/id_test",
        "chmod 777 ~/.ssh",
        "mv ~/.ssh ~/.old",
        "rm -rf ~/.gitconfig",
        "git config --global user.name other",
        "echo x >>~/.gitconfig",
    ] {
        assert_ne!(world.sh(line).status, 0, "{line}");
    }
    assert_eq!(fs::read_to_string(world.home().join(".ssh/id_test")).expect("there"), KEY);
    assert_eq!(names(&world.home().join(".ssh")), ["id_test"]);
    let mounted = world.sh("grep ' /home/boxwood/.ssh ' /proc/self/mountinfo").ok().out();
    let fields: Vec<&str> = mounted.split_whitespace().collect();
    assert!(fields[5].split(',').any(|option| option == "ro"), "{mounted}");
    assert_eq!(fields[6], "-", "it is private: {mounted}");
    let told = world.inspect().mounts;
    for (source, target) in [(".ssh", "/home/boxwood/.ssh"), (".gitconfig", "/home/boxwood/.gitconfig")] {
        let source = world.home().join(source).to_string_lossy().into_owned();
        assert!(told.iter().any(|mount| mount.source == source && mount.target == target && mount.is_read_only));
    }

    // One more is asked for anew, and until then nothing of it is there.
    world.write(CONFIG, r#"{ "readOnlyMounts": ["~/.ssh", "~/.gitconfig", "~/docs"] }"#);
    let attached = world.start();
    assert!(attached.warnings.iter().any(|warning| warning.contains("configuration has changed")), "{attached:?}");
    let again = world.boxwood(["refresh", "--json"]).run().refused(ErrorCode::ConfigApproval);
    assert!(again.message.contains("docs"), "{again}");
    assert_ne!(world.sh("ls ~/docs").status, 0);
    // What was approved for the list of before counts no more, also for a sandbox that was made with it.
    let _ = world.boxwood(["stop"]).run().ok();
    let _ = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ConfigApproval);

    world.write(CONFIG, "{}");
    assert_eq!(world.start().action, EnsureAction::Recreated);
    assert_ne!(world.sh("cat ~/.ssh/id_test").status, 0);
    assert_eq!(world.sh("grep -c ' /home/boxwood/.' /proc/self/mountinfo; true").out(), "0\n");
    let left = names(&world.home_of(&sandbox));
    assert!(!left.iter().any(|name| name == ".ssh" || name == ".gitconfig"), "{left:?}");
}

#[test]
fn a_link_is_judged_by_where_it_leads_at_every_start() {
    let world = world();
    let keys = world.home().join(".ssh");
    symlink(&keys, world.project().join("docs")).expect("linked");
    let inside = world.project().join("docs").to_string_lossy().into_owned();
    world.write(CONFIG, serde_json::json!({ "readOnlyMounts": [inside] }).to_string());
    let asked = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ConfigApproval);
    assert!(asked.message.contains(&*keys.to_string_lossy()), "what it leads to is named: {asked}");
    let refused = world.boxwood(["start", "--json", "--approve-config"]).run().refused(ErrorCode::ConfigInvalid);
    assert!(refused.message.contains("is in the project, or leads there"), "{refused}");
    assert!(world.has_no_container());

    let shared = world.home().join("shared");
    symlink("docs", &shared).expect("linked");
    world.write(CONFIG, r#"{ "readOnlyMounts": ["~/shared"] }"#);
    let _ = world.start_with(["--approve-config"]);
    assert_eq!(world.sh("cat ~/shared/read.me").ok().out(), "documents\n");
    let _ = world.boxwood(["stop"]).run().ok();
    fs::remove_file(&shared).expect("removed");
    symlink(".ssh", &shared).expect("linked");
    let asked = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ConfigApproval);
    assert!(asked.message.contains(&*keys.to_string_lossy()), "{asked}");
    fs::remove_file(&shared).expect("removed");
    symlink("docs", &shared).expect("linked");
    assert_eq!(world.start().action, EnsureAction::Started, "it is what was approved again");
}

#[test]
fn the_persons_own_choice_needs_no_approval_and_has_limits() {
    let world = world();
    let own = |list: &[&str]| world.configure(&serde_json::json!({ "readOnlyMounts": list }));
    let refused = |words: &str| {
        let error = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ConfigInvalid);
        let text = format!("{} {}", error.message, error.causes.join(" "));
        assert!(text.contains(words) && error.hint.is_some(), "{error:?}");
    };
    let state = world.state().to_string_lossy().into_owned();
    let project = world.project().to_string_lossy().into_owned();
    fs::create_dir_all(world.home().join(".claude")).expect("made");
    for (asked, words) in [
        ("relative/path", "is not an absolute path"),
        ("~/nothing", "it is not there"),
        ("/", "is the system's own"),
        ("/proc/self", "is the system's own"),
        ("/var/run/docker.sock", "cannot be mounted: it is neither a file nor a directory"),
        ("/run", "\"/run\" of 'readOnlyMounts' is"),
        (&state, "where Boxwood keeps its own files"),
        ("~/.claude", "where Claude Code on this machine keeps its login"),
        (&project, "is in the project"),
        ("~/docs:/opt/boxwood/bin", "where the sandbox has something of its own"),
        ("~/docs:/home/boxwood", "where the sandbox has something of its own"),
        (&format!("~/docs:{project}/docs"), "where the sandbox has something of its own"),
    ] {
        own(&[asked]);
        refused(words);
    }
    own(&["~/docs:/x", "~/.ssh:/x"]);
    refused("is to be mounted as well");
    assert!(world.has_no_container());

    own(&["~/docs:/docs"]);
    let _ = world.start_with(["--read-only-mount", &world.home().join(".ssh").to_string_lossy()]);
    assert_eq!(world.sh("cat /docs/read.me; cat ~/.ssh/id_test").ok().out(), format!("documents\n{KEY}"));
    own(&[]);
    let made: EnsureResult = world.boxwood(["refresh", "--json"]).run().json();
    assert_eq!(made.action, EnsureAction::Recreated);
    assert_eq!(world.sh("cat ~/.ssh/id_test").ok().out(), KEY);
    assert_ne!(world.sh("test -e /docs/read.me").status, 0);
}
