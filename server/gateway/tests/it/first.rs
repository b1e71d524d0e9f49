//! What a client says first, on ports of other protocols and on those of the web.

use std::time::Instant;

use tokio::io::AsyncWriteExt;

use crate::rig::{OK, Rig, accept, allowing, answering, read_to, rest, until};

const PORTS: [&str; 2] = ["a.example:9000", "a.example:3306"];

#[tokio::test]
async fn what_is_no_request_is_carried_without_being_waited_for() {
    let rig = Rig::new(allowing(&PORTS)).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let startup = "\0\0\0\u{8}\u{4}\u{0}\u{0}\u{1}";
    for first in
        ["hello", "GET", "PING\r\n", "get hello\r\n", "*1\r\n$4\r\nPING\r\n", "SSH-2.0-Client_1\r\n", startup, "\r\n"]
    {
        let mut client = rig.to("a.example", 9000).await;
        let started = Instant::now();
        client.write_all(first.as_bytes()).await.expect("sent");
        let mut server = accept(&listener).await;
        assert_eq!(read_to(&mut server, first).await, first);
        // Far less than a request's head may take; the machine may be slow.
        assert!(started.elapsed().as_secs() < 3, "{first:?} took {:?}", started.elapsed());
        server.write_all(b"answer").await.expect("sent");
        assert_eq!(read_to(&mut client, "answer").await, "answer");
    }
    assert!(rig.log().iter().all(|decision| decision.reason.is_none()));
}

#[tokio::test]
async fn a_client_that_waits_for_its_server_is_connected() {
    let rig = Rig::new(allowing(&PORTS)).await;
    for port in [9000, 3306] {
        let listener = rig.server("a.example", &format!("203.0.113.1:{port}")).await;
        let mut client = rig.to("a.example", port).await;
        accept(&listener).await.write_all(b"greeting").await.expect("sent");
        assert_eq!(rest(&mut client).await, "greeting");
    }
}

#[tokio::test]
async fn a_request_is_one_on_any_port_however_late_it_begins() {
    let rig = Rig::new(allowing(&PORTS)).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let late = {
        let client = rig.to("a.example", 9000).await;
        // By now it is taken for one whose server speaks first.
        (client, accept(&listener).await)
    };
    for (mut client, server) in [(rig.to("a.example", 9000).await, None), (late.0, Some(late.1))] {
        client.write_all(b"\r\nGET / HTTP/1.1\r\nHost: b.example:9000\r\n\r\n").await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
        assert_eq!(rig.last(), "Deny b.example:9000 name-mismatch");
        drop(client);
        if let Some(mut server) = server {
            assert_eq!(rest(&mut server).await, "");
        }
    }
    let seen = answering(listener, OK);
    let mut client = rig.to("a.example", 9000).await;
    client.write_all(b"\r\nGET / HTTP/1.1\r\nHost: a.example:9000\r\n\r\n").await.expect("sent");
    read_to(&mut client, "ok").await;
    assert_eq!(seen.lock().expect("a list")[..], ["GET / HTTP/1.1\r\nhost: a.example:9000\r\n\r\n"]);
}

#[tokio::test]
async fn what_ends_before_it_can_be_told_is_refused_where_it_could_be_a_name() {
    let rig = Rig::new(allowing(&["a.example", "a.example:9000"])).await;
    for (port, bytes, reason) in [
        (9000, b"\x16\x03\x01".as_slice(), "malformed-hello"),
        (443, b"\x16\x03\x01", "malformed-hello"),
        (443, b"GE", "unknown-protocol"),
        (80, b"hello", "unknown-protocol"),
    ] {
        let mut client = rig.to("a.example", port).await;
        client.write_all(bytes).await.expect("sent");
        client.shutdown().await.expect("ended");
        let expected = format!("Deny a.example:{port} {reason}");
        until(|| !rig.log().is_empty() && rig.last() == expected, &expected).await;
        rest(&mut client).await;
    }
    assert!(rig.dialled().is_empty());
}
