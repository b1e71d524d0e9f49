//! Requests that cannot be seen, or would show what is put on them; and what nobody gets to see.

use std::sync::Arc;

use boxwood_gateway::inject::{EXPOSED, UNSEEN};
use boxwood_gateway::state::now_ms;
use boxwood_protocol::gateway::{Ask, Request};

use super::*;
use crate::rig::rest;
use crate::tls::echo;

#[tokio::test]
async fn connections_that_passed_unseen_end_when_credentials_come() {
    let Both { mut rig, sandbox, upstream } = both(vec![
        rule("a.example", EgressAction::Allow),
        rule("b.example", EgressAction::Allow),
        rule("a.example:4000", EgressAction::Allow),
    ])
    .await;
    for (host, at) in [("a.example", TLS), ("b.example", "203.0.113.2:443")] {
        echo(rig.server(host, at).await, upstream.server(host));
    }
    let mut clients = Vec::new();
    for host in ["a.example", "b.example"] {
        let mut client = upstream.connect(host, rig.to(host, 443).await).await.expect("carried as it is");
        client.write_all(b"hello").await.expect("sent");
        read_to(&mut client, "hello").await;
        clients.push(client);
    }
    rig.flows(2).await;
    put(&mut rig, vec![key("a.example", 443, true, "canary-1")]).await;
    assert_eq!(rig.last(), format!("Deny a.example:443 {UNSEEN}"));
    clients[0].read_u8().await.expect_err("cut");
    clients[1].write_all(b"again").await.expect("sent");
    read_to(&mut clients[1], "again").await;
    // From now on only the sandbox's own authority will do.
    upstream.connect("a.example", rig.to("a.example", 443).await).await.expect_err("opened");
    sandbox.connect("a.example", rig.to("a.example", 443).await).await.expect("opened");
}

