//! Another policy while connections are open.

use std::time::Duration;

use boxwood_gateway::state::now_ms;
use boxwood_protocol::egress::{EgressAction, EgressRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{OK, Rig, accept, allowing, answering, placed, read_to, rest, rule, until};

/// An open connection of another protocol, both sides of it.
async fn open(rig: &Rig, listener: &tokio::net::TcpListener, name: &str) -> (TcpStream, TcpStream) {
    let mut client = rig.to(name, 9000).await;
    client.write_all(b"\x01").await.expect("sent");
    let mut server = accept(listener).await;
    server.read_u8().await.expect("carried");
    (client, server)
}

#[tokio::test]
async fn of_a_thousand_flows_only_the_revoked_are_cut_and_at_once() {
    let mut rig = Rig::new(allowing(&["a.example:9000", "b.example:9000"])).await;
    let a = rig.server("a.example", "203.0.113.1:9000").await;
    let b = rig.server("b.example", "203.0.113.2:9000").await;
    let mut flows = Vec::new();
    for number in 0..1000 {
        let (name, listener) = if number % 2 == 0 { ("a.example", &a) } else { ("b.example", &b) };
        flows.push(open(&rig, listener, name).await);
    }
    rig.flows(1000).await;
    let took = rig.apply(|policy| policy.rules.retain(|placed| placed.rule.host == "a.example")).await;
    assert!(took < Duration::from_millis(50), "it took {took:?}");
    for (number, (client, server)) in flows.iter_mut().enumerate() {
        if number % 2 == 0 {
            client.write_all(b"\x02").await.expect("sent");
            assert_eq!(server.read_u8().await.expect("carried"), 2);
        } else {
            assert_eq!(client.read_u8().await.expect_err("cut").kind(), std::io::ErrorKind::ConnectionReset);
            assert_eq!(server.read_u8().await.expect_err("cut").kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    rig.flows(500).await;
    assert_eq!(rig.last(), "Deny b.example:9000 revoked");
    assert_eq!(
        rig.log().iter().filter(|kept| kept.action == EgressAction::Deny).map(|kept| kept.count).sum::<u32>(),
        500
    );
}

#[tokio::test]
async fn a_kept_connection_is_no_way_around_a_new_policy() {
    let mut rig = Rig::new(allowing(&["a.example"])).await;
    let seen = answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let mut client = rig.to("a.example", 80).await;
    client.write_all(request).await.expect("sent");
    read_to(&mut client, "ok").await;
    rig.apply(|policy| policy.rules.clear()).await;
    client.write_all(request).await.expect("sent");
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    assert_eq!(seen.lock().expect("a list").len(), 1);
}

#[tokio::test]
async fn an_answer_that_still_comes_is_cut() {
    let mut rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", "203.0.113.1:80").await;
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    let mut server = accept(&listener).await;
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart").await.expect("sent");
    read_to(&mut client, "part").await;
    rig.apply(|policy| policy.rules.clear()).await;
    assert_eq!(rest(&mut client).await, "");
    assert!(!rest(&mut server).await.is_empty(), "the request's head was there");
    rig.flows(0).await;
}

#[tokio::test]
async fn listeners_follow_the_ports_of_rules() {
    let mut rig = Rig::new(allowing(&[])).await;
    let ports = |rig: &Rig| rig.state.listening.lock().expect("a map").keys().copied().collect::<Vec<_>>();
    let usual = [22, 80, 443, 1080, 3128, 3129, 8080, 8443];
    assert_eq!(ports(&rig), usual);
    rig.apply(|policy| {
        policy.rules = vec![
            placed(rule("a.example:5432", EgressAction::Allow)),
            placed(rule("dns.example:53", EgressAction::Allow)),
        ];
    })
    .await;
    assert_eq!(ports(&rig), [22, 80, 443, 1080, 3128, 3129, 5432, 8080, 8443]);
    rig.apply(|policy| policy.rules.clear()).await;
    assert_eq!(ports(&rig), usual);
}

#[tokio::test]
async fn what_was_let_through_for_a_while_ends_with_the_while() {
    let mut rig = Rig::new(allowing(&[])).await;
    let listener = rig.server("a.example", "203.0.113.1:8080").await;
    rig.apply(|policy| policy.bypass_until_ms = now_ms() + 700).await;
    let mut client = rig.to("a.example", 8080).await;
    client.write_all(b"\x01").await.expect("sent");
    let mut server = accept(&listener).await;
    assert_eq!(server.read_u8().await.expect("carried"), 1);
    assert_eq!(rig.log().pop().expect("a decision").layer, boxwood_protocol::egress::EgressLayer::Bypass);
    client.read_u8().await.expect_err("cut");
    assert!(now_ms() > rig.configure.policy.bypass_until_ms);
}

#[tokio::test]
async fn flows_to_private_addresses_end_when_they_are_no_longer_meant() {
    let private = EgressRule { private: Some(true), ..rule("a.example:9000", EgressAction::Allow) };
    let mut policy = allowing(&[]);
    policy.rules = vec![placed(private)];
    let mut rig = Rig::new(policy).await;
    let listener = rig.server("a.example", "10.0.0.5:9000").await;
    let (mut client, _server) = open(&rig, &listener, "a.example").await;
    rig.apply(|policy| policy.rules[0].rule.private = None).await;
    client.read_u8().await.expect_err("cut");
    assert_eq!(rig.last(), "Deny a.example:9000 revoked");
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_changes_nothing() {
    let mut rig = Rig::new(allowing(&["a.example"])).await;
    let mut broken = rig.configure.clone();
    broken.policy.rules.push(placed(EgressRule { host: "a..b".into(), ..rule("a.example", EgressAction::Allow) }));
    assert!(rig.state.configure(&broken).is_err());
    broken.policy.rules.pop();
    broken.trusted = Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into());
    assert!(rig.state.configure(&broken).is_err());
    assert_eq!(rig.state.status().revision, 1);
    rig.apply(|_| {}).await;
    assert_eq!(rig.state.status().revision, 2);
}

#[tokio::test]
async fn rules_keep_their_counts_when_they_move() {
    let mut rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    answering(rig.server("b.example", "203.0.113.1:80").await, OK);
    let mut client = rig.to("b.example", 80).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await.expect("sent");
    read_to(&mut client, "ok").await;
    until(|| rig.state.status().hits == [(1, 1)], "a hit").await;
    rig.apply(|policy| policy.rules.reverse()).await;
    assert_eq!(rig.state.status().hits, [(0, 1)]);
}
