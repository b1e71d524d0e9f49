//! Attempts to reach addresses, all at once in one thread: a sandbox may have few of them left.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::linux::signals;

/// More than any answer to our questions.
const ANSWER_LIMIT: usize = 4096;

/// How an address is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// A connection, and nothing more.
    Connect,
    /// A connection, a message, and its answer.
    Exchange(Vec<u8>),
    /// A message without a connection, and its answer.
    Datagram(Vec<u8>),
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    to: SocketAddr,
    way: Way,
    within: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Connected,
    /// Somebody is there and does not want to.
    Refused,
    Answered(Vec<u8>),
    /// Why nobody was there.
    Nothing(String),
}

impl Try {
    pub(super) const fn connect(to: SocketAddr, within: Duration) -> Self {
        Self { to, way: Way::Connect, within }
    }

    pub(super) const fn exchange(to: SocketAddr, message: Vec<u8>, within: Duration) -> Self {
        Self { to, way: Way::Exchange(message), within }
    }

    pub(super) const fn datagram(to: SocketAddr, message: Vec<u8>, within: Duration) -> Self {
        Self { to, way: Way::Datagram(message), within }
    }

    pub(super) const fn to(&self) -> SocketAddr {
        self.to
    }

    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.way, Way::Exchange(_))
    }
}

/// An attempt under way.
struct Running<'a> {
    attempt: &'a Try,
    socket: Option<OwnedFd>,
    /// Whether the connection stands and the answer is what is waited for.
    is_asking: bool,
    outcome: Option<Outcome>,
}

/// Makes every attempt at the same time and gives what came of each, in order.
pub(super) fn all_at_once<'a>(attempts: impl Iterator<Item = &'a Try>) -> Vec<Outcome> {
    let began = Instant::now();
    let mut running: Vec<Running<'_>> = attempts.map(begin).collect();
    loop {
        let mut waiting: Vec<&mut Running<'_>> = running.iter_mut().filter(|one| one.outcome.is_none()).collect();
        let Some(longest) = waiting.iter().map(|one| one.attempt.within).max() else { break };
        let nearest = waiting.iter().map(|one| one.attempt.within).min().unwrap_or(longest);
        let left = nearest.saturating_sub(began.elapsed());
        let mut entries: Vec<PollFd<'_>> = waiting.iter().filter_map(|one| one.entry()).collect();
        let polled = signals::wait(&mut entries, Some(left));
        let is_ready: Vec<bool> = entries.iter().map(|entry| !entry.revents().is_empty()).collect();
        drop(entries);
        for (one, is_ready) in waiting.iter_mut().zip(is_ready) {
            if is_ready {
                one.go_on();
            } else if began.elapsed() >= one.attempt.within || polled.is_err() {
                one.end(Outcome::Nothing("no answer".to_owned()));
            }
        }
    }
    running.into_iter().map(|one| one.outcome.unwrap_or_else(|| Outcome::Nothing("not tried".to_owned()))).collect()
}

fn begin(attempt: &Try) -> Running<'_> {
    let mut one = Running { attempt, socket: None, is_asking: false, outcome: None };
    let family = if attempt.to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let kind = if matches!(attempt.way, Way::Datagram(_)) { SocketType::DGRAM } else { SocketType::STREAM };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = match rustix::net::socket_with(family, kind, flags, None) {
        Ok(socket) => socket,
        Err(error) => {
            one.end(told(error, attempt.to));
            return one;
        }
    };
    // A datagram's socket is connected too: refusals come back to it, and nobody else's answers.
    let connected = rustix::net::connect(&socket, &attempt.to);
    one.socket = Some(socket);
    match connected {
        Ok(()) => one.connected(),
        Err(Errno::INPROGRESS) => {}
        Err(error) => one.end(told(error, attempt.to)),
    }
    one
}

/// A refusal that comes from this very machine says nothing about others.
fn told(error: Errno, to: SocketAddr) -> Outcome {
    let is_here = match to.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    match error {
        Errno::CONNREFUSED | Errno::CONNRESET if !is_here => Outcome::Refused,
        error => Outcome::Nothing(error.to_string()),
    }
}

impl Running<'_> {
    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.socket = None;
    }

    fn entry(&self) -> Option<PollFd<'_>> {
        let flags = if self.is_asking { PollFlags::IN } else { PollFlags::OUT };
        self.socket.as_ref().map(|socket| PollFd::new(socket, flags))
    }

    fn go_on(&mut self) {
        let Some(socket) = &self.socket else { return };
        if self.is_asking {
            let mut buffer = vec![0; ANSWER_LIMIT];
            match rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => self.end(Outcome::Nothing("it hung up".to_owned())),
                Ok((length, _)) => {
                    buffer.truncate(length);
                    self.end(Outcome::Answered(buffer));
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => self.end(told(error, self.attempt.to)),
            }
            return;
        }
        match rustix::net::sockopt::socket_error(socket) {
            Ok(Ok(())) => self.connected(),
            Ok(Err(error)) | Err(error) => self.end(told(error, self.attempt.to)),
        }
    }

    fn connected(&mut self) {
        let Some(socket) = &self.socket else { return };
        match &self.attempt.way {
            Way::Connect => self.end(Outcome::Connected),
            Way::Exchange(message) | Way::Datagram(message) => {
                match rustix::net::send(socket, message, SendFlags::NOSIGNAL) {
                    Ok(_) => self.is_asking = true,
                    Err(error) => self.end(told(error, self.attempt.to)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn every_attempt_has_its_own_outcome() {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let closed = TcpListener::bind("127.0.0.1:0").and_then(|other| other.local_addr()).expect("an address");
        let at = |address: std::io::Result<SocketAddr>| address.expect("an address");
        let tries = [
            Try::datagram(at(udp.local_addr()), b"one".to_vec(), LONG),
            Try::datagram(at(silent.local_addr()), b"two".to_vec(), SHORT),
            Try::connect(at(tcp.local_addr()), LONG),
            Try::exchange(at(tcp.local_addr()), b"three".to_vec(), LONG),
            Try::connect(closed, LONG),
        ];
        let server = std::thread::spawn(move || {
            let mut buffer = [0; 16];
            let (length, from) = udp.recv_from(&mut buffer).expect("a message");
            udp.send_to(&buffer[..length], from).expect("an answer");
            for _ in 0..2 {
                let (mut stream, _) = tcp.accept().expect("a connection");
                if let Ok(length @ 1..) = stream.read(&mut buffer) {
                    stream.write_all(&buffer[..length]).expect("an answer");
                }
            }
        });
        let outcomes = all_at_once(tries.iter());
        server.join().expect("served");
        assert_eq!(outcomes[0], Outcome::Answered(b"one".to_vec()));
        assert_eq!(outcomes[1], Outcome::Nothing("no answer".to_owned()));
        assert_eq!(outcomes[2], Outcome::Connected);
        assert_eq!(outcomes[3], Outcome::Answered(b"three".to_vec()));
        assert!(matches!(outcomes[4], Outcome::Nothing(_)), "a refusal by this machine itself: {:?}", outcomes[4]);
    }
}
