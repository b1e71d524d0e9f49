//! Carrying bytes between two connections whose verdict is known, both ways at once, each way until its end.
//!
//! No connection holds a buffer, however busy it is: bytes go through one that all share, and are taken from the one side
//! only when the other side has taken them. Until then they stay where they are, in the kernel, and their sender waits.

use std::cell::RefCell;
use std::io;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, sockopt};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use crate::flows::Flow;

/// Most bytes that are carried at once.
const CHUNK: usize = 32 * 1024;
/// How often one direction goes on without letting others have their turn.
const TURNS: u32 = 16;

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
pub async fn splice(flow: &Flow, client: &TcpStream, upstream: &mut TcpStream, head: &[u8]) -> Result<(), SpliceError> {
    let result = {
        let both = async {
            if !head.is_empty() {
                Way::Up(flow).pass(head.len()).await?;
                upstream.write_all(head).await?;
            }
            let up = carry(client, upstream, Way::Up(flow));
            let down = carry(upstream, client, Way::Down(flow));
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
    /// Counts bytes, and waits while the sandbox sends faster than it may.
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

    /// Whether bytes must be counted before they go on.
    fn is_bounded(self) -> bool {
        match self {
            Self::Up(flow) => flow.is_bounded(),
            Self::Down(_) => false,
        }
    }
}

async fn carry(from: &TcpStream, to: &TcpStream, way: Way<'_>) -> Result<(), SpliceError> {
    let mut turns = 0;
    while carry_some(from, to, way).await? {
        turns = (turns + 1) % TURNS;
        if turns == 0 {
            tokio::task::yield_now().await;
        }
    }
    match rustix::net::shutdown(to, Shutdown::Write) {
        // It has ended by itself.
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(error) => Err(io::Error::from(error).into()),
    }
}

/// Carries what is there, as far as it goes at once; false when there will be no more.
async fn carry_some(from: &TcpStream, to: &TcpStream, way: Way<'_>) -> Result<bool, SpliceError> {
    let is_bounded = way.is_bounded();
    let mut most = CHUNK;
    if is_bounded {
        // How many there are, and nothing of them yet.
        most = match from.async_io(Interest::READABLE, || count(from)).await? {
            0 => return Ok(false),
            there => there,
        };
        way.pass(most).await?;
    }
    loop {
        from.readable().await?;
        to.writable().await?;
        match once(from, to, most)? {
            Moved::Nothing => {}
            Moved::End => return Ok(false),
            Moved::Some(bytes) if is_bounded => {
                most -= bytes;
                if most == 0 {
                    return Ok(true);
                }
            }
            Moved::Some(bytes) => {
                way.pass(bytes).await?;
                return Ok(true);
            }
        }
    }
}

/// What came of trying once.
enum Moved {
    /// Nothing was there, or nothing was taken.
    Nothing,
    /// The side has ended.
    End,
    /// So many bytes.
    Some(usize),
}

/// Shows the one side what the other has to say, and takes away from that as much as was taken.
fn once(from: &TcpStream, to: &TcpStream, most: usize) -> io::Result<Moved> {
    SHARED.with_borrow_mut(|buffer| {
        let buffer = &mut buffer[..most];
        let there = from.try_io(Interest::READABLE, || Ok(recv(from, &mut *buffer, RecvFlags::PEEK)?.1));
        let taken = match there {
            Ok(0) => return Ok(Moved::End),
            Ok(there) => to.try_io(Interest::WRITABLE, || Ok(send(to, &buffer[..there], SendFlags::NOSIGNAL)?)),
            Err(error) => Err(error),
        };
        match taken {
            Ok(taken) => {
                recv(from, &mut buffer[..taken], RecvFlags::TRUNC)?;
                Ok(Moved::Some(taken))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Moved::Nothing),
            Err(error) => Err(error),
        }
    })
}

/// How many bytes are there, without taking or reading them.
fn count(from: &TcpStream) -> io::Result<usize> {
    SHARED.with_borrow_mut(|buffer| Ok(recv(from, &mut buffer[..], RecvFlags::PEEK | RecvFlags::TRUNC)?.1))
}
