//! SOCKS 5 (RFC 1928), as far as a client needs it to connect somewhere: no authentication, no listening, no datagrams.
//!
//! What a client sends is read as it is needed, never more, so that what follows is the connection's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use boxwood_core::egress::Host;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const VERSION: u8 = 5;
const VERSION_4: u8 = 4;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
/// Longest message: a request with a name of 255 bytes.
pub const MAX_BYTES: usize = 4 + 1 + 255 + 2;

/// What becomes of a request, as it is told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The connection is there.
    Connected = 0,
    /// Something went wrong here.
    Failed = 1,
    /// The policy refuses it.
    NotAllowed = 2,
    /// The host has no address, or none that answers.
    Unreachable = 4,
    /// The host answers, but not at this port.
    Refused = 5,
    /// A command other than to connect.
    CommandUnknown = 7,
    /// Neither a name nor an address.
    AddressUnknown = 8,
}

/// Why what a client sends is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SocksError {
    /// The version before, which gives addresses only.
    #[error("it is SOCKS 4; use SOCKS 5 with names ('socks5h')")]
    Version4,
    /// Another protocol.
    #[error("it is not SOCKS 5")]
    NotSocks,
    /// The client insists on authentication.
    #[error("the proxy is used without a name and a password")]
    Authentication,
    /// To listen, or datagrams.
    #[error("the proxy only connects")]
    Command,
    /// Not a name, not an address, or port 0.
    #[error("the host is neither a name nor an address, or the port is 0")]
    Host,
}

impl SocksError {
    /// What the client is told before the connection is closed.
    #[must_use]
    pub fn farewell(self) -> &'static [u8] {
        match self {
            Self::Version4 => &[0, 0x5b, 0, 0, 0, 0, 0, 0],
            Self::NotSocks => &[],
            Self::Authentication => &[VERSION, 0xff],
            Self::Command => const { &reply_bytes(Reply::CommandUnknown) },
            Self::Host => const { &reply_bytes(Reply::AddressUnknown) },
        }
    }
}

/// How far the reading of a message has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// So many bytes are needed in all to go on; more than there are.
    Needs(usize),
    /// It is read, and was exactly as long as the bytes.
    Done(T),
}

/// Where a client wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: Host,
    /// Port; not 0.
    pub port: u16,
}

/// Reads a client's first message: what authentication it can do.
///
/// # Errors
/// When this is no SOCKS 5, or the client cannot do without authentication.
pub fn read_greeting(bytes: &[u8]) -> Result<Step<()>, SocksError> {
    match bytes.first() {
        Some(&VERSION_4) => return Err(SocksError::Version4),
        Some(&VERSION) | None => {}
        Some(_) => return Err(SocksError::NotSocks),
    }
    let Some(count) = bytes.get(1) else { return Ok(Step::Needs(2)) };
    let length = 2 + usize::from(*count);
    let Some(methods) = bytes.get(2..length) else { return Ok(Step::Needs(length)) };
    if methods.contains(&NO_AUTHENTICATION) { done((), bytes, length) } else { Err(SocksError::Authentication) }
}

/// Reads a client's request.
///
/// # Errors
/// When it wants anything but to connect to a host.
pub fn read_request(bytes: &[u8]) -> Result<Step<Target>, SocksError> {
    // Up to the first byte of the address, which is there whatever its kind.
    let Some([version, command, reserved, kind, first]) = bytes.first_chunk() else { return Ok(Step::Needs(5)) };
    if (*version, *reserved) != (VERSION, 0) {
        return Err(SocksError::NotSocks);
    }
    if *command != CONNECT {
        return Err(SocksError::Command);
    }
    let (start, end) = match kind {
        1 => (4, 4 + 4),
        3 => (5, 5 + usize::from(*first)),
        4 => (4, 4 + 16),
        _ => return Err(SocksError::Host),
    };
    let length = end + 2;
    let Some(port) = bytes.get(end..length) else { return Ok(Step::Needs(length)) };
    let port = u16::from_be_bytes([port[0], port[1]]);
    let host = read_host(*kind, &bytes[start..end]).filter(|_| port != 0).ok_or(SocksError::Host)?;
    done(Target { host, port }, bytes, length)
}

fn read_host(kind: u8, bytes: &[u8]) -> Option<Host> {
    if kind == 3 {
        let text = std::str::from_utf8(bytes).ok()?;
        // What has colons is an address that belongs into the other form, or a name with a port.
        return Host::parse(text).ok().filter(|_| !text.contains([':', '[']));
    }
    let address = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(Host::of_address(address))
}

/// Nobody may send ahead of our answer, except what the message has.
fn done<T>(value: T, bytes: &[u8], length: usize) -> Result<Step<T>, SocksError> {
    if bytes.len() == length { Ok(Step::Done(value)) } else { Err(SocksError::NotSocks) }
}

