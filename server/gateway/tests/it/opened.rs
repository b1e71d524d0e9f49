//! TLS that is opened, so that each request is judged.

use boxwood_protocol::egress::{EgressAction, EgressRule, EgressVia};
use boxwood_protocol::gateway::{Authority as Given, Configure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::rig::{Rig, accept, allowing, placed, read_to, rest, rule};
use crate::tls::Authority;

/// What the sandbox trusts, and what the gateway trusts beside the public authorities.
pub(crate) struct Both {
    pub(crate) rig: Rig,
    pub(crate) sandbox: Authority,
    pub(crate) upstream: Authority,
}

pub(crate) async fn both(rules: Vec<EgressRule>) -> Both {
    let (sandbox, upstream) = (Authority::new("sandbox"), Authority::new("upstream"));
    let mut policy = allowing(&[]);
    policy.rules = rules.into_iter().map(placed).collect();
    let authority = Given { certificate: sandbox.certificate.clone(), key: sandbox.key.clone() };
    let trusted = Some(upstream.certificate.clone());
    let rig = Rig::with(Configure { authority: Some(authority), trusted, ..Configure::new(0, policy) }).await;
    Both { rig, sandbox, upstream }
}

fn reading(host: &str) -> EgressRule {
    EgressRule {
        methods: Some(vec!["GET".into()]),
        paths: Some(vec!["/open/*".into()]),
        ..rule(host, EgressAction::Allow)
    }
}

pub(crate) async fn next(listener: &TcpListener, acceptor: &TlsAcceptor) -> TlsStream<TcpStream> {
    acceptor.accept(accept(listener).await).await.expect("a client that trusts it")
}

const GET: &str = "GET /open/x HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[tokio::test]
async fn what_the_rule_names_passes_and_the_rest_is_told_why() {
    let Both { rig, sandbox, upstream } = both(vec![reading("a.example")]).await;
    let listener = rig.server("a.example", "203.0.113.1:443").await;
    let acceptor = upstream.server("a.example");
    let mut client =
        sandbox.connect("a.example", rig.to("a.example", 443).await).await.expect("the sandbox's authority");
    client.write_all(GET.as_bytes()).await.expect("sent");
    let mut server = next(&listener, &acceptor).await;
    assert_eq!(read_to(&mut server, "\r\n\r\n").await, "GET /open/x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    server.write_all(crate::rig::OK.as_bytes()).await.expect("answered");
    read_to(&mut client, "ok").await;
    let decision = rig.log().pop().expect("a decision");
    assert_eq!((decision.via, decision.request.as_deref()), (EgressVia::Https, Some("GET /open/x")));

    for (request, why) in [
        ("POST /open/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n", "a.example:443: refused: "),
        ("GET /closed HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example:443: refused: "),
        ("GET /open/../closed HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example:443: refused: "),
        ("GET /open/%2e%2e/closed HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example:443: refused: "),
    ] {
        client.write_all(request.as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 403 "), "{request}");
        let text = read_to(&mut client, "\n").await;
        assert!(text.contains(why), "{text}");
    }
    client.write_all(GET.as_bytes()).await.expect("sent");
    read_to(&mut server, "\r\n\r\n").await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await.expect("sent");
    server.write_all(crate::rig::OK.as_bytes()).await.expect("answered");
    assert!(rest(&mut client).await.contains("HTTP/1.1 403 "));
    assert_eq!(rig.last(), "Deny b.example:443 name-mismatch");
}

#[tokio::test]
async fn a_shared_server_cannot_be_used_for_another_of_its_hosts() {
    let inspected = EgressRule { inspect: Some(true), ..rule("a.example", EgressAction::Allow) };
    let Both { rig, sandbox, .. } = both(vec![inspected, rule("b.example", EgressAction::Allow)]).await;
    let mut client = sandbox.connect("a.example", rig.to_main(443).await).await.expect("opened");
    client.write_all(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").await.expect("sent");
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 403 "));
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_gets_no_request() {
    let Both { rig, sandbox, upstream } = both(vec![reading("a.example")]).await;
    let strangers = Authority::new("a stranger");
    for acceptor in [strangers.server("a.example"), upstream.server("b.example")] {
        let listener = rig.server("a.example", "203.0.113.1:443").await;
        let accepting = tokio::spawn(async move { acceptor.accept(accept(&listener).await).await.is_ok() });
        let mut client = sandbox.connect("a.example", rig.to("a.example", 443).await).await.expect("opened");
        client.write_all(GET.as_bytes()).await.expect("sent");
        assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 502 "));
        assert!(read_to(&mut client, "\n").await.contains("does not show a certificate for its name"));
        assert!(!accepting.await.expect("ended"));
    }
}

#[tokio::test]
async fn without_an_authority_such_hosts_are_refused() {
    let mut policy = allowing(&[]);
    policy.rules = vec![placed(reading("a.example"))];
    let rig = Rig::new(policy).await;
    let error = Authority::new("any").connect("a.example", rig.to("a.example", 443).await).await.expect_err("refused");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert_eq!(rig.last(), "Deny a.example:443 no-authority");
}

#[tokio::test]
async fn a_tunnel_s_tls_is_opened_as_well() {
    let Both { rig, sandbox, upstream } = both(vec![reading("a.example")]).await;
    let listener = rig.server("a.example", "203.0.113.1:443").await;
    let acceptor = upstream.server("a.example");
    let mut client = rig.to_main(3128).await;
    client.write_all(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").await.expect("sent");
    read_to(&mut client, "\r\n\r\n").await;
    let mut client = sandbox.connect("a.example", client).await.expect("opened");
    client.write_all(b"GET /closed HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("sent");
    assert!(read_to(&mut client, "a.example:443: refused: no rule names it\n").await.starts_with("HTTP/1.1 403 "));
    client.write_all(GET.as_bytes()).await.expect("sent");
    let mut server = next(&listener, &acceptor).await;
    read_to(&mut server, "\r\n\r\n").await;
    server.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.expect("answered");
    assert!(read_to(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn an_idle_opened_connection_ends_when_nothing_of_its_host_is_allowed() {
    let Both { mut rig, sandbox, .. } = both(vec![reading("a.example")]).await;
    let mut client = sandbox.connect("a.example", rig.to("a.example", 443).await).await.expect("opened");
    rig.flows(1).await;
    rig.apply(|policy| policy.rules.clear()).await;
    client.read_u8().await.expect_err("cut");
}
