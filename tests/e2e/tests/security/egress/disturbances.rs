//! Attempts while something happens to the gateway, to the daemon or to the policy: each must fail before, during and after.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boxwood_e2e::docker::{docker, inspect, try_docker};
use boxwood_e2e::internet::gateway_of;
use boxwood_e2e::until;
use serde_json::json;

use super::case::Outcome;
use super::range::{Range, agent_of};

const FRIEND: &str = r#"./attack talk "$(./attack own friend.test):80" 'send=GET / HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=internet"#;

struct Disturbed<'a> {
    range: &'a Range,
    gateway: String,
    outcomes: Vec<Outcome>,
    since: Instant,
}

/// All of them, the gentlest first.
pub(super) fn run(range: &Range) -> Vec<Outcome> {
    let gateway = range.inside().0;
    let mut all = Disturbed { range, gateway, outcomes: Vec::new(), since: Instant::now() };
    all.revoked();
    all.raced();
    all.daemon_killed();
    all.paused();
    all.starved();
    all.killed();
    all.cut_off();
    all.outcomes
}

impl Disturbed<'_> {
    fn note(&mut self, name: &str, problems: impl IntoIterator<Item = Option<String>>) {
        println!("     {} ms: {name}", self.since.elapsed().as_millis());
        self.since = Instant::now();
        let problems: Vec<_> = problems.into_iter().chain([self.range.reached()]).flatten().collect();
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        self.outcomes.push(Outcome { name: name.to_owned(), problem });
    }

    /// Every way to the thief, once; says which one went.
    fn thief(&self, when: &str) -> Option<String> {
        let thief = self.range.thief.address;
        let gateway = &self.gateway;
        let ways = [
            format!(
                "./attack talk {thief}:80 within=700 'send=GET / HTTP/1.1\\r\\nHost: thief.test\\r\\n\\r\\n' read=internet"
            ),
            format!(
                "./attack talk {gateway}:80 within=700 'send=GET / HTTP/1.1\\r\\nHost: thief.test\\r\\n\\r\\n' read=internet"
            ),
            format!("./attack talk {gateway}:443 within=700 hello=name=thief.test 'read=\\x16\\x03'"),
            format!(
                "./attack talk {gateway}:3128 within=700 'send=CONNECT thief.test:443 HTTP/1.1\\r\\n\\r\\n' 'read= 200'"
            ),
            "./attack own thief.test".to_owned(),
        ];
        let script: Vec<_> = ways.iter().map(|way| format!("({way}) & all+=($!)")).collect();
        let script = format!("{}\nfor one in \"${{all[@]}}\"; do wait $one && exit 0; done; exit 1", script.join("\n"));
        (self.range.inside_sh(&script) == 0).then(|| format!("the thief was reached {when}"))
    }

    fn friend(&self) -> bool {
        self.range.inside_sh(FRIEND) == 0
    }

    fn friend_within(&self, when: &str) -> Option<String> {
        let start = Instant::now();
        while !self.friend() {
            if start.elapsed() > Duration::from_secs(30) {
                return Some(format!("the friend was not reached {when}"));
            }
        }
        None
    }

    /// A connection that goes on until it is cut.
    fn beating(&self) -> Option<Child> {
        let (_, container) = agent_of(&self.range.world);
        let directory = self.range.world.project().to_string_lossy().into_owned();
        let line =
            r#"exec ./attack talk "$(./attack own echo.test):7000" 'send=hello\n' 'read=internet: hello' beat=10"#;
        let mut child = Command::new("docker")
            .args(["exec", "--workdir", &directory, &container, "bash", "-c", line])
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a docker client");
        let mut first = [0; 8];
        let begins = std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut first);
        begins.is_ok().then_some(child)
    }

    fn revoked(&mut self) {
        let Some(mut flow) = self.beating() else {
            return self.note(
                "a connection that was allowed, after that was taken back",
                [Some("it did not even begin".to_owned())],
            );
        };
        self.range.change(|egress| {
            let allow = egress["allow"].as_array_mut().expect("a list");
            allow.retain(|host| host != "echo.test:7000");
        });
        let start = Instant::now();
        let cut =
            until("the end of a connection that is no longer allowed", || flow.try_wait().expect("it can be asked"));
        let again = self
            .range
            .inside_sh(r#"./attack talk "$(./attack own echo.test):7000" 'send=hello\n' 'read=internet: hello'"#);
        self.note(
            "a connection that was allowed, after that was taken back",
            [
                (!cut.success() || start.elapsed() > Duration::from_secs(5))
                    .then(|| format!("it was cut only after {:?}", start.elapsed())),
                (again == 0).then(|| "another one was let through".to_owned()),
            ],
        );
        let kept = self.range.inside_sh(
            r#"./attack talk "$(./attack own friend.test):80" 'send=GET /one HTTP/1.1\r\nHost: friend.test\r\n\r\n' read=/one 'send=GET /two HTTP/1.1\r\nHost: echo.test:7000\r\n\r\n' read=/two"#,
        );
        self.note(
            "a connection that is still allowed, for what was taken back",
            [
                (kept == 0).then(|| "it was reused".to_owned()),
                self.friend_within("after something else was taken back"),
            ],
        );
    }

    fn raced(&mut self) {
        let (_, container) = agent_of(&self.range.world);
        let directory = self.range.world.project().to_string_lossy().into_owned();
        let line = format!(
            "while ! test -e stop; do ./attack talk {0}:80 within=300 'send=GET / HTTP/1.1\\r\\nHost: thief.test\\r\\n\\r\\n' read=internet && exit 0; \
             ./attack talk {0}:3128 within=300 'send=CONNECT thief.test:80 HTTP/1.1\\r\\n\\r\\n' 'read= 200' && exit 0; ./attack own thief.test && exit 0; done; exit 1",
            self.gateway
        );
        let mut racers: Vec<_> = (0..3)
            .map(|_| {
                let mut command = Command::new("docker");
                command.args(["exec", "--workdir", &directory, &container, "bash", "-c", &line]);
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("there is a docker client")
            })
            .collect();
        for round in 0..10 {
            self.range.change(|egress| egress["holdSeconds"] = json!(10 + round));
        }
        self.range.world.write("stop", "");
        let through =
            racers.iter_mut().filter_map(|racer| racer.wait().ok()).filter(std::process::ExitStatus::success).count();
        std::fs::remove_file(self.range.world.project().join("stop")).expect("it was there");
        self.note(
            "a policy that is exchanged again and again meanwhile",
            [(through > 0).then(|| format!("{through} of 3 got through")), self.friend_within("after many policies")],
        );
    }

    fn daemon_killed(&mut self) {
        self.range.world.kill_daemon();
        let (during, friend) = (self.thief("without the daemon"), self.friend());
        let _ = self.range.world.list();
        self.note(
            "the daemon killed",
            [
                during,
                (!friend).then(|| "what was allowed is not without the daemon".to_owned()),
                self.thief("after the daemon's return"),
                self.friend_within("after the daemon's return"),
            ],
        );
    }

    fn paused(&mut self) {
        let gateway = gateway_of(&self.range.world);
        let _ = docker(["pause", &gateway]);
        let (during, friend) = (self.thief("past a paused gateway"), self.friend());
        let _ = docker(["unpause", &gateway]);
        self.note(
            "the gateway paused",
            [
                during,
                friend.then(|| "the friend was reached past a paused gateway".to_owned()),
                self.friend_within("after the gateway went on"),
            ],
        );
    }

    /// Takes all of the gateway's memory, so that the kernel ends it.
    fn starved(&mut self) {
        let gateway = gateway_of(&self.range.world);
        let started = || inspect(&gateway_of(&self.range.world)).map(|detail| detail["State"]["StartedAt"].clone());
        let before = started();
        let flood = format!(
            "for n in $(seq 200); do ./attack talk {0}:3128 'send=POST http://friend.test/up HTTP/1.1\\r\\nHost: friend.test\\r\\nContent-Length: 900000\\r\\n\\r\\n\\{{900000*a}}' read=sha256 >/dev/null 2>&1 & done; wait",
            self.gateway
        );
        let _ = self.range.inside_sh(&flood);
        let is_alive = self.friend_within("after a flood");
        // The least that the kernel takes, which refuses what is in use.
        for megabytes in 6..32 {
            let limit = format!("{megabytes}m");
            if try_docker(&["update", "--memory", &limit, "--memory-swap", &limit, &gateway]).is_ok() {
                break;
            }
        }
        let _ = self.range.inside_sh(&flood);
        let during = self.thief("while the gateway has no memory");
        let _ = docker(["update", "--memory", "64m", "--memory-swap", "64m", &gateway_of(&self.range.world)]);
        println!("     the kernel ended it: {}", before != started());
        self.note(
            "the gateway out of memory",
            [is_alive, during, self.friend_within("after the gateway got its memory back")],
        );
    }

    fn killed(&mut self) {
        for round in 0..2 {
            let gateway = gateway_of(&self.range.world);
            let _ = docker(["kill", "--signal", "KILL", &gateway]);
            let during = self.thief("while the gateway is dead");
            let back = self.friend_within("after the gateway's death");
            self.note(
                &format!("the gateway killed, time {}", round + 1),
                [during, back, self.thief("after the gateway's return")],
            );
        }
    }

    /// The gateway's way outside is taken, and later given back: it is no reason to let anything else through.
    fn cut_off(&mut self) {
        let gateway = gateway_of(&self.range.world);
        let _ = docker(["stop", "--time", "1", &gateway]);
        let during = self.thief("while the gateway is stopped");
        self.note("the gateway stopped", [during, self.friend_within("after the gateway was started again")]);
    }
}
