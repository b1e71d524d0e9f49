//! Connections that wait for the person.

use boxwood_protocol::egress::{EgressAction, EgressAsk, EgressPolicy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::rig::{OK, Rig, allowing, answering, placed, read_to, rest, rule, until};

fn asking(hold_seconds: u32) -> EgressPolicy {
    EgressPolicy { default: EgressAction::Ask, hold_seconds, ..allowing(&[]) }
}

async fn held(rig: &Rig, count: u32) -> EgressAsk {
    let waiting = || rig.state.asks.list().first().is_some_and(|ask| ask.waiting == count);
    until(waiting, "a question").await;
    rig.state.asks.list().remove(0)
}

async fn ask(rig: &Rig, name: &str) -> TcpStream {
    let mut client = rig.to(name, 80).await;
    client.write_all(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes()).await.expect("sent");
    client
}

#[tokio::test]
async fn an_answer_lets_all_that_wait_go_on_and_nobody_else() {
    let rig = Rig::new(asking(30)).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let mut first = ask(&rig, "a.example").await;
    let mut second = ask(&rig, "a.example").await;
    let question = held(&rig, 2).await;
    assert_eq!((question.host.as_str(), question.port), ("a.example", 80));
    assert!(rig.dialled().is_empty());
    assert!(rig.state.asks.answer(&question.id, EgressAction::Allow));
    read_to(&mut first, "ok").await;
    read_to(&mut second, "ok").await;
    assert!(rig.state.asks.list().is_empty());
    // The same connection may go on; another one has to ask.
    first.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    read_to(&mut first, "ok").await;
    let _third = ask(&rig, "a.example").await;
    let again = held(&rig, 1).await;
    assert_ne!(again.id, question.id);
    assert!(!rig.state.asks.answer(&question.id, EgressAction::Allow));
}

#[tokio::test]
async fn a_refusal_counts_for_a_while() {
    let rig = Rig::new(asking(30)).await;
    let mut client = ask(&rig, "a.example").await;
    let question = held(&rig, 1).await;
    assert!(rig.state.asks.answer(&question.id, EgressAction::Deny));
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(rig.last(), "Deny a.example:80 answered");
    let mut client = ask(&rig, "a.example").await;
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    assert!(rig.state.asks.list().is_empty());
}

#[tokio::test]
async fn a_policy_that_decides_is_an_answer() {
    let mut rig = Rig::new(asking(30)).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let mut allowed = ask(&rig, "a.example").await;
    held(&rig, 1).await;
    let mut denied = ask(&rig, "b.example").await;
    until(|| rig.state.asks.list().len() == 2, "two questions").await;
    rig.apply(|policy| {
        policy.rules =
            vec![placed(rule("a.example", EgressAction::Allow)), placed(rule("b.example", EgressAction::Deny))];
    })
    .await;
    read_to(&mut allowed, "ok").await;
    assert!(read_to(&mut denied, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    assert!(rig.state.asks.list().is_empty());
}

#[tokio::test]
async fn patience_ends() {
    let rig = Rig::new(asking(1)).await;
    let mut client = ask(&rig, "a.example").await;
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    assert!(read_to(&mut client, "\n").await.contains("nobody answered in time"));
    assert_eq!(rig.last(), "Deny a.example:80 timeout");
    assert!(rig.state.asks.list().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_is_not_asked_about_any_more() {
    let rig = Rig::new(asking(30)).await;
    let client = ask(&rig, "a.example").await;
    held(&rig, 1).await;
    drop(client);
    until(|| rig.state.asks.list().is_empty(), "no question").await;
    assert_eq!(rig.last(), "Deny a.example:80 given-up");

    let mut client = rig.to("a.example", 443).await;
    client.write_all(&[0x16, 3, 1]).await.expect("sent");
    drop(client);
    assert!(rig.state.asks.list().is_empty());
}

#[tokio::test]
async fn tunnels_wait_before_they_are_there() {
    let rig = Rig::new(asking(30)).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let mut client = rig.to_main(3128).await;
    client
        .write_all(b"CONNECT a.example:80 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .await
        .expect("sent");
    let question = held(&rig, 1).await;
    assert!(rig.state.asks.answer(&question.id, EgressAction::Allow));
    // What is spoken inside is not asked about once more.
    assert!(read_to(&mut client, "ok").await.starts_with("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn only_so_many_wait() {
    let rig = Rig::new(asking(30)).await;
    let mut clients = Vec::new();
    for number in 0..256 {
        clients.push(ask(&rig, &format!("host{}.example", number % 8)).await);
    }
    let waiting = || rig.state.asks.list().iter().map(|ask| ask.waiting).sum::<u32>();
    until(|| waiting() == 256, "all to wait").await;
    assert_eq!(rig.state.asks.list().len(), 8);
    let mut client = ask(&rig, "one.example").await;
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(rig.last(), "Deny one.example:80 too-many-waiting");
    drop(clients);
    until(|| waiting() == 0, "nobody to wait").await;
    drop(rest(&mut client));
}
