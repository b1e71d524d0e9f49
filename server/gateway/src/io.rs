//! A client's connection as HTTP and TLS read it: first what was read ahead, then the rest; and a request's head may not
//! trickle in for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long the head of a request may take from its first byte on.
pub const HEAD: Duration = Duration::from_secs(10);

/// Whether a request is being served: then what comes is no head.
#[derive(Debug, Default, Clone)]
pub struct Busy(Arc<AtomicBool>);

impl Busy {
    /// A request's head is complete.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Its response is complete.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection of which some bytes were read already.
#[derive(Debug)]
pub struct Ahead {
    head: Bytes,
    stream: TcpStream,
}

impl Ahead {
    /// `head` comes first, then what `stream` still has.
    #[must_use]
    pub fn new(head: Vec<u8>, stream: TcpStream) -> Self {
        Self { head: head.into(), stream }
    }

    /// What was read ahead and not taken, and the connection.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, TcpStream) {
        (self.head, self.stream)
    }
}

impl AsyncRead for Ahead {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken = self.head.len().min(buf.remaining());
        buf.put_slice(&self.head[..taken]);
        self.head.advance(taken);
        if self.head.is_empty() {
            // The memory goes with it.
            self.head = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A connection whose heads must be complete in [`HEAD`].
#[derive(Debug)]
pub struct Timed<IO> {
    io: IO,
    busy: Busy,
    head: Option<Pin<Box<Sleep>>>,
}

impl<IO> Timed<IO> {
    /// Heads are read while not `busy`.
    #[must_use]
    pub fn new(io: IO, busy: Busy) -> Self {
        Self { io, busy, head: None }
    }

    /// The connection.
    #[must_use]
    pub fn into_inner(self) -> IO {
        self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Timed<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.busy.get() {
            self.head = None;
            return result;
        }
        if buf.filled().len() > before && self.head.is_none() {
            self.head = Some(Box::pin(tokio::time::sleep_until(Instant::now() + HEAD)));
        }
        if let Some(head) = &mut self.head
            && head.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Timed<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