#[tokio::test]
async fn whatever_lets_the_host_through_its_tls_is_opened() {
    let (Both { mut rig, sandbox, .. }, _listener) = with_key(&[]).await;
    rig.apply(|policy| policy.bypass_until_ms = now_ms() + 60_000).await;
    sandbox.connect("a.example", rig.to("a.example", 443).await).await.expect("opened");
    // And without an authority for that, it is refused.
    rig.configure.authority = None;
    rig.apply(|_| {}).await;
    sandbox.connect("a.example", rig.to("a.example", 443).await).await.expect_err("refused");
    assert_eq!(rig.last(), "Deny a.example:443 no-authority");
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_nobody_is_asked() {
    let mut rig = Rig::new(allowing(&["a.example:4000", "a.example:3306"])).await;
    let listener = rig.server("a.example", "203.0.113.1:3306").await;
    put(&mut rig, vec![key("a.example", 4000, false, "canary-1"), key("a.example", 3306, false, "canary-1")]).await;
    for (port, bytes, reason) in [
        (4000, &b"\x01attacker"[..], UNSEEN),
        (4000, b"attacker's own protocol", UNSEEN),
        (3306, b"\x01attacker", UNSEEN),
        (4000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2-in-clear"),
    ] {
        let mut client = rig.to("a.example", port).await;
        client.write_all(bytes).await.expect("sent");
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(rig.last(), format!("Deny a.example:{port} {reason}"));
    }
    assert!(rig.dialled().is_empty());
    // Who begins late is served all the same: this is a port on which nobody is waited for.
    let mut late = [rig.to("a.example", 3306).await, tunnel(&rig, "a.example:3306").await.0];
    let mut ahead = accept(&listener).await;
    let seen = answering(listener, OK);
    late[0].write_all(get("a.example:3306", "/0").as_bytes()).await.expect("sent");
    read_to(&mut late[0], "ok").await;
    assert_head(&seen.lock().expect("a list")[0], &replaced("a.example:3306", "/0", "canary-1"));
    late[1].write_all(get("a.example:3306", "/1").as_bytes()).await.expect("sent");
    assert_head(&read_to(&mut ahead, "\r\n\r\n").await, &replaced("a.example:3306", "/1", "canary-1"));
}

#[tokio::test]
async fn http2_inside_of_opened_tls_is_not_spoken() {
    let (Both { rig, sandbox, .. }, _listener) = with_key(&["a.example"]).await;
    let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.expect("sent");
    rest(&mut client).await;
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn credentials_for_tls_are_not_put_where_others_can_read_them() {
    let (Both { rig, sandbox, .. }, _listener) = with_key(&["a.example"]).await;
    for stream in [rig.to("a.example", 443).await, tunnel(&rig, "a.example:443").await.0] {
        let mut client = stream;
        client.write_all(get("a.example:443", "/").as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
        assert_eq!(rig.last(), format!("Deny a.example:443 {EXPOSED}"));
    }
    let mut client = rig.to_main(3128).await;
    client.write_all(get("a.example:443", "http://a.example:443/").as_bytes()).await.expect("sent");
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    // Nor on a request whose answer repeats it.
    for method in ["TRACE", "trace", "TRACK"] {
        let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
        let request = format!("{method} / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
        assert!(read_to(&mut client, "\n").await.contains("would be shown"));
    }
}

fn answer(rig: &Rig, line: &[u8]) -> String {
    serde_json::to_string(&boxwood_gateway::control::answer(&Arc::clone(&rig.state), line)).expect("JSON")
}

#[tokio::test]
async fn what_cannot_be_put_on_requests_changes_nothing_and_is_not_repeated() {
    let mut rig = Rig::new(allowing(&["a.example:4000"])).await;
    let seen = answering(rig.server("a.example", CLEAR).await, OK);
    put(&mut rig, vec![key("a.example", 4000, false, "canary-1")]).await;
    for value in ["canary-2\r\nx: y", "canary-2\0", ""] {
        let mut broken = rig.configure.clone();
        (broken.revision, broken.injections) = (99, Some(vec![key("a.example", 4000, false, value)]));
        if let Some(injections) = &mut broken.injections {
            injections[0].set[1].1 = Secret::new(value.to_owned());
        }
        let request = Request { jsonrpc: "2.0".into(), id: 7, ask: Ask::Configure(Box::new(broken)) };
        let answer = answer(&rig, &serde_json::to_vec(&request).expect("JSON"));
        assert!(answer.contains("error") && answer.contains("a.example:4000"), "{answer}");
        assert!(!answer.contains("canary"), "{answer}");
    }
    // A message of another shape than is known here.
    for line in [
        r#"{"jsonrpc":"2.0","id":8,"method":"configure","params":{"revision":1,"policy":"canary","injections":"canary"}}"#,
        r#"{"jsonrpc":"2.0","id":8,"method":"configure","params":{"injections":[{"set":"canary"}]}}"#,
        r#"{"jsonrpc":"canary","id":8,"method":"canary","params":"canary"#,
    ] {
        let answer = answer(&rig, line.as_bytes());
        assert!(answer.contains("error") && !answer.contains("canary"), "{answer}");
    }
    assert_eq!(rig.state.status().revision, rig.configure.revision);
    let mut client = rig.to("a.example", 4000).await;
    client.write_all(get("a.example:4000", "/").as_bytes()).await.expect("sent");
    read_to(&mut client, "ok").await;
    assert_head(&seen.lock().expect("a list")[0], &replaced("a.example:4000", "/", "canary-1"));
}

#[tokio::test]
async fn nothing_that_is_told_has_a_value_in_it() {
    let (Both { rig, sandbox, upstream }, listener) = with_key(&["a.example"]).await;
    let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    let mut told = String::new();
    for ending in ["", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "nonsense\r\n\r\n", OK] {
        client.write_all(get("a.example", "/v1?key=attacker").as_bytes()).await.expect("sent");
        let mut server = next(&listener, &upstream.server("a.example")).await;
        assert!(read_to(&mut server, "\r\n\r\n").await.contains("canary-1"));
        server.write_all(ending.as_bytes()).await.expect("sent");
        drop(server);
        told += &rest(&mut client).await;
        client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    }
    told += &answer(&rig, br#"{"jsonrpc":"2.0","id":1,"method":"status","params":{}}"#);
    told += &format!("{:?} {:?} {:?}", rig.log(), rig.state.in_force(), rig.configure);
    assert!(told.contains("GET /v1") && told.contains("HTTP/1.1 502 "), "{told}");
    assert!(!told.contains("canary") && !told.contains("attacker"), "{told}");
}
