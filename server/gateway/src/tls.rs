//! TLS: the name in its first message is judged, then the bytes are carried as they are, or it is opened when requests
//! must be judged one by one.

use boxwood_core::egress::Host;
use boxwood_protocol::egress::EgressVia;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::dial::{DialError, dial};
use crate::hello::Hello;
use crate::mitm;
use crate::splice::{reset, splice};
use crate::tunnel::Arrival;

/// A record with the fatal alert `access_denied` (RFC 8446, section 6): clients print it, unlike a mere reset.
const ACCESS_DENIED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 49];

/// Says that it is refused, and by whom no more than that.
pub async fn farewell(stream: &mut TcpStream) {
    // Whoever does not read it sees the connection closed.
    let _ = stream.write_all(&ACCESS_DENIED).await;
    let _ = stream.shutdown().await;
}

/// Serves a connection to its end.
pub async fn serve(mut arrival: Arrival, hello: Hello) {
    let host = match name(&arrival, &hello) {
        Ok(host) => host,
        Err(reason) => {
            match hello.name {
                // What it named is more telling than where it went.
                Some(named) if reason != "name-mismatch" => {
                    arrival.state.refuse_text(&named.to_string(), arrival.port, arrival.via(EgressVia::Tls), reason)
                }
                _ => arrival.refuse(EgressVia::Tls, reason),
            };
            return farewell(&mut arrival.stream).await;
        }
    };
    let opens = arrival.state.in_force().is_some_and(|in_force| in_force.opens_tls(&host, arrival.port));
    if opens {
        return Box::pin(mitm::serve(arrival, host)).await;
    }
    pass(arrival, &host).await;
}

/// The host that the connection is for. Where it went and what it says must not differ.
fn name(arrival: &Arrival, hello: &Hello) -> Result<Host, &'static str> {
    if hello.is_encrypted {
        return Err("encrypted-hello");
    }
    match (&arrival.host, &hello.name) {
        (Some(host), Some(name)) if host != name => Err("name-mismatch"),
        (Some(host), _) => Ok(host.clone()),
        (None, Some(name)) => Ok(name.clone()),
        (None, None) => Err("no-name"),
    }
}

async fn pass(mut arrival: Arrival, host: &Host) {
    let dialled = arrival.dialled.take();
    let wanted = arrival.wanted(host, EgressVia::Tls);
    let flow = match arrival.judge(&wanted).await {
        Some(Ok(flow)) => flow,
        Some(Err(_)) => return farewell(&mut arrival.stream).await,
        None => return,
    };
    match dial(&flow, &wanted, dialled).await {
        Ok(mut upstream) => {
            let head = std::mem::take(&mut arrival.head);
            // However it ended, both sides know.
            let _ = splice(&flow, &arrival.stream, &mut upstream, &head).await;
        }
        Err(DialError::Refused(_)) => farewell(&mut arrival.stream).await,
        Err(_) => reset(&arrival.stream),
    }
}
