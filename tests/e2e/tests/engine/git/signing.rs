//! Commits inside that are signed with a key which never comes there: the person's agent signs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use boxwood_e2e::{World, until};

use super::{agent, contains};

/// Has the host's git check the signature on a commit, as the person does; nothing of the test's own machine is asked.
fn verified(world: &World, repository: &Path, commit: &str) -> Output {
    let signers = format!("gpg.ssh.allowedSignersFile={}", world.root().join("signers").display());
    let mut git = Command::new("git");
    git.env("HOME", world.root()).env("GIT_CONFIG_NOSYSTEM", "1").arg("-C").arg(repository);
    git.args(["-c", &signers, "verify-commit", "--verbose", commit]).output().expect("there is git")
}

#[test]
fn a_commit_inside_is_signed_by_the_persons_agent() {
    let mut world = World::new();
    let (agent, socket) = agent(&world);
    world.set("SSH_AUTH_SOCK", &socket);
    let key = world.root().join("key.pub");
    let configuration = format!(
        "[user]\n\tname = A Person\n\temail = person@host.example\n\tsigningkey = {}\n\
         [gpg]\n\tformat = ssh\n[commit]\n\tgpgsign = true\n",
        key.display()
    );
    fs::write(world.home().join(".gitconfig"), configuration).expect("written");
    let public = fs::read_to_string(&key).expect("a key");
    fs::write(world.root().join("signers"), format!("person@host.example {public}")).expect("written");

    let sandbox = world.start_with(["--network", "none", "--ssh-agent"]).sandbox;
    until("the agent inside", || (world.sh("ssh-add -l").status == 0).then_some(()));
    let _ = world.sh("git init -q -b main w && git -C w commit -q --allow-empty -m signed").ok();
    let shown = world.sh(&format!(
        "echo 'person@host.example {}' >/tmp/signers && git -C w -c gpg.ssh.allowedSignersFile=/tmp/signers log -1 --show-signature",
        public.trim()
    ));
    let good = "Good \"git\" signature for person@host.example";
    assert!(shown.status == 0 && shown.out().contains(good), "{}", shown.told("shows no signature"));
    let repository = world.project().join("w");
    let check = |commit: &str| {
        let done = verified(&world, &repository, commit);
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (is_good, said) = check("HEAD");
    assert!(is_good && said.contains(good), "{said}");

    // What is not signed, and what was changed afterwards, is told from it.
    let forge = "git -C w cat-file commit HEAD | sed s/signed/forged/ | git -C w hash-object -t commit -w --stdin";
    let forged = world.sh(forge).ok().out().trim().to_owned();
    assert!(!check(&forged).0, "what was changed");
    let _ = world.sh("git -C w commit -q --allow-empty --no-gpg-sign -m unsigned").ok();
    assert!(!check("HEAD").0, "what nobody signed");

    assert!(!contains(&world.home_of(&sandbox), "PRIVATE KEY"), "the key came inside");
    drop(agent);
    let alone = world.sh("git -C w commit -q --allow-empty -m alone");
    assert!(alone.status != 0 && !alone.err().is_empty(), "{}", alone.told("went without the agent"));
    assert_eq!(world.sh("git -C w log -1 --format=%s").ok().out().trim(), "unsigned", "no commit was made");
}
