//! HTTP in the clear, in TLS that was opened, and through the proxy: each request is read, judged, written anew and sent
//! on. What the server receives is what was judged, whatever the client's bytes were.

pub mod body;
mod connect;
pub mod headers;
pub mod target;
mod upgrade;
mod upstream;

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use boxwood_core::egress::Requests;
use boxwood_protocol::egress::EgressVia;
use boxwood_protocol::gateway::Tell;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use self::body::{Body, BusyUntilDropped};
use self::target::{Place, TargetError};
use self::upstream::{Upstream, UpstreamError};
use crate::dial::{DialError, Dialled};
use crate::flows::{Client, Flow};
use crate::inject::Injection;
use crate::io::{Ahead, Busy, Timed};
use crate::listen::named;
use crate::state::{Count, Refused, State, Wanted};
use crate::tunnel::Arrival;

/// Most bytes that are kept of a connection on each side; also the longest head of a request and of a response. Few servers
/// and clients take longer ones, and a thousand connections that nobody reads from must fit into the gateway's memory.
const BUFFER: usize = 16 * 1024;
/// How long a connection may be idle between requests.
const IDLE: Duration = Duration::from_secs(75);

/// What serves the requests of one connection.
struct Server {
    state: Arc<State>,
    client: Client,
    place: Place,
    busy: Busy,
    upstream: Upstream,
}

/// Serves HTTP in the clear to its end.
pub async fn serve_clear(arrival: Arrival) {
    let place = Place::Clear { host: arrival.host.clone(), port: arrival.port };
    serve_at(arrival, place).await;
}

/// Serves the proxy's clients to their end.
pub async fn serve_proxy(arrival: Arrival) {
    serve_at(arrival, Place::Proxy).await;
}

async fn serve_at(arrival: Arrival, place: Place) {
    let Arrival { state, client, stream, head, dialled, .. } = arrival;
    serve(state, client, Ahead::new(head, stream), place, dialled).await;
}

/// Serves what is inside of TLS to its end. `place` says for which host it was opened.
pub(crate) async fn serve<IO>(state: Arc<State>, client: Client, io: IO, place: Place, dialled: Option<Dialled>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // A direct connection ends when its server ends it; one to the proxy serves many.
    let is_direct = place != Place::Proxy;
    let token = client.token().clone();
    let server = Arc::new(Server { state, client, place, busy: Busy::default(), upstream: Upstream::new(dialled) });
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { server.handle(request).await }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER)
        // What the server sent is sent back, and nothing more.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(Timed::new(io, server.busy.clone())), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            // Whatever went wrong, the client has seen it.
            _ = &mut connection => return,
            () = server.upstream.ended(), if is_direct => connection.as_mut().graceful_shutdown(),
        }
    }
}

impl Server {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, UpstreamError> {
        let busy = BusyUntilDropped::new(&self.busy);
        let response = if self.place == Place::Proxy && request.method() == Method::CONNECT {
            connect::handle(&self, request).await
        } else {
            Box::pin(self.pass(request)).await?
        };
        Ok(response.map(|body| body.until_dropped(busy)))
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>, UpstreamError> {
        let target = match target::read(&request, &self.place) {
            Ok(target) => target,
            Err(error) => return Ok(self.bad_request(&request, &error)),
        };
        let host =
            if self.place == Place::Proxy { named(&self.state, target.host.clone()) } else { target.host.clone() };
        let method = request.method().clone();
        let is_opened = matches!(self.place, Place::Opened { .. });
        let wanted = Wanted {
            host: &host,
            port: target.port,
            via: if is_opened { EgressVia::Https } else { EgressVia::Http },
            requests: Requests::This { method: method.as_str(), path: &target.path },
            client: &self.client,
            count: Count::New,
        };
        let flow = match self.state.judge(&wanted).await {
            Ok(flow) => Arc::new(flow),
            Err(found) => return Ok(refused(&found)),
        };
        if !flow.count_up(size(&request)) {
            return Ok(refused(&self.state.refuse(&wanted, "upload-limit")));
        }
        let authority = if host == target.host { target.authority.clone() } else { host.to_string() };
        // Looked for now, when it is certain that it goes on: the next request may find another one.
        let injection = self.state.injection(&host, target.port);
        // Also where nothing is known to set: what could be known may have come meanwhile.
        let is_ours = injection.is_some();
        let (request, upgrade) = onward(request, &target.path, &authority, &flow, injection);
        match self.upstream.send(&flow, &wanted, is_opened, request).await {
            Ok(response) => {
                if is_ours && response.status() == StatusCode::UNAUTHORIZED {
                    self.state.outbox.tell(Tell::Refused { host: host.to_string(), port: target.port });
                }
                Ok(back(response, upgrade, flow))
            }
            Err(UpstreamError::Dial(error)) => Ok(undialled(&error)),
            Err(error @ UpstreamError::Stale) => Err(error),
            Err(error) => Ok(own(StatusCode::BAD_GATEWAY, format!("boxwood: {error}\n"))),
        }
    }

