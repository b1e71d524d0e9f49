//! Requests in the clear: bytes through the very server that reads them in the gateway, then through what says where
//! they go.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use boxwood_core::egress::Host;
use boxwood_gateway::web::headers;
use boxwood_gateway::web::target::{self, Place};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::targets::assert_normal;

/// The first byte chooses the kind of connection, the others are sent on it.
pub(crate) fn requests(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let host = Host::parse("a.example").expect("a host");
    let place = match kind % 4 {
        0 => Place::Proxy,
        1 => Place::Clear { host: None, port: 80 },
        2 => Place::Clear { host: Some(host), port: 8080 },
        _ => Place::Opened { host, port: 443 },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let heads = runtime.block_on(serve(bytes));
    for mut request in heads {
        check(&mut request, &place);
    }
}

/// The heads that a server sees in these bytes; it reads each body to its end.
async fn serve(bytes: &[u8]) -> Vec<Request<()>> {
    let seen: Arc<Mutex<Vec<Request<()>>>> = Arc::default();
    let (mut client, server) = tokio::io::duplex(bytes.len().max(1) + 64 * 1024);
    client.write_all(bytes).await.expect("room for all");
    client.shutdown().await.expect("an end");
    let heads = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let heads = Arc::clone(&heads);
        async move {
            let (parts, body) = request.into_parts();
            heads.lock().unwrap_or_else(PoisonError::into_inner).push(Request::from_parts(parts, ()));
            // A body that breaks off ends the connection with its answer.
            let _ = body.collect().await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
    // Malformed requests are the point; whoever sent them is answered and left.
    let (_, answers) = tokio::join!(connection, async {
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers).await;
        answers
    });
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."));
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What goes on names one host in its normal form, as every place in the request did, and nothing of this connection.
fn check(request: &mut Request<()>, place: &Place) {
    if let Ok(target) = target::read(request, place) {
        assert_normal(&target.host);
        let (host, port) = target::authority(&target.authority).expect("an authority that can be read");
        assert_eq!(host, target.host);
        assert!(port.is_none_or(|port| port == target.port));
        let safe = |text: &str| text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        assert!(safe(&target.authority) && safe(&target.path), "{target:?}");
        let named = request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(target::authority);
        assert!(named.is_none_or(|(host, _)| host == target.host));
        if let Place::Clear { host: Some(host), port } | Place::Opened { host, port } = place {
            assert_eq!((&target.host, target.port), (host, *port));
        }
    }
    headers::clean_request(request.headers_mut());
    let left = request.headers();
    assert!(!left.contains_key(TRANSFER_ENCODING) && left.get_all(UPGRADE).iter().count() <= 1);
    let names = left.get_all(CONNECTION).iter().map(|value| value.to_str().unwrap_or_default());
    assert!(names.flat_map(|value| value.split(", ")).all(|name| ["te", "upgrade"].contains(&name)));
}
