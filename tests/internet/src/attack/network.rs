//! What is not a connection, and changes to the network.

use std::io::{self, Error, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, eth, ipproto, recv, send, sendto, socket_with,
};

const WITHIN: Duration = Duration::from_millis(1500);

/// A datagram that is answered.
pub(crate) fn udp(address: &str, port: &str, bytes: &[u8]) -> io::Result<String> {
    let to: SocketAddr = format!("{address}:{port}").parse().map_err(Error::other)?;
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.send_to(bytes, to)?;
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer)?;
    Ok(format!("{length} bytes from {from}"))
}

/// An echo of ICMP, by whichever socket may be had.
pub(crate) fn ping(address: &str) -> io::Result<String> {
    let to: Ipv4Addr = address.parse().map_err(Error::other)?;
    let open = |kind| socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(ipproto::ICMP));
    let socket = open(SocketType::DGRAM).or_else(|_| open(SocketType::RAW))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(WITHIN))?;
    // A request with its sum; the data is empty.
    let message = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    sendto(&socket, &message, SendFlags::empty(), &SocketAddr::from((to, 0)))?;
    let mut buffer = [0; 256];
    let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
    Ok(format!("{length} bytes back"))
}

/// A packet whose head this writes itself.
pub(crate) fn raw(address: &str) -> io::Result<String> {
    let to: Ipv4Addr = address.parse().map_err(Error::other)?;
    let socket = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW))?;
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1];
    packet.extend(to.octets());
    packet.extend([0x13, 0x88, 0, 53, 0, 8, 0, 0]);
    sendto(&socket, &packet, SendFlags::empty(), &SocketAddr::from((to, 0)))?;
    Ok("sent".to_owned())
}

/// Everything that is on the wire, and the wire itself.
pub(crate) fn packet() -> io::Result<String> {
    socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(eth::ALL))?;
    Ok("open".to_owned())
}

/// A request to the kernel about its network, and the kernel's answer.
fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<String> {
    // No protocol is the one about routes.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(WITHIN))?;
    let length = u32::try_from(16 + body.len()).map_err(Error::other)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    // A request that is to be acknowledged.
    message.extend((flags | 0x5).to_ne_bytes());
    message.extend([0; 8]);
    message.extend_from_slice(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut buffer = [0; 4096];
    let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
    let code = buffer.get(16..20).filter(|_| length >= 20).ok_or_else(|| Error::other("the kernel said nothing"))?;
    match i32::from_ne_bytes([code[0], code[1], code[2], code[3]]) {
        0 => Ok("done".to_owned()),
        code => Err(Error::from_raw_os_error(-code)),
    }
}

fn attribute(kind: u16, contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + contents.len()).unwrap_or(u16::MAX);
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), contents].concat()
}

fn interface() -> io::Result<u32> {
    let text = std::fs::read_to_string("/sys/class/net/eth0/ifindex")?;
    text.trim().parse().map_err(Error::other)
}

/// One more address for this machine.
pub(crate) fn add_address(address: &str) -> io::Result<String> {
    let address: Ipv4Addr = address.parse().map_err(Error::other)?;
    let mut body = vec![2, 22, 0, 0];
    body.extend(interface()?.to_ne_bytes());
    body.extend(attribute(2, &address.octets()));
    body.extend(attribute(1, &address.octets()));
    request(20, 0x600, &body)
}

/// Everything by way of an address.
pub(crate) fn add_route(gateway: &str) -> io::Result<String> {
    let gateway: Ipv4Addr = gateway.parse().map_err(Error::other)?;
    let mut body = vec![2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    body.extend(attribute(5, &gateway.octets()));
    body.extend(attribute(4, &interface()?.to_ne_bytes()));
    request(24, 0x600, &body)
}

/// Gives back what it gets, for ever.
pub(crate) fn listen(port: &str) -> io::Result<String> {
    let port: u16 = port.parse().map_err(Error::other)?;
    for stream in TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?.incoming() {
        std::thread::spawn(move || -> io::Result<()> {
            let mut stream = stream?;
            stream.write_all(b"neighbour: ")?;
            let mut buffer = [0; 4096];
            loop {
                let length = stream.read(&mut buffer)?;
                if length == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..length])?;
            }
        });
    }
    Ok(String::new())
}
