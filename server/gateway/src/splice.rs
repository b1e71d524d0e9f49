//! Carrying bytes between two connections whose verdict is known, both ways at once, each way until its end.
//!
//! A connection that is idle holds no buffer: bytes go through one that all share, and only what the other side does not
//! take at once is kept, at most [`CHUNK`] each way; until it is gone nothing more is read.

use std::cell::RefCell;
use std::io;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::sleep_until;

use crate::flows::Flow;

/// Most bytes that are read at once.
pub const CHUNK: usize = 16 * 1024;
/// How often one direction goes on without letting others have their turn.
const TURNS: u32 = 32;

thread_local! {
    static SHARED: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Why a flow ended before both sides had.
#[derive(Debug, thiserror::Error)]
pub enum SpliceError {
    /// One side failed.
    #[error("a side failed: {0}")]
    Failed(#[from] io::Error),
    /// More was sent than one connection may send.
    #[error("it sent more than one connection may")]
    Limit,
    /// The policy no longer allows it.
    #[error("the policy no longer allows it")]
    Cut,
}

/// Carries bytes until both sides have ended, one fails, or the flow must end. `head` was read from the client already.
///
/// # Errors
/// When it ended in another way than both sides ending. Both sides are then reset, so that neither takes it for the end.
pub async fn splice(
    flow: &Flow,
    client: &mut TcpStream,
    upstream: &mut TcpStream,
    head: &[u8],
) -> Result<(), SpliceError> {
    let result = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_upstream, mut to_upstream) = upstream.split();
        let both = async {
            send(flow, &mut to_upstream, head).await?;
            let up = carry(&mut from_client, &mut to_upstream, Way::Up(flow));
            let down = carry(&mut from_upstream, &mut to_client, Way::Down(flow));
            tokio::try_join!(up, down).map(|_| ())
        };
        tokio::select! {
            biased;
            () = flow.token().cancelled() => Err(SpliceError::Cut),
            result = both => result,
        }
    };
    if result.is_err() {
        if matches!(result, Err(SpliceError::Limit)) {
            flow.refuse_upload();
        }
        reset(client);
        reset(upstream);
    }
    result
}

/// Makes closing a connection a reset.
pub(crate) fn reset(stream: &TcpStream) {
    // A socket that takes no options is gone already.
    let _ = sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO));
}

/// A direction, with what counts it.
#[derive(Clone, Copy)]
enum Way<'a> {
    Up(&'a Flow),
    Down(&'a Flow),
}

impl Way<'_> {
    /// Counts bytes before they go on, and waits while the sandbox sends faster than it may.
    async fn pass(self, bytes: usize) -> Result<(), SpliceError> {
        match self {
            Self::Up(flow) => {
                if !flow.count_up(bytes) {
                    return Err(SpliceError::Limit);
                }
                if let Some(moment) = flow.state().pace.take(bytes) {
                    sleep_until(moment).await;
                }
            }
            Self::Down(flow) => flow.count_down(bytes),
        }
        Ok(())
    }

    /// Whether bytes can go on as soon as they are there.
    fn is_free(self) -> bool {
        match self {
            Self::Up(flow) => !flow.is_bounded(),
            Self::Down(_) => true,
        }
    }
}

async fn send(flow: &Flow, to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), SpliceError> {
    if !bytes.is_empty() {
        Way::Up(flow).pass(bytes.len()).await?;
        write_all(to, bytes).await?;
    }
    Ok(())
}

async fn write_all(to: &WriteHalf<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What came of reading once.
enum Moved {
    /// Nothing was there.
    Nothing,
    /// The side has ended.
    End,
    /// So many bytes came, and these of them are still to be sent.
    Some(usize, Vec<u8>),
}

async fn carry(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, way: Way<'_>) -> Result<(), SpliceError> {
    let mut turns = 0;
    loop {
        from.readable().await?;
        match once(from, to, way.is_free())? {
            Moved::Nothing => {}
            Moved::End => {
                tokio::io::AsyncWriteExt::shutdown(to).await?;
                return Ok(());
            }
            Moved::Some(bytes, rest) => {
                way.pass(bytes).await?;
                write_all(to, &rest).await?;
            }
        }
        turns += 1;
        if turns % TURNS == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads once, and writes what was read as far as it is taken when it may go on at once.
fn once(from: &ReadHalf<'_>, to: &WriteHalf<'_>, is_free: bool) -> io::Result<Moved> {
    SHARED.with_borrow_mut(|buffer| {
        let read = match from.try_read(buffer) {
            Ok(0) => return Ok(Moved::End),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Moved::Nothing),
            Err(error) => return Err(error),
        };
        let written = if is_free {
            match to.try_write(&buffer[..read]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            }
        } else {
            0
        };
        Ok(Moved::Some(read, buffer[written..read].to_vec()))
    })
}
