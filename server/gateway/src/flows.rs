//! What is open: each flow with what it was allowed as, so that another policy can judge it again, and a token that
//! ends it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use boxwood_core::egress::{Host, Judged, Query, Requests};
use boxwood_protocol::egress::{EgressAction, EgressVia};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::addresses::Held;
use crate::log::Entry;
use crate::state::{State, Wanted, lock};

/// How many connections end until it is worth looking for memory that they left behind.
const MANY: usize = 64;

/// One connection of the sandbox: what the person let it reach while it waited, what it sent, and the token that ends
/// it. Clones are the same.
#[derive(Debug, Default, Clone)]
pub struct Client(Arc<OneClient>);

#[derive(Debug, Default)]
struct OneClient {
    granted: Mutex<Vec<(Host, u16)>>,
    sent: AtomicU64,
    token: CancellationToken,
    _entered: Option<Entered>,
    _held: Option<Held>,
}

impl Drop for OneClient {
    fn drop(&mut self) {
        // What still runs for it runs for nobody.
        self.token.cancel();
    }
}

impl Client {
    /// A connection that counts, to an own address or not, until the last clone of this is dropped.
    #[must_use]
    pub fn new(entered: Entered, held: Option<Held>) -> Self {
        Self(Arc::new(OneClient {
            granted: Mutex::default(),
            sent: AtomicU64::new(0),
            token: CancellationToken::new(),
            _entered: Some(entered),
            _held: held,
        }))
    }

    /// Cancelled when the connection must end: one of its flows is no longer allowed, or it is over.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }

    /// Whether the person let it.
    #[must_use]
    pub fn is_granted(&self, host: &Host, port: u16) -> bool {
        lock(&self.0.granted).iter().any(|(granted, at)| *at == port && granted == host)
    }

    /// The person lets it.
    pub fn grant(&self, host: &Host, port: u16) {
        if !self.is_granted(host, port) {
            lock(&self.0.granted).push((host.clone(), port));
        }
    }
}

/// What a flow was allowed as. As [`Requests`], with its own text.
#[derive(Debug)]
enum Seen {
    This { method: String, path: String },
    Later,
    Never,
}

/// A flow as the list of all knows it.
#[derive(Debug)]
pub struct FlowEntry {
    /// The host it was allowed to.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// How it named the host.
    pub via: EgressVia,
    /// Whether the person let it through.
    pub is_granted: bool,
    seen: Seen,
    address: Mutex<Option<IpAddr>>,
    token: CancellationToken,
    up: AtomicU64,
    down: AtomicU64,
}

impl FlowEntry {
    /// What the policy is to be asked about it.
    #[must_use]
    pub fn query(&self, now_ms: u64) -> Query<'_> {
        let requests = match &self.seen {
            Seen::This { method, path } => Requests::This { method, path },
            Seen::Later => Requests::Later,
            Seen::Never => Requests::Never,
        };
        Query { host: &self.host, port: self.port, requests, now_ms }
    }

    /// Whether none of its requests is seen.
    #[must_use]
    pub const fn is_unseen(&self) -> bool {
        matches!(self.seen, Seen::Never)
    }

    /// The address it is connected to, when its host is a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        *lock(&self.address)
    }

    /// Cancelled when it must end.
    #[must_use]
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// Everything that is open.
#[derive(Debug, Default)]
pub struct Flows {
    entries: Mutex<HashMap<u64, Arc<FlowEntry>>>,
    next: AtomicU64,
    connections: AtomicUsize,
    /// Most connections since [`Flows::begin_burst`].
    peak: AtomicUsize,
    ebbed: Notify,
}

impl Flows {
    /// All flows.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<FlowEntry>> {
        lock(&self.entries).values().cloned().collect()
    }

    /// How many connections of the sandbox are being served.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection until what is returned is dropped; `None` when there are `most` already.
    #[must_use]
    pub fn enter(self: &Arc<Self>, most: u32) -> Option<Entered> {
        if self.connections() >= most as usize {
            return None;
        }
        let connections = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(connections, Ordering::Relaxed);
        Some(Entered(Arc::clone(self)))
    }

    /// Waits until many connections have ended.
    pub async fn ebbed(&self) {
        self.ebbed.notified().await;
    }

    /// Forgets how many there were: from now on only those count that are there.
    pub fn begin_burst(&self) {
        self.peak.store(self.connections(), Ordering::Relaxed);
    }
}

