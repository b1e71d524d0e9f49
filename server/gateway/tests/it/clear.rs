//! HTTP in the clear: what passes, passes as it is; what is sent on was judged.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{OK, Rig, accept, allowing, answering, read_to, rest};

const A: &str = "203.0.113.1:80";

async fn ask(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("sent");
    read_to(stream, "\r\n\r\n").await
}

#[tokio::test]
async fn an_allowed_request_passes_and_a_refused_one_says_why() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let seen = answering(rig.server("a.example", A).await, OK);
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"GET /x?y=1 HTTP/1.1\r\nHost: A.Example\r\nConnection: close\r\n\r\n").await.expect("sent");
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
    assert_eq!(seen.lock().expect("a list")[..], ["GET /x?y=1 HTTP/1.1\r\nhost: a.example\r\n\r\n"]);
    assert_eq!(rig.last(), "Allow a.example:80");
    assert_eq!(rig.log()[0].request.as_deref(), Some("GET /x"));

    let mut client = rig.to_main(80).await;
    let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(read_to(&mut client, "\n").await.starts_with("boxwood: b.example:80: refused: "));
    assert_eq!(rig.last(), "Deny b.example:80");
}

#[tokio::test]
async fn without_a_policy_nothing_is_served() {
    let rig = Rig::without_policy();
    let mut listens = rig.state.listens.subscribe();
    listens.changed().await.expect("listening");
    let mut client = rig.to_main(80).await;
    assert_eq!(rest(&mut client).await, "");
    assert!(rig.last().ends_with("no-policy"));
}

#[tokio::test]
async fn only_the_sandbox_s_network_is_served() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let outside = "127.0.0.1".parse().expect("an address");
    let inside = "127.77.0.9".parse().expect("an address");
    for (from, to) in [(outside, crate::rig::MAIN), (inside, outside)] {
        let mut client = rig.connect_from(from, to, 80).await.expect("connected");
        // The reset may come before anything could be sent.
        let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
        assert_eq!(rest(&mut client).await, "");
    }
    assert!(rig.log().is_empty());
}

#[tokio::test]
async fn each_pipelined_request_is_judged() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let seen = answering(rig.server("a.example", A).await, OK);
    let mut client = rig.to_main(80).await;
    let requests = "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: b.example\r\n\r\nGET /3 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    client.write_all(requests.as_bytes()).await.expect("sent");
    let answers = rest(&mut client).await;
    let codes: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "403", "200"]);
    let seen = seen.lock().expect("a list");
    assert!(seen.len() == 2 && seen.iter().all(|head| head.contains("host: a.example")), "{seen:?}");
}

#[tokio::test]
async fn a_connection_to_a_name_serves_no_other() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    let seen = answering(rig.server("a.example", A).await, OK);
    let mut client = rig.to("a.example", 80).await;
    let answer = ask(&mut client, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(rig.last(), "Deny b.example:80 name-mismatch");
    assert!(seen.lock().expect("a list").is_empty());
}

#[tokio::test]
async fn requests_that_can_be_read_in_two_ways_are_refused() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    let seen = answering(rig.server("a.example", A).await, OK);
    for request in [
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
        "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nX: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\0.b.example\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +3\r\n\r\nabc",
    ] {
        let mut client = rig.to_main(80).await;
        client.write_all(request.as_bytes()).await.expect("sent");
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 403 "), "{request:?}: {answer}");
    }
    assert!(seen.lock().expect("a list").is_empty());
}

#[tokio::test]
async fn a_request_hidden_in_a_body_stays_a_body() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", A).await;
    let mut client = rig.to_main(80).await;
    let smuggled = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2c\r\nGET /hidden HTTP/1.1\r\nHost: b.example\r\nX: \r\n\r\n0\r\n\r\n";
    client.write_all(smuggled.as_bytes()).await.expect("sent");
    let mut server = accept(&listener).await;
    let head = read_to(&mut server, "\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"), "{head}");
    // The body stays in its chunks: whoever reads the head reads it as one request.
    assert!(read_to(&mut server, "0\r\n\r\n").await.contains("GET /hidden"));
}

#[tokio::test]
async fn a_head_that_trickles_in_is_not_waited_for() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let mut client = rig.to_main(80).await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
    let dripping = async {
        while client.write_all(b"X").await.is_ok() && client.write_all(b": 1\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(started.elapsed() < Duration::from_secs(15), "it is still waited for");
        }
    };
    dripping.await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let mut client = rig.to_main(80).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nX: ").await.expect("sent");
    let junk = [b'x'; 8192];
    for _ in 0..64 {
        if client.write_all(&junk).await.is_err() {
            break;
        }
    }
    let answer = rest(&mut client).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(rig.log().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    rig.name("a.example", &[&["203.0.113.9"]]);
    for (name, text) in [("a.example", "cannot be reached"), ("b.example", "was not found")] {
        let mut client = rig.to(name, 80).await;
        let answer = ask(&mut client, &format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert!(read_to(&mut client, "\n").await.contains(text));
    }
}

#[tokio::test]
async fn a_large_body_waits_for_its_reader() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", A).await;
    let mut client = rig.to("a.example", 80).await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000000\r\n\r\n").await.expect("sent");
    let mut server = accept(&listener).await;
    read_to(&mut server, "\r\n\r\n").await;
    let chunk = vec![7; 1 << 20];
    let mut sent = 0;
    // Nobody reads: it must come to a halt, at what the kernel keeps and a little more.
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(300), client.write(&chunk)).await {
        sent += written.expect("written");
        assert!(sent < 64 << 20, "{sent} bytes are kept somewhere");
    }
    let mut received = vec![0; sent];
    tokio::time::timeout(Duration::from_secs(10), server.read_exact(&mut received))
        .await
        .expect("soon")
        .expect("all of it");
    assert!(received.iter().all(|byte| *byte == 7));
}
