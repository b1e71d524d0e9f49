//! Whole conversations: a daemon without an engine and a gateway that only answers.

use std::path::Path;
use std::sync::Arc;

use boxwood_core::config::PROJECT_FILE;
use boxwood_core::egress::rule_text;
use boxwood_core::paths::Paths;
use boxwood_engine::EngineError;
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::egress::{
    EgressAction, EgressAnswer, EgressAsk, EgressBypassParams, EgressConfig, EgressDecideParams, EgressDecision,
    EgressForgetParams, EgressLayer, EgressRule, PlacedRule,
};
use boxwood_protocol::gateway::{Configure, Tell};
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::sandbox::Enforcement;
use boxwood_protocol::{ErrorCode, Event};
use tokio::sync::broadcast::Receiver;

mod changes;
mod inject;

use super::fake::{FakeGateway, decision};
use super::look::Finding;
use super::{answers, requests};
use crate::daemon::Daemon;
use crate::records::Record;
use crate::settings;

const SANDBOX: &str = "p-00000000";
const CONTAINER: &str = "boxwood-gateway-p-00000000";

struct World {
    daemon: Arc<Daemon>,
    gateway: FakeGateway,
    events: Receiver<Event>,
    directory: tempfile::TempDir,
}

fn open(root: &Path) -> Arc<Daemon> {
    let home = root.to_string_lossy().into_owned();
    let paths = Paths::resolve(&|name| (name == "HOME").then(|| home.clone()), 0);
    let nowhere = || Err(EngineError::Broken("there is none".to_owned()));
    let daemon = Daemon::open(paths, &|name| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned()), Box::new(nowhere))
        .expect("opened");
    daemon.registry.set_ready();
    daemon
}

impl World {
    async fn new(request: EgressConfig) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("canonical");
        std::fs::create_dir_all(root.join("p/.boxwood")).expect("made");
        let daemon = open(&root);
        let record = Record {
            project: root.join("p").to_string_lossy().into_owned(),
            session: "default".to_owned(),
            request: SandboxConfig { egress: Some(request), ..SandboxConfig::default() },
            ..Record::default()
        };
        std::fs::create_dir_all(daemon.paths.sandbox(SANDBOX)).expect("made");
        daemon.records.put(SANDBOX, record).expect("kept");
        let gateway = FakeGateway::new();
        let mut world = Self { events: daemon.hub.listen(), daemon, gateway, directory };
        world.connect().await;
        world
    }

    async fn connect(&mut self) {
        self.events = self.daemon.hub.listen();
        self.daemon.egress.put_fake(CONTAINER, &self.gateway);
        self.daemon.egress.connect(&self.daemon, SANDBOX, CONTAINER).await.expect("connected");
    }

    fn project(&self) -> String {
        self.directory.path().canonicalize().expect("there").join("p").to_string_lossy().into_owned()
    }

    async fn answer(&self, host: &str, answer: EgressAnswer) -> Result<(), ErrorCode> {
        let entry = self.daemon.egress.get(SANDBOX);
        let decided = answers::decide(&self.daemon, &self.project(), entry.as_ref(), host, answer).await;
        decided.map_err(|problem| problem.code)
    }

    /// Hosts of a layer that the gateway was told last.
    fn told(&self, layer: EgressLayer, action: EgressAction) -> Vec<String> {
        let last = self.gateway.configured().pop().expect("a policy");
        let rules = last.policy.rules.into_iter();
        rules
            .filter(|placed| placed.layer == layer && placed.rule.action == action)
            .map(|placed| placed.rule.host)
            .collect()
    }

    fn ask(&self, id: &str, host: &str, port: u16) {
        let ask = EgressAsk { id: id.to_owned(), host: host.to_owned(), port, waiting: 1, until_ms: 0 };
        self.gateway.tell(&Tell::Asking(ask));
    }

    async fn event(&mut self, what: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.events.recv().await.expect("an event");
            if what(&event) {
                return event;
            }
        }
    }

    /// The policy that comes next after `known` of them.
    async fn next_policy(&self, known: usize) -> Configure {
        loop {
            if let Some(configure) = self.gateway.configured().get(known) {
                return configure.clone();
            }
            tokio::task::yield_now().await;
        }
    }
}

