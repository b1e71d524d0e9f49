//! What a client of an API waits for: whole requests one after the other on one connection, and each event of a stream,
//! which says when it was sent. Told as JSON: milliseconds of each.

use std::io::{self, Error};
use std::time::{Duration, Instant};

use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::crowd::{connector, is_whole};
use crate::internet::microseconds;

/// How long all of it may take. Nobody measures what hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two events, milliseconds: about that between two tokens of a fast model.
const PAUSE: u32 = 5;
/// What a client sends that holds no key; a gateway that knows one puts it in this place.
const PLACEHOLDER: &str = "placeholder";

/// Makes `count` requests, and reads as many events.
pub(crate) fn listen(to: &str, name: &str, count: &str, authority: &str) -> io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let count = count.parse().map_err(Error::other)?;
    runtime.block_on(async {
        let told = tokio::time::timeout(PATIENCE, measure(to, name, count, authority)).await;
        told.map_err(|_| Error::from(io::ErrorKind::TimedOut))?
    })
}

async fn measure(to: &str, name: &str, count: usize, authority: &str) -> io::Result<String> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let server = ServerName::try_from(name.to_owned()).map_err(Error::other)?;
    let mut stream = connector(authority)?.connect(server, stream).await?;
    let (mut requests, mut answer) = (Vec::new(), Vec::new());
    // The first one makes connections beyond the gateway.
    for at in 0..=count {
        let began = Instant::now();
        ask(&mut stream, name, "/").await?;
        answer.clear();
        while !is_whole(&answer)? {
            more(&mut stream, &mut answer).await?;
        }
        if at > 0 {
            requests.push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let said = String::from_utf8_lossy(&answer).into_owned();
    ask(&mut stream, name, &format!("/events?count={count}&pause={PAUSE}&timed=1")).await?;
    let (mut events, mut rest) = (Vec::new(), Vec::new());
    while events.len() < count {
        more(&mut stream, &mut rest).await?;
        let now = microseconds();
        while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = rest.drain(..end + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let sent = event.rsplit_once("data: ").and_then(|(_, data)| data.trim().split_once(' '));
            let sent: Option<u128> = sent.and_then(|(_, sent)| sent.parse().ok());
            if let Some(under_way) = sent.and_then(|sent| now.checked_sub(sent)) {
                events.push(Duration::from_micros(u64::try_from(under_way).unwrap_or(u64::MAX)).as_secs_f64() * 1000.0);
            }
        }
    }
    Ok(json!({ "requests": requests, "events": events, "answer": said }).to_string())
}

async fn ask(stream: &mut TlsStream<TcpStream>, name: &str, path: &str) -> io::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {name}\r\nx-api-key: {PLACEHOLDER}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}

async fn more(stream: &mut TlsStream<TcpStream>, to: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(to).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
