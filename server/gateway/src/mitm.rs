//! TLS that is opened, for hosts whose requests are judged one by one: towards the sandbox the gateway is the host, with
//! a certificate of the authority that only this sandbox trusts; towards the host it is a client that checks.

use std::sync::Arc;

use boxwood_core::egress::{Host, Requests};
use boxwood_protocol::egress::EgressVia;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::io::Ahead;
use crate::sniff::PATIENCE;
use crate::splice::reset;
use crate::state::{Count, Wanted};
use crate::tls::farewell;
use crate::tunnel::Arrival;
use crate::web;
use crate::web::target::Place;

/// Serves a connection to its end.
pub async fn serve(mut arrival: Arrival, host: Host) {
    let wanted = Wanted {
        host: &host,
        port: arrival.port,
        via: arrival.via(EgressVia::Tls),
        requests: Requests::Later,
        client: &arrival.client,
        count: Count::Requests,
    };
    // Kept until the end: when nothing of the host is allowed any more, the connection ends between requests as well.
    let flow = match arrival.judge(&wanted).await {
        Some(Ok(flow)) => flow,
        Some(Err(_)) => return farewell(&mut arrival.stream).await,
        None => return,
    };
    let Some(trust) = arrival.state.in_force().map(|in_force| Arc::clone(&in_force.trust)) else { return };
    let config = match trust.server(&host) {
        Ok(config) => config,
        Err(cause) => {
            if trust.opens() {
                eprintln!("boxwood-gateway: {host}: {cause}");
            }
            arrival.state.refuse(&wanted, "no-authority");
            return farewell(&mut arrival.stream).await;
        }
    };
    let Arrival { state, client, stream, head, port, dialled, .. } = arrival;
    let place = Place::Opened { host, port };
    let token = client.token().clone();
    let accepting = timeout(PATIENCE, TlsAcceptor::from(config).accept(Ahead::new(head, stream)).into_fallible());
    tokio::select! {
        biased;
        () = token.cancelled() => {}
        accepted = accepting => match accepted {
            Ok(Ok(opened)) => Box::pin(web::serve(state, client, opened, place, dialled)).await,
            // A client that does not believe our certificate says so and leaves.
            Ok(Err((_, ahead))) => reset(&ahead.into_parts().1),
            Err(_) => {}
        }
    }
    drop(flow);
}
