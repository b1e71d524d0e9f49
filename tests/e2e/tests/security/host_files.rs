//! Files of the project that the host executes or obeys do not change while an agent works beside them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;

use boxwood_e2e::World;

fn repository(world: &World) {
    for words in
        [&["init", "--quiet"][..], &["config", "user.email", "t@example.invalid"], &["config", "user.name", "t"]]
    {
        assert!(Command::new("git").args(words).current_dir(world.project()).status().expect("there is git").success());
    }
}

/// Everything in the project: path, kind and content.
fn everything(world: &World) -> Vec<(String, String)> {
    fn below(directory: &std::path::Path, all: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).expect("readable").flatten() {
            let path = entry.path();
            let name = path.to_string_lossy().into_owned();
            match entry.file_type().expect("it has a kind") {
                kind if kind.is_dir() => {
                    all.push((name, "directory".into()));
                    below(&path, all);
                }
                kind if kind.is_symlink() => {
                    all.push((name, format!("to {}", fs::read_link(&path).expect("a link").display())));
                }
                _ => all.push((name, String::from_utf8_lossy(&fs::read(&path).expect("readable")).into_owned())),
            }
        }
    }
    let mut all = Vec::new();
    below(world.project(), &mut all);
    all.sort();
    all
}

/// Tries a line inside and expects it to fail.
#[track_caller]
fn fails(world: &World, line: &str) {
    let done = world.sh(line);
    assert_ne!(done.status, 0, "{}", done.told(&format!("'{line}' was possible")));
}

#[test]
fn what_is_there_cannot_be_written_replaced_or_moved_away() {
    let world = World::new();
    repository(&world);
    for (path, text) in [
        (".git/hooks/pre-commit", "#!/bin/sh\n"),
        (".vscode/tasks.json", "{}"),
        (".idea/workspace.xml", "<x/>"),
        (".devcontainer/devcontainer.json", "{}"),
        (".devcontainer.json", "{}"),
        (".claude/settings.json", "{}"),
        (".claude/settings.local.json", "{}"),
        (".mcp.json", "{}"),
        (".envrc", "export A=1\n"),
        (".husky/pre-push", "#!/bin/sh\n"),
        (".pre-commit-config.yaml", "repos: []\n"),
        (".boxwood/sandbox.jsonc", "{}"),
        ("Makefile", "all:\n"),
        ("src/main.c", "int main;\n"),
    ] {
        world.write(path, text);
    }
    let before = everything(&world);
    let _ = world.start();
    let files = [
        ".git/hooks/pre-commit",
        ".git/config",
        ".vscode/tasks.json",
        ".idea/workspace.xml",
        ".devcontainer/devcontainer.json",
        ".devcontainer.json",
        ".claude/settings.json",
        ".claude/settings.local.json",
        ".mcp.json",
        ".envrc",
        ".husky/pre-push",
        ".pre-commit-config.yaml",
        ".boxwood/sandbox.jsonc",
    ];
    for file in files {
        fails(&world, &format!("echo evil >>{file}"));
        fails(&world, &format!("echo evil >new && mv -f new {file}"));
        fails(&world, &format!("rm -f {file}"));
        fails(&world, &format!("mv {file} moved"));
        fails(&world, &format!("ln -sf /etc/passwd {file}"));
        fails(&world, &format!("chmod 777 {file}"));
        fails(&world, &format!("truncate -s 0 {file}"));
        fails(&world, &format!("touch {file}"));
    }
    for directory in [".git", ".git/hooks", ".vscode", ".idea", ".devcontainer", ".claude", ".husky", ".boxwood"] {
        fails(&world, &format!("mv {directory} moved"));
        fails(&world, &format!("rmdir {directory}"));
    }
    for directory in [".git/hooks", ".vscode", ".idea", ".devcontainer", ".husky", ".boxwood"] {
        fails(&world, &format!("echo evil >{directory}/new"));
        fails(&world, &format!("mkdir {directory}/new"));
        fails(&world, &format!("rm -rf {directory}"));
    }
    fails(&world, "git config core.fsmonitor /tmp/evil");
    fails(&world, "git config core.hooksPath /tmp/evil");
    fails(&world, "mv ../$(basename $PWD) ../moved");
    let _ = world.sh("rm -f new moved").ok();
    let ordinary =
        world.sh("echo x >>src/main.c && mkdir d && git add src && git commit -qm inside && echo committed").ok();
    assert_eq!(ordinary.out(), "committed\n", "ordinary work goes on");

    let _ = world.boxwood(["remove", "--json"]).run().ok();
    let after = everything(&world);
    for (path, content) in before.iter().filter(|(path, _)| files.iter().any(|file| path.ends_with(file))) {
        assert!(after.contains(&(path.clone(), content.clone())), "{path} has changed");
    }
}

