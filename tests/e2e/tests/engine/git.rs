//! Git in a sandbox: credentials of the host when the person allows it, who they are, and their SSH agent.

mod remote;
mod signing;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use boxwood_e2e::{World, docker, until};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::Value;

const CANARY: &str = "canary-git-password-canary";

/// Asks as any git inside does that needs a credential.
const FILL: &str = "printf 'protocol=https\\nhost=git.example\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill";

/// A world whose person is known to git, and whose git has a helper for one host.
fn world() -> World {
    let world = World::new();
    let configuration = format!(
        "[user]\n\tname = A \\\"B\\\" Person\n\temail = person@host.example\n[core]\n\teditor = canary-editor\n\
         [credential \"https://git.example\"]\n\thelper = \"!f() {{ printf 'username=me\\\\npassword={CANARY}\\\\n'; }}; f\"\n"
    );
    fs::write(world.home().join(".gitconfig"), configuration).expect("written");
    world
}

fn approvals(world: &World) -> Value {
    world.boxwood(["git", "approvals", "--json"]).run().json()
}

/// Whether a text is anywhere in a file below a directory.
fn contains(directory: &Path, needle: &str) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => contains(&entry.path(), needle),
        Ok(kind) if kind.is_file() => {
            fs::read(entry.path()).is_ok_and(|bytes| bytes.windows(needle.len()).any(|part| part == needle.as_bytes()))
        }
        _ => false,
    })
}

/// Waits until the person is asked about a host.
fn asked_about(world: &World, host: &str) {
    until("a question", || {
        let waiting =
            approvals(world)["asks"].as_array().is_some_and(|asks| asks.iter().any(|ask| ask["host"] == host));
        waiting.then_some(())
    });
}

/// Waits until git inside can ask.
fn can_ask(world: &World) {
    until("the channel", || (world.sh("test -S /tmp/boxwood-$(id -u)/git.sock").status == 0).then_some(()));
}

/// Holds that what git was given is in no place that somebody could look into.
fn stands_nowhere(world: &World, sandbox: &SandboxInfo) {
    let container = &world.containers()[0];
    for (what, text) in [
        ("inspect", docker::docker(["inspect", container])),
        ("the log", docker::docker(["logs", container])),
        (
            "the environment",
            world.sh("cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'").out(),
        ),
        (
            "what the container changed",
            world.sh("cat $(find /tmp /etc /run /var -type f -newer /proc/1 2>/dev/null) 2>/dev/null; true").out(),
        ),
    ] {
        assert!(!text.contains(CANARY), "it stands in {what}");
    }
    for directory in [world.home_of(sandbox), world.project().to_path_buf(), world.state()] {
        assert!(!contains(&directory, CANARY), "it stands in {}", directory.display());
    }
}

#[test]
fn a_credential_is_given_when_the_person_allows_it_and_stays_nowhere() {
    let world = world();
    let sandbox = world.start_with(["--network", "open"]).sandbox;
    can_ask(&world);
    let asking = world.boxwood(["exec", "--", "sh", "-c", FILL]).spawn();
    asked_about(&world, "git.example");
    let _ = world.boxwood(["git", "allow", "git.example"]).run().ok();
    let given = asking.wait().ok().out();
    assert!(given.contains("username=me\n") && given.contains(&format!("password={CANARY}\n")), "{given}");
    let _ = world.sh(FILL).ok();

    stands_nowhere(&world, &sandbox);

    let _ = world.boxwood(["git", "deny", "git.example"]).run().ok();
    let refused = world.sh(FILL);
    assert!(!refused.out().contains(CANARY) && refused.err().contains("the person refused it"), "{}", refused.err());
    let _ = world.boxwood(["git", "revoke", "git.example"]).run().ok();
    assert_eq!(approvals(&world)["approvals"], Value::Array(Vec::new()));
}

