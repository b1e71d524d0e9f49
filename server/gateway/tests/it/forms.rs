//! Forms of HTTP that a proxy easily breaks.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Rig, accept, allowing, read_to, rest};

async fn pair(request: &str) -> (Rig, TcpListener, TcpStream, TcpStream, String) {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", "203.0.113.1:80").await;
    let mut client = rig.to("a.example", 80).await;
    client.write_all(request.as_bytes()).await.expect("sent");
    let mut server = accept(&listener).await;
    let head = read_to(&mut server, "\r\n\r\n").await;
    (rig, listener, client, server, head)
}

/// What a client gets for a request that is answered with `answer`.
async fn through(request: &str, answer: &str) -> String {
    let (_rig, _listener, mut client, mut server, _) = pair(request).await;
    server.write_all(answer.as_bytes()).await.expect("answered");
    drop(server);
    rest(&mut client).await
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[tokio::test]
async fn refusals_of_the_server_pass_untouched() {
    for code in
        ["401 Unauthorized", "404 Not Found", "500 Internal Server Error", "503 Service Unavailable", "529 Overloaded"]
    {
        let answer = through(
            GET,
            &format!("HTTP/1.1 {code}\r\nwww-authenticate: Bearer\r\nretry-after: 7\r\ncontent-length: 3\r\n\r\nno\n"),
        )
        .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", &code[..3])), "{answer}");
        assert!(
            answer.contains("www-authenticate: Bearer\r\nretry-after: 7\r\n") && answer.ends_with("\r\n\r\nno\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn events_are_not_kept_back() {
    let (_rig, _listener, mut client, mut server, _) = pair(GET).await;
    server
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .expect("sent");
    read_to(&mut client, "\r\n\r\n").await;
    for number in 0..3 {
        let event = format!("data: {number}\n\n");
        server.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\n\n\r\n").await.ends_with(&format!("{event}\r\n")));
    }
}

#[tokio::test]
async fn a_client_that_expects_to_be_told_is_told() {
    let request = "POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let (_rig, _listener, mut client, mut server, head) = pair(request).await;
    assert!(!head.to_ascii_lowercase().contains("expect"), "{head}");
    assert_eq!(read_to(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.expect("sent");
    assert_eq!(read_to(&mut server, "hello").await, "hello");
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("sent");
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn heads_alone_keep_their_length() {
    let head = "HEAD / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    let answer = through(head, "HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n").await;
    assert!(answer.contains("content-length: 12345\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = through(GET, "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 304 ") && answer.contains("etag: \"x\"") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn trailers_pass() {
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nTE: trailers\r\nConnection: te\r\n\r\n";
    let answer = through(
        request,
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
    )
    .await;
    assert!(answer.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_response_that_is_cut_does_not_look_whole() {
    let answer = through(GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
    assert!(answer.ends_with("2\r\nok\r\n"), "{answer}");
    let answer = through(GET, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
    assert!(answer.contains("content-length: 9") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let answer = through(GET, "").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("without an answer"), "{answer}");
}

#[tokio::test]
async fn old_servers_end_their_answers_by_closing() {
    let answer = through(GET, "HTTP/1.0 200 OK\r\n\r\nto the end").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("to the end"), "{answer}");
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

#[tokio::test]
async fn a_connection_that_changes_its_protocol_is_carried_both_ways() {
    let (rig, _listener, mut client, mut server, head) = pair(UPGRADE).await;
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    server
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst")
        .await
        .expect("sent");
    let answer = read_to(&mut client, "first").await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("upgrade: websocket"), "{answer}");
    client.write_all(b"\x01\x00ping").await.expect("sent");
    assert_eq!(read_to(&mut server, "ping").await.len(), 6);
    assert_eq!(rig.state.flows.all().len(), 1);
    client.shutdown().await.expect("ended");
    assert_eq!(server.read_u8().await.expect_err("the end").kind(), std::io::ErrorKind::UnexpectedEof);
    server.write_all(b"bye").await.expect("sent");
    drop(server);
    assert_eq!(rest(&mut client).await, "bye");
    rig.flows(0).await;
}

#[tokio::test]
async fn a_change_of_protocol_that_is_refused_is_an_ordinary_answer() {
    let (_rig, _listener, mut client, mut server, _) = pair(UPGRADE).await;
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno").await.expect("sent");
    assert!(read_to(&mut client, "no").await.starts_with("HTTP/1.1 200 "));
    client.write_all(GET.as_bytes()).await.expect("sent");
    assert!(read_to(&mut server, "\r\n\r\n").await.starts_with("GET / "));
}

#[tokio::test]
async fn nobody_changes_the_protocol_unasked() {
    let answer = through(GET, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[tokio::test]
async fn a_kept_connection_ends_with_the_server_s() {
    let (_rig, listener, mut client, mut server, _) = pair(GET).await;
    server.write_all(crate::rig::OK.as_bytes()).await.expect("sent");
    read_to(&mut client, "ok").await;
    client.write_all(GET.as_bytes()).await.expect("sent");
    read_to(&mut server, "\r\n\r\n").await;
    server.write_all(crate::rig::OK.as_bytes()).await.expect("sent");
    read_to(&mut client, "ok").await;
    drop((server, listener));
    assert_eq!(rest(&mut client).await, "");
}
