//! How requests reach the engine: which socket, which API version in the path, and connections kept for the next one.
//!
//! bollard's own transports open a connection for each request and leave the version out of the path; this one does
//! neither, which saves a round of connecting per request and fixes the meaning of every answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::BollardRequest;
use bollard::errors::Error;
use bytes::Bytes;
use futures::Stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::endpoint::Address;
use crate::error::EngineError;

/// The oldest API that has all the product needs (engine 20.10).
pub(super) const OLDEST: ApiVersion = ApiVersion { major: 1, minor: 41 };
/// The newest API whose answers bollard's models describe.
const NEWEST: ApiVersion = ApiVersion { major: 1, minor: 53 };
/// In words, for [`EngineError::TooOld`].
const OLDEST_TEXT: &str = "1.41";

/// Connections kept open for the next request.
const KEPT_CONNECTIONS: usize = 4;
const KEPT_FOR: Duration = Duration::from_secs(30);

type Body = Either<Full<Bytes>, StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, io::Error>> + Send>>>>;

/// A version of the Docker API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Put on a request by who wants to know that the engine has accepted it, before the first item of its answer.
#[derive(Clone, Default)]
pub(super) struct Accepted(pub(super) Arc<Notify>);

pub(super) struct Transport {
    client: Client<Connector, Body>,
    /// `http://HOST`, which stands in requests; where they go is the connector's to know.
    origin: String,
    endpoint: String,
    /// Major and minor version, 16 bits each; 0 until agreed.
    version: AtomicU32,
}

impl Transport {
    pub(super) fn new(address: Address, endpoint: String, version: Option<ApiVersion>) -> Arc<Self> {
        let origin = match &address {
            Address::Tcp { host, port } if host.contains(':') => format!("http://[{host}]:{port}"),
            Address::Tcp { host, port } => format!("http://{host}:{port}"),
            Address::Unix(_) | Address::Pipe(_) => "http://docker".to_owned(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(KEPT_CONNECTIONS)
            .pool_idle_timeout(KEPT_FOR)
            .pool_timer(TokioTimer::new())
            .build(Connector(Arc::new(address)));
        let transport = Self { client, origin, endpoint, version: AtomicU32::new(0) };
        if let Some(version) = version {
            transport.agree(version);
        }
        Arc::new(transport)
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn version(&self) -> Option<ApiVersion> {
        let [a, b, c, d] = self.version.load(Ordering::Relaxed).to_be_bytes();
        let version = ApiVersion { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) };
        (version.major > 0).then_some(version)
    }

    fn agree(&self, version: ApiVersion) {
        self.version.store(u32::from(version.major) << 16 | u32::from(version.minor), Ordering::Relaxed);
    }

    /// Asks the engine for the newest API it speaks and settles on the newest that both do.
    pub(super) async fn negotiate(&self) -> Result<ApiVersion, Error> {
        let ping = Request::get(format!("{}/_ping", self.origin)).body(Either::Left(Full::default()))?;
        let response = self.client.request(ping).await?;
        let header = response.headers().get("api-version").and_then(|value| value.to_str().ok());
        let found = header.and_then(ApiVersion::parse);
        let Some(found) = found else {
            let reason = format!("{} answered {} and no API version", self.endpoint, response.status());
            return Err(carry(EngineError::Broken(reason)));
        };
        if found < OLDEST {
            return Err(carry(EngineError::TooOld { found: found.to_string(), needed: OLDEST_TEXT }));
        }
        let agreed = found.min(NEWEST);
        self.agree(agreed);
        Ok(agreed)
    }

    /// Sends a request whose path names no version.
    pub(super) async fn send(&self, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let version = match self.version() {
            Some(version) => version,
            None => self.negotiate().await?,
        };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}/v{version}{path}", self.origin).parse::<Uri>()?;
        let accepted = request.extensions_mut().remove::<Accepted>();
        let response = self.client.request(request).await?;
        if let Some(Accepted(notify)) = accepted
            && (response.status().is_success() || response.status() == StatusCode::SWITCHING_PROTOCOLS)
        {
            notify.notify_one();
        }
        Ok(response)
    }
}

/// Carries one of our errors through bollard, which hands on only its own; `errors` unpacks it.
pub(super) fn carry(error: EngineError) -> Error {
    Error::IOError { err: io::Error::other(error) }
}

/// Opens connections to the one address, whatever the request's URL says.
#[derive(Clone)]
struct Connector(Arc<Address>);

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Socket>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = Arc::clone(&self.0);
        Box::pin(async move { Ok(TokioIo::new(Socket(open(&address).await?))) })
    }
}

async fn open(address: &Address) -> io::Result<Box<dyn Duplex>> {
    match address {
        Address::Tcp { host, port } => {
            let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(windows)]
        Address::Pipe(path) => open_pipe(path).await,
        #[cfg(unix)]
        Address::Pipe(_) => Err(io::Error::other("named pipes exist only on Windows")),
        #[cfg(windows)]
        Address::Unix(_) => Err(io::Error::other("use npipe:// on Windows")),
    }
}

#[cfg(windows)]
async fn open_pipe(path: &str) -> io::Result<Box<dyn Duplex>> {
    const ERROR_PIPE_BUSY: i32 = 231;
    loop {
        match tokio::net::windows::named_pipe::ClientOptions::new().open(path) {
            Ok(pipe) => return Ok(Box::new(pipe::Pipe(pipe))),
            // All instances are taken; Windows has no event for "one is free" that works without blocking a thread.
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(windows)]
mod pipe {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::windows::named_pipe::NamedPipeClient;

    /// A named pipe, which has no halves that could be closed: engines take a message without content for the end of
    /// what is sent.
    pub(super) struct Pipe(pub(super) NamedPipeClient);

    impl AsyncRead for Pipe {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Pipe {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            // Nothing to write is not the end.
            if bytes.is_empty() { Poll::Ready(Ok(0)) } else { Pin::new(&mut self.0).poll_write(cx, bytes) }
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match ready!(Pin::new(&mut self.0).poll_write(cx, &[])) {
                // The engine closed first.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(())),
            }
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection of any kind. Shutting it down closes its sending half only, which is how a command's input ends.
struct Socket(Box<dyn Duplex>);

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
