//! What comes through a proxy: the client is told that it is connected when it is, and otherwise why it is not.

use std::io;

use boxwood_protocol::egress::{EgressAction, EgressRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connect::{socks, tunnel};
use crate::rig::{OK, REDIRECTED, Rig, accept, allowing, answering, placed, read_to, rest, rule};
use crate::tls::{Authority, echo};

const A: &str = "203.0.113.1:443";

/// A client's request while lookups wait, when the lookup has begun.
async fn waiting(rig: &Rig, port: u16, requests: &[&[u8]]) -> TcpStream {
    rig.world.is_silent.send_replace(true);
    let mut lookups = rig.world.lookups.subscribe();
    let begun = *lookups.borrow() + 1;
    let mut client = rig.to_main(port).await;
    for request in requests {
        client.write_all(request).await.expect("sent");
        if port == 1080 && request[2..] == [0] {
            assert_eq!(client.read_u16().await.expect("chosen"), 0x0500);
        }
    }
    lookups.wait_for(|count| *count == begun).await.expect("the world lasts");
    client
}

const BY_SOCKS: [&[u8]; 2] = [&[5, 1, 0], b"\x05\x01\x00\x03\x09a.example\x01\xbb"];

#[tokio::test]
async fn nothing_is_answered_before_the_host_is_reached() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", A).await;
    for (port, requests, answer) in [
        (3128, &[b"CONNECT a.example:443 HTTP/1.1\r\n\r\n".as_slice()][..], "HTTP/1.1 200 OK\r\n\r\n"),
        (1080, &BY_SOCKS, "\u{5}\0\0\u{1}\0\0\0\0\0\0"),
    ] {
        let mut client = waiting(&rig, port, requests).await;
        let early = client.try_read(&mut [0; 64]).expect_err("no answer yet");
        assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
        rig.world.is_silent.send_replace(false);
        assert_eq!(read_to(&mut client, answer).await, answer);
        accept(&listener).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_not_connected() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    for (port, requests) in [(3128, &[b"CONNECT a.example:443 HTTP/1.1\r\n\r\n".as_slice()][..]), (1080, &BY_SOCKS)] {
        drop(waiting(&rig, port, requests).await);
        rig.flows(0).await;
        rig.world.is_silent.send_replace(false);
    }
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn whoever_is_not_connected_is_told_why() {
    let rig = Rig::new(allowing(&["nowhere.example", "closed.example", "private.example"])).await;
    rig.name("closed.example", &[&["203.0.113.9"]]);
    rig.name("private.example", &[&["10.0.0.5"]]);
    for (host, status, text, reply) in [
        ("refused.example", 403, "refused.example:443: refused: no rule names it", 2),
        ("private.example", 403, "private.example:443: refused: the name leads to a private address", 2),
        ("nowhere.example", 502, "the name nowhere.example was not found", 4),
        ("closed.example", 502, "closed.example:443 cannot be reached: Connection refused", 5),
    ] {
        let (mut client, answer) = tunnel(&rig, &format!("{host}:443")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
        let body = read_to(&mut client, "\n").await;
        assert!(body.contains(text), "{host}: {body}");
        let (mut client, told) = socks(&rig, host, 443).await;
        assert_eq!(told, reply, "{host}");
        assert_eq!(rest(&mut client).await, "");
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_in_time_is_told_as_that() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let requests = [b"CONNECT a.example:443 HTTP/1.1\r\n\r\n".as_slice()];
    let mut client = waiting(&rig, 3128, &requests).await;
    tokio::time::pause();
    let mut status = [0; 13];
    client.read_exact(&mut status).await.expect("an answer");
    assert_eq!(status, *b"HTTP/1.1 504 ");
    tokio::time::resume();
    let mut client = waiting(&rig, 1080, &BY_SOCKS).await;
    tokio::time::pause();
    let mut reply = [0; 10];
    client.read_exact(&mut reply).await.expect("a reply");
    assert_eq!(reply[1], 4);
}

#[tokio::test]
async fn what_was_dialled_is_used_whatever_is_spoken() {
    let rig = Rig::new(allowing(&["a.example", "b.example", "c.example:9000"])).await;
    let authority = Authority::new("upstream");
    echo(rig.server("a.example", A).await, authority.server("a.example"));
    let (client, _) = tunnel(&rig, "a.example:443").await;
    let mut client = authority.connect("a.example", client).await.expect("connected");
    client.write_all(b"hello").await.expect("sent");
    read_to(&mut client, "hello").await;

    answering(rig.server("b.example", "203.0.113.2:80").await, OK);
    let (mut client, _) = tunnel(&rig, "b.example:80").await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await.expect("sent");
    read_to(&mut client, "ok").await;

    let listener = rig.server("c.example", "203.0.113.3:9000").await;
    let (mut client, _) = socks(&rig, "c.example", 9000).await;
    accept(&listener).await.write_all(b"greeting").await.expect("sent");
    assert_eq!(rest(&mut client).await, "greeting");
    assert_eq!(rig.dialled().len(), 3);
}

#[tokio::test]
async fn what_the_server_ended_meanwhile_is_dialled_again() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", "203.0.113.1:80").await;
    let (mut client, _) = tunnel(&rig, "a.example:80").await;
    drop(accept(&listener).await);
    let seen = answering(listener, OK);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    read_to(&mut client, "ok").await;
    assert_eq!((seen.lock().expect("a list").len(), rig.dialled().len()), (1, 2));
}

#[tokio::test]
async fn a_request_that_may_not_lead_where_the_tunnel_does_is_refused() {
    let reading =
        EgressRule { methods: Some(vec!["GET".into()]), private: Some(true), ..rule("a.example", EgressAction::Allow) };
    let writing = EgressRule { methods: Some(vec!["POST".into()]), ..rule("a.example", EgressAction::Allow) };
    let any = rule("a.example", EgressAction::Allow);
    let post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
    for rules in [vec![reading.clone(), writing], vec![reading, any]] {
        let mut policy = allowing(&[]);
        policy.rules = rules.into_iter().map(placed).collect();
        let rig = Rig::new(policy).await;
        let seen = answering(rig.server("a.example", "10.0.0.5:80").await, OK);
        let (mut client, answer) = tunnel(&rig, "a.example:80").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        client.write_all(post.as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
        assert_eq!(rig.last(), "Deny a.example:80 private-address");
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
        read_to(&mut client, "ok").await;
        assert_eq!(seen.lock().expect("a list").len(), 1);
    }
}

#[tokio::test]
async fn what_the_kernel_brings_here_is_judged_by_where_it_was_sent() {
    let rig = Rig::new(allowing(&["203.0.113.7", "203.0.113.7:9000", "b.example"])).await;
    let sent_to = |to: &str| *rig.world.sent_to.lock().expect("an address") = Some(to.parse().expect("an address"));
    let listener = rig.server("unused.example", "203.0.113.7:9000").await;
    sent_to("203.0.113.7:9000");
    let mut client = rig.to_main(REDIRECTED).await;
    client.write_all(b"\x01hello").await.expect("sent");
    assert_eq!(read_to(&mut accept(&listener).await, "hello").await, "\u{1}hello");
    assert_eq!(rig.last(), "Allow 203.0.113.7:9000");

    for (to, host, expected) in [
        ("203.0.113.8:80", "203.0.113.8", "Deny 203.0.113.8:80"),
        ("203.0.113.7:80", "b.example", "Deny b.example:80 name-mismatch"),
        // Neither is a proxy, just because the port is one's.
        ("203.0.113.8:3128", "203.0.113.8:3128", "Deny 203.0.113.8:3128"),
    ] {
        sent_to(to);
        let mut client = rig.to_main(REDIRECTED).await;
        client.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "), "{to}");
        assert_eq!(rig.last(), expected);
    }
    let count = rig.log().len();
    for nobody in ["127.77.0.2:3129", "127.77.0.20:80"] {
        sent_to(nobody);
        assert_eq!(rest(&mut rig.to_main(REDIRECTED).await).await, "");
    }
    *rig.world.sent_to.lock().expect("an address") = None;
    assert_eq!(rest(&mut rig.to_main(REDIRECTED).await).await, "");
    assert_eq!((rig.log().len(), rig.dialled().len()), (count, 1));
}
