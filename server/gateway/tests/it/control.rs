//! The conversation with the daemon.

use std::sync::Arc;

use boxwood_protocol::egress::{EgressAction, EgressPolicy};
use boxwood_protocol::gateway::{Answer, Ask, Configure, Decide, MAX_LINE_BYTES, Nothing, Notice, Request, Tell};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

use crate::rig::{OK, Rig, SOON, allowing, answering, read_to};

struct Daemon {
    to: DuplexStream,
    from: tokio::io::Lines<BufReader<DuplexStream>>,
    id: u64,
}

impl Daemon {
    fn new(rig: &Rig) -> Self {
        let (to, input) = tokio::io::duplex(1 << 16);
        let (output, from) = tokio::io::duplex(1 << 16);
        let state = Arc::clone(&rig.state);
        tokio::spawn(async move { boxwood_gateway::control::listen(&state, BufReader::new(input)).await });
        let state = Arc::clone(&rig.state);
        tokio::spawn(async move { boxwood_gateway::control::tell(&state, output).await });
        Self { to, from: BufReader::new(from).lines(), id: 0 }
    }

    async fn line(&mut self) -> String {
        tokio::time::timeout(SOON, self.from.next_line()).await.expect("soon").expect("read").expect("a line")
    }

    async fn tell(&mut self) -> Tell {
        serde_json::from_str::<Notice>(&self.line().await).expect("news").tell
    }

    async fn send(&mut self, text: &[u8]) -> Answer {
        self.to.write_all(text).await.expect("sent");
        self.to.write_all(b"\n").await.expect("sent");
        serde_json::from_str(&self.line().await).expect("an answer")
    }

    async fn ask(&mut self, ask: Ask) -> Answer {
        self.id += 1;
        let request = Request { jsonrpc: "2.0".into(), id: self.id, ask };
        let answer = self.send(&serde_json::to_vec(&request).expect("JSON")).await;
        assert_eq!(answer.id, self.id);
        answer
    }
}

fn configure(revision: u64, policy: EgressPolicy) -> Ask {
    Ask::Configure(Box::new(Configure::new(revision, policy)))
}

#[tokio::test]
async fn a_policy_is_enforced_when_it_is_answered() {
    let rig = Rig::without_policy();
    let mut daemon = Daemon::new(&rig);
    assert_eq!(daemon.ask(Ask::Status(Nothing {})).await.result.expect("a status").revision, 0);
    let status = daemon.ask(configure(7, allowing(&["a.example"]))).await.result.expect("a status");
    assert_eq!((status.revision, status.open), (7, 0));
    assert!(status.run > 0 && !status.version.is_empty());
    assert_eq!(rig.state.in_force().expect("a policy").revision, 7);
}

#[tokio::test]
async fn decisions_and_questions_are_told() {
    let rig = Rig::new(EgressPolicy { default: EgressAction::Ask, ..allowing(&[]) }).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let mut daemon = Daemon::new(&rig);
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    let Tell::Asking(ask) = daemon.tell().await else { panic!("a question") };
    assert_eq!((ask.host.as_str(), ask.port, ask.waiting), ("a.example", 80, 1));
    let unknown = daemon.ask(Ask::Decide(Decide { ask: "ask-99".into(), action: EgressAction::Allow })).await;
    assert!(unknown.error.expect("an error").message.contains("nothing waits"));
    let asking = daemon.ask(Ask::Decide(Decide { ask: ask.id.clone(), action: EgressAction::Ask })).await;
    assert!(asking.error.is_some());
    daemon
        .ask(Ask::Decide(Decide { ask: ask.id.clone(), action: EgressAction::Allow }))
        .await
        .result
        .expect("a status");
    read_to(&mut client, "ok").await;
    assert_eq!(daemon.tell().await, Tell::Asked { id: ask.id });
    let Tell::Decided(decision) = daemon.tell().await else { panic!("a decision") };
    drop(client);
    let Tell::Decided(again) = daemon.tell().await else { panic!("the same with its bytes") };
    assert_eq!((again.serial, again.count, again.bytes_down), (decision.serial, 1, 2));
    assert_eq!((decision.host.as_str(), decision.action), ("a.example", EgressAction::Allow));
}

#[tokio::test]
async fn nonsense_is_answered_and_the_next_message_is_read() {
    let rig = Rig::new(allowing(&[])).await;
    let mut daemon = Daemon::new(&rig);
    for (line, id) in [
        (&b"nonsense"[..], 0),
        (b"{}", 0),
        (b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"fly\"}", 5),
        (b"{\"jsonrpc\":\"1.0\",\"id\":6,\"method\":\"status\",\"params\":{}}", 6),
        (b"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"configure\",\"params\":{\"revision\":1}}", 8),
        (b"\xff\xfe", 0),
    ] {
        let answer = daemon.send(line).await;
        assert_eq!((answer.id, answer.error.is_some(), answer.result.is_some()), (id, true, false));
    }
    let long = vec![b' '; MAX_LINE_BYTES + 1];
    assert!(daemon.send(&long).await.error.expect("an error").message.contains("longer than"));
    assert_eq!(daemon.ask(Ask::Status(Nothing {})).await.result.expect("a status").revision, 1);
}

#[tokio::test]
async fn nobody_is_waited_for_who_does_not_read() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    // A pipe that takes almost nothing, and nobody at its end.
    let (output, _unread) = tokio::io::duplex(16);
    let state = Arc::clone(&rig.state);
    tokio::spawn(async move { boxwood_gateway::control::tell(&state, output).await });
    for number in 0..2000 {
        rig.state.refuse_text(
            &format!("host{number}.example"),
            443,
            boxwood_protocol::egress::EgressVia::Tls,
            "no-name",
        );
    }
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    read_to(&mut client, "ok").await;
    assert_eq!(rig.state.status().blocked, 2000);
}

#[tokio::test]
async fn the_end_of_input_is_not_the_end() {
    let mut rig = Rig::new(allowing(&["a.example"])).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let daemon = Daemon::new(&rig);
    drop(daemon);
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    read_to(&mut client, "ok").await;
    rig.apply(|policy| policy.rules.clear()).await;
    assert_eq!(Daemon::new(&rig).ask(Ask::Status(Nothing {})).await.result.expect("a status").revision, 2);
}
