//! Changes of what may be reached, and of what waits: in their order, whole, and told when they are not in force.

use boxwood_core::egress::rule_text;
use boxwood_protocol::egress::{EgressTestParams, EgressVia};
use boxwood_protocol::gateway::Ask;

use super::*;

fn waits(id: &str, host: &str, port: u16) -> EgressAsk {
    EgressAsk { id: id.to_owned(), host: host.to_owned(), port, waiting: 1, until_ms: 0 }
}

impl World {
    fn target(&self) -> SandboxRef {
        SandboxRef { sandbox: None, project: Some(self.project()), session: None }
    }

    fn alarm(&self) -> String {
        self.daemon.egress.label(SANDBOX).alarm.unwrap_or_default()
    }

    fn waiting(&self) -> Vec<String> {
        self.daemon.egress.asks().into_values().flatten().map(|ask| ask.id).collect()
    }

    /// Writes the project's file and has it read.
    async fn write(&self, egress: &str) -> Result<(), ErrorCode> {
        let text = format!(r#"{{"egress": {{{egress}}}}}"#);
        std::fs::write(Path::new(&self.project()).join(PROJECT_FILE), text).expect("written");
        self.read().await
    }

    async fn read(&self) -> Result<(), ErrorCode> {
        self.daemon.egress.reconsider(&self.daemon, &self.project()).await.map_err(|problem| problem.code)
    }

    async fn approve(&self) {
        let paths = &self.daemon.paths;
        let report = settings::load(paths, &self.project(), &SandboxConfig::default()).expect("valid").report;
        settings::approve(paths, &self.project(), &report.content_hash.expect("a hash")).expect("approved");
        self.read().await.expect("read");
    }

    /// What was decided, as texts, in a layer of the last policy.
    fn decided(&self, layer: EgressLayer) -> Vec<String> {
        let last = self.gateway.configured().pop().expect("a policy");
        last.policy.rules.iter().filter(|placed| placed.layer == layer).map(|placed| rule_text(&placed.rule)).collect()
    }
}

#[tokio::test]
async fn what_is_told_right_after_a_status_outlasts_it() {
    let mut world = World::new(EgressConfig::default()).await;
    world.gateway.then(Tell::Asking(waits("2", "late.example", 443)));
    world.answer("a.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(world.waiting(), ["2"], "the answer that came before knew nothing of it");
    world.gateway.then(Tell::Asked { id: "2".to_owned() });
    world.answer("b.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(world.waiting(), [""; 0], "the answer that came before still knew it");
    let mut told = Vec::new();
    while let Ok(event) = world.events.try_recv() {
        match event {
            Event::EgressAsking { ask, .. } => told.push(("asking", ask.id)),
            Event::EgressAsked { ask_id, .. } => told.push(("asked", ask_id)),
            _ => {}
        }
    }
    assert_eq!(told, [("asking", "2".to_owned()), ("asked", "2".to_owned())]);
}

#[tokio::test]
async fn a_question_that_is_over_leaves_no_other_waiting() {
    let mut world = World::new(EgressConfig::default()).await;
    for (id, host) in [("1", "a.example"), ("2", "b.example"), ("3", "c.example")] {
        world.ask(id, host, 443);
        world.event(|event| matches!(event, Event::EgressAsking { ask, .. } if ask.id == id)).await;
    }
    world.gateway.set(|status| status.asks.retain(|ask| ask.id != "1"));
    world.answer("*.example", EgressAnswer::AllowOnce).await.expect("two still waited");
    let answered: Vec<_> = world.gateway.decided().into_iter().map(|decide| decide.ask).collect();
    assert_eq!(answered, ["2", "3"]);
    world.ask("4", "d.example", 443);
    world.event(|event| matches!(event, Event::EgressAsking { ask, .. } if ask.id == "4")).await;
    world.gateway.set(|status| status.asks.clear());
    assert_eq!(world.answer("d.example", EgressAnswer::AllowOnce).await, Err(ErrorCode::EgressNothing));
}

#[tokio::test]
async fn ports_of_a_host_are_decided_one_by_one() {
    use EgressAnswer::{AllowProject, AllowSession, DenyAlways};
    use EgressLayer::{Remembered, Session};
    let mut world = World::new(EgressConfig::default()).await;
    world.answer("git.example:22", AllowProject).await.expect("decided");
    world.answer("git.example", AllowProject).await.expect("decided");
    assert_eq!(world.decided(Remembered), ["git.example:22", "git.example"]);
    world.answer("git.example:443", DenyAlways).await.expect("decided");
    assert_eq!(world.decided(Remembered), ["git.example:22", "git.example:80", "git.example:443"]);
    for (id, port) in [("1", 22), ("2", 443)] {
        world.ask(id, "other.example", port);
        world.event(|event| matches!(event, Event::EgressAsking { ask, .. } if ask.id == id)).await;
    }
    world.answer("other.example", AllowSession).await.expect("decided");
    assert_eq!(world.decided(Session), ["other.example"], "SSH waits on: it was not what was named");
    let forget = async |host: &str| {
        let params = EgressForgetParams { target: world.target(), host: host.to_owned() };
        requests::forget(Arc::clone(&world.daemon), params).await.map(drop).map_err(|problem| problem.code)
    };
    forget("git.example:443").await.expect("forgotten");
    assert_eq!(forget("git.example:443").await, Err(ErrorCode::EgressNothing));
    assert_eq!(world.decided(Remembered), ["git.example:22", "git.example:80"]);
    forget("git.example").await.expect("forgotten");
    assert_eq!(world.decided(Remembered), [""; 0]);
}

#[tokio::test]
async fn a_host_that_is_taken_out_of_the_projects_file_is_closed_at_once() {
    use EgressAction::{Allow, Deny};
    use EgressLayer::Project;
    let world = World::new(EgressConfig::default()).await;
    world.write(r#""allow": ["a.example", "b.example"]"#).await.expect("read");
    assert_eq!(world.told(Project, Allow), [""; 0]);
    assert!(world.alarm().contains("--approve-config"), "{}", world.alarm());
    world.approve().await;
    assert_eq!((world.told(Project, Allow).len(), world.alarm()), (2, String::new()));
    world.write(r#""allow": ["a.example"], "deny": ["c.example"]"#).await.expect("read");
    assert_eq!(
        (world.told(Project, Allow), world.told(Project, Deny)),
        (vec!["a.example".to_owned()], vec!["c.example".to_owned()])
    );
    assert_eq!(world.alarm(), "", "all of it is in force");
    world.write(r#""allow": ["a.example", "x.example"]"#).await.expect("read");
    assert_eq!(world.told(Project, Allow), ["a.example"]);
    assert!(world.alarm().contains("--approve-config"), "{}", world.alarm());
    world.approve().await;
    assert_eq!((world.told(Project, Allow).len(), world.alarm()), (2, String::new()));
}

#[tokio::test]
async fn a_policy_that_the_gateway_refuses_is_told_and_not_shown() {
    let world = World::new(EgressConfig::default()).await;
    let shows = |host: &str| {
        let policy = world.daemon.egress.get(SANDBOX).expect("an entry").state().policy.clone().expect("a policy");
        policy.rules.iter().any(|placed| placed.rule.host == host)
    };
    world.gateway.refuse(true);
    let refused = world.answer("a.example", EgressAnswer::AllowSession).await;
    assert_eq!(refused, Err(ErrorCode::EgressGateway));
    assert!(
        world.alarm().contains("not in force") && world.alarm().contains("a rule cannot be used"),
        "{}",
        world.alarm()
    );
    assert!(!shows("a.example"));
    world.gateway.refuse(false);
    world.read().await.expect("taken now");
    assert_eq!(world.alarm(), "");
    assert!(shows("a.example"));
}

#[tokio::test]
async fn layers_that_make_no_policy_together_are_told() {
    let world = World::new(EgressConfig::default()).await;
    let ports = |host: &str, ports: std::ops::Range<u16>| {
        let list: Vec<_> = ports.map(|port| format!(r#""{host}:{port}""#)).collect();
        format!(r#""deny": [{}]"#, list.join(", "))
    };
    world.write(&format!(r#""allow": ["a.example"], {}"#, ports("x.example", 1..201))).await.expect("read");
    world.approve().await;
    // What was denied stays denied until the new file is approved.
    world.write(r#""allow": ["a.example", "b.example"]"#).await.expect("read");
    let before = world.gateway.configured().pop().expect("a policy");
    let file = world.daemon.paths.user_config();
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    std::fs::write(&file, format!(r#"{{"egress": {{{}}}}}"#, ports("y.example", 1001..1101))).expect("written");
    assert_eq!(world.read().await, Err(ErrorCode::ConfigInvalid));
    assert!(world.alarm().contains("not in force") && world.alarm().contains("256 ports"), "{}", world.alarm());
    assert_eq!(world.gateway.configured().pop().expect("a policy"), before);
    world.approve().await;
    assert_eq!(world.alarm(), "");
    assert_eq!(world.told(EgressLayer::UserDeny, EgressAction::Deny).len(), 100);
}

#[tokio::test]
async fn a_question_for_an_address_that_was_refused_counts_once() {
    let mut world = World::new(EgressConfig::default()).await;
    let lookup = EgressDecision { via: EgressVia::Dns, port: 0, ..decision(1, "x.example", EgressAction::Deny) };
    world.gateway.tell(&Tell::Decided(lookup));
    world.event(|event| matches!(event, Event::EgressDecided { .. })).await;
    assert_eq!(world.daemon.egress.label(SANDBOX).blocked, 1);
    world.gateway.set(|status| status.blocked = 1);
    let gateway = world.daemon.egress.get(SANDBOX).expect("an entry").gateway.clone();
    gateway.ask(Ask::Status(Default::default())).await.expect("a status");
    assert_eq!(world.daemon.egress.label(SANDBOX).blocked, 1);
}

#[tokio::test]
async fn a_port_may_stand_behind_the_host_that_is_tested() {
    let world = World::new(EgressConfig::default()).await;
    let test = async |host: &str, port| {
        let params = EgressTestParams { target: world.target(), host: host.to_owned(), port, ..Default::default() };
        requests::test(Arc::clone(&world.daemon), params).await.map(|verdict| verdict.action).map_err(|it| it.code)
    };
    world.answer("git.example:22", EgressAnswer::AllowProject).await.expect("decided");
    world.answer("[2001:db8::7]:22", EgressAnswer::AllowProject).await.expect("decided");
    assert_eq!(test("git.example:22", None).await, Ok(EgressAction::Allow));
    assert_eq!(test("git.example", Some(22)).await, Ok(EgressAction::Allow));
    assert_eq!(test("git.example:22", Some(22)).await, Ok(EgressAction::Allow));
    assert_eq!(test("[2001:db8::7]:22", None).await, Ok(EgressAction::Allow));
    assert_eq!(test("git.example", None).await, Ok(EgressAction::Ask));
    for (host, port) in [("git.example:22", Some(443)), ("*.example", None), ("git.example:ssh", None), ("a b", None)] {
        assert_eq!(test(host, port).await, Err(ErrorCode::InvalidParams), "{host}");
    }
}
