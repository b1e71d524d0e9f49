//! The hunt for leaks: a person has everything that they can have, a sandbox works with one of it, and every place is
//! searched for all of it. The table of each case says where what may be; everywhere else is a leak.

mod cases;
mod crash;
mod passing;
mod planted;

use std::fs;

use boxwood_e2e::identity_realm::Realm;
use boxwood_e2e::leaks::{Canary, Hunt};
use boxwood_e2e::leaks_places::{Watch, look_at_mounts, look_everywhere};
use boxwood_e2e::leaks_relay::Relay;
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::{World, until};
use boxwood_protocol::sandbox::SandboxInfo;
use serde_json::Value;

/// What git is given for one host.
const GIT_PASSWORD: &str = "canary-of-git-dGhpcyBvcGVucyBub3RoaW5n-canary";
/// Asks as any git inside does that needs a credential; the image has none.
const FILL: &str =
    "printf 'protocol=https\\nhost=git.example\\n\\n' | /opt/boxwood/bin/boxwood-helper git-credential get";
/// An image of the project's own, in which its build's environment is kept.
const DOCKERFILE: &str = "FROM debian:bookworm-slim\nRUN cat /proc/self/environ /proc/self/cmdline >/environment\n";

/// Where a person's own things are, which no mode moves: every case has these lines.
const OWN: [(&str, &str); 7] = [
    ("key", "state:/state/credentials/api-key"),
    ("key", "socket:to the daemon"),
    ("setup token", "state:/state/credentials/setup-token"),
    ("setup token", "socket:to the daemon"),
    ("host access token", "home:/home/.claude/.credentials.json"),
    ("host refresh token", "home:/home/.claude/.credentials.json"),
    ("git password", "home:/home/answer"),
];

/// What claude is asked on the terminal. What it answers is searched for too, so that it is known to have been answered there.
const QUESTION: &str = "say asked-and-answered-on-the-terminal";
/// All that the terminal inside has shown, also what has scrolled away.
const SCROLLBACK: &str = "/opt/boxwood/bin/tmux -S /tmp/boxwood-$(id -u)/tmux.sock capture-pane -p -S -";

/// A person with everything: a key and a token that Boxwood keeps, a login of Claude Code, a helper of git's.
struct Person {
    realm: Realm,
    canaries: Vec<Canary>,
}

