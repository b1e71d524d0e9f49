//! `CONNECT`: a tunnel to a host. It is there when the host has been reached, and not before. What is spoken in it is judged
//! as on a connection made directly, and must be for the very host that the tunnel was asked for.

use std::sync::Arc;

use boxwood_core::egress::Requests;
use boxwood_protocol::egress::EgressVia;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use super::Server;
use super::body::Body;
use super::target::{self, TargetError};
use crate::dial::{Dialled, dial_ahead};
use crate::flows::Flow;
use crate::io::{Ahead, Timed};
use crate::listen::named;
use crate::state::{Count, Wanted};
use crate::tunnel::{self, Arrival};

pub(super) async fn handle(server: &Arc<Server>, mut request: Request<Incoming>) -> Response<Body> {
    let (host, port) = match read(&request) {
        Ok(target) => target,
        Err(error) => return server.bad_request(&request, &error),
    };
    let host = named(&server.state, host);
    let wanted = Wanted {
        host: &host,
        port,
        via: EgressVia::Connect,
        requests: Requests::Later,
        client: &server.client,
        count: Count::New,
    };
    let flow = match server.state.judge(&wanted).await {
        Ok(flow) => flow,
        Err(refused) => return super::refused(&refused),
    };
    let dialled = match dial_ahead(&flow, &wanted).await {
        Ok(dialled) => dialled,
        Err(error) => return super::undialled(&error),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        // A client that went away meanwhile.
        let Ok(upgraded) = upgrade.await else { return };
        if let Some(arrival) = arrival(&server, &flow, upgraded, dialled) {
            tunnel::serve_within(&flow, arrival).await;
        }
    });
    let mut response = Response::new(Body::text(String::new()));
    *response.status_mut() = StatusCode::OK;
    response
}

fn read(request: &Request<Incoming>) -> Result<(boxwood_core::egress::Host, u16), TargetError> {
    let authority = request.uri().authority().ok_or(TargetError::BadTarget)?;
    let (host, port) = target::authority(authority.as_str()).ok_or(TargetError::BadHost)?;
    let port = port.ok_or(TargetError::BadTarget)?;
    let mut named = request.headers().get_all(HOST).iter();
    if let Some(value) = named.next() {
        let (also, at) = value.to_str().ok().and_then(target::authority).ok_or(TargetError::BadHost)?;
        if also != host || at.is_some_and(|at| at != port) {
            return Err(TargetError::Conflict);
        }
    }
    if named.next().is_some() { Err(TargetError::BadHost) } else { Ok((host, port)) }
}

fn arrival(server: &Server, flow: &Flow, upgraded: Upgraded, dialled: Option<Dialled>) -> Option<Arrival> {
    let parts = upgraded.downcast::<TokioIo<Timed<Ahead>>>().ok()?;
    let (unread, stream) = parts.io.into_inner().into_inner().into_parts();
    Some(Arrival {
        state: Arc::clone(&server.state),
        client: server.client.clone(),
        stream,
        head: [parts.read_buf, unread].concat(),
        dialled,
        port: flow.port(),
        host: Some(flow.host().clone()),
        proxy: flow.serial().map(|serial| (EgressVia::Connect, serial)),
    })
}
