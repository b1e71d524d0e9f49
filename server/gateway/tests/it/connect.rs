//! The proxies: tunnels, whole addresses, SOCKS.

use boxwood_protocol::egress::{EgressAction, EgressVia};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{OK, Rig, accept, allowing, answering, placed, read_to, rest, rule};
use crate::tls::{Authority, echo};

pub(crate) async fn tunnel(rig: &Rig, to: &str) -> (TcpStream, String) {
    let mut client = rig.to_main(3128).await;
    client.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).await.expect("sent");
    let answer = read_to(&mut client, "\r\n\r\n").await;
    (client, answer)
}

#[tokio::test]
async fn a_tunnel_carries_tls_to_the_host_it_was_asked_for() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    let authority = Authority::new("upstream");
    echo(rig.server("a.example", "203.0.113.1:443").await, authority.server("a.example"));
    let (client, answer) = tunnel(&rig, "a.example:443").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut client = authority.connect("a.example", client).await.expect("connected");
    client.write_all(b"hello").await.expect("sent");
    assert_eq!(read_to(&mut client, "hello").await, "hello");
    drop(client);
    rig.flows(0).await;
    let log = rig.log();
    assert!(log.len() == 1 && log[0].via == EgressVia::Connect && log[0].bytes_up > 100, "{log:?}");

    let other = rig.server("b.example", "203.0.113.2:443").await;
    let (client, _) = tunnel(&rig, "b.example:443").await;
    let mut server = accept(&other).await;
    authority.connect("a.example", client).await.expect_err("another name");
    assert_eq!(rest(&mut server).await, "");
    assert_eq!(rig.last(), "Deny b.example:443 name-mismatch");
}

#[tokio::test]
async fn the_first_bytes_may_come_with_the_request() {
    let rig = Rig::new(allowing(&["a.example:9000"])).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let mut client = rig.to_main(3128).await;
    client.write_all(b"CONNECT a.example:9000 HTTP/1.1\r\n\r\n\x01early").await.expect("sent");
    let mut server = accept(&listener).await;
    assert_eq!(read_to(&mut server, "early").await, "\u{1}early");
    read_to(&mut client, "\r\n\r\n").await;
    server.write_all(b"late").await.expect("sent");
    assert_eq!(read_to(&mut client, "late").await, "late");
}

#[tokio::test]
async fn http_in_a_tunnel_is_judged_request_by_request() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    let seen = answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let (mut client, _) = tunnel(&rig, "a.example:80").await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
        .await
        .expect("sent");
    let answers = rest(&mut client).await;
    assert!(answers.starts_with("HTTP/1.1 200 ") && answers.contains("HTTP/1.1 403 "), "{answers}");
    assert_eq!(seen.lock().expect("a list").len(), 1);
}

#[tokio::test]
async fn tunnels_to_elsewhere_are_refused() {
    let rig = Rig::new(allowing(&["a.example", "*"])).await;
    for (to, status) in [
        ("a.example:25", 403),
        ("127.77.0.2:3128", 403),
        ("127.0.0.1:80", 403),
        ("2130706433:80", 403),
        ("0x7f.1:80", 403),
        ("[::1]:80", 403),
        ("[::ffff:127.0.0.1]:80", 403),
        ("10.0.0.1:443", 403),
        ("169.254.169.254:80", 403),
        ("localhost:80", 403),
        ("0.0.0.0:80", 403),
        ("a.example", 400),
        ("a.example:0", 400),
        ("a.example:99999", 400),
        ("u@a.example:443", 400),
        ("a..example:443", 400),
    ] {
        let (_, answer) = tunnel(&rig, to).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{to}: {answer}");
    }
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn an_address_needs_a_rule_and_shows_no_other_name() {
    let mut rig = Rig::new(allowing(&["203.0.113.7"])).await;
    let authority = Authority::new("upstream");
    let listener = rig.server("unused.example", "203.0.113.7:443").await;
    let (client, answer) = tunnel(&rig, "203.0.113.7:443").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut server = accept(&listener).await;
    authority.connect("a.example", client).await.expect_err("a name on an address");
    assert_eq!(rig.last(), "Deny 203.0.113.7:443 name-mismatch");
    assert_eq!(rest(&mut server).await, "");
    rig.apply(|policy| policy.rules.clear()).await;
    let (_, answer) = tunnel(&rig, "203.0.113.7:443").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn the_target_and_the_header_must_agree() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    for request in [
        "CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:444\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
        "GET http://a.example:81/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ] {
        let mut client = rig.to_main(3128).await;
        client.write_all(request.as_bytes()).await.expect("sent");
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 403 "), "{request:?}: {answer}");
    }
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn one_connection_to_the_proxy_serves_several_hosts() {
    let rig = Rig::new(allowing(&["a.example", "b.example"])).await;
    let a = answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let b = answering(rig.server("b.example", "203.0.113.2:80").await, OK);
    let mut client = rig.to_main(3128).await;
    for host in ["a.example", "b.example", "c.example", "a.example"] {
        let request = format!(
            "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.expect("sent");
        read_to(&mut client, if host == "c.example" { "no rule names it\n" } else { "ok" }).await;
    }
    assert_eq!(a.lock().expect("a list")[..], ["GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n"; 2]);
    assert_eq!(b.lock().expect("a list").len(), 1);
}

#[tokio::test]
async fn a_tunnel_inside_of_a_tunnel_leads_nowhere() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let seen = answering(rig.server("a.example", "203.0.113.1:80").await, OK);
    let (mut client, _) = tunnel(&rig, "a.example:80").await;
    client.write_all(b"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n").await.expect("sent");
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(seen.lock().expect("a list").is_empty());
}

pub(crate) async fn socks(rig: &Rig, name: &str, port: u16) -> (TcpStream, u8) {
    let mut client = rig.to_main(1080).await;
    client.write_all(&[5, 1, 0]).await.expect("sent");
    let mut chosen = [0; 2];
    client.read_exact(&mut chosen).await.expect("chosen");
    let length = u8::try_from(name.len()).expect("short");
    let request = [&[5, 1, 0, 3, length], name.as_bytes(), &port.to_be_bytes()].concat();
    client.write_all(&request).await.expect("sent");
    let mut reply = [0; 10];
    client.read_exact(&mut reply).await.expect("a reply");
    (client, reply[1])
}

#[tokio::test]
async fn socks_leads_where_the_policy_says() {
    let mut rig = Rig::new(allowing(&["a.example", "a.example:9000"])).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let (mut client, reply) = socks(&rig, "a.example", 9000).await;
    assert_eq!(reply, 0);
    client.write_all(b"\x01hello").await.expect("sent");
    assert_eq!(read_to(&mut accept(&listener).await, "hello").await, "\u{1}hello");
    // By the own address that the client was told when it asked for the name itself.
    let own = rig.state.addresses.of_name("a.example", std::time::Instant::now()).expect("room");
    let (mut client, reply) = socks(&rig, &own.to_string(), 9000).await;
    assert_eq!(reply, 0);
    client.write_all(b"\x01again").await.expect("sent");
    assert_eq!(read_to(&mut accept(&listener).await, "again").await, "\u{1}again");

    for (host, port) in
        [("b.example", 443), ("a.example", 25), ("127.0.0.1", 9000), ("127.77.0.2", 1080), ("10.0.0.1", 443)]
    {
        assert_eq!(socks(&rig, host, port).await.1, 2, "{host}:{port}");
    }
    rig.apply(|policy| policy.rules = vec![placed(rule("*", EgressAction::Allow))]).await;
    assert_eq!(socks(&rig, "127.77.0.2", 80).await.1, 2);
}