    /// Answers a request that cannot be judged, and logs it.
    fn bad_request<B>(&self, request: &Request<B>, error: &TargetError) -> Response<Body> {
        let header = request.headers().get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        // A name and a password in front of the host are nobody's business.
        let shown = |text: String| text.rsplit('@').next().unwrap_or_default().to_owned();
        let (header, in_target) = (header.map(shown), request.uri().authority().map(|it| shown(it.to_string())));
        let (reason, text) = match error {
            TargetError::Mismatch(host) => ("name-mismatch", Some(host.clone())),
            TargetError::Conflict => ("name-mismatch", in_target.or(header)),
            TargetError::NoHost => ("no-name", None),
            _ => ("bad-request", in_target.or(header)),
        };
        let (via, port) = match &self.place {
            Place::Clear { port, .. } => (EgressVia::Http, *port),
            Place::Opened { port, .. } => (EgressVia::Https, *port),
            Place::Proxy => (EgressVia::Connect, crate::listen::HTTP_PROXY),
        };
        self.state.refuse_text(&text.unwrap_or_default(), port, via, reason);
        let status = if reason == "name-mismatch" { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
        let mut response = own(status, format!("boxwood: refused: {error}\n"));
        // What follows such a request is not worth reading.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// The answer to what the policy refuses.
fn refused(refused: &Refused) -> Response<Body> {
    own(StatusCode::FORBIDDEN, format!("boxwood: {}: {}\n", refused.what, refused.why))
}

/// The answer when there is no connection to where the policy lets it go.
fn undialled(error: &DialError) -> Response<Body> {
    let status = match error {
        DialError::Refused(_) | DialError::Cut => StatusCode::FORBIDDEN,
        error if error.is_timeout() => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    own(status, format!("boxwood: {error}\n"))
}

fn own(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// About how many bytes the head of a request is: what is said there also leaves.
fn size<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    request.method().as_str().len() + target + headers.sum::<usize>()
}

/// A request as it is sent on, and the client's side of an upgrade when it asks for one.
fn onward(
    mut request: Request<Incoming>,
    path: &str,
    authority: &str,
    flow: &Arc<Flow>,
    injection: Option<Arc<Injection>>,
) -> (Request<Body>, Option<upgrade::Asked>) {
    headers::clean_request(request.headers_mut());
    if let Some(injection) = &injection {
        headers::only_websocket(request.headers_mut());
        injection.put(request.headers_mut());
    }
    let upgrade = upgrade::asked(&mut request);
    let (mut parts, body) = request.into_parts();
    parts.extensions = Default::default();
    parts.version = Version::HTTP_11;
    let path = injection.as_ref().map_or(Cow::Borrowed(path), |injection| injection.target(path));
    // It was a target before, so it is one now.
    parts.uri = path.parse().unwrap_or_else(|_: hyper::http::uri::InvalidUri| Uri::from_static("/"));
    if let Ok(authority) = HeaderValue::from_str(authority) {
        parts.headers.insert(HOST, authority);
    }
    (Request::from_parts(parts, Body::up(body, Arc::clone(flow), injection)), upgrade)
}

/// A response as it is sent back.
fn back(mut response: Response<Incoming>, upgrade: Option<upgrade::Asked>, flow: Arc<Flow>) -> Response<Body> {
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    headers::clean(response.headers_mut(), switches);
    *response.version_mut() = Version::HTTP_11;
    if switches {
        let Some(asked) = upgrade else {
            return own(
                StatusCode::BAD_GATEWAY,
                "boxwood: the server changes to another protocol unasked\n".to_owned(),
            );
        };
        upgrade::carry(asked, &mut response, Arc::clone(&flow));
    }
    response.map(|body| Body::down(body, flow))
}