fn allows(host: &str) -> EgressConfig {
    EgressConfig { allow: Some(vec![host.to_owned()]), ..EgressConfig::default() }
}

#[tokio::test]
async fn a_gateway_gets_its_policy_and_an_authority_of_its_own() {
    let world = World::new(allows("request.example")).await;
    let configured = world.gateway.configured();
    assert_eq!(configured.len(), 1);
    assert_eq!(world.told(EgressLayer::Request, EgressAction::Allow), ["request.example"]);
    let authority = configured[0].authority.clone().expect("an authority");
    assert!(authority.certificate.contains("BEGIN CERTIFICATE") && authority.key.contains("PRIVATE KEY"));
    world.daemon.egress.reconsider(&world.daemon, &world.project()).await.expect("the same");
    assert_eq!(world.gateway.configured().len(), 1, "what is enforced is not told again");
}

#[tokio::test]
async fn what_waits_is_told_and_answered() {
    let mut world = World::new(EgressConfig::default()).await;
    world.ask("1", "once.example", 443);
    world.event(|event| matches!(event, Event::EgressAsking { ask, .. } if ask.id == "1")).await;
    assert_eq!(world.daemon.egress.asks()[SANDBOX].len(), 1);
    world.answer("once.example", EgressAnswer::AllowOnce).await.expect("answered");
    world.event(|event| matches!(event, Event::EgressAsked { ask_id, .. } if ask_id == "1")).await;
    assert_eq!(world.gateway.decided()[0].action, EgressAction::Allow);
    assert!(world.daemon.egress.asks().is_empty());
    assert_eq!(world.gateway.configured().len(), 1, "once changes no policy");
    assert_eq!(world.answer("once.example", EgressAnswer::AllowOnce).await, Err(ErrorCode::EgressNothing));
    assert_eq!(world.answer("not a host", EgressAnswer::AllowOnce).await, Err(ErrorCode::InvalidParams));
}

