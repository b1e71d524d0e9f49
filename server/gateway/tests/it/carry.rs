//! Bytes on their way, and the memory that they take.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{OK, Rig, SOON, accept, allowing, answering, read_to, until};

const A: &str = "203.0.113.1:9000";
const LENGTH: usize = 8 << 20;

/// Bytes that differ from their neighbours and do not repeat soon.
fn pattern(seed: u32) -> Vec<u8> {
    (0..LENGTH as u32).map(|at| ((at.wrapping_add(seed).wrapping_mul(2_654_435_761)) >> 24) as u8).collect()
}

async fn received(stream: &mut TcpStream, piece: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LENGTH);
    let mut buffer = vec![0; piece];
    while bytes.len() < LENGTH {
        let length = stream.read(&mut buffer).await.expect("read");
        assert!(length > 0, "it ended after {} bytes", bytes.len());
        bytes.extend_from_slice(&buffer[..length]);
    }
    bytes
}

async fn both_ways(rig: &Rig) {
    let listener = rig.server("a.example", A).await;
    let mut client = rig.to("a.example", 9000).await;
    client.write_all(b"\x01").await.expect("sent");
    let mut server = accept(&listener).await;
    server.read_u8().await.expect("carried");
    let (up, down) = (pattern(1), pattern(2));
    let mut got = (vec![0; LENGTH], vec![0; LENGTH]);
    let (mut from_server, mut to_server) = client.split();
    let (mut from_client, mut to_client) = server.split();
    let all = async {
        tokio::try_join!(
            to_server.write_all(&up),
            to_client.write_all(&down),
            from_client.read_exact(&mut got.0),
            from_server.read_exact(&mut got.1)
        )
    };
    tokio::time::timeout(4 * SOON, all).await.expect("soon").expect("carried");
    assert!(got.0 == up && got.1 == down, "bytes were changed on their way");
}

#[tokio::test]
async fn what_is_carried_arrives_as_it_was_sent_with_a_bound_and_without() {
    for bound in [0, 1 << 30] {
        let mut policy = allowing(&["a.example:9000"]);
        policy.upload_bytes_per_second = bound;
        both_ways(&Rig::new(policy).await).await;
    }
}

#[tokio::test]
async fn a_reader_that_pauses_loses_nothing_and_its_sender_waits() {
    let rig = Rig::new(allowing(&["a.example:9000"])).await;
    let listener = rig.server("a.example", A).await;
    let mut client = rig.to("a.example", 9000).await;
    let bytes = [1].into_iter().chain(pattern(3)).collect::<Vec<u8>>();
    client.write_all(&bytes[..1]).await.expect("sent");
    let mut server = accept(&listener).await;
    server.read_u8().await.expect("carried");
    let mut sent = 0;
    // Until nothing more is taken: then the kernel's room is full on the whole way, or everything is in it.
    while sent < LENGTH {
        match tokio::time::timeout(Duration::from_millis(200), client.write(&bytes[1 + sent..])).await {
            Ok(written) => sent += written.expect("written"),
            Err(_) => break,
        }
    }
    let rest = bytes[1 + sent..].to_vec();
    let sending = tokio::spawn(async move {
        client.write_all(&rest).await.expect("sent");
        client
    });
    let got = tokio::time::timeout(4 * SOON, received(&mut server, 1009)).await.expect("soon");
    assert!(got == bytes[1..], "bytes were changed on their way");
    drop(sending.await.expect("sent"));
    assert_eq!(server.read(&mut [0]).await.expect("the end"), 0);
}

/// Memory of this process that is in no file, KB. From proc(5).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn the_memory_of_many_connections_goes_back_when_they_have_ended() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let before = resident();
    let mut clients = Vec::new();
    for _ in 0..500 {
        let mut client = rig.to("a.example", 80).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
        clients.push(client);
    }
    for client in &mut clients {
        read_to(client, "ok").await;
    }
    let most = resident() - before;
    assert!(most > 8 * 1024, "{most} KB are not enough to show anything");
    drop(clients);
    until(|| resident().saturating_sub(before) < most / 4, "memory to be given back").await;
}

#[tokio::test]
async fn a_download_that_nobody_reads_takes_little_memory() {
    const COUNT: usize = 32;
    static CHUNK: [u8; 1 << 16] = [7; 1 << 16];
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", "203.0.113.1:80").await;
    let before = resident();
    let mut clients = Vec::new();
    let mut servers = tokio::task::JoinSet::new();
    for _ in 0..COUNT {
        let mut client = rig.to("a.example", 80).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
        clients.push(client);
        let mut server = accept(&listener).await;
        servers.spawn(async move {
            read_to(&mut server, "\r\n\r\n").await;
            server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await.expect("sent");
            // Until nothing more is taken.
            while let Ok(written) = tokio::time::timeout(Duration::from_millis(500), server.write(&CHUNK)).await {
                written.expect("written");
            }
            server
        });
    }
    let servers = servers.join_all().await;
    let each = (resident() - before) / COUNT;
    assert!(each < 96, "each takes {each} KB");
    drop((clients, servers));
}
