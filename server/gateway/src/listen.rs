//! Listeners: one per port that a rule names and on those that clients use without being told; they follow the policy.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use boxwood_core::egress::{Host, Requests};
use boxwood_protocol::egress::EgressVia;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::dial::{DialError, dial_ahead, tune};
use crate::flows::Client;
use crate::socks::{self, Reply};
use crate::splice::reset;
use crate::state::{Count, State, Wanted, lock};
use crate::tunnel::{self, Arrival, gone};
use crate::{sniff, web};

/// Ports that are always listened on.
pub const ALWAYS: [u16; 5] = [22, 80, 443, 8080, 8443];
/// The HTTP proxy.
pub const HTTP_PROXY: u16 = 3128;
/// The SOCKS proxy.
pub const SOCKS_PROXY: u16 = 1080;
/// Questions for names come here, and are answered by [`crate::dns`].
const DNS: u16 = 53;
/// Ports that are listened on at most.
const PORTS: usize = 1024;
/// How long a connection waits at most when they come too fast.
const WAIT: Duration = Duration::from_secs(1);
/// How long it is waited when no more connections can be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens where the policy says, for ever.
pub async fn run(state: Arc<State>) {
    let mut changes = state.changes();
    let mut listeners: BTreeMap<u16, AbortHandle> = BTreeMap::new();
    loop {
        let named = changes.borrow_and_update().as_ref().map(|in_force| in_force.policy.ports()).unwrap_or_default();
        let proxies = [HTTP_PROXY, SOCKS_PROXY].into_iter().chain(state.place.redirected);
        let mut ports: Vec<u16> = proxies.chain(ALWAYS).chain(named).collect();
        ports.retain(|port| *port != DNS);
        // The usual ones stand first and stay.
        ports.truncate(PORTS);
        listeners.retain(|port, listener| {
            let stays = ports.contains(port);
            if !stays {
                listener.abort();
                lock(&state.listening).remove(port);
            }
            stays
        });
        ports.retain(|port| !listeners.contains_key(port));
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            match TcpListener::bind(state.outside.listen_at(port)).await {
                Ok(listener) => {
                    if let Ok(at) = listener.local_addr() {
                        lock(&state.listening).insert(port, at);
                    }
                    listeners.insert(port, tokio::spawn(accept(Arc::clone(&state), listener, port)).abort_handle());
                }
                Err(cause) => eprintln!("boxwood-gateway: port {port} cannot be listened on: {cause}"),
            }
        }
        state.listens.send_replace(state.in_force().map_or(0, |in_force| in_force.revision));
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn accept(state: Arc<State>, listener: TcpListener, port: u16) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(serve(Arc::clone(&state), stream, peer, port));
            }
            // Out of descriptors or memory, or the peer was faster: nothing tells when that is over.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Serves a connection to its end, when it comes from the sandbox's network and went to an address in it.
async fn serve(state: Arc<State>, stream: TcpStream, peer: SocketAddr, port: u16) {
    let Ok(local) = stream.local_addr() else { return };
    let (IpAddr::V4(from), IpAddr::V4(to)) = (peer.ip(), local.ip()) else { return reset(&stream) };
    let subnet = state.place.subnet;
    if !subnet.contains(from) || !subnet.contains(to) {
        return reset(&stream);
    }
    let is_main = to == state.place.address;
    let redirected = (is_main && state.place.redirected == Some(port)).then(|| state.outside.sent_to(&stream));
    let (host, held, port, is_main) = match redirected {
        None => {
            let held = state.addresses.hold(to, std::time::Instant::now());
            (held.as_ref().and_then(|held| Host::parse(held.name()).ok()), held, port, is_main)
        }
        Some(Ok(sent_to)) if !subnet.contains(*sent_to.ip()) => {
            (Some(Host::of_address(IpAddr::V4(*sent_to.ip()))), None, sent_to.port(), false)
        }
        // Made to this very port, by nobody's rules.
        Some(_) => return reset(&stream),
    };
    let refuse = |reason| {
        let text = host.as_ref().map_or_else(|| to.to_string(), Host::to_string);
        state.refuse_text(&text, port, EgressVia::Address, reason);
        reset(&stream);
    };
    let Some(in_force) = state.in_force() else { return refuse("no-policy") };
    let Some(entered) = state.flows.enter(in_force.policy.policy().connections) else {
        return refuse("too-many-connections");
    };
    match state.arrivals.take(WAIT) {
        None => return refuse("too-fast"),
        Some(Duration::ZERO) => {}
        Some(wait) => tokio::time::sleep(wait).await,
    }
    tune(&stream);
    let client = Client::new(entered, held);
    let arrival = Arrival { state, client, stream, head: Vec::new(), dialled: None, port, host, proxy: None };
    match port {
        HTTP_PROXY if is_main => Box::pin(web::serve_proxy(arrival)).await,
        SOCKS_PROXY if is_main => Box::pin(serve_socks(arrival)).await,
        _ => tunnel::serve(arrival).await,
    }
}

/// The name that an address stands for: clients of proxies may have looked it up themselves.
#[must_use]
pub fn named(state: &State, host: Host) -> Host {
    let name = match &host {
        Host::Address(IpAddr::V4(address)) => state.addresses.name_of(*address),
        _ => None,
    };
    name.and_then(|name| Host::parse(&name).ok()).unwrap_or(host)
}

/// Speaks SOCKS with a client, and when the host has been reached serves the connection as if it had been made directly.
async fn serve_socks(mut arrival: Arrival) {
    let target = match timeout(sniff::PATIENCE, socks::accept(&mut arrival.stream)).await {
        Ok(Ok(target)) => target,
        Ok(Err(_)) => return,
        Err(_) => return reset(&arrival.stream),
    };
    let host = named(&arrival.state, target.host);
    let wanted = Wanted {
        host: &host,
        port: target.port,
        via: EgressVia::Socks,
        requests: Requests::Later,
        client: &arrival.client,
        count: Count::New,
    };
    let flow = match arrival.judge(&wanted).await {
        Some(Ok(flow)) => flow,
        Some(Err(_)) => {
            // Whether it arrives or not, the connection is over.
            let _ = socks::reply(&mut arrival.stream, Reply::NotAllowed).await;
            return;
        }
        None => return,
    };
    let dialled = tokio::select! {
        biased;
        dialled = dial_ahead(&flow, &wanted) => dialled,
        () = gone(&arrival.stream) => return,
    };
    let reply = match &dialled {
        Ok(_) => Reply::Connected,
        Err(DialError::Refused(_) | DialError::Cut) => Reply::NotAllowed,
        Err(error) if error.is_refusal() => Reply::Refused,
        Err(_) => Reply::Unreachable,
    };
    let Ok(()) = socks::reply(&mut arrival.stream, reply).await else { return };
    let Ok(dialled) = dialled else { return };
    arrival.dialled = dialled;
    arrival.proxy = flow.serial().map(|serial| (EgressVia::Socks, serial));
    arrival.port = target.port;
    arrival.host = Some(host);
    tunnel::serve_within(&flow, arrival).await;
}
