//! Bounds on connections and on what is sent.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, accept, allowing, read_to, rest, until};

#[tokio::test]
async fn only_so_many_connections_are_open() {
    let mut policy = allowing(&["a.example:9000"]);
    policy.connections = 3;
    let rig = Rig::new(policy).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(rig.to("a.example", 9000).await);
    }
    until(|| rig.state.flows.connections() == 3, "three connections").await;
    let mut refused = rig.to("a.example", 9000).await;
    assert_eq!(rest(&mut refused).await, "");
    assert_eq!(rig.last(), "Deny a.example:9000 too-many-connections");
    open.pop();
    until(|| rig.state.flows.connections() == 2, "room").await;
    let _next = rig.to("a.example", 9000).await;
    until(|| rig.state.flows.connections() == 3, "three connections").await;
}

#[tokio::test]
async fn connections_that_come_too_fast_wait_or_are_refused() {
    let mut policy = allowing(&["a.example:9000"]);
    policy.connections_per_second = 20;
    let rig = Rig::new(policy).await;
    let mut open = Vec::new();
    for _ in 0..60 {
        // Some are refused before they know that they were connected.
        open.push(rig.try_to("a.example", 9000).await);
    }
    let refused = || {
        rig.log().iter().filter(|kept| kept.reason.as_deref() == Some("too-fast")).map(|kept| kept.count).sum::<u32>()
    };
    until(|| refused() >= 10, "refusals").await;
    // A second's worth is saved up, another one may wait.
    assert!((15..=20).contains(&refused()), "{}", refused());
}

#[tokio::test]
async fn a_connection_sends_no_more_than_it_may() {
    let mut policy = allowing(&["a.example:9000", "a.example:80"]);
    policy.upload_bytes = 100_000;
    let rig = Rig::new(policy).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let mut client = rig.to("a.example", 9000).await;
    client.write_all(&[1; 100_000]).await.expect("sent");
    let mut server = accept(&listener).await;
    let mut received = vec![0; 100_000];
    server.read_exact(&mut received).await.expect("as much as it may");
    server.write_all(&[2; 300_000]).await.expect("sent");
    let mut answer = vec![0; 300_000];
    client.read_exact(&mut answer).await.expect("what comes in is free");
    client.write_all(&[1]).await.expect("sent");
    server.read_u8().await.expect_err("cut");
    assert_eq!(rig.last(), "Deny a.example:9000 upload-limit");

    let listener = rig.server("a.example", "203.0.113.1:80").await;
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 200000\r\n\r\n").await.expect("sent");
    let mut server = accept(&listener).await;
    read_to(&mut server, "\r\n\r\n").await;
    // It may be closed before all is sent.
    let _ = client.write_all(&[1; 200_000]).await;
    assert!(rest(&mut server).await.len() <= 100_000);
    assert_eq!(rig.last(), "Deny a.example:80 upload-limit");
}

#[tokio::test]
async fn all_together_send_no_faster_than_they_may() {
    let mut policy = allowing(&["a.example:9000"]);
    policy.upload_bytes_per_second = 1_000_000;
    let rig = Rig::new(policy).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let started = Instant::now();
    let mut both = Vec::new();
    for _ in 0..2 {
        let mut client = rig.to("a.example", 9000).await;
        tokio::spawn(async move { client.write_all(&vec![1; 1_000_000]).await });
        let mut server = accept(&listener).await;
        both.push(tokio::spawn(async move {
            let mut received = vec![0; 1_000_000];
            server.read_exact(&mut received).await.expect("all of it");
        }));
    }
    for each in both {
        each.await.expect("received");
    }
    // Two million bytes, the first of them saved up.
    let took = started.elapsed();
    assert!((Duration::from_millis(800)..Duration::from_millis(2500)).contains(&took), "{took:?}");
}