/// Speaks with a client until it has said where it wants to go. One that is refused has been told so; the connection
/// is then to be closed. The caller bounds the time.
///
/// # Errors
/// When the connection fails, or the client is refused ([`SocksError`] inside).
pub async fn accept(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Target> {
    read_message(stream, read_greeting).await?;
    stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    read_message(stream, read_request).await
}

/// Tells a client what became of its request.
///
/// # Errors
/// When the connection fails.
pub async fn reply(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    stream.write_all(&reply_bytes(reply)).await
}

/// The address that it names is nobody's business: it would be the gateway's on the other network.
const fn reply_bytes(reply: Reply) -> [u8; 10] {
    [VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]
}

async fn read_message<S, T>(stream: &mut S, read: impl Fn(&[u8]) -> Result<Step<T>, SocksError>) -> io::Result<T>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = [0; MAX_BYTES];
    let mut length = 0;
    // The first byte alone tells other protocols, whose clients may wait after it.
    let mut needed = 1;
    loop {
        let unread = bytes.get_mut(length..needed).ok_or(io::ErrorKind::InvalidData)?;
        stream.read_exact(unread).await?;
        length = needed;
        match read(&bytes[..length]) {
            Ok(Step::Done(value)) => return Ok(value),
            Ok(Step::Needs(more)) => needed = more,
            Err(error) => {
                stream.write_all(error.farewell()).await?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: u8, address: &[u8], port: u16) -> Vec<u8> {
        [&[VERSION, CONNECT, 0, kind], address, &port.to_be_bytes()].concat()
    }

    fn by_name(name: &str) -> Vec<u8> {
        let length = u8::try_from(name.len()).expect("short");
        request(3, &[&[length], name.as_bytes()].concat(), 443)
    }

    fn host(bytes: &[u8]) -> Result<String, SocksError> {
        read_request(bytes).map(|step| match step {
            Step::Done(target) => format!("{} {}", target.host, target.port),
            Step::Needs(length) => format!("needs {length}"),
        })
    }

    #[test]
    fn hosts_come_as_names_or_addresses() {
        assert_eq!(host(&by_name("Example.COM.")), Ok("example.com 443".into()));
        assert_eq!(host(&request(1, &[192, 0, 2, 1], 22)), Ok("192.0.2.1 22".into()));
        let six = "2001:db8::1".parse::<Ipv6Addr>().expect("an address").octets();
        assert_eq!(host(&request(4, &six, 22)), Ok("2001:db8::1 22".into()));
    }

    #[test]
    fn other_spellings_of_addresses_are_addresses() {
        let mapped = "::ffff:127.0.0.1".parse::<Ipv6Addr>().expect("an address").octets();
        assert_eq!(host(&request(4, &mapped, 80)), Ok("127.0.0.1 80".into()));
        for name in ["127.1", "0x7f.1", "2130706433", "127.0.0.1."] {
            assert_eq!(host(&by_name(name)), Ok("127.0.0.1 443".into()), "{name}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for name in ["", "a\0.example", "a example", "[::1]", "::1", "example.com:80", "http://example.com", "a..b"] {
            assert_eq!(host(&by_name(name)), Err(SocksError::Host), "{name:?}");
        }
        assert_eq!(host(&request(3, b"\x02\xff\xfe", 80)), Err(SocksError::Host));
        assert_eq!(host(&request(1, &[192, 0, 2, 1], 0)), Err(SocksError::Host));
        assert_eq!(host(&request(2, &[192, 0, 2, 1], 80)), Err(SocksError::Host));
    }

    #[test]
    fn only_to_connect_is_known() {
        for command in [0, 2, 3, 4, 255] {
            let mut bytes = by_name("example.com");
            bytes[1] = command;
            assert_eq!(host(&bytes), Err(SocksError::Command), "command {command}");
        }
    }

    #[test]
    fn messages_say_how_long_they_are() {
        let greeting = [VERSION, 2, 2, 0];
        let needs: Vec<_> = (0..4).map(|length| read_greeting(&greeting[..length])).collect();
        assert_eq!(needs, [2, 2, 4, 4].map(|needed| Ok(Step::Needs(needed))));
        assert_eq!(read_greeting(&greeting), Ok(Step::Done(())));
        assert_eq!(read_greeting(&[VERSION, 1, 2]), Err(SocksError::Authentication));
        assert_eq!(read_greeting(&[VERSION, 0]), Err(SocksError::Authentication));

        let whole = by_name("example.com");
        for length in 0..whole.len() {
            let expected = if length < 5 { 5 } else { whole.len() };
            assert_eq!(read_request(&whole[..length]), Ok(Step::Needs(expected)));
        }
        assert_eq!(read_request(&[&whole[..], &[0]].concat()), Err(SocksError::NotSocks));
    }

    /// What a client that sends `bytes` gets, what is left unread of them, and where it wants to go.
    async fn talk(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Option<String>) {
        let (mut client, mut server) = tokio::io::duplex(4096);
        client.write_all(bytes).await.expect("sent");
        client.shutdown().await.expect("ended");
        let target = accept(&mut server).await.ok().map(|target| format!("{} {}", target.host, target.port));
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.expect("the rest");
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("the answer");
        (answer, rest, target)
    }

    #[tokio::test]
    async fn what_follows_the_request_is_left_to_the_connection() {
        let bytes = [&[VERSION, 1, 0][..], &by_name("example.com"), b"GET /"].concat();
        assert_eq!(talk(&bytes).await, (vec![VERSION, 0], b"GET /".to_vec(), Some("example.com 443".into())));
    }

    #[tokio::test]
    async fn clients_are_told_why_they_are_refused() {
        let refused = |bytes: Vec<u8>| async move { talk(&bytes).await.0 };
        assert_eq!(refused(vec![4, 1, 0, 80, 1, 2, 3, 4, 0]).await, [0, 0x5b, 0, 0, 0, 0, 0, 0]);
        assert_eq!(refused(b"GET / HTTP/1.1\r\n\r\n".to_vec()).await, Vec::<u8>::new());
        assert_eq!(refused(vec![VERSION, 1, 2]).await, [VERSION, 0xff]);
        let bind = [VERSION, 1, 0, VERSION, 2, 0, 1, 0, 0, 0, 0, 0, 80].to_vec();
        assert_eq!(refused(bind).await, [&[VERSION, 0][..], &reply_bytes(Reply::CommandUnknown)].concat());
    }

    #[tokio::test]
    async fn replies_name_no_address() {
        let (mut client, mut server) = tokio::io::duplex(64);
        reply(&mut server, Reply::NotAllowed).await.expect("sent");
        drop(server);
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.expect("read");
        assert_eq!(bytes, [5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
}
