//! What is masked cannot be read from inside, by whatever name; what stands beside it can.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use boxwood_e2e::World;

const SECRET: &str = "the-secret-that-nobody-inside-may-see";

/// A world with secrets, each with a neighbour that is none.
fn world() -> World {
    let world = World::new();
    for path in [".env", "packages/api/.ssh/id_rsa", "packages/api/.netrc", "conf/keys/server.pem", "later/key.pem"] {
        world.write(path, SECRET);
    }
    for path in [".env.example", "packages/api/main.c", "conf/keys/server.crt", "conf/readme", "later/x"] {
        world.write(path, "neighbour\n");
    }
    world.write(".boxwood/sandbox.jsonc", r#"{ "maskedPaths": ["conf/**/*.pem", "later/*.pem"] }"#);
    world
}

/// Tries a line inside; the secret must not come out of it, and the same line with the neighbour's name must work.
#[track_caller]
fn hides(world: &World, line: &str, secret: &str, neighbour: &str) {
    let done = world.sh(&line.replace("{}", secret));
    assert!(!done.out().contains(SECRET), "{}", done.told(&format!("'{line}' read {secret}")));
    let twin = world.sh(&line.replace("{}", neighbour));
    assert!(twin.out().contains("neighbour"), "{}", twin.told(&format!("'{line}' does not even read {neighbour}")));
}

#[test]
fn no_name_of_a_masked_file_leads_to_what_it_holds() {
    let world = world();
    let _ = world.start();
    for (secret, neighbour) in [
        (".env", ".env.example"),
        ("packages/api/.ssh/id_rsa", "packages/api/main.c"),
        ("packages/api/.netrc", "packages/api/main.c"),
        ("conf/keys/server.pem", "conf/keys/server.crt"),
    ] {
        for line in [
            "cat {}",
            "cat ./{}",
            "cat /proc/self/root$PWD/{}",
            "cat /proc/self/cwd/{}",
            "cat /proc/$$/root$PWD/{}",
            "rm -f way; ln -s $PWD/{} way && cat way",
            "rm -f way; ln -s . here; cat here/{}",
            "ln {} {}.hard && cat {}.hard; rm -f {}.hard",
            "rm -f copy; cp {} copy && cat copy",
            "tar cf - {} | tar xOf -",
            "exec 3<{} && cat <&3",
            "grep -r . {}",
            "rm -rf /tmp/other; cp -a $(dirname {}) /tmp/other; grep -rh . /tmp/other",
        ] {
            hides(&world, line, secret, neighbour);
            let _ = world.sh("rm -rf way hard here copy other");
        }
    }
    let all = world.sh("grep -rIl 'the-secret' . /home /tmp 2>/dev/null; true");
    assert_eq!(all.out(), "", "it stands nowhere");
}

#[test]
fn moving_directories_lays_nothing_bare_not_even_at_the_next_start() {
    let world = world();
    let _ = world.start();
    for line in [
        "mv packages moved",
        "mv packages/api packages/moved",
        "mv packages/api/.ssh packages/api/moved",
        "mv conf/keys moved",
        "rm -f .env",
        "mv .env moved",
        "echo mine >.env",
        "umount .env",
        "mount --bind . /mnt",
        "unshare -rm cat .env | grep .",
    ] {
        assert_ne!(world.sh(line).status, 0, "'{line}' was possible");
    }
    assert_eq!(world.sh("mkdir free && mv free moved && echo works").ok().out(), "works\n", "others can be moved");
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    let _ = world.boxwood(["start", "--json"]).run().ok();
    hides(&world, "cat {}", ".env", ".env.example");
    hides(&world, "cat {}", "packages/api/.ssh/id_rsa", "packages/api/main.c");
    let _ = world.boxwood(["remove", "--json"]).run().ok();
    for path in [".env", "packages/api/.ssh/id_rsa", "packages/api/.netrc", "conf/keys/server.pem", "later/key.pem"] {
        assert_eq!(fs::read_to_string(world.project().join(path)).expect("there"), SECRET, "{path} is as it was");
    }
}

#[test]
fn further_names_of_a_secret_are_masked_too() {
    let world = world();
    fs::hard_link(world.project().join(".env"), world.project().join("packages/other")).expect("a link");
    symlink("../conf/.dev", world.project().join("packages/.netrc")).expect("a link");
    world.write("conf/.dev", SECRET);
    let _ = world.start();
    hides(&world, "cat {}", "packages/other", "packages/api/main.c");
    hides(&world, "cat {}", "packages/.netrc", "conf/readme");
    hides(&world, "cat {}", "conf/.dev", "conf/readme");
}

#[test]
fn git_knows_nothing_of_a_secret_that_was_not_given_to_it() {
    let world = world();
    for words in [
        &["init", "--quiet"][..],
        &["config", "user.email", "t@example.invalid"],
        &["config", "user.name", "t"],
        &["add", ".env.example"],
        &["commit", "--quiet", "--message", "one"],
    ] {
        assert!(Command::new("git").args(words).current_dir(world.project()).status().expect("there is git").success());
    }
    let _ = world.start();
    hides(&world, "git show HEAD:{}; git show :{}", ".env", ".env.example");
    hides(&world, "git add --force {} && git show :{} || git show HEAD:{}", ".env", ".env.example");
    hides(&world, "git stash --all; git show stash@{0}^3:{} || git show HEAD:{}", ".env", ".env.example");
}

#[test]
fn what_comes_later_is_told_and_masked_by_a_refresh() {
    let world = world();
    let _ = world.start();
    world.write("later/new.pem", SECRET);
    let told = world.start();
    assert!(
        told.warnings.iter().any(|warning| warning.contains("not masked yet: later/new.pem")),
        "{:?}",
        told.warnings
    );
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    let told = world.start();
    assert!(told.warnings.iter().any(|warning| warning.contains("later/new.pem")), "{:?}", told.warnings);
    assert!(told.sandbox.is_outdated, "a refresh is offered");
    let _ = world.boxwood(["refresh", "--json"]).run().ok();
    hides(&world, "cat {}", "later/new.pem", "later/x");
}

#[test]
fn what_the_settings_name_is_masked_before_it_is_there_and_nothing_stays_behind() {
    let world = World::new();
    world.write("a", "neighbour\n");
    world.write(".boxwood/sandbox.jsonc", r#"{ "maskedPaths": [".env", "keys/server.pem", "vault/", "secrets/**"] }"#);
    let _ = world.start();
    assert!(world.project().join("vault").is_dir() && world.project().join("secrets").is_dir());
    for line in ["echo x >.env", "echo x >keys/server.pem", "mkdir -p vault/x", "mv keys moved", "rm -f .env"] {
        assert_ne!(world.sh(line).status, 0, "'{line}' was possible");
    }
    // As a person writes it: into the file that is there.
    fs::write(world.project().join(".env"), SECRET).expect("written");
    hides(&world, "cat {}", ".env", "a");
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    assert!(!world.project().join("keys").exists() && !world.project().join("vault").exists(), "tidied away");
    assert_eq!(fs::read_to_string(world.project().join(".env")).expect("there"), SECRET, "the person's own stays");
}

#[test]
fn a_mount_point_that_became_a_link_is_not_followed() {
    let world = world();
    let outside = world.root().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("file"), SECRET).expect("written");
    let _ = world.start();
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    fs::rename(world.project().join("packages"), world.project().join("aside")).expect("moved");
    symlink(&outside, world.project().join("packages")).expect("a link");
    let refused = world.boxwood(["start", "--json"]).run();
    assert_ne!(refused.status, 0, "{}", refused.told("it started with a mount that leads out of the project"));
    let _ = world.boxwood(["refresh", "--json"]).run().ok();
    assert!(!world.sh("cat packages/file; true").out().contains(SECRET), "nothing of the host is inside");
    hides(&world, "cat {}", ".env", ".env.example");
}

#[test]
fn a_project_needs_approval_to_lay_something_bare() {
    let world = world();
    world.write(".boxwood/sandbox.jsonc", r#"{ "maskedPaths": ["!.env"] }"#);
    let refused = world.boxwood(["start", "--json"]).run();
    assert_ne!(refused.status, 0, "{}", refused.told("it started without approval"));
    assert!(refused.out().contains("may read .env") || refused.err().contains("may read .env"));
}
