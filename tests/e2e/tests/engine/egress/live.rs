//! A policy that changes while the sandbox works, and what happens to the gateway and the daemon meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use boxwood_e2e::docker::{docker, inspect};
use boxwood_e2e::gate::Gate;
use boxwood_e2e::internet::{self, gateway_of, tool};
use boxwood_e2e::{World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::egress::{EgressAction, EgressAsk, EgressDecision, EgressReport, EgressVerdict};
use boxwood_protocol::sandbox::{Enforcement, SandboxInfo};
use serde_json::{Value, json};

use super::{Connected, anybody};

const NAMES: [&str; 4] = ["friend.test", "asked.test", "other.test", "echo.test"];

fn connected(egress: Value) -> Connected {
    let world = World::new();
    std::fs::copy(tool(), world.project().join("attack")).expect("copied");
    Connected::new(world, |internet| internet.machine(internet::PLAIN, anybody()), &NAMES, egress, &[])
}

impl Connected {
    /// Fetches a page in the sandbox while the test goes on.
    fn fetching(&self, url: &str) -> boxwood_e2e::Running {
        self.world.boxwood(["exec", "--", "curl", "-fsS", "-m", "90", url]).spawn()
    }

    fn asks(&self) -> Vec<EgressAsk> {
        self.world.boxwood(["egress", "ask", "--json"]).run().json()
    }

    fn wait_asked(&self, host: &str) -> EgressAsk {
        until("the question", || self.asks().into_iter().find(|ask| ask.host == host))
    }

    fn policy(&self) -> EgressReport {
        self.world.boxwood(["egress", "policy", "--json"]).run().json()
    }

    fn reaches(&self, url: &str) -> bool {
        self.world.exec(["curl", "-fsS", "-m", "5", "-o", "/dev/null", url]).status == 0
    }

    /// A connection that goes on until it is cut, and then says when that was.
    fn beating(&self) -> Child {
        let sandbox = self.world.inspect();
        let line =
            r#"exec ./attack talk "$(./attack own echo.test):7000" 'send=hello\n' 'read=internet: hello' beat=1"#;
        let mut child = Command::new("docker")
            .args([
                "exec",
                "--workdir",
                &self.world.project().to_string_lossy(),
                &sandbox.container_id,
                "bash",
                "-c",
                line,
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a docker client");
        let mut first = [0; 8];
        std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut first).expect("it beats");
        child
    }
}

/// When a beating connection was cut, milliseconds since 1970.
fn cut_at(beating: Child) -> u128 {
    let output = beating.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("cut "))
        .and_then(|at| at.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis()
}

#[test]
fn a_connection_waits_until_the_person_allows_it() {
    let here = connected(json!({ "default": "ask" }));
    let waiting = here.fetching("https://asked.test/x");
    let ask = here.wait_asked("asked.test");
    assert_eq!((ask.port, ask.waiting), (443, 1));
    let _ = here.world.boxwood(["egress", "allow", "asked.test", "--for-session"]).run().ok();
    assert!(waiting.wait().ok().out().contains(r#""internet":"asked.test""#));
    assert!(here.reaches("https://asked.test/again"), "it stays allowed for the session");

    let waiting = here.fetching("https://other.test/x");
    let _ = here.wait_asked("other.test");
    let _ = here.world.boxwood(["egress", "allow", "other.test", "--once"]).run().ok();
    let _ = waiting.wait().ok();
    let again = here.fetching("https://other.test/again");
    let _ = here.wait_asked("other.test");
    let _ = here.world.boxwood(["egress", "deny", "other.test"]).run().ok();
    assert_ne!(again.wait().status, 0, "once is not twice");
    assert!(!here.reaches("https://other.test/more"));
    assert!(here.asks().is_empty());

    let log: Vec<EgressDecision> = here.world.boxwood(["egress", "log", "--json"]).run().json();
    let of = |host: &str, action| {
        log.iter().filter(|decision| decision.host == host && decision.action == action && decision.port == 443).count()
    };
    assert!(of("asked.test", EgressAction::Allow) >= 1 && of("other.test", EgressAction::Deny) >= 1, "{log:?}");
    let blocked: Vec<EgressDecision> = here.world.boxwood(["egress", "log", "--blocked", "--json"]).run().json();
    assert!(!blocked.is_empty() && blocked.iter().all(|decision| decision.action == EgressAction::Deny));
    assert!(here.world.inspect().sandbox.blocked >= 1);
}

#[test]
fn nobodys_answer_is_a_refusal() {
    let here = connected(json!({ "default": "ask", "holdSeconds": 2 }));
    let start = Instant::now();
    assert_ne!(here.world.exec(["curl", "-fsS", "-m", "30", "https://asked.test/"]).status, 0);
    assert!((1..20).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let log: Vec<EgressDecision> = here.world.boxwood(["egress", "log", "--blocked", "--json"]).run().json();
    assert!(
        log.iter().any(|decision| decision.host == "asked.test" && decision.reason.as_deref() == Some("timeout")),
        "{log:?}"
    );
}

#[test]
fn what_is_taken_back_is_cut_at_once_and_the_rest_goes_on() {
    let here = connected(json!({ "default": "deny", "allow": ["friend.test"] }));
    let mut times = Vec::new();
    for _ in 0..5 {
        let _ = here.world.boxwood(["egress", "allow", "echo.test:7000", "--for-session"]).run().ok();
        let going_on = here.fetching("https://friend.test/events?count=20&pause=100");
        let beating = here.beating();
        let mut rpc = boxwood_e2e::rpc::Rpc::open(&here.world);
        let hello = json!({ "client": "test", "version": env!("CARGO_PKG_VERSION"), "protocol": boxwood_protocol::PROTOCOL_VERSION });
        let _ = rpc.ask("boxwood/hello", &hello);
        let params = json!({ "target": { "project": here.world.project() }, "host": "echo.test:7000" });
        let asked = now_ms();
        let answer = rpc.ask("boxwood/egress/forget", &params).expect("an answer");
        let answered = now_ms();
        assert!(answer["error"].is_null(), "{answer}");
        let cut = cut_at(beating);
        times.push((answered - asked, cut.saturating_sub(asked)));
        assert!(going_on.wait().ok().out().contains("data: 19"), "what is allowed goes on");
    }
    for (answered, cut) in &times {
        println!("a new policy was answered after {answered} ms, and the connection it forbids was cut after {cut} ms");
    }
    let best = times.iter().map(|(_, cut)| *cut).min().unwrap_or_default();
    assert!(best <= 50, "{times:?}");
    assert!(times.iter().all(|(_, cut)| *cut <= 2000), "{times:?}");
}

#[test]
fn the_policy_outlives_the_daemon_and_is_taken_up_again() {
    let here = connected(json!({ "default": "deny", "allow": ["friend.test"] }));
    let _ = here.world.boxwood(["egress", "allow", "asked.test", "--for-session"]).run().ok();
    let _ = here.world.boxwood(["egress", "allow", "other.test"]).run().ok();
    here.world.kill_daemon();
    let sandbox = |line: &str| {
        let filter = here.world.filter().expect("there was a daemon");
        let is_agent =
            |id: &String| inspect(id).is_some_and(|detail| detail["Config"]["Labels"]["dev.boxwood.role"] == "sandbox");
        let agent = boxwood_e2e::docker::containers(&filter).into_iter().find(is_agent);
        boxwood_e2e::docker::try_docker(&["exec", &agent.expect("it is there"), "sh", "-c", line])
    };
    for url in ["https://friend.test/", "https://asked.test/", "https://other.test/"] {
        assert!(sandbox(&format!("curl -fsS -m 5 -o /dev/null {url}")).is_ok(), "{url} without a daemon");
    }
    assert!(sandbox("curl -fsS -m 5 -o /dev/null https://echo.test/").is_err());
    let info = until("the label", || {
        let info = here.world.list().into_iter().next()?;
        (info.enforcement == Enforcement::Outside && info.alarm.is_none()).then_some(info)
    });
    assert_eq!(info.enforcement, Enforcement::Outside);
    assert!(here.reaches("https://asked.test/"), "what was decided for the session is known again");
    let _ = here.world.boxwood(["egress", "forget", "asked.test"]).run().ok();
    assert!(!here.reaches("https://asked.test/"), "the new daemon is obeyed");
    assert!(here.reaches("https://other.test/"));
}

#[test]
fn a_gateway_that_dies_comes_back_with_its_policy() {
    let here = connected(json!({ "default": "deny", "allow": ["friend.test"] }));
    for _ in 0..2 {
        let gateway = gateway_of(&here.world);
        let started = inspect(&gateway).expect("it is there")["State"]["StartedAt"].clone();
        let _ = docker(["kill", "--signal", "KILL", &gateway]);
        until("the gateway's return", || {
            let detail = inspect(&gateway_of(&here.world))?;
            (detail["State"]["Running"] == true && detail["State"]["StartedAt"] != started).then_some(())
        });
        until("the policy's return", || here.reaches("https://friend.test/").then_some(()));
        assert!(!here.reaches("https://asked.test/"));
    }
    assert_eq!(here.world.list()[0].enforcement, Enforcement::Outside);
}

#[test]
fn after_the_engine_was_away_the_network_is_looked_at_again_and_a_restart_mends_it() {
    let mut world = World::new();
    let gate = Gate::before(&mut world);
    let egress = json!({ "default": "deny", "allow": ["friend.test"] });
    let here = Connected::new(world, |internet| internet.machine(internet::PLAIN, anybody()), &NAMES, egress, &[]);
    let sandbox = here.world.list().remove(0);
    let own = internet::addresses(&sandbox.container);
    let look = || serde_json::from_slice::<Vec<SandboxInfo>>(&here.world.boxwood(["list", "--json"]).run().stdout);
    let until_found = |what: &str, is_it: &dyn Fn(&SandboxInfo) -> bool| {
        until(what, || look().ok()?.into_iter().next().filter(is_it));
    };
    let is_well = |info: &SandboxInfo| info.enforcement == Enforcement::Outside && info.alarm.is_none();
    assert_eq!((own.len(), is_well(&sandbox)), (1, true));

    gate.close();
    gate.open();
    until_found("the engine's return", &is_well);
    assert!(here.reaches("https://friend.test/"));

    for mending in [["restart", "--json"], ["start", "--json"]] {
        gate.close();
        let _ = docker(["network", "connect", "bridge", &sandbox.container]);
        gate.open();
        until_found("the leak", &|info| {
            info.enforcement == Enforcement::Off && info.alarm.as_ref().is_some_and(|alarm| alarm.contains("must not"))
        });
        assert_eq!(internet::addresses(&sandbox.container), [], "everything was taken away");
        assert!(!here.reaches("https://friend.test/"));
        let started = inspect(&sandbox.container).expect("it is there")["State"]["StartedAt"].take();
        let _ = here.world.boxwood(mending).run().ok();
        until_found("the mended network", &is_well);
        assert_eq!(internet::addresses(&sandbox.container), own);
        assert!(here.reaches("https://friend.test/") && !here.reaches("https://asked.test/"));
        let again = inspect(&sandbox.container).expect("it is there")["State"]["StartedAt"].take();
        assert_eq!(started == again, mending[0] == "start", "what is in it goes on where that is possible");
    }
}

#[test]
fn a_bypass_lets_everything_through_until_it_ends() {
    let here = connected(json!({ "default": "deny" }));
    assert!(!here.reaches("https://asked.test/"));
    let _ = here.world.boxwood(["egress", "bypass", "10m"]).run().ok();
    assert!(here.reaches("https://asked.test/"));
    let info = here.world.list().remove(0);
    assert!(info.bypass_until_ms.is_some_and(|until| u128::from(until) > now_ms()), "{info:?}");
    let _ = here.world.boxwood(["egress", "bypass", "off"]).run().ok();
    assert!(!here.reaches("https://asked.test/"));
    let log: Vec<EgressDecision> = here.world.boxwood(["egress", "log", "--json"]).run().json();
    assert!(log.iter().any(|decision| decision.layer == boxwood_protocol::egress::EgressLayer::Bypass), "{log:?}");

    let _ = here.world.boxwood(["egress", "bypass", "3s"]).run().ok();
    assert!(here.reaches("https://asked.test/"));
    until("the end of the bypass", || (!here.reaches("https://asked.test/")).then_some(()));
    until("the label's end of the bypass", || here.world.list().remove(0).bypass_until_ms.is_none().then_some(()));
}

#[test]
fn a_project_opens_nothing_before_its_policy_is_approved() {
    let here = connected(json!({ "default": "deny" }));
    here.world.write(".boxwood/sandbox.jsonc", r#"{ "egress": { "allow": ["asked.test"] } }"#);
    assert!(!here.reaches("https://asked.test/"));
    let verdict = |host: &str| -> EgressVerdict {
        let done = here.world.boxwood(["egress", "test", host, "--json"]).run();
        serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", done.told("gave no verdict")))
    };
    assert_eq!(verdict("asked.test").action, EgressAction::Deny);
    let _ = here.world.boxwood(["refresh", "--json"]).run().refused(ErrorCode::ConfigApproval);
    let _ = here.world.boxwood(["refresh", "--json", "--approve-config"]).run().ok();
    for gateway in internet::gateways_of(&here.world) {
        // A gateway that was made anew is not on the test's network yet.
        let is_there = internet::addresses(&gateway).len() > 2;
        if !is_there {
            here.internet.connect(&gateway);
        }
    }
    assert_eq!(verdict("asked.test").action, EgressAction::Allow);
    until("the approved policy", || here.reaches("https://asked.test/").then_some(()));
    here.world.write(".boxwood/sandbox.jsonc", r#"{ "egress": { "allow": ["asked.test", "other.test"] } }"#);
    assert!(!here.reaches("https://other.test/"), "other content is another approval");
    assert!(here.policy().rules.iter().all(|hits| hits.placed.rule.host != "other.test"));
}

#[test]
fn the_gateways_image_is_small() {
    let world = World::new();
    let _ = world.start();
    let gateway = inspect(&gateway_of(&world)).expect("it is there");
    let image = gateway["Image"].as_str().expect("it has an image").to_owned();
    let size: u64 = docker(["image", "inspect", "--format", "{{.Size}}", &image]).trim().parse().expect("a number");
    assert!(size <= 15_000_000, "{size} bytes");
}