/// A connection that counts.
#[derive(Debug)]
pub struct Entered(Arc<Flows>);

impl Drop for Entered {
    fn drop(&mut self) {
        let left = self.0.connections.fetch_sub(1, Ordering::Relaxed) - 1;
        if self.0.peak.load(Ordering::Relaxed).saturating_sub(left) >= MANY {
            self.0.ebbed.notify_one();
        }
    }
}

/// Something that may pass: over when it is dropped, to be ended when its token is cancelled.
pub struct Flow {
    state: Arc<State>,
    client: Client,
    id: u64,
    entry: Arc<FlowEntry>,
    serial: Option<u64>,
    judged: Judged,
}

impl Flow {
    pub(crate) fn open(
        state: &Arc<State>,
        wanted: &Wanted<'_>,
        judged: Judged,
        is_granted: bool,
        serial: Option<u64>,
    ) -> Self {
        let seen = match wanted.requests {
            Requests::This { method, path } => Seen::This { method: method.to_owned(), path: path.to_owned() },
            Requests::Later => Seen::Later,
            Requests::Never => Seen::Never,
        };
        let entry = Arc::new(FlowEntry {
            host: wanted.host.clone(),
            port: wanted.port,
            via: wanted.via,
            is_granted,
            seen,
            address: Mutex::new(None),
            token: wanted.client.token().clone(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        });
        let id = state.flows.next.fetch_add(1, Ordering::Relaxed);
        lock(&state.flows.entries).insert(id, Arc::clone(&entry));
        Self { state: Arc::clone(state), client: wanted.client.clone(), id, entry, serial, judged }
    }

    /// The verdict that let it pass.
    #[must_use]
    pub const fn judged(&self) -> &Judged {
        &self.judged
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.entry.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.entry.port
    }

    /// The number of the decision that let it pass, when it was logged.
    #[must_use]
    pub const fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// Cancelled when it must end.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        self.entry.token()
    }

    /// The state it belongs to.
    #[must_use]
    pub const fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Has the log say that it was allowed and did not get there, and why.
    pub fn leads_nowhere(&self, reason: &'static str) {
        if let Some(serial) = self.serial {
            self.state.log.failed(serial, reason);
        }
    }

    /// Logs that it is refused because it sent too much.
    pub fn refuse_upload(&self) {
        let mut entry = Entry::of(self.host(), self.port(), self.entry.via, EgressAction::Deny, &self.judged);
        entry.reason = Some("upload-limit");
        self.state.record(entry, None);
    }

    /// Where it leads, when its host is a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.entry.address()
    }

    /// Notes where it leads, for when it is judged again.
    pub fn leads_to(&self, address: IpAddr) {
        *lock(&self.entry.address) = Some(address);
    }

    /// Whether there is any bound on what it may send.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.most() != 0 || self.state.pace.is_bounded()
    }

    /// Most bytes that one connection may send; 0 for no limit.
    fn most(&self) -> u64 {
        self.state.in_force().map_or(0, |in_force| in_force.policy.policy().upload_bytes)
    }

    /// Counts bytes that go out; false when they are more than one connection may send.
    #[must_use]
    pub fn count_up(&self, bytes: usize) -> bool {
        self.entry.up.fetch_add(bytes as u64, Ordering::Relaxed);
        let sent = self.client.0.sent.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let most = self.most();
        most == 0 || sent <= most
    }

    /// Counts bytes that come in.
    pub fn count_down(&self, bytes: usize) {
        self.entry.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        lock(&self.state.flows.entries).remove(&self.id);
        if let Some(serial) = self.serial {
            let (up, down) = (self.entry.up.load(Ordering::Relaxed), self.entry.down.load(Ordering::Relaxed));
            self.state.log.moved(serial, up, down);
        }
    }
}
