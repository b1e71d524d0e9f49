//! Credentials that are put on requests, and what the agent sends in their place.

mod seen;

use std::time::Duration;

use boxwood_core::credentials::provision::STRIPPED;
use boxwood_gateway::outbox::Out;
use boxwood_protocol::credentials::Secret;
use boxwood_protocol::egress::EgressAction;
use boxwood_protocol::gateway::{Injection, Tell};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::connect::{socks, tunnel};
use crate::opened::{Both, both, next};
use crate::rig::{OK, Rig, accept, allowing, answering, read_to, rule};

const TLS: &str = "203.0.113.1:443";
const CLEAR: &str = "203.0.113.1:4000";

/// What an agent may send: what it was given to hold, and what somebody else gave it.
const SENT: &str = "AUTHORIZATION: Bearer attacker\r\nauthorization: Bearer placeholder\r\nX-Api-Key: attacker\r\n\
    x-API-key: attacker\r\nx_api_key: attacker\r\nCookie: session=attacker\r\nProxy-Authorization: Basic attacker\r\n\
    X-Amz-Security-Token: attacker\r\nApi-Key: attacker\r\nX-Goog-Api-Key: attacker\r\nx-mine: stays\r\n";

/// The same in a query, between what stays as it is.
const QUERY: &str =
    "/v1?beta=%74rue&key=attacker&%24Access_Token=attacker&X-Amz-Signature=attacker&x-api-key=attacker&q=a+b";
const QUERY_LEFT: &str = "/v1?beta=%74rue&q=a+b";

fn key(host: &str, port: u16, tls: bool, value: &str) -> Injection {
    let set = [("x-api-key", value.to_owned()), ("authorization", format!("Bearer {value}"))];
    let set = set.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value)));
    Injection { set: set.collect(), ..Injection::guard(host.to_owned(), port, tls, STRIPPED) }
}

async fn put(rig: &mut Rig, injections: Vec<Injection>) {
    rig.configure.injections = Some(injections);
    rig.apply(|_| {}).await;
}

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{SENT}\r\n")
}

/// The head that a server has to get for [`get`] when it is the one with the credential.
fn replaced(host: &str, path: &str, value: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nx-mine: stays\r\nx-api-key: {value}\r\nauthorization: Bearer {value}\r\n\r\n"
    )
}