impl Person {
    /// `arrange` gives the names at which other providers answer, as [`Realm::with`] wants them.
    fn new(arrange: impl FnOnce(&mut World) -> Vec<(&'static str, u16)>) -> Self {
        let realm = Realm::with(|world| {
            // All that it can say is searched.
            world.set("BOXWOOD_LOG", "trace");
            world.write("Dockerfile", DOCKERFILE);
            let answer = world.home().join("answer");
            fs::write(&answer, format!("username=me\npassword={GIT_PASSWORD}\n")).expect("written");
            let helper =
                format!("[credential \"https://git.example\"]\n\thelper = \"!cat {}; true\"\n", answer.display());
            fs::write(world.home().join(".gitconfig"), helper).expect("written");
            arrange(world)
        });
        let text = |value: &Value| value.as_str().expect("a token").to_owned();
        let login = realm.identity.issue();
        let canaries = vec![
            Canary::new("key", realm.identity.key()),
            Canary::new("setup token", realm.identity.setup_token()),
            Canary::new("host access token", text(&login["accessToken"])),
            Canary::new("host refresh token", text(&login["refreshToken"])),
            Canary::new("git password", GIT_PASSWORD),
        ];
        realm.sign_in_host(&login);
        Self { realm, canaries }
    }

    /// Works, and searches everywhere. `choose` says what with, `table` where what may be beside [`OWN`], and `watched`
    /// where what may be in processes that ended.
    fn is_hunted(&self, what: &str, choose: impl FnOnce(&Realm), table: &[(&str, &str)], watched: &[(&str, &str)]) {
        let (realm, world) = (&self.realm, &self.realm.world);
        let _ = world.list();
        let (watch, relay) = (Watch::begin(&self.canaries), Relay::before(world));
        realm.keep("api-key", &self.canaries[0].value);
        realm.keep("setup-token", &self.canaries[1].value);
        choose(realm);
        let mut hunt = Hunt::new(&self.canaries);
        let sandbox = self.work(&mut hunt);
        let (ended, events) = watch.end();
        hunt.look("log:events", events);
        self.fail(&mut hunt);
        look_everywhere(&mut hunt, world, &[&sandbox]);
        look_at_mounts(&mut hunt, &sandbox.container);
        let said = relay.traffic();
        hunt.look("socket:to the daemon", said.to_daemon);
        hunt.look("socket:from the daemon", said.from_daemon);
        let mut short = Hunt::new(&self.canaries);
        short.add(ended);
        short.permit(&format!("{what}, processes"), watched);
        hunt.judge(what, &[&OWN, table].concat());
    }

    /// A start, turns in a command and on a terminal, and a question of git's.
    fn work(&self, hunt: &mut Hunt) -> SandboxInfo {
        let (realm, world) = (&self.realm, &self.realm.world);
        let start = ["start", "--json", "-vv", "--env", "HTTPS_PROXY=", "--dockerfile", "Dockerfile"];
        let started = world.boxwood(start).run().ok();
        hunt.look("words:start", [&started.stdout[..], &started.stderr].concat());
        let mut result: Value = started.json();
        let sandbox: SandboxInfo = serde_json::from_value(result["sandbox"].take()).expect("a sandbox");
        world.forget_image(&sandbox.image);
        realm.connect();
        // The person lets git's host be reached, and given its password.
        for what in ["egress", "git"] {
            let _ = world.boxwood([what, "allow", "git.example"]).run().ok();
        }
        until("the channel", || (world.sh("test -S /tmp/boxwood-$(id -u)/git.sock").status == 0).then_some(()));
        let given = world.sh(FILL);
        assert!(given.out().contains(GIT_PASSWORD), "{}", given.told("gave git nothing"));
        let mut terminal = Terminal::open(world, "attach");
        terminal.wait_for("bypass permissions on");
        terminal.press(QUESTION.as_bytes());
        terminal.wait_for(QUESTION);
        terminal.press(b"\r");
        terminal.wait_for(&QUESTION.replace("say ", "\u{25cf} "));
        let scrollback = world.sh(SCROLLBACK).ok();
        assert!(scrollback.out().contains(QUESTION), "{}", scrollback.told("shows something else"));
        hunt.look("words:the scrollback", scrollback.stdout);
        // What runs in the background while everything is searched.
        terminal.press(b"\x1dd");
        assert_eq!(terminal.wait(), 0);
        hunt.look("words:the screen", terminal.shown());
        sandbox
    }

    /// Errors that have a secret before them.
    fn fail(&self, hunt: &mut Hunt) {
        for canary in &self.canaries[..2] {
            let kind = if canary.name == "key" { "api-key" } else { "setup-token" };
            for input in [format!("{}\n{}", canary.value, canary.value), format!("{} {}", canary.value, canary.value)] {
                for further in ["--json", "-vv"] {
                    let words = ["credentials", "set", kind, "--base-url", "https://models.test", further];
                    let done = self.realm.world.boxwood(words).input(input.clone()).run();
                    assert_ne!(done.status, 0, "{}", done.told("was kept"));
                    hunt.look("errors:what cannot be a key", [done.stdout, done.stderr].concat());
                }
            }
            self.misplace(hunt, &canary.value);
            let variable = format!("MY_API_KEY={}", canary.value);
            for words in [&["start", "--image", "boxwood-test-no-such-image:0"][..], &["start", "--env", &variable]] {
                for further in ["--json", "-vv"] {
                    let done = self.realm.world.boxwood([words, &["--session", "wrong", further]].concat()).run();
                    assert_ne!(done.status, 0, "{}", done.told("went well"));
                    // Whoever writes a secret into arguments has shown it; the answer does not repeat it.
                    hunt.look("errors:what cannot be done", [done.stdout, done.stderr].concat());
                }
            }
        }
    }

    /// A secret where the name of something belongs, as somebody does who has not read how it is given.
    fn misplace(&self, hunt: &mut Hunt, value: &str) {
        let as_flag = format!("--{value}");
        for words in [
            &["credentials", "set", value][..],
            &["credentials", "set", "api-key", value],
            &["credentials", "set", "api-key", "--base-url", value],
            &["credentials", "set", &as_flag],
            &["credentials", "mode", value],
            &["credentials", "sign-out", value],
            &["credentials", value],
            &["login", value],
            &["start", "--env", value],
            &[value],
        ] {
            for further in ["--json", "-vv"] {
                let done = self.realm.world.boxwood([words, &[further]].concat()).input("").run();
                assert_ne!(done.status, 0, "{}", done.told("was understood"));
                assert!(!done.err().is_empty() || !done.out().is_empty(), "it says what is wrong");
                hunt.look("errors:what is in the wrong place", [done.stdout, done.stderr].concat());
            }
        }
    }
}
