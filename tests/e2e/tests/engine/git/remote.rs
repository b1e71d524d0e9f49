//! The real git inside and a server that wants to know who asks: what it is shown comes through the channel, once the person
//! has allowed it, and stays nowhere.

use std::fs;

use boxwood_e2e::internet::{Internet, Machine, gateway_of};
use boxwood_e2e::{Cli, World, docker};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::{Value, json};

use super::{CANARY, approvals, asked_about, can_ask, stands_nowhere};

const HOST: &str = "git.test";
/// Where the repository is on the server, and what it is called there.
const ROOT: &str = "/srv/git";
const NAME: &str = "work.git";

/// A sandbox that reaches the server; what is named first ends first.
struct Remote {
    world: World,
    sandbox: SandboxInfo,
    server: Machine,
    _internet: Internet,
}

impl Remote {
    fn new() -> Self {
        let mut world = World::new();
        let image = docker::ensure_clients_image();
        let internet = Internet::new();
        internet.trusted_by(&mut world);
        let guarded = json!({ "guardedGit": { "root": ROOT, "user": "me", "password": CANARY } });
        let server = internet.machine(image, json!({ "https": [443], "hosts": { HOST: guarded } }));
        let _ = server.sh(&format!(
            "git init -q -b main /tmp/w && git -C /tmp/w -c user.name=n -c user.email=e commit -q --allow-empty -m first && \
             git clone -q --bare /tmp/w {ROOT}/{NAME}"
        ));
        let configuration = format!(
            "[user]\n\tname = A Person\n\temail = person@host.example\n\
             [credential \"https://{HOST}\"]\n\thelper = \"!f() {{ printf 'username=me\\\\npassword={CANARY}\\\\n'; }}; f\"\n"
        );
        fs::write(world.home().join(".gitconfig"), configuration).expect("written");
        let egress = json!({ "default": "deny", "allow": [HOST], "hosts": { HOST: server.address } });
        world.configure(&json!({ "network": "gateway", "egress": egress }));
        let sandbox = world.start().sandbox;
        internet.connect(&gateway_of(&world));
        can_ask(&world);
        Self { world, sandbox, server, _internet: internet }
    }

    /// Runs a script with git in the project, where nobody can be asked on a terminal.
    fn git(&self, script: &str) -> Cli {
        self.world.boxwood(["exec", "--", "sh", "-c", &format!("export GIT_TERMINAL_PROMPT=0; {script}")])
    }

    /// What the server has.
    fn head(&self) -> String {
        self.server.sh(&format!("git -C {ROOT}/{NAME} rev-parse main"))
    }

    /// A new commit inside.
    fn commit(&self, message: &str) -> String {
        let script = format!("cd w && git commit -q --allow-empty -m {message} && git rev-parse HEAD");
        self.git(&script).run().ok().out().trim().to_owned()
    }
}

#[test]
fn a_clone_and_a_push_are_let_in_by_what_the_person_allowed_until_it_is_revoked() {
    let remote = Remote::new();
    let cloning = remote.git(&format!("git clone -q https://{HOST}/{NAME} w")).spawn();
    asked_about(&remote.world, HOST);
    let _ = remote.world.boxwood(["git", "allow", HOST]).run().ok();
    let _ = cloning.wait().ok();
    let cloned = remote.git("git -C w log -1 --format='%H %s'").run().ok().out();
    assert_eq!(cloned.trim(), format!("{} first", remote.head()), "what the server has is inside");

    // Allowed once: nobody is asked again.
    let second = remote.commit("second");
    let _ = remote.git("git -C w push -q origin main").run().ok();
    assert_eq!(remote.head(), second);
    assert_eq!(approvals(&remote.world)["asks"], json!([]));
    stands_nowhere(&remote.world, &remote.sandbox);
    let kept = remote.git("cat w/.git/config; git -C w config --list; ls -A ~ /tmp").run().ok().out();
    assert!(!kept.contains(CANARY) && !kept.contains(".git-credentials"), "{kept}");

    // Taken back, the person is asked anew, and what is not allowed does not get in.
    let _ = remote.world.boxwood(["git", "revoke", HOST]).run().ok();
    assert_eq!(approvals(&remote.world)["approvals"], Value::Array(Vec::new()));
    let third = remote.commit("third");
    let pushing = remote.git("git -C w push -q origin main").spawn();
    asked_about(&remote.world, HOST);
    let _ = remote.world.boxwood(["git", "deny", HOST]).run().ok();
    for refused in [pushing.wait(), remote.git("git -C w push -q origin main").run()] {
        let says = refused.err().contains(&format!("no credential: the person refused it for {HOST}"));
        assert!(refused.status != 0 && says, "{}", refused.told("was not refused"));
    }
    assert_eq!(remote.head(), second, "nothing was pushed");
    let _ = remote.world.boxwood(["git", "allow", HOST]).run().ok();
    let _ = remote.git("git -C w push -q origin main").run().ok();
    assert_eq!(remote.head(), third, "what was pushed when it was allowed again");
}