#[test]
fn what_is_missing_cannot_be_made_and_the_project_is_as_before_afterwards() {
    let world = World::new();
    repository(&world);
    world.write("README", "r\n");
    fs::remove_dir_all(world.project().join(".git/hooks")).expect("a template may lack them");
    let before = everything(&world);
    let _ = world.start();
    for line in [
        "mkdir -p .git/hooks && echo evil >.git/hooks/pre-commit",
        "mv .git old-git",
        "mkdir -p .vscode && echo {} >.vscode/tasks.json",
        "mkdir -p .idea && echo x >.idea/x",
        "mkdir -p .devcontainer && echo {} >.devcontainer/devcontainer.json",
        "echo evil >.envrc",
        "mkdir -p .claude && echo {} >.claude/settings.json",
        "mkdir -p .claude && echo {} >.claude/settings.local.json",
        "mv .claude moved && mkdir .claude && echo {} >.claude/settings.json",
        "mkdir -p .boxwood && echo {} >.boxwood/sandbox.jsonc",
        "rm -rf .vscode && ln -s /etc .vscode",
        "echo '[core] fsmonitor=/x' >.git/config.worktree",
    ] {
        fails(&world, line);
    }
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    assert_eq!(everything(&world), before, "nothing is left after a stop");
    let _ = world.start();
    fails(&world, "mkdir -p .vscode && echo {} >.vscode/tasks.json");
    let _ = world.boxwood(["remove", "--json"]).run().ok();
    assert_eq!(everything(&world), before, "nor after a removal");
}

#[test]
fn a_project_without_a_repository_cannot_be_given_one_that_runs_something() {
    let world = World::new();
    let _ = world.start();
    let made = world.sh("git init -q . && printf '#!/bin/sh\\necho evil\\n' >.git/hooks/post-checkout && chmod +x .git/hooks/post-checkout && git config core.fsmonitor evil");
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    let is_there = world.project().join(".git/config").exists();
    assert!(made.status != 0 || !is_there, "a repository with a monitor and hooks was made for the host to run");
}

#[test]
fn the_hosts_git_runs_nothing_that_the_agent_wrote() {
    let world = World::new();
    repository(&world);
    world.write("README", "r\n");
    let _ = world.start();
    let mark = world.root().join("it-ran");
    let evil = format!("printf '#!/bin/sh\\necho ran >{}\\n' >evil && chmod +x evil", mark.display());
    let _ = world.sh(&evil).ok();
    for attempt in [
        "git config core.fsmonitor $PWD/evil",
        "git config --worktree core.fsmonitor $PWD/evil",
        "printf '[core]\\n\\tfsmonitor = %s/evil\\n' $PWD >.git/config.worktree",
        "mkdir other && cp -r .git/. other/ && git config --file other/config core.fsmonitor $PWD/evil && echo $PWD/other >.git/commondir",
        "cp evil .git/hooks/post-index-change",
        "echo '* filter=evil' >.gitattributes; git config filter.evil.clean $PWD/evil",
    ] {
        let tried = world.sh(attempt);
        for words in [&["status"][..], &["add", "README"], &["diff"], &["log", "-1"], &["stash", "list"]] {
            // What git thinks of a repository that was tampered with is its business; what it runs is ours.
            let _ =
                boxwood_e2e::Cli::new("git").only_env(world.environment()).within(world.project()).args(words).run();
        }
        assert!(
            !mark.exists(),
            "{}",
            tried.told(&format!("'{attempt}' made the host's git run a program of the agent"))
        );
    }
}

#[test]
fn links_in_the_project_lead_nowhere_on_the_host() {
    let world = World::new();
    let outside = world.root().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("file"), "original\n").expect("written");
    symlink(&outside, world.project().join(".vscode")).expect("a link");
    symlink(outside.join("file"), world.project().join(".envrc")).expect("a link");
    symlink("/etc", world.project().join("etc")).expect("a link");
    symlink(&outside, world.project().join(".claude")).expect("a link");
    symlink(&outside, world.project().join(".git")).expect("a link");
    let before = everything(&world);
    let result = world.start();
    for name in [".vscode", ".envrc", ".claude", ".git"] {
        assert!(
            result.warnings.iter().any(|warning| warning.contains(name)),
            "{name} is told of: {:?}",
            result.warnings
        );
    }
    let _ = world.sh("echo evil >.vscode/x; echo evil >.envrc; echo evil >.claude/settings.json; mkdir -p .claude/d; echo evil >etc/passwd-evil; true");
    assert_eq!(fs::read_to_string(outside.join("file")).expect("there"), "original\n");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1, "nothing was made outside");
    assert!(!fs::exists("/etc/passwd-evil").expect("answered"));
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    let after = everything(&world);
    for entry in &before {
        assert!(after.contains(entry), "{entry:?} has changed");
    }
}