#[tokio::test]
async fn the_newest_answer_counts_whatever_it_is_for() {
    let world = World::new(EgressConfig::default()).await;
    use EgressAction::{Allow, Deny};
    use EgressLayer::{Remembered, Session};
    world.answer("a.example", EgressAnswer::DenyAlways).await.expect("decided");
    assert_eq!(world.told(Remembered, Deny), ["a.example"]);
    world.answer("a.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(world.told(Session, Allow), ["a.example"]);
    world.answer("a.example", EgressAnswer::Deny).await.expect("decided");
    assert_eq!((world.told(Session, Allow), world.told(Session, Deny)), (vec![], vec!["a.example".to_owned()]));
    world.answer("a.example", EgressAnswer::AllowProject).await.expect("decided");
    assert_eq!((world.told(Session, Deny), world.told(Remembered, Deny)), (vec![], vec![]));
    assert_eq!(world.told(Remembered, Allow), ["a.example"]);
    let target = SandboxRef { sandbox: None, project: Some(world.project()), session: None };
    let params = EgressForgetParams { target, host: "*".to_owned() };
    requests::forget(Arc::clone(&world.daemon), params).await.expect("forgotten");
    assert_eq!(world.told(Remembered, Allow), [""; 0]);
}

#[tokio::test]
async fn a_port_that_waits_is_the_one_that_is_allowed() {
    let mut world = World::new(EgressConfig::default()).await;
    world.ask("1", "git.example", 22);
    world.event(|event| matches!(event, Event::EgressAsking { .. })).await;
    world.answer("git.example", EgressAnswer::AllowSession).await.expect("decided");
    let policy = world.gateway.configured().pop().expect("a policy").policy;
    let rule = policy.rules.into_iter().find(|placed| placed.rule.host == "git.example").expect("a rule").rule;
    assert_eq!(rule.ports, Some(vec![22]));
}

#[tokio::test]
async fn an_answer_keeps_where_a_name_may_lead_and_how_it_is_looked_at() {
    let ask = |host: &str, private| EgressRule {
        host: host.to_owned(),
        action: EgressAction::Ask,
        ports: Some(vec![443]),
        private,
        inspect: private,
        methods: None,
        paths: None,
    };
    let rules =
        vec![ask("git.corp.example", Some(true)), ask("*.lab.example", Some(true)), ask("public.example", None)];
    let world = World::new(EgressConfig { rules: Some(rules), ..EgressConfig::default() }).await;
    let manner = |host: &str| {
        let answers = |placed: &PlacedRule| matches!(placed.layer, EgressLayer::Session | EgressLayer::Remembered);
        let policy = world.gateway.configured().pop().expect("a policy").policy;
        let is_meant = |placed: &PlacedRule| answers(placed) && rule_text(&placed.rule) == host;
        let rule = policy.rules.into_iter().find(is_meant).expect("the answer").rule;
        (rule.action, rule.private, rule.inspect)
    };
    use EgressAction::{Allow, Deny};
    let kept = (Allow, Some(true), Some(true));
    world.answer("git.corp.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(manner("git.corp.example"), kept);
    world.answer("git.corp.example", EgressAnswer::DenyAlways).await.expect("decided");
    assert_eq!(manner("git.corp.example"), (Deny, None, None));
    world.answer("git.corp.example", EgressAnswer::AllowProject).await.expect("decided");
    assert_eq!(manner("git.corp.example"), kept, "a refusal in between changes nothing of that");
    world.answer("one.lab.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(manner("one.lab.example"), kept);
    world.answer("*.lab.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(manner("*.lab.example"), kept);
    for host in ["public.example", "*.corp.example", "other.example"] {
        world.answer(host, EgressAnswer::AllowSession).await.expect("decided");
        assert_eq!(manner(host), (Allow, None, None), "{host}");
    }
    world.answer("git.corp.example:22", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(manner("git.corp.example:22"), (Allow, None, None), "another port is another thing");
}

#[tokio::test]
async fn what_a_connection_moved_is_known_when_it_ends() {
    let mut world = World::new(EgressConfig::default()).await;
    let first = decision(1, "a.example", EgressAction::Allow);
    world.gateway.tell(&Tell::Decided(first.clone()));
    let last = EgressDecision { bytes_up: 5, bytes_down: 7, ..first };
    world.gateway.tell(&Tell::Decided(last.clone()));
    world.gateway.tell(&Tell::Decided(decision(2, "b.example", EgressAction::Deny)));
    let mut told = Vec::new();
    while told.last().is_none_or(|host| host != "b.example") {
        if let Event::EgressDecided { decision, .. } =
            world.event(|event| matches!(event, Event::EgressDecided { .. })).await
        {
            told.push(decision.host);
        }
    }
    assert_eq!(told, ["a.example", "b.example"], "nobody is told twice");
    let trail = world.daemon.egress.get(SANDBOX).expect("an entry").state().trail.last(10, false);
    assert_eq!(trail, [last, decision(2, "b.example", EgressAction::Deny)]);
}

#[tokio::test]
async fn a_broken_conversation_is_taken_up_and_a_restarted_gateway_gets_its_policy() {
    let mut world = World::new(EgressConfig::default()).await;
    world.answer("kept.example", EgressAnswer::AllowSession).await.expect("decided");
    world.gateway.set(|status| status.blocked = 3);
    world.gateway.restart();
    let again = world.next_policy(2).await;
    assert_eq!(world.gateway.attached(), 2);
    assert!(again.policy.rules.iter().any(|placed| placed.rule.host == "kept.example"));
    world.gateway.tell(&Tell::Decided(decision(1, "x.example", EgressAction::Deny)));
    world.event(|event| matches!(event, Event::EgressDecided { decision, .. } if decision.host == "x.example")).await;
}

#[tokio::test]
async fn a_gateway_that_was_made_anew_goes_on_counting() {
    let mut world = World::new(EgressConfig::default()).await;
    world.gateway.set(|status| status.blocked = 3);
    world.answer("kept.example", EgressAnswer::AllowSession).await.expect("decided");
    assert_eq!(world.daemon.egress.label(SANDBOX).blocked, 3);
    world.ask("1", "waits.example", 443);
    world.event(|event| matches!(event, Event::EgressAsking { .. })).await;
    let gateway = FakeGateway::new();
    gateway.set(|status| (status.run, status.blocked) = (2, 1));
    let before = std::mem::replace(&mut world.gateway, gateway);
    world.connect().await;
    before.hang_up();
    assert_eq!(world.daemon.egress.label(SANDBOX).blocked, 4);
    assert!(world.daemon.egress.asks().is_empty(), "what waited at the old one is gone");
    assert_eq!(world.told(EgressLayer::Session, EgressAction::Allow), ["kept.example"]);
    assert_eq!(before.attached(), 1);
}

#[tokio::test]
async fn a_new_daemon_goes_on_where_the_old_one_was() {
    let mut world = World::new(EgressConfig::default()).await;
    world.answer("kept.example", EgressAnswer::AllowSession).await.expect("decided");
    world.gateway.tell(&Tell::Decided(decision(1, "seen.example", EgressAction::Deny)));
    world.event(|event| matches!(event, Event::EgressDecided { .. })).await;
    let entry = world.daemon.egress.get(SANDBOX).expect("an entry");
    answers::bypass(&world.daemon, &entry, 600).await.expect("begun");
    let before = world.gateway.configured().pop().expect("a policy");
    entry.token.cancel();
    world.ask("9", "while.away.example", 443);
    world.gateway.tell(&Tell::Decided(decision(2, "missed.example", EgressAction::Deny)));
    world.daemon = open(&world.directory.path().canonicalize().expect("there"));
    world.connect().await;
    let after = world.gateway.configured().pop().expect("a policy");
    assert!(after.revision > before.revision);
    assert_eq!(after.policy, before.policy);
    assert!(world.daemon.egress.label(SANDBOX).bypass_until_ms.is_some());
    assert_eq!(world.daemon.egress.asks()[SANDBOX][0].id, "9");
    let trail = world.daemon.egress.get(SANDBOX).expect("an entry").state().trail.last(10, true);
    let hosts: Vec<_> = trail.iter().map(|decision| decision.host.as_str()).collect();
    assert_eq!(hosts, ["seen.example", "missed.example"]);
    world.daemon.egress.disconnect(SANDBOX);
    let passing = world.daemon.records.get(SANDBOX).expect("a record").egress;
    assert_eq!(passing, Default::default(), "the session ends with the sandbox");
    assert_eq!(world.daemon.egress.label(SANDBOX).enforcement, Enforcement::Off);
}

#[tokio::test]
async fn a_bypass_is_bounded_and_needs_a_gateway() {
    let world = World::new(EgressConfig::default()).await;
    let entry = world.daemon.egress.get(SANDBOX).expect("an entry");
    let problem = answers::bypass(&world.daemon, &entry, 3601).await.expect_err("too long");
    assert_eq!(problem.code, ErrorCode::InvalidParams);
    answers::bypass(&world.daemon, &entry, 60).await.expect("begun");
    assert!(world.gateway.configured().pop().expect("a policy").policy.bypass_until_ms > 0);
    answers::bypass(&world.daemon, &entry, 0).await.expect("ended");
    assert_eq!(world.gateway.configured().pop().expect("a policy").policy.bypass_until_ms, 0);
    let reasons: Vec<_> = entry.state().trail.last(10, false).into_iter().filter_map(|one| one.reason).collect();
    assert_eq!(reasons, ["bypass-began", "bypass-ended"]);
    let target = SandboxRef { sandbox: None, project: Some(world.project()), session: None };
    let params = EgressBypassParams { target, seconds: 60 };
    let problem = requests::bypass(Arc::clone(&world.daemon), params).await.expect_err("no such sandbox is known");
    assert_eq!(problem.code, ErrorCode::SandboxNotRunning);
}

#[tokio::test]
async fn a_projects_wishes_count_once_they_are_approved() {
    let world = World::new(EgressConfig::default()).await;
    let file = Path::new(&world.project()).join(PROJECT_FILE);
    let wish = r#"{"egress": {"allow": ["project.example"]}}"#;
    std::fs::write(&file, wish).expect("written");
    world.daemon.egress.reconsider(&world.daemon, &world.project()).await.expect("read");
    assert_eq!(world.told(EgressLayer::Project, EgressAction::Allow), [""; 0]);
    let report =
        settings::load(&world.daemon.paths, &world.project(), &SandboxConfig::default()).expect("valid").report;
    let hash = report.content_hash.expect("a hash");
    settings::approve(&world.daemon.paths, &world.project(), &hash).expect("approved");
    let known = world.gateway.configured().len();
    world.daemon.egress.reconsider(&world.daemon, &world.project()).await.expect("read");
    assert_eq!(world.told(EgressLayer::Project, EgressAction::Allow), ["project.example"]);
    // A file that is wrong takes nothing back, and is told.
    std::fs::write(&file, "{").expect("written");
    let entry = world.daemon.egress.get(SANDBOX).expect("an entry");
    entry.enforce(&world.daemon).await.expect("as before");
    assert_eq!(world.gateway.configured().len(), known + 1);
    entry.set_finding(&world.daemon, Finding::InOrder);
    assert!(entry.label().alarm.is_some_and(|alarm| alarm.contains("unreadable")));
}

#[tokio::test]
async fn the_persons_file_is_watched() {
    let world = World::new(EgressConfig::default()).await;
    let known = world.gateway.configured().len();
    let file = world.daemon.paths.user_config();
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    std::fs::write(&file, r#"{"egress": {"deny": ["user.example"]}}"#).expect("written");
    let next = world.next_policy(known).await;
    let is_there = |placed: &boxwood_protocol::egress::PlacedRule| {
        placed.layer == EgressLayer::UserDeny && placed.rule.host == "user.example"
    };
    assert!(next.policy.rules.iter().any(is_there));
}

#[tokio::test]
async fn the_label_says_what_was_found() {
    let world = World::new(EgressConfig::default()).await;
    let entry = world.daemon.egress.get(SANDBOX).expect("an entry");
    let label = |finding| {
        entry.set_finding(&world.daemon, finding);
        entry.label()
    };
    let check = |finding: Finding, enforcement: Enforcement, alarm: Option<&str>| {
        let label = label(finding);
        assert_eq!(label.enforcement, enforcement);
        assert_eq!(label.alarm.is_some(), alarm.is_some(), "{label:?}");
        assert!(label.alarm.unwrap_or_default().contains(alarm.unwrap_or_default()));
    };
    check(Finding::Unknown, Enforcement::Off, None);
    check(Finding::InOrder, Enforcement::Outside, None);
    check(Finding::Silent("x".to_owned()), Enforcement::Outside, Some("no network"));
    check(Finding::Leak("1.1.1.1".to_owned()), Enforcement::Off, Some("1.1.1.1"));
    check(Finding::Unchecked("y".to_owned()), Enforcement::Off, Some("cannot be checked"));
}

#[tokio::test]
async fn a_project_has_a_policy_before_it_has_a_sandbox() {
    let world = World::new(EgressConfig::default()).await;
    let target = SandboxRef { sandbox: None, project: Some(world.project()), session: None };
    let report = requests::policy(Arc::clone(&world.daemon), target.clone()).await.expect("a report");
    assert!(report.rules.iter().all(|hits| hits.placed.layer == EgressLayer::Preset) && !report.rules.is_empty());
    let params = EgressDecideParams { target, host: "later.example".to_owned(), answer: EgressAnswer::AllowProject };
    let report = requests::decide(Arc::clone(&world.daemon), params).await.expect("decided");
    assert!(report.rules.iter().any(|hits| hits.placed.rule.host == "later.example"));
}
