//! Many connections at once that stay open: each speaks TLS and has a request answered. What became of them is told as
//! JSON, one object a line. For every line of standard input all are asked again; they end with it.

use std::io::{self, Error, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connections that are being made, or asked, at the same moment.
const AT_A_TIME: usize = 50;
/// How long one of them may take. Nobody measures what hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Problems that are told.
const TOLD: usize = 3;

/// Whom they speak with.
struct Server {
    address: SocketAddr,
    name: ServerName<'static>,
    connector: TlsConnector,
    request: String,
}

impl Server {
    async fn meet(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let mut stream = self.connector.connect(self.name.clone(), stream).await?;
        self.ask(&mut stream).await?;
        Ok(stream)
    }

    async fn ask(&self, stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
        stream.write_all(self.request.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        while !is_whole(&answer)? {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// Whether this is an answer to its last byte.
pub(super) fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(Error::other(head));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let length = length.ok_or_else(|| Error::other("an answer of unknown length"))?;
    Ok(answer.len() >= end + 4 + length)
}

/// Some of the connections, which are seen to one after the other.
#[derive(Default)]
struct Group {
    open: Vec<TlsStream<TcpStream>>,
    problems: Vec<String>,
}

impl Group {
    /// Keeps a connection for which all went well.
    fn take(&mut self, outcome: Result<io::Result<TlsStream<TcpStream>>, tokio::time::error::Elapsed>) {
        match outcome {
            Ok(Ok(stream)) => self.open.push(stream),
            Ok(Err(cause)) => self.problems.push(cause.to_string()),
            Err(_) => self.problems.push(format!("nothing within {} s", PATIENCE.as_secs())),
        }
    }

    async fn of(server: Arc<Server>, count: usize) -> Self {
        let mut group = Self::default();
        for _ in 0..count {
            group.take(tokio::time::timeout(PATIENCE, server.meet()).await);
        }
        group
    }

    async fn again(self, server: Arc<Server>) -> Self {
        let mut group = Self { open: Vec::new(), problems: self.problems };
        for mut stream in self.open {
            let asked = async { server.ask(&mut stream).await.map(|()| stream) };
            group.take(tokio::time::timeout(PATIENCE, asked).await);
        }
        group
    }
}

/// Speaks TLS with whom the authority in a file, PEM, answers for.
pub(super) fn connector(authority: &str) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(&std::fs::read(authority)?).map_err(Error::other)?;
    roots.add(certificate).map_err(Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.map_err(Error::other)?.with_root_certificates(roots).with_no_client_auth();
    // Each is to be like the first.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Opens `count` connections and keeps them.
pub(crate) fn hold(to: &str, name: &str, count: &str, authority: &str) -> io::Result<String> {
    let server = Arc::new(Server {
        address: to.parse().map_err(Error::other)?,
        name: ServerName::try_from(name.to_owned()).map_err(Error::other)?,
        connector: connector(authority)?,
        request: format!("GET / HTTP/1.1\r\nhost: {name}\r\n\r\n"),
    });
    let count = count.parse().map_err(Error::other)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(crowd(server, count))
}

async fn crowd(server: Arc<Server>, count: usize) -> io::Result<String> {
    let shares = (0..AT_A_TIME).map(|at| count / AT_A_TIME + usize::from(at < count % AT_A_TIME));
    let began = Instant::now();
    let mut groups = all(shares.map(|share| Group::of(Arc::clone(&server), share))).await?;
    tell(&groups, began)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        let began = Instant::now();
        groups = all(groups.into_iter().map(|group| group.again(Arc::clone(&server)))).await?;
        tell(&groups, began)?;
    }
    Ok(String::new())
}

async fn all<F>(work: impl Iterator<Item = F>) -> io::Result<Vec<Group>>
where
    F: Future<Output = Group> + Send + 'static,
{
    let mut tasks: JoinSet<Group> = work.collect();
    let mut groups = Vec::new();
    while let Some(group) = tasks.join_next().await {
        groups.push(group?);
    }
    Ok(groups)
}

fn tell(groups: &[Group], began: Instant) -> io::Result<()> {
    let problems: Vec<&str> = groups.iter().flat_map(|group| &group.problems).map(String::as_str).take(TOLD).collect();
    let open: usize = groups.iter().map(|group| group.open.len()).sum();
    let line = json!({ "open": open, "ms": began.elapsed().as_secs_f64() * 1000.0, "problems": problems });
    writeln!(io::stdout(), "{line}")
}
