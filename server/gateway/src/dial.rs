//! Connecting: the name is looked up here, each address is judged, and the connection goes to an address that was
//! judged and nowhere else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use boxwood_core::egress::address::is_never;
use boxwood_core::egress::{Host, is_private};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::flows::Flow;
use crate::state::{Refused, State, Wanted};

/// How long a name may take to be looked up.
const LOOKUP: Duration = Duration::from_secs(10);
/// How long one address may take to answer, and how many are tried.
const CONNECT: Duration = Duration::from_secs(10);
const TRIED: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Where the name leads may not be reached.
    #[error("{}: {}", .0.what, .0.why)]
    Refused(Refused),
    /// The name leads nowhere.
    #[error("the name {0} was not found")]
    NotFound(String),
    /// Nobody answers there.
    #[error("{what} cannot be reached: {cause}")]
    Unreachable {
        /// What was dialled.
        what: String,
        /// What the system says.
        cause: io::Error,
    },
    /// The flow was cut.
    #[error("the policy no longer allows it")]
    Cut,
}

/// Connects a flow to where it was allowed to. Ends when the flow must end.
///
/// # Errors
/// When it cannot or may not be.
pub async fn dial(flow: &Flow, wanted: &Wanted<'_>) -> Result<TcpStream, DialError> {
    let token = flow.token().clone();
    tokio::select! {
        biased;
        () = token.cancelled() => Err(DialError::Cut),
        stream = connect(flow, wanted) => stream,
    }
}

async fn connect(flow: &Flow, wanted: &Wanted<'_>) -> Result<TcpStream, DialError> {
    let state = flow.state();
    let what = || format!("{}:{}", flow.host(), flow.port());
    let addresses = addresses(state, flow.host()).await?;
    let allowed: Vec<_> =
        addresses.into_iter().filter(|address| may_lead(state, *address, flow.judged().private)).collect();
    if allowed.is_empty() {
        return Err(DialError::Refused(state.refuse(wanted, "private-address")));
    }
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for address in allowed.into_iter().take(TRIED) {
        // Before the connection is there, so that a policy that comes meanwhile sees where it leads.
        flow.leads_to(address);
        let to = state.outside.connect_to(SocketAddr::new(address, flow.port()));
        match timeout(CONNECT, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => {
                tune(&stream);
                return Ok(stream);
            }
            Ok(Err(cause)) => last = cause,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(DialError::Unreachable { what: what(), cause: last })
}

async fn addresses(state: &State, host: &Host) -> Result<Vec<IpAddr>, DialError> {
    let name = match host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    if let Some(address) = state.in_force().and_then(|in_force| in_force.address_of(host)) {
        return Ok(vec![address]);
    }
    match timeout(LOOKUP, state.outside.look_up(name)).await {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        _ => Err(DialError::NotFound(name.clone())),
    }
}

/// Whether a connection may lead to an address. To the gateway itself none may, whatever a rule says.
fn may_lead(state: &State, address: IpAddr, private: bool) -> bool {
    let address = address.to_canonical();
    let is_own = match address {
        IpAddr::V4(four) => state.place.subnet.contains(four),
        IpAddr::V6(_) => false,
    };
    !is_own && !is_never(address) && (private || !is_private(address))
}

/// What every connection here is set to: bytes go out at once, and a peer that vanished is noticed.
pub(crate) fn tune(stream: &TcpStream) {
    use rustix::net::sockopt;

    // A socket that is closed already shows it when it is read.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(60));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(20));
    let _ = sockopt::set_tcp_keepcnt(stream, 3);
}
