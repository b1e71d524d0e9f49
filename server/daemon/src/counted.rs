//! A conversation that is counted for as long as its stream exists, also after HTTP has handed it to WebSocket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::daemon::Daemon;

/// A counted stream.
pub(crate) struct Counted<S> {
    inner: S,
    daemon: Arc<Daemon>,
}

impl<S> Counted<S> {
    pub(crate) fn new(inner: S, daemon: &Arc<Daemon>) -> Self {
        daemon.clients.send_modify(|count| *count += 1);
        Self { inner, daemon: Arc::clone(daemon) }
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.daemon.clients.send_modify(|count| *count -= 1);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
