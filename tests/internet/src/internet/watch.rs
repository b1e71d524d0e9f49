//! Every packet that reaches this machine, also one that no port is open for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};
use serde_json::json;

use super::record::{note, shown};

/// Watches from now on, beside everything else.
pub(crate) fn start() -> io::Result<()> {
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(eth::ALL))?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok((length, _)) = recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            if let Some((protocol, from, to, rest)) = parts(&buffer[..length]) {
                note("packet", json!({ "protocol": protocol, "from": from, "to": to, "bytes": shown(rest) }));
            }
        }
    });
    Ok(())
}

/// Protocol, source, destination and contents of an IP packet to somebody; what goes to everybody is the network's own.
fn parts(packet: &[u8]) -> Option<(u8, String, String, &[u8])> {
    match packet.first()? >> 4 {
        4 => {
            let head = usize::from(packet[0] & 0xf) * 4;
            let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
            let (from, to) = (address(12)?, address(16)?);
            (!to.is_multicast() && !to.is_broadcast())
                .then(|| Some((*packet.get(9)?, from.to_string(), to.to_string(), packet.get(head..)?)))?
        }
        6 => {
            let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
            let (from, to) = (address(8)?, address(24)?);
            (!to.is_multicast())
                .then(|| Some((*packet.get(6)?, from.to_string(), to.to_string(), packet.get(40..)?)))?
        }
        _ => None,
    }
}
