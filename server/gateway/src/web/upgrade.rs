//! Connections that change to another protocol, WebSocket above all: after both sides agreed, bytes are carried.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::{Sleep, sleep_until};

use crate::flows::Flow;

/// Most bytes that are kept of each side.
const CHUNK: usize = 16 * 1024;

/// The client's side of an upgrade that it asks for.
pub(super) struct Asked(OnUpgrade);

/// Whether a request, cleaned already, asks for an upgrade.
pub(super) fn asked(request: &mut Request<Incoming>) -> Option<Asked> {
    request.headers().contains_key(UPGRADE).then(|| Asked(hyper::upgrade::on(request)))
}

/// Carries bytes once both sides have changed to the other protocol.
pub(super) fn carry(asked: Asked, response: &mut Response<Incoming>, flow: Arc<Flow>) {
    let upstream = hyper::upgrade::on(response);
    tokio::spawn(async move {
        let token = flow.token().clone();
        let carried = async {
            let (client, upstream) = tokio::try_join!(asked.0, upstream)?;
            let mut client = Counted { io: TokioIo::new(client), flow, pause: None };
            let mut upstream = TokioIo::new(upstream);
            copy_bidirectional_with_sizes(&mut client, &mut upstream, CHUNK, CHUNK).await?;
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        };
        tokio::select! {
            biased;
            () = token.cancelled() => {}
            // Whichever side failed, the other one is closed by this.
            _ = carried => {}
        }
    });
}

/// The client's side: what is read goes up, what is written came down.
struct Counted {
    io: TokioIo<Upgraded>,
    flow: Arc<Flow>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if !self.flow.count_up(read) {
            self.flow.refuse_upload();
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        // What was read goes on now; the next has to wait for as long as this was too early.
        self.pause = self.flow.state().pace.take(read).map(|moment| Box::pin(sleep_until(moment)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.flow.count_down(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
