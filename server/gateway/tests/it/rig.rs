//! A gateway in this process, with names and servers that are the test's own.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boxwood_core::egress::policy::rule_for;
use boxwood_gateway::outside::{Looking, Outside};
use boxwood_gateway::state::{Place, State};
use boxwood_protocol::egress::{EgressAction, EgressDecision, EgressLayer, EgressPolicy, EgressRule, PlacedRule};
use boxwood_protocol::gateway::Configure;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

pub(crate) const MAIN: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 2);
/// Where the kernel would send connections to foreign addresses.
pub(crate) const REDIRECTED: u16 = 3129;
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 3);
/// How long anything may take that is expected to happen.
pub(crate) const SOON: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct World {
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    servers: Mutex<HashMap<SocketAddr, SocketAddr>>,
    dialled: Mutex<Vec<SocketAddr>>,
    /// How many lookups have begun, and whether they have to wait.
    pub(crate) lookups: watch::Sender<usize>,
    pub(crate) is_silent: watch::Sender<bool>,
    /// Where connections were sent that arrive at [`REDIRECTED`].
    pub(crate) sent_to: Mutex<Option<SocketAddrV4>>,
}

impl Outside for World {
    fn listen_at(&self, _port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    }

    fn connect_to(&self, address: SocketAddr) -> SocketAddr {
        self.dialled.lock().expect("a list").push(address);
        // Port 1 of the loopback: nobody is there.
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        self.servers.lock().expect("a map").get(&address).copied().unwrap_or(nobody)
    }

