//! Routes, over the kernel's own socket for them: the image has no program for it, and needs none.
//!
//! A `local` route makes every address of a block one of this machine's: connections to it are accepted by listeners on
//! all addresses, and the kernel answers when the neighbours ask who has it.

use std::io;
use std::net::Ipv4Addr;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

// From linux/netlink.h and linux/rtnetlink.h, where each stands under this name.
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const AF_INET: u8 = 2;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_HOST: u8 = 254;
const RTN_LOCAL: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;

const HEADER: usize = 16;

/// Makes every address of these blocks one of this network namespace's. Doing it again changes nothing.
///
/// # Errors
/// When the kernel refuses, which it does without the right to administer the network.
pub fn add_local_routes(blocks: &[(Ipv4Addr, u8)]) -> io::Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // The kernel is port 0, and routes are what is spoken of when nothing else is named.
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    let loopback = rustix::net::netdevice::name_to_index(&socket, "lo")?;
    for (sequence, (first, length)) in (1..).zip(blocks) {
        let message = route(sequence, *first, *length, loopback);
        rustix::net::sendto(&socket, &message, SendFlags::empty(), &kernel)?;
        let mut answer = [0; 1024];
        let (received, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
        acknowledged(&answer[..received], sequence)?;
    }
    Ok(())
}

/// A request for one route.
fn route(sequence: u32, first: Ipv4Addr, length: u8, interface: u32) -> Vec<u8> {
    let mut body = vec![AF_INET, length, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL, 0, 0, 0, 0];
    for (kind, value) in [(RTA_DST, first.octets()), (RTA_OIF, interface.to_ne_bytes())] {
        body.extend_from_slice(&8u16.to_ne_bytes());
        body.extend_from_slice(&kind.to_ne_bytes());
        body.extend_from_slice(&value);
    }
    let mut message = Vec::with_capacity(HEADER + body.len());
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    message.extend_from_slice(&u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend_from_slice(&RTM_NEWROUTE.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(&body);
    message
}

/// Whether the kernel's answer says that the request of this number was done.
fn acknowledged(answer: &[u8], sequence: u32) -> io::Result<()> {
    let number =
        |place: usize| answer.get(place..place + 4).and_then(|bytes| Some(u32::from_ne_bytes(bytes.try_into().ok()?)));
    let kind = answer.get(4..6).and_then(|bytes| Some(u16::from_ne_bytes(bytes.try_into().ok()?)));
    let (Some(NLMSG_ERROR), Some(echoed), Some(status)) = (kind, number(8), number(HEADER)) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is not one to a request"));
    };
    if echoed != sequence {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is to another request"));
    }
    // A negative error number, or nothing.
    match status.cast_signed() {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error.saturating_neg())),
    }
}

/// Whether packets from one network are passed on into another. They must not be: only this program connects the two.
///
/// # Errors
/// When the kernel does not say.
pub fn is_forwarding() -> io::Result<bool> {
    Ok(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_the_kernel_reads_it() {
        let message = route(7, Ipv4Addr::new(198, 18, 4, 16), 28, 1);
        assert_eq!(message.len(), 44);
        assert_eq!(message[..4], 44u32.to_ne_bytes());
        assert_eq!(message[8..12], 7u32.to_ne_bytes());
        assert_eq!(message[16..24], [AF_INET, 28, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL]);
        assert_eq!(message[32..36], [198, 18, 4, 16]);
        assert_eq!(message[40..44], 1u32.to_ne_bytes());
    }

    fn answer(kind: u16, sequence: u32, status: i32) -> Vec<u8> {
        let mut bytes = vec![36, 0, 0, 0];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&status.to_ne_bytes());
        bytes
    }

    #[test]
    fn only_an_acknowledgement_of_this_request_is_one() {
        assert!(acknowledged(&answer(NLMSG_ERROR, 3, 0), 3).is_ok());
        let refused = acknowledged(&answer(NLMSG_ERROR, 3, -1), 3).expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(acknowledged(&answer(NLMSG_ERROR, 2, 0), 3).is_err());
        assert!(acknowledged(&answer(RTM_NEWROUTE, 3, 0), 3).is_err());
        assert!(acknowledged(&answer(NLMSG_ERROR, 3, 0)[..18], 3).is_err());
        assert!(acknowledged(&[], 3).is_err());
    }
}
