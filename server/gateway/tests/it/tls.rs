//! TLS that is carried as it is.

use std::sync::Arc;
use std::time::Duration;

use boxwood_protocol::egress::EgressAction;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::rig::{Rig, SOON, accept, allowing, placed, read_to, rest, rule};

/// An authority, and the names it vouches for.
pub(crate) struct Authority {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).expect("signed").pem();
        Self { certificate, key: key.serialize_pem() }
    }

    pub(crate) fn server(&self, name: &str) -> TlsAcceptor {
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key).expect("a key"))
            .expect("an issuer");
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new([name.to_owned()]).expect("a name").signed_by(&key, &issuer).expect("signed");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .expect("a certificate");
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn client(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate"))
            .expect("trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    pub(crate) async fn connect(&self, name: &str, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        tokio::time::timeout(SOON, self.client().connect(name, stream)).await.expect("soon")
    }
}

/// A server that sends back what it gets, in TLS.
pub(crate) fn echo(listener: TcpListener, acceptor: TlsAcceptor) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let (mut read, mut write) = tokio::io::split(&mut stream);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
}

const A: &str = "203.0.113.1:443";

async fn rig(hosts: &[&str]) -> (Rig, Authority) {
    let rig = Rig::new(allowing(hosts)).await;
    let authority = Authority::new("upstream");
    echo(rig.server("a.example", A).await, authority.server("a.example"));
    (rig, authority)
}

/// The alert that refused clients get.
const DENIED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 49];

async fn is_denied(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("an end").expect("closed in order");
    assert_eq!(bytes, DENIED);
}

/// A first message of a real client.
fn hello(name: &str) -> Vec<u8> {
    let authority = Authority::new("any");
    let config = Arc::clone(authority.client().config());
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut connection = rustls::ClientConnection::new(config, name).expect("a client");
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).expect("written");
    bytes
}

#[tokio::test]
async fn an_allowed_name_is_carried_to_its_server_and_back() {
    let (rig, authority) = rig(&["a.example"]).await;
    for stream in [rig.to("a.example", 443).await, rig.to_main(443).await] {
        let mut stream = authority.connect("a.example", stream).await.expect("the server's own certificate");
        stream.write_all(b"hello").await.expect("sent");
        assert_eq!(read_to(&mut stream, "hello").await, "hello");
        rig.flows(1).await;
        stream.shutdown().await.expect("ended");
        assert_eq!(rest(&mut stream).await, "");
        rig.flows(0).await;
    }
    let decision = rig.log().pop().expect("a decision");
    assert_eq!((decision.action, decision.rule.as_deref()), (EgressAction::Allow, Some("a.example")));
    assert!(decision.bytes_up > 200 && decision.bytes_down > 500, "{decision:?}");
    assert_eq!(rig.dialled()[0].to_string(), A);
}

#[tokio::test]
async fn what_was_allowed_and_is_not_there_is_told_as_such() {
    let (rig, _authority) = rig(&["a.example", "nowhere.example", "nobody.example"]).await;
    rig.name("nobody.example", &[&["203.0.113.9"]]);
    for (name, reason) in [("nowhere.example", "not-found"), ("nobody.example", "unreachable")] {
        let mut client = rig.to_main(443).await;
        client.write_all(&hello(name)).await.expect("sent");
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(rig.last(), format!("Allow {name}:443 {reason}"));
    }
}

