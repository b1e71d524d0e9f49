//! A connection before its first byte, made to a port or through one of the proxies, and its way to whoever serves what
//! it turns out to speak.

use std::pin::Pin;
use std::sync::Arc;

use boxwood_core::egress::{Host, Requests};
use boxwood_protocol::egress::EgressVia;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::dial::Dialled;
use crate::flows::{Client, Flow};
use crate::sniff::{self, First};
use crate::splice::reset;
use crate::state::{Count, Refused, State, Wanted};
use crate::{opaque, tls, web};

/// A connection of which the port is known, and maybe the host.
pub struct Arrival {
    /// What all share.
    pub state: Arc<State>,
    /// The connection as flows know it.
    pub client: Client,
    /// The connection itself.
    pub stream: TcpStream,
    /// What was read of it.
    pub head: Vec<u8>,
    /// The other side, when it was connected to already.
    pub dialled: Option<Dialled>,
    /// The port it is for.
    pub port: u16,
    /// The host it is for, from the address it went to or from the proxy's request. What it says itself must be the same.
    pub host: Option<Host>,
    /// The proxy it came through, and the number of the decision that let it.
    pub proxy: Option<(EgressVia, u64)>,
}

impl Arrival {
    /// How it named its host, when this protocol told.
    #[must_use]
    pub fn via(&self, own: EgressVia) -> EgressVia {
        self.proxy.map_or(own, |(via, _)| via)
    }

    /// How letting it pass is counted: not again when the proxy's request was.
    #[must_use]
    pub fn count(&self) -> Count {
        self.proxy.map_or(Count::New, |(_, serial)| Count::As(serial))
    }

    /// What it wants, when nothing is seen of its requests.
    #[must_use]
    pub fn wanted<'a>(&'a self, host: &'a Host, via: EgressVia) -> Wanted<'a> {
        Wanted {
            host,
            port: self.port,
            via: self.via(via),
            requests: Requests::Never,
            client: &self.client,
            count: self.count(),
        }
    }

    /// The host for the log, when it is refused before one is known.
    #[must_use]
    pub fn host_text(&self) -> String {
        match &self.host {
            Some(host) => host.to_string(),
            None => self.stream.local_addr().map_or_else(|_| String::new(), |local| local.ip().to_string()),
        }
    }

    /// Refuses it before its host is known for certain.
    pub fn refuse(&self, via: EgressVia, reason: &'static str) -> Refused {
        self.state.refuse_text(&self.host_text(), self.port, self.via(via), reason)
    }

    /// Asks for a verdict, as long as the client waits for it; `None` when it does not.
    pub async fn judge(&self, wanted: &Wanted<'_>) -> Option<Result<Flow, Refused>> {
        tokio::select! {
            biased;
            result = self.state.judge(wanted) => Some(result),
            () = gone(&self.stream) => None,
        }
    }
}

/// Waits until the client has closed the connection.
pub async fn gone(stream: &TcpStream) {
    // The interest that comes with the peer's closing and without its bytes.
    let _ = stream.ready(Interest::PRIORITY).await;
}

/// Serves a connection to its end. Its type is plain, because a tunnel is served inside of what serves a proxy.
#[must_use]
pub fn serve(arrival: Arrival) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(speak(arrival))
}

/// Serves what comes through a proxy to its end, for as long as the flow that was let through may be.
pub async fn serve_within(flow: &Flow, arrival: Arrival) {
    let token = flow.token().clone();
    tokio::select! {
        biased;
        () = serve(arrival) => {}
        // Before what comes has a flow of its own; afterwards that one ends it the same way.
        () = token.cancelled() => {}
    }
}

async fn speak(mut arrival: Arrival) {
    if let Ok(first) = sniff::first(&mut arrival.stream, &mut arrival.head, arrival.port).await {
        serve_as(arrival, first).await;
    }
}

/// Serves a connection to its end as what it speaks.
pub(crate) async fn serve_as(mut arrival: Arrival, first: First) {
    // Each in a box of its own: a connection takes only the memory of what it speaks.
    match first {
        First::Tls(hello) => Box::pin(tls::serve(arrival, hello)).await,
        First::Http => Box::pin(web::serve_clear(arrival)).await,
        First::Opaque => opaque::serve(arrival).await,
        First::BadTls(_) => {
            arrival.refuse(EgressVia::Tls, "malformed-hello");
            tls::farewell(&mut arrival.stream).await;
        }
        First::Http2 => {
            arrival.refuse(EgressVia::Http, "http2-in-clear");
            reset(&arrival.stream);
        }
        First::Silence => reset(&arrival.stream),
    }
}