#[test]
fn commits_inside_are_the_persons_and_nothing_else_of_their_configuration_is() {
    let world = world();
    let _ = world.start_with(["--network", "none"]);
    let commit = "git init -q r && cd r && git commit -q --allow-empty -m one && git log -1 --format='%an <%ae>'";
    assert_eq!(world.sh(commit).ok().out().trim(), "A \"B\" Person <person@host.example>");
    let all = world.sh("git config --list").ok().out();
    assert!(!all.contains("canary-editor") && !all.contains(CANARY), "{all}");
    let own =
        "cd r && git config user.email own@r.example && git commit -q --allow-empty -m two && git log -1 --format=%ae";
    assert_eq!(world.sh(own).ok().out().trim(), "own@r.example", "a repository's own settings count");
    assert!(world.sh("test -e ~/.gitconfig || test -e ~/.ssh").status != 0, "neither is there");
}

#[test]
fn a_token_of_the_environment_answers_for_github_and_so_does_askpass() {
    let world = world();
    let token = "canary-github-token-canary";
    let start = world.boxwood(["start", "--json", "--network", "open"]).env("GITHUB_TOKEN", token);
    let _ = start.run().ok();
    can_ask(&world);
    for host in ["github.com", "git.example"] {
        let _ = world.boxwood(["git", "allow", host]).run().ok();
    }
    let filled = world.sh(&FILL.replace("git.example", "github.com")).ok().out();
    assert!(filled.contains(&format!("password={token}\n")), "{filled}");
    let asked = |prompt: &str| world.sh(&format!("\"$GIT_ASKPASS\" \"{prompt}\""));
    assert_eq!(asked("Username for 'https://git.example': ").ok().out(), "me\n");
    assert_eq!(asked("Password for 'https://me@git.example': ").ok().out(), format!("{CANARY}\n"));
    assert_eq!(asked("Password for 'https://x@github.com/a/b.git': ").ok().out(), format!("{token}\n"));
    let _ = world.boxwood(["git", "deny", "git.example"]).run().ok();
    let refused = asked("Password for 'https://me@git.example': ");
    assert!(
        refused.status == 1 && refused.out().is_empty() && refused.err().contains("refused it"),
        "{}",
        refused.err()
    );
    assert!(asked("Enter passphrase for key 'k': ").status == 1);
    let environments = "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c canary-github; true";
    assert_eq!(world.sh(environments).out().trim(), "0", "the token is in no environment inside");
}

#[test]
fn git_is_answered_again_after_the_daemon_was_killed() {
    let world = world();
    let _ = world.start_with(["--network", "open"]);
    let _ = world.boxwood(["git", "allow", "git.example"]).run().ok();
    for _ in 0..2 {
        until("a credential", || world.sh(FILL).out().contains(CANARY).then_some(()));
        world.kill_daemon();
    }
    until("a credential from the daemon after", || world.sh(FILL).out().contains(CANARY).then_some(()));
}

/// An agent with a key of its own; it ends with this.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        drop((self.0.kill(), self.0.wait()));
    }
}

fn agent(world: &World) -> (Agent, String) {
    let (socket, key) = (world.root().join("agent.sock"), world.root().join("key"));
    let agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("ssh-agent");
    let agent = Agent(agent);
    until("the agent", || socket.exists().then_some(()));
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "canary-key", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen").success());
    let added = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.expect("ssh-add").success());
    (agent, socket.to_string_lossy().into_owned())
}

#[test]
fn the_agent_is_there_when_it_is_asked_for_and_only_then() {
    let mut world = world();
    let (agent, socket) = agent(&world);
    world.set("SSH_AUTH_SOCK", &socket);
    let _ = world.start_with(["--network", "none"]);
    assert_eq!(world.sh("echo \"[$SSH_AUTH_SOCK]\"; ls /run/boxwood 2>/dev/null").out().trim(), "[]");
    let _ = world.boxwood(["refresh", "--network", "none", "--ssh-agent"]).run().ok();
    let listed = until("the agent inside", || {
        let listed = world.sh("ssh-add -l");
        (listed.status == 0).then(|| listed.out())
    });
    assert!(listed.contains("canary-key"), "{listed}");
    drop(agent);
    assert!(world.sh("ssh-add -l").status != 0);
    let _ = world.boxwood(["restart"]).run().ok();
    assert_eq!(world.sh("echo up").ok().out().trim(), "up", "a sandbox whose agent is gone still starts");
}
