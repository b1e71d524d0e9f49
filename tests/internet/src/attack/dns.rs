//! Questions to resolvers.

use std::io::{self, Error, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::bytes::unescaped;
use super::talk;

const WITHIN: Duration = Duration::from_millis(1500);

fn number(kind: &str) -> io::Result<u16> {
    Ok(match kind {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "NULL" => 10,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        "HTTPS" => 65,
        "AXFR" => 252,
        "ANY" => 255,
        _ => kind.parse().map_err(Error::other)?,
    })
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0x2a, 0x17, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in unescaped(name).split(|byte| *byte == b'.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(label);
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

fn answer(server: &str, message: &[u8], is_tcp: bool) -> io::Result<Vec<u8>> {
    let to = if server.contains(':') { server.to_owned() } else { format!("{server}:53") };
    if is_tcp {
        let mut stream = talk::connect(&to, WITHIN)?;
        stream.set_read_timeout(Some(WITHIN))?;
        let length = u16::try_from(message.len()).map_err(Error::other)?.to_be_bytes();
        stream.write_all(&[&length, message].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer)?;
        return Ok(answer);
    }
    let to: SocketAddr = to.parse().map_err(Error::other)?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.send_to(message, to)?;
    let mut buffer = vec![0; 4096];
    let (length, _) = socket.recv_from(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// The addresses and the number of records that an answer has.
fn records(message: &[u8]) -> io::Result<(Vec<Ipv4Addr>, usize)> {
    let short = || Error::other("the answer is too short");
    let two = |at: usize| message.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]])).ok_or_else(short);
    let name_end = |mut at: usize| loop {
        match message.get(at).copied() {
            Some(0) => return Ok(at + 1),
            Some(length) if length >= 0xc0 => return Ok(at + 2),
            Some(length) => at += 1 + usize::from(length),
            None => return Err(short()),
        }
    };
    let status = message.get(3).ok_or_else(short)? & 0xf;
    if status != 0 {
        return Err(Error::other(format!("refused with status {status}")));
    }
    let mut at = 12;
    for _ in 0..two(4)? {
        at = name_end(at)? + 4;
    }
    let mut addresses = Vec::new();
    let count = usize::from(two(6)?);
    for _ in 0..count {
        at = name_end(at)?;
        let (kind, length) = (two(at)?, usize::from(two(at + 8)?));
        let data = message.get(at + 10..at + 10 + length).ok_or_else(short)?;
        if let (1, [a, b, c, d]) = (kind, data) {
            addresses.push(Ipv4Addr::new(*a, *b, *c, *d));
        }
        at += 10 + length;
    }
    Ok((addresses, count))
}

/// Asks; no record is no answer.
pub(crate) fn ask(server: &str, name: &str, kind: &str, is_tcp: bool) -> io::Result<String> {
    let (addresses, count) = records(&answer(server, &question(name, number(kind)?), is_tcp)?)?;
    if count == 0 {
        return Err(Error::other("there are no records"));
    }
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Ok(format!("{count} records {}", addresses.join(" ")))
}

/// The address that the sandbox's own resolver gives.
pub(crate) fn own(name: &str) -> io::Result<String> {
    let file = std::fs::read_to_string("/etc/resolv.conf")?;
    let server =
        file.lines().find_map(|line| line.strip_prefix("nameserver ")).ok_or_else(|| Error::other("no resolver"))?;
    let (addresses, _) = records(&answer(server.trim(), &question(name, 1), false)?)?;
    addresses.first().map(ToString::to_string).ok_or_else(|| Error::other("it has no address"))
}
