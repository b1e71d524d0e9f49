//! Protocols that are neither TLS nor HTTP: all that is known of them is the address they went to.

use std::pin::Pin;

use boxwood_protocol::egress::EgressVia;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dial::{Dialled, dial};
use crate::inject::UNSEEN;
use crate::sniff::{self, First, SILENCE, WEB};
use crate::splice::{reset, splice};
use crate::tunnel::{self, Arrival};

/// Serves a connection to its end. Its type is plain, because what begins late is served from inside of this.
pub fn serve(arrival: Arrival) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(pass(arrival))
}

async fn pass(mut arrival: Arrival) {
    let refuse = |arrival: &Arrival, reason| {
        arrival.refuse(EgressVia::Address, reason);
        reset(&arrival.stream);
    };
    let Some(host) = arrival.host.clone() else { return refuse(&arrival, "no-name") };
    if WEB.contains(&arrival.port) {
        return refuse(&arrival, "unknown-protocol");
    }
    if arrival.head.is_empty() && arrival.state.injection(&host, arrival.port).is_some() {
        // Its requests must be seen, so it is the client that speaks first there; connections are opened ahead of need.
        return match timeout(SILENCE, sniff::begun(&mut arrival.stream, &mut arrival.head, false)).await {
            Ok(Ok(first)) if first != First::Opaque => tunnel::serve_as(arrival, first).await,
            Ok(Ok(_)) => refuse(&arrival, UNSEEN),
            Ok(Err(_)) | Err(_) => reset(&arrival.stream),
        };
    }
    let dialled = arrival.dialled.take();
    let wanted = arrival.wanted(&host, EgressVia::Address);
    let Some(Ok(flow)) = arrival.judge(&wanted).await else { return reset(&arrival.stream) };
    let Ok(mut upstream) = dial(&flow, &wanted, dialled).await else { return reset(&arrival.stream) };
    if let Some(first) = client_first(&mut arrival, &upstream).await {
        arrival.dialled = Dialled::new(&flow, upstream);
        drop(flow);
        return tunnel::serve_as(arrival, first).await;
    }
    let head = std::mem::take(&mut arrival.head);
    // However it ended, both sides know.
    let _ = splice(&flow, &arrival.stream, &mut upstream, &head).await;
}

/// When a client has said nothing, waits for who speaks first. That a client was silent for a while does not make its
/// protocol another one: TLS and HTTP that begin late are judged as such.
async fn client_first(arrival: &mut Arrival, upstream: &TcpStream) -> Option<First> {
    if !arrival.head.is_empty() {
        return None;
    }
    let token = arrival.client.token().clone();
    let mut any = [0];
    let first = tokio::select! {
        biased;
        // What comes next ends it.
        () = token.cancelled() => return None,
        _ = upstream.peek(&mut any) => return None,
        first = sniff::begun(&mut arrival.stream, &mut arrival.head, false) => first,
    };
    // A client that ends its side without a word may still be waiting for the server's.
    first.ok().filter(|first| *first != First::Opaque)
}