/// A head without regard to the order of its headers.
fn sorted(head: &str) -> Vec<String> {
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

fn assert_head(head: &str, expected: &str) {
    assert_eq!(sorted(head), sorted(expected));
}

/// A gateway that puts a credential on requests to `a.example:443`, and the server behind it.
async fn with_key(hosts: &[&str]) -> (Both, TcpListener) {
    let rules = hosts.iter().map(|host| rule(host, EgressAction::Allow)).collect();
    let mut both = both(rules).await;
    let listener = both.rig.server("a.example", TLS).await;
    put(&mut both.rig, vec![key("a.example", 443, true, "canary-1")]).await;
    (both, listener)
}

#[tokio::test]
async fn in_tls_the_placeholder_is_replaced_whichever_way_the_connection_came() {
    let (Both { rig, sandbox, upstream }, listener) = with_key(&["a.example"]).await;
    let acceptor = upstream.server("a.example");
    for way in ["own address", "main address", "tunnel", "SOCKS"] {
        let stream = match way {
            "own address" => rig.to("a.example", 443).await,
            "main address" => rig.to_main(443).await,
            "tunnel" => tunnel(&rig, "a.example:443").await.0,
            _ => socks(&rig, "a.example", 443).await.0,
        };
        // No rule asks for it to be opened: that credentials go there does.
        let mut client = sandbox.connect("a.example", stream).await.expect("the sandbox's authority");
        client.write_all(get("a.example", QUERY).as_bytes()).await.expect("sent");
        let mut server = next(&listener, &acceptor).await;
        assert_head(&read_to(&mut server, "\r\n\r\n").await, &replaced("a.example", QUERY_LEFT, "canary-1"));
        server
            .write_all(b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 3\r\n\r\nno\n")
            .await
            .expect("sent");
        let answer = read_to(&mut client, "no\n").await;
        assert_eq!(answer, "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 3\r\n\r\nno\n");
    }
}

#[tokio::test]
async fn in_the_clear_as_well_where_the_endpoint_is() {
    let mut rig = Rig::new(allowing(&["a.example:4000"])).await;
    let seen = answering(rig.server("a.example", CLEAR).await, OK);
    put(&mut rig, vec![key("a.example", 4000, false, "canary-1")]).await;
    let absolute = get("a.example:4000", &format!("http://a.example:4000{QUERY}"));
    for (stream, request) in [
        (rig.to("a.example", 4000).await, get("a.example:4000", QUERY)),
        (rig.to_main(3128).await, absolute.clone()),
        (tunnel(&rig, "a.example:4000").await.0, get("a.example:4000", QUERY)),
        (socks(&rig, "a.example", 4000).await.0, get("A.Example.:4000", QUERY)),
    ] {
        let mut client = stream;
        client.write_all(request.as_bytes()).await.expect("sent");
        read_to(&mut client, "ok").await;
        let head = seen.lock().expect("a list").pop().expect("a request");
        assert_head(&head, &replaced("a.example:4000", QUERY_LEFT, "canary-1"));
    }
    // A name and a password in front of the host are refused, and nobody writes them down.
    let mut client = rig.to_main(3128).await;
    client.write_all(absolute.replace("http://", "http://me:attacker@").as_bytes()).await.expect("sent");
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(rig.last(), "Deny a.example:4000:3128 bad-request");
}

#[tokio::test]
async fn a_server_that_is_given_by_its_address_is_known_by_the_name_that_leads_there() {
    let mut rig = Rig::new(allowing(&["inside.example:4000", "b.example:4000"])).await;
    let seen = answering(rig.server("unused.example", CLEAR).await, OK);
    rig.name("b.example", &[&["203.0.113.1"]]);
    let address = "203.0.113.1".parse().expect("an address");
    rig.configure.hosts.push(boxwood_protocol::gateway::HostEntry { name: "inside.example".into(), address });
    put(&mut rig, vec![key("203.0.113.1", 4000, false, "canary-1")]).await;
    for (host, is_ours) in [("inside.example", true), ("b.example", false)] {
        let mut client = rig.to(host, 4000).await;
        client.write_all(get(host, "/").as_bytes()).await.expect("sent");
        read_to(&mut client, "ok").await;
        let head = seen.lock().expect("a list").pop().expect("a request");
        assert_eq!((head.contains("canary"), head.contains("attacker")), (is_ours, !is_ours), "{head}");
    }
}

#[tokio::test]
async fn requests_to_others_stay_as_they_are() {
    let (Both { rig, sandbox, upstream }, _listener) =
        with_key(&["a.example", "a.example:8443", "b.a.example", "c.example:443"]).await;
    let sent = SENT.to_ascii_lowercase();
    let untouched = |head: &str, what: &str| {
        let head = head.to_ascii_lowercase();
        // What is for the proxy only goes no further anyway.
        for line in sent.lines().filter(|line| !line.starts_with("proxy-")) {
            assert!(head.contains(line), "{what}: {line} in {head}");
        }
        assert!(!head.contains("canary"), "{what}: {head}");
    };
    for (host, port) in [("a.example", 80), ("b.a.example", 80)] {
        let seen = answering(rig.server(host, &format!("203.0.113.2:{port}")).await, OK);
        let mut client = rig.to(host, port).await;
        client.write_all(get(host, QUERY).as_bytes()).await.expect("sent");
        read_to(&mut client, "ok").await;
        let head = seen.lock().expect("a list")[0].clone();
        assert!(head.contains(QUERY), "{host}: {head}");
        untouched(&head, host);
    }
    for (host, port) in [("c.example", 443), ("a.example", 8443)] {
        let listener = rig.server(host, &format!("203.0.113.3:{port}")).await;
        let (acceptor, stream) = (upstream.server(host), rig.to(host, port).await);
        // The server's own certificate: it is not even opened.
        let (client, server) = tokio::join!(upstream.connect(host, stream), next(&listener, &acceptor));
        let (mut client, mut server) = (client.expect("carried"), server);
        client.write_all(get(host, "/").as_bytes()).await.expect("sent");
        assert_eq!(read_to(&mut server, "\r\n\r\n").await, get(host, "/"));
    }
    // On a connection to another host, the one with the credential cannot be asked for.
    let mut client = rig.to("b.a.example", 80).await;
    client.write_all(get("a.example", "/").as_bytes()).await.expect("sent");
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    drop(sandbox);
}

#[tokio::test]
async fn what_is_listed_as_the_connection_s_own_or_comes_behind_a_body_does_not_pass() {
    let (Both { rig, sandbox, upstream }, listener) = with_key(&["a.example"]).await;
    let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    let request = "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: authorization, X-Api-Key, te\r\n\
        Authorization: Bearer attacker\r\nX-Api-Key: attacker\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\
        Trailer: X-Api-Key, x-sum\r\nTrailer: Cookie\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Api-Key: attacker\r\nx-sum: 7\r\nCookie: a=attacker\r\nAuthorization: attacker\r\n\r\n";
    client.write_all(request.as_bytes()).await.expect("sent");
    let mut server = next(&listener, &upstream.server("a.example")).await;
    let head = read_to(&mut server, "\r\n\r\n").await;
    assert_head(
        &head,
        "POST / HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\
         trailer: x-sum\r\nx-api-key: canary-1\r\nauthorization: Bearer canary-1\r\n\r\n",
    );
    assert_eq!(read_to(&mut server, "\r\n\r\n").await, "5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn events_of_an_answer_are_not_kept_back() {
    let (Both { rig, sandbox, upstream }, listener) = with_key(&["a.example"]).await;
    let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    client.write_all(get("a.example", "/").as_bytes()).await.expect("sent");
    let mut server = next(&listener, &upstream.server("a.example")).await;
    read_to(&mut server, "\r\n\r\n").await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    server.write_all(head).await.expect("sent");
    read_to(&mut client, "\r\n\r\n").await;
    for number in 0..3 {
        let event = format!("data: {number}\n\n");
        server.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\n\n\r\n").await.ends_with(&format!("{event}\r\n")));
    }
}

#[tokio::test]
async fn another_key_is_for_the_next_request_also_on_the_same_connection() {
    let (Both { mut rig, sandbox, upstream }, listener) = with_key(&["a.example"]).await;
    let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    let begun = format!("POST /1 HTTP/1.1\r\nHost: a.example\r\n{SENT}Content-Length: 5\r\n\r\n<<");
    client.write_all(begun.as_bytes()).await.expect("sent");
    let mut server = next(&listener, &upstream.server("a.example")).await;
    assert!(read_to(&mut server, "<<").await.contains("x-api-key: canary-1\r\n"));
    put(&mut rig, vec![key("a.example", 443, true, "canary-2")]).await;
    // The one that had begun ends as it began.
    client.write_all(b">>>").await.expect("sent");
    assert_eq!(read_to(&mut server, ">>>").await, ">>>");
    server.write_all(OK.as_bytes()).await.expect("answered");
    read_to(&mut client, "ok").await;
    for (path, value) in [("/2", "canary-2"), ("/3", "canary-3")] {
        put(&mut rig, vec![key("a.example", 443, true, value)]).await;
        client.write_all(get("a.example", path).as_bytes()).await.expect("sent");
        assert_head(&read_to(&mut server, "\r\n\r\n").await, &replaced("a.example", path, value));
        server.write_all(OK.as_bytes()).await.expect("answered");
        read_to(&mut client, "ok").await;
    }
}

#[tokio::test]
async fn that_a_server_refuses_the_credential_is_told_once_until_somebody_reads() {
    const NO: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno";
    let mut rig = Rig::new(allowing(&["a.example:4000", "b.example:4000", "c.example:4000"])).await;
    // What is for one of them is not known now.
    rig.configure.guards = vec![Injection::guard("c.example".into(), 4000, false, STRIPPED)];
    put(&mut rig, vec![key("a.example", 4000, false, "canary-1")]).await;
    for host in ["a.example", "b.example", "c.example"] {
        let _seen = answering(rig.server(host, CLEAR).await, NO);
        let mut client = rig.to(host, 4000).await;
        for _ in 0..3 {
            client.write_all(get(&format!("{host}:4000"), "/").as_bytes()).await.expect("sent");
            read_to(&mut client, "no").await;
        }
    }
    let mut refusals = Vec::new();
    // What was told before is there to be taken, so nothing is waited for.
    while let Ok(Out::Tell(tell)) = tokio::time::timeout(Duration::ZERO, rig.state.outbox.next()).await {
        refusals.extend(matches!(tell, Tell::Refused { .. }).then_some(tell));
    }
    // Where nothing is put on a request, a refusal is between the agent and its server.
    let ours = ["a.example", "c.example"].map(|host| Tell::Refused { host: host.to_owned(), port: 4000 });
    assert_eq!(refusals, ours);
}

#[tokio::test]
async fn a_daemon_that_knows_nothing_changes_nothing_and_one_that_says_none_means_it() {
    let mut rig = Rig::new(allowing(&["a.example:4000"])).await;
    let seen = answering(rig.server("a.example", CLEAR).await, OK);
    let mut client = rig.to("a.example", 4000).await;
    let guards = vec![Injection::guard("a.example".into(), 4000, false, STRIPPED)];
    for (injections, guards, expected) in [
        // A gateway that has just started, and a daemon too: nothing to set, and nothing of the agent's passes.
        (None, guards.clone(), (false, false)),
        (Some(vec![key("a.example", 4000, false, "canary-1")]), guards.clone(), (true, false)),
        (None, guards, (true, false)),
        (None, Vec::new(), (true, false)),
        (Some(Vec::new()), Vec::new(), (false, true)),
        (None, Vec::new(), (false, true)),
    ] {
        (rig.configure.injections, rig.configure.guards) = (injections, guards);
        rig.apply(|_| {}).await;
        client.write_all(get("a.example:4000", QUERY).as_bytes()).await.expect("sent");
        read_to(&mut client, "ok").await;
        let head = seen.lock().expect("a list").pop().expect("a request");
        assert_eq!(head.contains(QUERY), expected.1, "{head}");
        assert_eq!((head.contains("canary-1"), head.contains("attacker")), expected, "{head}");
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nSec-WebSocket-Key: x\r\nUpgrade: ";

#[tokio::test]
async fn a_websocket_begins_with_the_credential_and_no_other_protocol_does() {
    let mut rig = Rig::new(allowing(&["a.example:4000"])).await;
    let listener = rig.server("a.example", CLEAR).await;
    put(&mut rig, vec![key("a.example", 4000, false, "canary-1")]).await;
    for (protocol, passes) in [("websocket", true), ("secret-tunnel", false)] {
        let mut client = rig.to("a.example", 4000).await;
        let request = format!("GET /live HTTP/1.1\r\nHost: a.example:4000\r\n{UPGRADE}{protocol}\r\n{SENT}\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut server = accept(&listener).await;
        let head = read_to(&mut server, "\r\n\r\n").await;
        assert!(head.contains("x-api-key: canary-1\r\n") && !head.contains("attacker"), "{head}");
        assert_eq!(head.contains("upgrade: "), passes, "{head}");
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n");
        server.write_all(answer.as_bytes()).await.expect("sent");
        let status = if passes { "HTTP/1.1 101 " } else { "HTTP/1.1 502 " };
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with(status));
        if passes {
            client.write_all(b"\x01ping").await.expect("sent");
            let mut received = [0; 5];
            server.read_exact(&mut received).await.expect("carried");
            assert_eq!(&received, b"\x01ping");
        }
    }
}
