//! The ports: who listens and what becomes of a connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::config::{Config, Site};
use super::record::{note, shown};
use super::{http, tls, watch};

/// Everything that connections share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    tls: Arc<ServerConfig>,
}

/// How a connection came.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) peer: SocketAddr,
    pub(crate) port: u16,
    pub(crate) sni: Option<String>,
    pub(crate) is_tls: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Http,
    Https,
    Echo,
}

/// Serves until it is ended.
pub(crate) async fn serve(config: Config) -> io::Result<()> {
    let tls = tls::server(&config.authority_key).map_err(io::Error::other)?;
    let shared = Shared { config: Arc::new(config), tls };
    let config = Arc::clone(&shared.config);
    let listen = |port: u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    for (ports, kind) in [(&config.http, Kind::Http), (&config.https, Kind::Https), (&config.echo, Kind::Echo)] {
        for port in ports {
            tokio::spawn(accept(listen(*port).await?, *port, kind, shared.clone()));
        }
    }
    for port in &config.datagrams {
        tokio::spawn(give_back(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, *port)).await?, *port));
    }
    if config.is_watching {
        watch::start()?;
    }
    note("ready", json!({}));
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    end.recv().await;
    Ok(())
}

async fn accept(listener: TcpListener, port: u16, kind: Kind, shared: Shared) {
    loop {
        // A connection that was given up before it was taken is no reason to end.
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let arrival = Arrival { peer, port, sni: None, is_tls: false };
        let shared = shared.clone();
        tokio::spawn(async move {
            note("connection", json!({ "port": port, "peer": peer.to_string() }));
            let done = match kind {
                Kind::Http => http::serve(stream, arrival, shared).await,
                Kind::Https => open_tls(stream, arrival, shared).await,
                Kind::Echo => echo(stream, port).await,
            };
            note(
                "end",
                json!({ "port": port, "peer": peer.to_string(), "problem": done.err().map(|e| e.to_string()) }),
            );
        });
    }
}

async fn open_tls(stream: TcpStream, mut arrival: Arrival, shared: Shared) -> io::Result<()> {
    let mut stream = TlsAcceptor::from(Arc::clone(&shared.tls)).accept(stream).await?;
    arrival.is_tls = true;
    arrival.sni = stream.get_ref().1.server_name().map(str::to_owned);
    note("tls", json!({ "port": arrival.port, "peer": arrival.peer.to_string(), "sni": arrival.sni }));
    let site = arrival.sni.as_ref().and_then(|name| shared.config.hosts.get(name));
    if let Some(Site::Forward(address)) = site {
        let mut onward = TcpStream::connect(address).await?;
        return tokio::io::copy_bidirectional(&mut stream, &mut onward).await.map(drop);
    }
    http::serve(stream, arrival, shared).await
}

async fn echo(mut stream: TcpStream, port: u16) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut is_first = true;
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        if std::mem::take(&mut is_first) {
            note("bytes", json!({ "port": port, "bytes": shown(&buffer[..length]) }));
            stream.write_all(b"internet: ").await?;
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

async fn give_back(socket: UdpSocket, port: u16) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        note("datagram", json!({ "port": port, "peer": peer.to_string(), "bytes": shown(&buffer[..length]) }));
        // The peer may be gone.
        let _ = socket.send_to(&buffer[..length], peer).await;
    }
}