#[tokio::test]
async fn other_names_are_refused_with_an_alert() {
    let (rig, authority) = rig(&["a.example"]).await;
    let mut client = rig.to_main(443).await;
    client.write_all(&hello("b.example")).await.expect("sent");
    is_denied(&mut client).await;
    assert_eq!(rig.last(), "Deny b.example:443");
    let error = authority.connect("b.example", rig.to_main(443).await).await.expect_err("refused");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn a_connection_to_a_name_carries_no_other() {
    let (rig, _) = rig(&["a.example", "b.example"]).await;
    let mut client = rig.to("b.example", 443).await;
    client.write_all(&hello("a.example")).await.expect("sent");
    is_denied(&mut client).await;
    assert_eq!(rig.last(), "Deny b.example:443 name-mismatch");
    assert!(rig.dialled().is_empty());
}

#[tokio::test]
async fn a_name_that_is_absent_counts_as_the_address_s() {
    let rig = Rig::new(allowing(&["a.example"])).await;
    let listener = rig.server("a.example", A).await;
    let nameless = hello("192.0.2.1");
    let mut client = rig.to("a.example", 443).await;
    client.write_all(&nameless).await.expect("sent");
    let mut server = accept(&listener).await;
    let mut received = vec![0; nameless.len()];
    server.read_exact(&mut received).await.expect("the same");
    assert_eq!(received, nameless);
    let mut client = rig.to_main(443).await;
    client.write_all(&nameless).await.expect("sent");
    is_denied(&mut client).await;
    assert_eq!(rig.last(), "Deny 127.77.0.2:443 no-name");
}

/// The same message with one more extension at its end.
fn with_extension(mut hello: Vec<u8>, kind: u16) -> Vec<u8> {
    hello.extend_from_slice(&[&kind.to_be_bytes()[..], &[0, 1, 0]].concat());
    let grow = |bytes: &mut [u8]| {
        let length = u16::from_be_bytes([bytes[0], bytes[1]]) + 5;
        bytes.copy_from_slice(&length.to_be_bytes());
    };
    grow(&mut hello[3..5]);
    grow(&mut hello[7..9]);
    let session = usize::from(hello[43]);
    let suites = usize::from(u16::from_be_bytes([hello[44 + session], hello[45 + session]]));
    let compression = usize::from(hello[46 + session + suites]);
    let extensions = 47 + session + suites + compression;
    grow(&mut hello[extensions..extensions + 2]);
    hello
}

#[tokio::test]
async fn a_hidden_name_is_refused() {
    let (rig, _) = rig(&["a.example"]).await;
    let mut client = rig.to("a.example", 443).await;
    client.write_all(&with_extension(hello("a.example"), 0xfe0d)).await.expect("sent");
    is_denied(&mut client).await;
    assert_eq!(rig.last(), "Deny a.example:443 encrypted-hello");
    // The same with another extension passes, so it was that one.
    let mut client = rig.to("a.example", 443).await;
    client.write_all(&with_extension(hello("a.example"), 0xfafa)).await.expect("sent");
    rig.flows(1).await;
}

#[tokio::test]
async fn a_first_message_may_come_in_pieces_but_not_for_ever() {
    let (rig, _) = rig(&["a.example"]).await;
    let bytes = hello("a.example");
    let mut client = rig.to("a.example", 443).await;
    for piece in bytes.chunks(50) {
        client.write_all(piece).await.expect("sent");
        tokio::task::yield_now().await;
    }
    rig.flows(1).await;

    let mut client = rig.to("a.example", 443).await;
    client.write_all(&bytes[..20]).await.expect("sent");
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    for byte in &bytes[20..] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if client.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    assert!(started.elapsed() < Duration::from_secs(15), "it is still waited for");
}

#[tokio::test]
async fn what_is_too_long_or_nonsense_is_refused() {
    let (rig, _) = rig(&["a.example"]).await;
    let mut client = rig.to("a.example", 443).await;
    client.write_all(&[0x16, 3, 1, 0, 5, 2, 0, 0, 0, 0]).await.expect("sent");
    is_denied(&mut client).await;
    assert_eq!(rig.last(), "Deny a.example:443 malformed-hello");
    let mut client = rig.to("a.example", 443).await;
    client.write_all(b"\x00\x01\x02\x03").await.expect("sent");
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(rig.last(), "Deny a.example:443 unknown-protocol");
}

#[tokio::test]
async fn each_side_may_end_alone() {
    let rig = Rig::new(allowing(&["a.example:9000"])).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let mut client = rig.to("a.example", 9000).await;
    client.write_all(b"\x01question").await.expect("sent");
    client.shutdown().await.expect("ended");
    let mut server = accept(&listener).await;
    assert_eq!(rest(&mut server).await, "\u{1}question");
    server.write_all(b"answer").await.expect("sent");
    drop(server);
    assert_eq!(rest(&mut client).await, "answer");

    let mut client = rig.to("a.example", 9000).await;
    let mut server = accept(&listener).await;
    server.write_all(b"greeting").await.expect("sent");
    server.shutdown().await.expect("ended");
    assert_eq!(rest(&mut client).await, "greeting");
    client.write_all(b"\x01still here").await.expect("sent");
    drop(client);
    assert_eq!(rest(&mut server).await, "\u{1}still here");
}

#[tokio::test]
async fn to_wait_for_the_server_is_no_way_around_the_name() {
    let rig = Rig::new(allowing(&["a.example:9000", "b.example:9000"])).await;
    let listener = rig.server("a.example", "203.0.113.1:9000").await;
    let mut client = rig.to("a.example", 9000).await;
    // By now it is taken for one whose server speaks first.
    let mut server = accept(&listener).await;
    client.write_all(&hello("b.example")).await.expect("sent");
    is_denied(&mut client).await;
    assert_eq!(rig.last(), "Deny a.example:9000 name-mismatch");
    assert_eq!(rest(&mut server).await, "");
}

#[tokio::test]
async fn names_that_lead_to_private_addresses_go_nowhere_however_often_they_change() {
    let mut rig = Rig::new(allowing(&["a.example", "b.example", "c.example"])).await;
    let authority = Authority::new("upstream");
    echo(rig.server("a.example", A).await, authority.server("a.example"));
    rig.name(
        "a.example",
        &[
            &["203.0.113.1"],
            &["10.0.0.5"],
            &["203.0.113.1"],
            &["169.254.169.254"],
            &["::ffff:10.0.0.5"],
            &["127.0.0.1"],
        ],
    );
    for is_public in [true, false, true, false, false, false] {
        let connected = authority.connect("a.example", rig.to("a.example", 443).await).await;
        assert_eq!(connected.is_ok(), is_public);
        if !is_public {
            assert_eq!(rig.last(), "Deny a.example:443 private-address");
        }
    }
    // Where some addresses are public, only these are tried.
    rig.name("a.example", &[&["10.0.0.5", "203.0.113.1"]]);
    authority.connect("a.example", rig.to("a.example", 443).await).await.expect("the public one");
    // A rule may mean private addresses, but never this gateway or what is only in it.
    rig.apply(|policy| {
        policy.rules = vec![placed(boxwood_protocol::egress::EgressRule {
            private: Some(true),
            ..rule("b.example", EgressAction::Allow)
        })];
    })
    .await;
    rig.name("b.example", &[&["10.0.0.5"], &["127.77.0.2"], &["127.0.0.1"], &["0.0.0.0"], &["::1"]]);
    for name in ["b.example"; 5] {
        authority.connect(name, rig.to(name, 443).await).await.expect_err("nobody is there");
    }
    let dialled: Vec<_> = rig.dialled().iter().map(ToString::to_string).collect();
    assert_eq!(dialled, [A, A, A, "10.0.0.5:443"]);
}
