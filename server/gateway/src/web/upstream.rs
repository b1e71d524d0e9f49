//! The connection to the server that a client's connection speaks with: made for the first request, kept for the next
//! ones to the same host, never shared between clients.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boxwood_core::egress::Host;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::BUFFER;
use super::body::Body;
use crate::dial::{DialError, Dialled, dial, may_lead};
use crate::flows::Flow;
use crate::state::{Wanted, lock};

/// How long a server may take for its side of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// There is one, and the server is not who it should be.
    #[error("{0} does not show a certificate for its name: {1}")]
    Tls(Host, String),
    /// The server ended it before it had answered.
    #[error("{0} closed the connection without an answer: {1}")]
    Ended(Host, hyper::Error),
    /// The server ended a kept connection just when it was needed. The client will know whether to try again.
    #[error("the connection had been kept for too long")]
    Stale,
}

struct Kept {
    host: Host,
    port: u16,
    address: Option<IpAddr>,
    sender: SendRequest<Body>,
}

/// The connection, if there is one.
#[derive(Default)]
pub(super) struct Upstream {
    /// A proxy's tunnel has one before the first request.
    dialled: Mutex<Option<Dialled>>,
    kept: Mutex<Option<Kept>>,
    ended: Arc<Notify>,
}

impl Upstream {
    /// None yet, or one that was made ahead.
    pub(super) fn new(dialled: Option<Dialled>) -> Self {
        Self { dialled: Mutex::new(dialled), ..Self::default() }
    }

    /// Waits until a server has ended a connection.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Sends a request, and returns when the head of the response is there.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn send(
        &self,
        flow: &Flow,
        wanted: &Wanted<'_>,
        is_tls: bool,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        if let Some(mut kept) = self.take(flow).await {
            if let Some(address) = kept.address {
                flow.leads_to(address);
            }
            match kept.sender.try_send_request(request).await {
                Ok(response) => {
                    *lock(&self.kept) = Some(kept);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(UpstreamError::Stale),
                },
            }
        }
        let dialled = lock(&self.dialled).take();
        let stream = dial(flow, wanted, dialled).await?;
        let mut sender = if is_tls { self.open_tls(flow, stream).await? } else { self.open(flow, stream).await? };
        let response =
            sender.send_request(request).await.map_err(|cause| UpstreamError::Ended(flow.host().clone(), cause))?;
        let kept = Kept { host: flow.host().clone(), port: flow.port(), address: flow.address(), sender };
        *lock(&self.kept) = Some(kept);
        Ok(response)
    }

    /// The kept connection, when it leads where this flow may go and is still good.
    async fn take(&self, flow: &Flow) -> Option<Kept> {
        let mut kept = lock(&self.kept).take()?;
        let is_same = kept.host == *flow.host() && kept.port == flow.port();
        let may_lead = kept.address.is_some_and(|address| may_lead(flow, address));
        (is_same && may_lead && kept.sender.ready().await.is_ok()).then_some(kept)
    }

    async fn open_tls(&self, flow: &Flow, stream: TcpStream) -> Result<SendRequest<Body>, UpstreamError> {
        let host = flow.host();
        let fail = |cause: String| UpstreamError::Tls(host.clone(), cause);
        let trust = flow.state().in_force().map(|in_force| Arc::clone(&in_force.trust)).ok_or(DialError::Cut)?;
        let config = trust.client().map_err(|cause| fail(cause.to_string()))?;
        let name = match host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|cause| fail(cause.to_string()))?,
            Host::Address(address) => ServerName::from(*address),
        };
        match timeout(HANDSHAKE, TlsConnector::from(config).connect(name, stream)).await {
            Ok(Ok(stream)) => self.open(flow, stream).await,
            Ok(Err(cause)) => Err(fail(cause.to_string())),
            Err(_) => Err(fail("it did not answer in time".to_owned())),
        }
    }

    async fn open<IO>(&self, flow: &Flow, io: IO) -> Result<SendRequest<Body>, UpstreamError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|cause| UpstreamError::Ended(flow.host().clone(), cause))?;
        let (token, ended) = (flow.token().clone(), Arc::clone(&self.ended));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                // Whoever waits for a response learns what went wrong.
                _ = connection.with_upgrades() => ended.notify_one(),
            }
        });
        Ok(sender)
    }
}
