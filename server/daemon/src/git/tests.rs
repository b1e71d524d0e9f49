//! Whole conversations with git inside, beside a git of the host whose helper knows one host.

use std::pin::Pin;

use boxwood_core::labels;
use boxwood_engine::{ContainerState, EngineError, Output, OutputStream, Running};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::egress::{EgressAction, EgressConfig};
use boxwood_protocol::git::{GitAnswer, GitDecideParams, GitRevokeParams};
use boxwood_protocol::params::SandboxRef;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWrite, BufReader};
use tokio::sync::broadcast::Receiver;

use super::*;
use crate::records::Record;
use crate::registry::container;

const SANDBOX: &str = "p-00000000";
const CANARY: &str = "canary-git-password-canary";

struct World {
    daemon: Arc<Daemon>,
    known: Known,
    events: Receiver<Event>,
    directory: tempfile::TempDir,
}

impl World {
    fn new(network: &str, egress: Option<EgressConfig>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("canonical");
        std::fs::create_dir_all(root.join("p")).expect("made");
        let home = root.to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "HOME").then(|| home.clone()), 0);
        let nowhere = || Err(EngineError::Broken("there is none".to_owned()));
        let lookup = |name: &str| (name == "BOXWOOD_KEYRING").then(|| "file".to_owned());
        let mut daemon = Daemon::open(paths, &lookup, Box::new(nowhere)).expect("opened");
        let configuration = root.join("gitconfig");
        let helper = format!(
            "[credential]\n\thelper = \"!f() {{ grep -q host=a.example && \
             printf 'username=me\\\\npassword={CANARY}\\\\n'; }}; f\"\n"
        );
        std::fs::write(&configuration, helper).expect("written");
        let own = Arc::get_mut(&mut daemon).expect("nobody else has it yet");
        let host = HostGit::new(&own.paths.state, None).with_configuration(&configuration);
        own.git = Git::new(&own.paths, &|_| None).with_host(host);
        daemon.registry.set_ready();
        let project = root.join("p").to_string_lossy().into_owned();
        std::fs::create_dir_all(daemon.paths.sandbox(SANDBOX)).expect("made");
        let record = Record {
            project: project.clone(),
            session: "default".to_owned(),
            request: SandboxConfig { egress, ..SandboxConfig::default() },
            ..Record::default()
        };
        daemon.records.put(SANDBOX, record).expect("kept");
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let detail = container(
            "c".repeat(64),
            format!("boxwood-{SANDBOX}"),
            ContainerState::Running,
            [
                label(labels::ROLE, "sandbox"),
                label(labels::SANDBOX, SANDBOX),
                label(labels::PROJECT, &project),
                label(labels::SESSION, "default"),
                label(labels::NETWORK, network),
            ]
            .into(),
        );
        daemon.registry.update(detail);
        let known = daemon.registry.get(SANDBOX).expect("there");
        Self { events: daemon.hub.listen(), daemon, known, directory }
    }

    /// Git inside, which says `lines`.
    fn speak(&self) -> Inside {
        let (say, output) = unbounded();
        let (input, heard) = tokio::io::duplex(1 << 20);
        let input: Pin<Box<dyn AsyncWrite + Send>> = Box::pin(input);
        let running = Running { exec_id: "e".to_owned(), output: Box::pin(output), input };
        let (daemon, known) = (Arc::clone(&self.daemon), self.known.clone());
        let conversation = tokio::spawn(async move { channel::converse(&daemon, &known, running).await });
        Inside { say, heard: BufReader::new(heard), conversation }
    }

    fn target() -> SandboxRef {
        SandboxRef { sandbox: Some(SANDBOX.to_owned()), ..SandboxRef::default() }
    }

    async fn decide(&self, host: &str, answer: GitAnswer) {
        let params = GitDecideParams { target: Self::target(), host: host.to_owned(), answer };
        requests::decide(Arc::clone(&self.daemon), params).await.expect("decided");
    }

    async fn revoke(&self, host: &str) -> crate::error::Result<()> {
        let params = GitRevokeParams { target: Self::target(), host: host.to_owned() };
        requests::revoke(Arc::clone(&self.daemon), params).await.map(drop)
    }

    async fn asked(&mut self) -> String {
        loop {
            if let Event::GitAsking { ask, .. } = self.events.recv().await.expect("an event") {
                return ask.host;
            }
        }
    }
}

struct Inside {
    say: UnboundedSender<Result<Output, EngineError>>,
    heard: BufReader<tokio::io::DuplexStream>,
    conversation: tokio::task::JoinHandle<bool>,
}