#[test]
fn a_path_that_the_agent_swaps_for_a_link_is_not_followed_at_the_next_start() {
    let world = World::new();
    let outside = world.root().join("outside");
    fs::create_dir(&outside).expect("made");
    let _ = world.start();
    let _ = world.boxwood(["stop", "--json"]).run().ok();
    // As an agent of another sandbox of the same project, or the person's own mistake, could have left it.
    symlink(&outside, world.project().join(".vscode")).expect("a link");
    let _ = fs::create_dir(world.project().join(".claude"));
    symlink(outside.join("made"), world.project().join(".claude/settings.json")).expect("a link");
    let started = world.boxwood(["start", "--json"]).run();
    let _ = world.sh("echo evil >.vscode/x; echo evil >.claude/settings.json; true");
    let _ = world.boxwood(["remove", "--json"]).run();
    assert_eq!(
        fs::read_dir(&outside).expect("there").count(),
        0,
        "{}",
        started.told("followed a link out of the project")
    );
}

#[test]
fn further_paths_of_the_configuration_are_protected() {
    let world = World::new();
    world.write("Makefile", "all:\n");
    world.write("scripts/run", "x");
    world.write(".boxwood/sandbox.jsonc", r#"{ "protectedPaths": ["Makefile", "scripts"] }"#);
    let _ = world.start();
    fails(&world, "echo evil >>Makefile");
    fails(&world, "rm -f Makefile");
    fails(&world, "echo evil >scripts/new");
    fails(&world, "mv scripts moved");
}

#[test]
fn setuid_and_devices_left_in_the_project_are_harmless_and_the_persons() {
    let world = World::new();
    let own = fs::metadata(world.project()).expect("there");
    let _ = world.start();
    fails(&world, "mknod device b 8 0");
    let _ = world.sh("cp /bin/sh made && chmod 6755 made; true");
    if let Ok(made) = fs::metadata(world.project().join("made")) {
        assert_eq!(made.uid(), own.uid(), "it gives nobody another's rights");
    }
}

/// A file of the host with something in it that must not be found anywhere else.
fn key_of_the_host(world: &World) -> std::path::PathBuf {
    let key = world.home().join("id_ed25519");
    fs::write(&key, "canary-of-the-host\n").expect("written");
    key
}

#[test]
fn what_boxwood_itself_writes_in_the_sandboxs_home_follows_no_link() {
    let world = World::new();
    let key = key_of_the_host(&world);
    let sandbox = world.start().sandbox;
    let home = world.home_of(&sandbox);
    let (key, host) = (key.to_string_lossy().into_owned(), world.home().to_string_lossy().into_owned());
    for line in [
        format!("ln -sf {key} ~/.claude/settings.json && ln -sf {key} ~/.claude/.claude.json"),
        format!("mv ~/.claude ~/aside && ln -s {host} ~/.claude"),
        "rm -f ~/.claude/settings.json && mkfifo ~/.claude/settings.json".to_owned(),
    ] {
        let _ = world.sh(&line).ok();
        let _ = world.boxwood(["restart", "--json"]).run().ok();
        let seeded = fs::symlink_metadata(home.join(".claude/settings.json")).expect("it was written again");
        assert!(seeded.is_file(), "after '{line}'");
        assert!(!home.join(".claude").is_symlink());
        assert_ne!(world.sh("grep -rs canary-of-the-host ~ ").status, 0, "after '{line}'");
    }
    assert_eq!(fs::read_to_string(&key).expect("still there"), "canary-of-the-host\n");
    assert!(!world.home().join("settings.json").exists(), "nothing was written into the host's directory");
}

#[test]
fn a_pipe_where_a_file_of_the_project_was_keeps_nobody_waiting() {
    let world = World::new();
    repository(&world);
    world.write(".gitignore", ".env\n");
    let _ = world.start();
    let _ = world.sh("rm .gitignore && mkfifo .gitignore Dockerfile .dockerignore").ok();
    let _ = world.start();
    let _ = world.boxwood(["refresh", "--json"]).run().ok();
    assert_eq!(world.sh("test -p .gitignore").status, 0);
}
