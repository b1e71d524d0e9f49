//! A recorder in front of the daemon's socket: what clients say to it and what it says to them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::world::World;

/// What was said on the daemon's socket.
#[derive(Debug, Default)]
pub struct Traffic {
    /// By clients, without the masks of their frames.
    pub to_daemon: Vec<u8>,
    /// By the daemon.
    pub from_daemon: Vec<u8>,
}

type Said = Arc<Mutex<Vec<u8>>>;

/// The recorder. It goes with its world.
#[derive(Debug)]
pub struct Relay {
    conversations: Arc<Mutex<Vec<(Said, Said)>>>,
}

impl Relay {
    /// Puts one before the daemon that runs.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn before(world: &World) -> Self {
        let (socket, real) = (world.runtime().join("daemon.sock"), world.runtime().join("daemon.real"));
        fs::rename(&socket, &real).expect("the daemon listens");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let conversations = Arc::<Mutex<Vec<(Said, Said)>>>::default();
        let kept = Arc::clone(&conversations);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let said = (Said::default(), Said::default());
                kept.lock().unwrap_or_else(PoisonError::into_inner).push((Arc::clone(&said.0), Arc::clone(&said.1)));
                pass(client, &real, said);
            }
        });
        Self { conversations }
    }

    /// All that was said so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let bytes = |said: &Said| said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut traffic = Traffic::default();
        for (to, from) in self.conversations.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            traffic.to_daemon.extend(unmasked(&bytes(to)));
            traffic.from_daemon.extend(bytes(from));
        }
        traffic
    }
}

fn pass(client: UnixStream, real: &PathBuf, (to, from): (Said, Said)) {
    let Ok(daemon) = UnixStream::connect(real) else { return };
    let (Ok(client_again), Ok(daemon_again)) = (client.try_clone(), daemon.try_clone()) else { return };
    std::thread::spawn(move || copy(client, daemon, &to));
    std::thread::spawn(move || copy(daemon_again, client_again, &from));
}

fn copy(mut from: UnixStream, mut to: UnixStream, said: &Said) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}

/// What a client said, as it was before its frames were masked.
fn unmasked(said: &[u8]) -> Vec<u8> {
    let head = said.windows(4).position(|window| window == b"\r\n\r\n").map_or(said.len(), |at| at + 4);
    let (mut plain, mut rest) = (said[..head].to_vec(), &said[head..]);
    while let Some((payload, after)) = frame(rest) {
        plain.extend(payload);
        rest = after;
    }
    plain
}

/// The payload of the first frame, and what comes behind it.
fn frame(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (short, rest) = (usize::from(*bytes.get(1)? & 0x7f), bytes.get(2..)?);
    let (length, rest) = match short {
        126 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), &rest[2..]),
        127 => (usize::try_from(u64::from_be_bytes(rest.get(..8)?.try_into().ok()?)).ok()?, &rest[8..]),
        length => (length, rest),
    };
    let (mask, rest) = (rest.get(..4)?, &rest[4..]);
    let payload = rest.get(..length)?.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some((payload, &rest[length..]))
}