    fn sent_to(&self, _stream: &TcpStream) -> io::Result<SocketAddrV4> {
        self.sent_to.lock().expect("an address").ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn look_up<'a>(&'a self, name: &'a str) -> Looking<'a> {
        let mut names = self.names.lock().expect("a map");
        let found =
            names.get_mut(name).map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
        self.lookups.send_modify(|count| *count += 1);
        let mut is_silent = self.is_silent.subscribe();
        Box::pin(async move {
            is_silent.wait_for(|is_silent| !is_silent).await.expect("the world lasts");
            found.ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }
}

pub(crate) struct Rig {
    pub(crate) state: Arc<State>,
    pub(crate) world: Arc<World>,
    pub(crate) configure: Configure,
    _running: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self._running.abort();
    }
}

/// A policy that refuses what these rules do not allow.
pub(crate) fn allowing(hosts: &[&str]) -> EgressPolicy {
    EgressPolicy {
        rules: hosts.iter().map(|host| placed(rule_for(host, EgressAction::Allow).expect("a rule"))).collect(),
        default: EgressAction::Deny,
        hold_seconds: 30,
        connections: 2000,
        connections_per_second: 0,
        upload_bytes: 0,
        upload_bytes_per_second: 0,
        bypass_until_ms: 0,
    }
}

pub(crate) fn placed(rule: EgressRule) -> PlacedRule {
    PlacedRule { layer: EgressLayer::User, preset: None, rule }
}

pub(crate) fn rule(host: &str, action: EgressAction) -> EgressRule {
    rule_for(host, action).expect("a rule")
}

impl Rig {
    pub(crate) async fn new(policy: EgressPolicy) -> Self {
        Self::with(Configure::new(0, policy)).await
    }

    pub(crate) async fn with(configure: Configure) -> Self {
        let mut rig = Self::without_policy();
        rig.configure = configure;
        rig.apply(|_| {}).await;
        rig
    }

    pub(crate) fn without_policy() -> Self {
        let world = Arc::new(World::default());
        let place =
            Place { subnet: "127.77.0.0/16".parse().expect("a subnet"), address: MAIN, redirected: Some(REDIRECTED) };
        let state = State::new(place, Arc::clone(&world) as Arc<dyn Outside>);
        let running = tokio::spawn(boxwood_gateway::run::follow(Arc::clone(&state)));
        let configure = Configure::new(0, allowing(&[]));
        Self { state, world, configure, _running: running }
    }

    /// Changes the policy and waits until listeners have followed. Returns how much work it was to put it in force.
    pub(crate) async fn apply(&mut self, change: impl FnOnce(&mut EgressPolicy)) -> Duration {
        change(&mut self.configure.policy);
        self.configure.revision += 1;
        let started = worked();
        self.state.configure(&self.configure).expect("a policy");
        let took = worked() - started;
        let revision = self.configure.revision;
        let mut listens = self.state.listens.subscribe();
        tokio::time::timeout(SOON, listens.wait_for(|seen| *seen == revision)).await.expect("soon").expect("listening");
        took
    }

    /// A name that leads to these addresses, one list per lookup, the last one for ever.
    pub(crate) fn name(&self, name: &str, answers: &[&[&str]]) {
        let answers =
            answers.iter().map(|list| list.iter().map(|text| text.parse().expect("an address")).collect()).collect();
        self.world.names.lock().expect("a map").insert(name.to_owned(), answers);
    }

    /// Where servers were dialled.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.world.dialled.lock().expect("a list").clone()
    }

    /// A server at a public address, under a name.
    pub(crate) async fn server(&self, name: &str, at: &str) -> TcpListener {
        let public: SocketAddr = at.parse().expect("an address and a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        self.world.servers.lock().expect("a map").insert(public, listener.local_addr().expect("its address"));
        self.name(name, &[&[&public.ip().to_string()]]);
        listener
    }

    fn port(&self, port: u16) -> u16 {
        self.state.listening.lock().expect("a map").get(&port).expect("listening").port()
    }

    pub(crate) async fn connect_from(&self, from: Ipv4Addr, to: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((from, 0))).expect("bound");
        socket.connect(SocketAddr::from((to, self.port(port)))).await
    }

    /// A connection to the gateway's main address.
    pub(crate) async fn to_main(&self, port: u16) -> TcpStream {
        self.connect_from(CLIENT, MAIN, port).await.expect("connected")
    }

    /// A connection to a name's own address.
    pub(crate) async fn to(&self, name: &str, port: u16) -> TcpStream {
        self.try_to(name, port).await.expect("connected")
    }

    pub(crate) async fn try_to(&self, name: &str, port: u16) -> io::Result<TcpStream> {
        let address = self.state.addresses.of_name(name, Instant::now()).expect("room");
        self.connect_from(CLIENT, address, port).await
    }

    pub(crate) fn log(&self) -> Vec<EgressDecision> {
        self.state.log.recent()
    }

    /// The last decision, as `action host:port reason`.
    pub(crate) fn last(&self) -> String {
        let decision = self.log().pop().expect("a decision");
        let reason = decision.reason.unwrap_or_default();
        format!("{:?} {}:{} {reason}", decision.action, decision.host, decision.port).trim_end().to_owned()
    }

    /// Waits until there are so many flows.
    pub(crate) async fn flows(&self, count: usize) {
        until(|| self.state.flows.all().len() == count, "so many flows").await;
    }
}

/// How long this thread has run: unlike a clock, whatever else the machine does. From proc(5).
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number"))
}

/// Waits for what nothing announces: state that is only there to be looked at.
pub(crate) async fn until(is_so: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Everything until the end, which may be a reset.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // What came before a reset is what counts.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("an end");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until the end of a text was seen.
pub(crate) async fn read_to(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while !bytes.ends_with(end.as_bytes()) {
            bytes.push(stream.read_u8().await?);
        }
        Ok::<(), io::Error>(())
    };
    let ended = tokio::time::timeout(SOON, reading).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    ended
        .unwrap_or_else(|_| panic!("waited for {end:?} after {text:?}"))
        .unwrap_or_else(|e| panic!("{e} after {text:?}"));
    text
}

pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    tokio::time::timeout(SOON, listener.accept()).await.expect("a connection").expect("accepted").0
}

/// Answers each request head on each connection with the same bytes, and keeps what it received.
pub(crate) fn answering(listener: TcpListener, answer: &'static str) -> Arc<Mutex<Vec<String>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = Arc::clone(&heads);
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    bytes.push(byte);
                    if bytes.ends_with(b"\r\n\r\n") {
                        heads
                            .lock()
                            .expect("a list")
                            .push(String::from_utf8_lossy(&std::mem::take(&mut bytes)).into_owned());
                        stream.write_all(answer.as_bytes()).await.expect("answered");
                    }
                }
            });
        }
    });
    seen
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
