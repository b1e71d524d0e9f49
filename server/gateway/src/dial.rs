//! Connecting: the name is looked up here, each address is judged, and the connection goes to an address that was
//! judged and nowhere else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use boxwood_core::egress::address::is_never;
use boxwood_core::egress::{Host, is_private};
use rustix::io::Errno;
use rustix::net::RecvFlags;
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
    /// Nobody says where the name leads.
    #[error("the name {name} cannot be looked up: {cause}")]
    Lookup {
        /// The name.
        name: String,
        /// What the resolver says.
        cause: io::Error,
    },
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

impl DialError {
    /// Whether it was only waited for in vain.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Lookup { cause, .. } | Self::Unreachable { cause, .. } if cause.kind() == io::ErrorKind::TimedOut)
    }

    /// Why a host that was allowed was not reached, as the log has it; `None` when it was not allowed after all.
    const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(_) | Self::Cut => None,
            Self::NotFound(_) => Some("not-found"),
            Self::Lookup { .. } => Some("lookup-failed"),
            Self::Unreachable { .. } => Some("unreachable"),
        }
    }

    /// Whether somebody is there, and not at this port.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unreachable { cause, .. } if cause.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// A connection that was made before it was known what is spoken on it. Another flow to the same place may use it.
#[derive(Debug)]
pub struct Dialled {
    stream: TcpStream,
    host: Host,
    port: u16,
    address: IpAddr,
}

impl Dialled {
    /// The connection that was dialled for a flow.
    #[must_use]
    pub fn new(flow: &Flow, stream: TcpStream) -> Option<Self> {
        Some(Self { stream, host: flow.host().clone(), port: flow.port(), address: flow.address()? })
    }

    /// The connection, when this flow may lead there too and the server has not ended it meanwhile.
    fn taken_by(self, flow: &Flow) -> Option<TcpStream> {
        let is_same = self.host == *flow.host() && self.port == flow.port();
        if !is_same || !may_lead(flow, self.address) {
            return None;
        }
        flow.leads_to(self.address);
        let waiting = rustix::net::recv(&self.stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(waiting, Ok((_, 1)) | Err(Errno::AGAIN)).then_some(self.stream)
    }
}

/// Connects a flow to where it was allowed to, over the connection that was `dialled` already when that will do. Ends when
/// the flow must end.
///
/// # Errors
/// When it cannot or may not be.
pub async fn dial(flow: &Flow, wanted: &Wanted<'_>, dialled: Option<Dialled>) -> Result<TcpStream, DialError> {
    if let Some(stream) = dialled.and_then(|dialled| dialled.taken_by(flow)) {
        return Ok(stream);
    }
    reach(flow).await?.ok_or_else(|| private(flow, wanted))
}

/// Connects a flow before it is known what is spoken; `None` where single requests decide whether it may lead there.
///
/// # Errors
/// When it cannot or may not be.
pub async fn dial_ahead(flow: &Flow, wanted: &Wanted<'_>) -> Result<Option<Dialled>, DialError> {
    match reach(flow).await? {
        Some(stream) => Ok(Dialled::new(flow, stream)),
        None if flow.judged().opens_tls => Ok(None),
        None => Err(private(flow, wanted)),
    }
}

fn private(flow: &Flow, wanted: &Wanted<'_>) -> DialError {
    DialError::Refused(flow.state().refuse(wanted, "private-address"))
}

async fn reach(flow: &Flow) -> Result<Option<TcpStream>, DialError> {
    let reached = tokio::select! {
        biased;
        () = flow.token().cancelled() => Err(DialError::Cut),
        stream = connect(flow) => stream,
    };
    if let Some(reason) = reached.as_ref().err().and_then(DialError::reason) {
        flow.leads_nowhere(reason);
    }
    reached
}

/// `None` when the host has only addresses that the flow may not lead to.
async fn connect(flow: &Flow) -> Result<Option<TcpStream>, DialError> {
    let state = flow.state();
    let addresses = addresses(state, flow.host()).await?;
    let mut last = None;
    for address in addresses.into_iter().filter(|address| may_lead(flow, *address)).take(TRIED) {
        // Before the connection is there, so that a policy that comes meanwhile sees where it leads.
        flow.leads_to(address);
        let to = state.outside.connect_to(SocketAddr::new(address, flow.port()));
        match timeout(CONNECT, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => {
                tune(&stream);
                return Ok(Some(stream));
            }
            Ok(Err(cause)) => last = Some(cause),
            Err(_) => last = Some(io::ErrorKind::TimedOut.into()),
        }
    }
    let what = || format!("{}:{}", flow.host(), flow.port());
    last.map_or(Ok(None), |cause| Err(DialError::Unreachable { what: what(), cause }))
}

async fn addresses(state: &State, host: &Host) -> Result<Vec<IpAddr>, DialError> {
    let name = match host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    if let Some(address) = state.in_force().and_then(|in_force| in_force.address_of(host)) {
        return Ok(vec![address]);
    }
    let found = timeout(LOOKUP, state.outside.look_up(name)).await;
    match found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(found) if !found.is_empty() => Ok(found),
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(DialError::Lookup { name: name.clone(), cause }),
        _ => Err(DialError::NotFound(name.clone())),
    }
}

/// Whether a flow may lead to an address. To the gateway itself none may, whatever a rule says.
pub(crate) fn may_lead(flow: &Flow, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_own = match address {
        IpAddr::V4(four) => flow.state().place.subnet.contains(four),
        IpAddr::V6(_) => false,
    };
    !is_own && !is_never(address) && (flow.judged().private || !is_private(address))
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
