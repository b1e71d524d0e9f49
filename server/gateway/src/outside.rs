//! The gateway's sockets and where names lead: all that tests put something else in for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// What a lookup will give.
pub type Looking<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Sockets and names.
pub trait Outside: Send + Sync {
    /// Where to listen for connections to a port.
    fn listen_at(&self, port: u16) -> SocketAddr;
    /// Where a connection to an address really goes, after the address was judged.
    fn connect_to(&self, address: SocketAddr) -> SocketAddr;
    /// Where the client sent a connection that the kernel brought here instead.
    ///
    /// # Errors
    /// When the kernel knows nothing of it.
    fn sent_to(&self, stream: &TcpStream) -> io::Result<SocketAddrV4>;
    /// The addresses of a name.
    fn look_up<'a>(&'a self, name: &'a str) -> Looking<'a>;
}

/// The machine's own.
#[derive(Default)]
pub struct Real {
    resolver: OnceCell<TokioResolver>,
}

impl Outside for Real {
    fn listen_at(&self, port: u16) -> SocketAddr {
        // Own addresses are on no interface, so nothing narrower would do; who is served is decided on accepting.
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
    }

    fn connect_to(&self, address: SocketAddr) -> SocketAddr {
        address
    }

    fn sent_to(&self, stream: &TcpStream) -> io::Result<SocketAddrV4> {
        Ok(rustix::net::sockopt::ip_original_dst(stream)?)
    }

    fn look_up<'a>(&'a self, name: &'a str) -> Looking<'a> {
        Box::pin(async move {
            let resolver = self
                .resolver
                .get_or_try_init(|| async {
                    let mut builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
                    // The gateway has no IPv6.
                    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4Only;
                    Ok::<_, io::Error>(builder.build())
                })
                .await?;
            // With the dot, so that no search domain is appended.
            match resolver.lookup_ip(format!("{name}.")).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(cause) if cause.is_no_records_found() => Err(io::Error::new(io::ErrorKind::NotFound, cause)),
                Err(cause) => Err(cause.into()),
            }
        })
    }
}