impl Inside {
    fn say(&self, text: &str) {
        let output = Output { stream: OutputStream::Stdout, bytes: text.to_owned().into() };
        self.say.unbounded_send(Ok(output)).expect("heard");
    }

    fn ask(&self, id: u64, host: &str) {
        self.say(&format!("{}\n", json!({ "id": id, "protocol": "https", "host": host })));
    }

    async fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.heard.read_line(&mut line).await.expect("an answer");
        serde_json::from_str(&line).expect("json")
    }
}

#[tokio::test]
async fn the_person_is_asked_once_and_can_take_it_back() {
    let mut world = World::new("open", None);
    let mut inside = world.speak();
    inside.say("{\"ready\":");
    inside.say("true}\n");
    inside.ask(1, "a.example");
    assert_eq!(world.asked().await, "a.example");
    // Whoever asks the same meanwhile waits for the same answer.
    inside.ask(2, "A.example:443");
    world.decide("a.example", GitAnswer::Allow).await;
    let mut answers = [inside.answer().await, inside.answer().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers[0], json!({ "id": 1, "username": "me", "password": CANARY }));
    assert_eq!(answers[1]["id"], 2);
    inside.ask(3, "a.example");
    assert_eq!(inside.answer().await["password"], CANARY, "nobody is asked again");
    world.decide("a.example", GitAnswer::Deny).await;
    inside.ask(4, "a.example");
    assert_eq!(inside.answer().await, json!({ "id": 4, "refused": "the person refused it for a.example" }));
    world.revoke("a.example").await.expect("taken back");
    assert_eq!(world.revoke("a.example").await.map_err(|problem| problem.code), Err(ErrorCode::InvalidParams));
    inside.ask(5, "a.example");
    assert_eq!(world.asked().await, "a.example");
    drop(inside.say);
    assert!(inside.conversation.await.expect("ended"), "it had begun");
}

#[tokio::test]
async fn what_the_host_does_not_know_and_what_is_odd_is_refused() {
    let world = World::new("open", None);
    world.decide("b.example", GitAnswer::Allow).await;
    let mut inside = world.speak();
    inside.ask(1, "b.example");
    assert_eq!(inside.answer().await["refused"], "git on this machine has no credential for it");
    inside.ask(2, "a.example\nhost=b.example");
    assert!(inside.answer().await["refused"].as_str().is_some_and(|why| why.contains("not one")));
    inside.say(&format!("{}\n", json!({ "id": 3, "protocol": "http", "host": "b.example" })));
    assert_eq!(inside.answer().await["refused"], "only https has credentials of this machine");
    inside.say("no question\n");
    assert!(!inside.conversation.await.expect("ended"), "whoever talks nonsense is not listened to");
    let stored = world.directory.path().join(".local/state/boxwood");
    assert!(!contains(&stored, CANARY), "nothing of a credential is kept");
}

#[tokio::test]
async fn no_credential_is_given_for_where_the_sandbox_may_not_go() {
    let egress = EgressConfig {
        allow: Some(vec!["a.example".to_owned()]),
        default: Some(EgressAction::Deny),
        ..EgressConfig::default()
    };
    let world = World::new("gateway", Some(egress));
    for host in ["a.example", "b.example"] {
        world.decide(host, GitAnswer::Allow).await;
    }
    let mut inside = world.speak();
    inside.ask(1, "a.example");
    inside.ask(2, "b.example");
    let mut answers = [inside.answer().await, inside.answer().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers[0]["password"], CANARY);
    assert!(answers[1]["refused"].as_str().is_some_and(|why| why.contains("network policy")), "{}", answers[1]);
    let none = World::new("none", None);
    none.decide("a.example", GitAnswer::Allow).await;
    let mut inside = none.speak();
    inside.ask(1, "a.example");
    assert!(inside.answer().await["refused"].as_str().is_some_and(|why| why.contains("no network")));
}

/// Time is the test's own: a question that nobody answers is over after its minute and not before.
#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_is_refused() {
    let mut world = World::new("open", None);
    let mut inside = world.speak();
    let began = tokio::time::Instant::now();
    inside.ask(1, "a.example");
    let answer = inside.answer().await;
    assert_eq!(began.elapsed().as_secs(), 60);
    assert!(answer["refused"].as_str().is_some_and(|why| why.contains("boxwood git allow a.example")), "{answer}");
    assert_eq!(world.asked().await, "a.example");
    let report = requests::approvals(Arc::clone(&world.daemon), World::target()).await.expect("a report");
    assert!(report.asks.is_empty() && report.approvals.is_empty(), "{report:?}");
}

fn contains(directory: &std::path::Path, needle: &str) -> bool {
    std::fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return contains(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|part| part == needle.as_bytes())
    })
}
