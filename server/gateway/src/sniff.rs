//! What a connection speaks, from its first bytes: as few as tell it, within a time and a size.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::hello::{self, Hello, HelloError};

/// How long the first message may take once it has begun.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to begin on ports of the web, where the client speaks first.
pub const SILENCE: Duration = Duration::from_secs(60);
/// How long it is waited for a client on other ports, and for the rest of a word that may become a request there. Requests
/// come in one piece; whoever says less waits for the server.
const SERVER_FIRST: Duration = Duration::from_millis(300);
/// Ports whose servers speak first: waiting for the client would be in vain. FTP, SSH, mail, MySQL.
const SERVERS_FIRST: [u16; 7] = [21, 22, 25, 110, 143, 587, 3306];
/// The ports of the web. Nothing but TLS and HTTP passes there.
pub const WEB: [u16; 2] = [80, 443];
/// No method of HTTP is as long as this.
const METHOD: usize = 24;
/// Ends of lines that are passed over in front of a request, as servers do.
const BLANK: usize = 8;
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";
/// How the target of a request begins.
const TARGETS: [&[u8]; 4] = [b"/", b"* ", b"http://", b"https://"];
/// The first byte of a record of TLS that has a first message.
const HANDSHAKE: u8 = 0x16;

/// What a connection speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// TLS.
    Tls(Hello),
    /// TLS whose first message no two servers need to read alike.
    BadTls(HelloError),
    /// HTTP/1.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// Something else, or the client waits for the server.
    Opaque,
    /// Nothing, or too little to tell, in time.
    Silence,
}

/// Reads into `head` until it is known what is spoken.
///
/// # Errors
/// When the connection fails or ends before that.
pub async fn first(stream: &mut TcpStream, head: &mut Vec<u8>, port: u16) -> io::Result<First> {
    let is_web = WEB.contains(&port);
    if head.is_empty() {
        if SERVERS_FIRST.contains(&port) {
            return Ok(First::Opaque);
        }
        let (silence, otherwise) = if is_web { (SILENCE, First::Silence) } else { (SERVER_FIRST, First::Opaque) };
        // Waited for before there is a buffer: many connections are opened ahead of need.
        match timeout(silence, stream.peek(&mut [0])).await {
            Ok(waiting) => waiting.map(drop)?,
            Err(_) => return Ok(otherwise),
        }
    }
    begun(stream, head, is_web).await
}

/// Reads into `head`, however long the client takes to begin, until it is known what is spoken. Nothing of what was read
/// is lost when this is dropped.
///
/// # Errors
/// When the connection fails or ends before that.
pub async fn begun(stream: &mut TcpStream, head: &mut Vec<u8>, is_web: bool) -> io::Result<First> {
    if head.is_empty() {
        stream.peek(&mut [0]).await?;
    }
    let begun = Instant::now();
    loop {
        if let Some(first) = classify(head, is_web) {
            return Ok(first);
        }
        let is_tls = head.first() == Some(&HANDSHAKE);
        let patience = if is_web || is_tls { PATIENCE } else { SERVER_FIRST };
        match timeout_at(begun + patience, stream.read_buf(head)).await {
            Ok(Ok(0)) if head.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(0)) if is_tls => return Ok(First::BadTls(HelloError::Malformed)),
            // It says nothing more, so it is whatever it is.
            Ok(Ok(0)) => return Ok(First::Opaque),
            Ok(read) => drop(read?),
            Err(_) if is_web || is_tls => return Ok(First::Silence),
            Err(_) => return Ok(First::Opaque),
        }
    }
}

/// What the first bytes are; `None` while they may still become different things.
#[must_use]
pub fn classify(head: &[u8], is_web: bool) -> Option<First> {
    if *head.first()? == HANDSHAKE {
        return match hello::read(head) {
            Ok(hello) => hello.map(First::Tls),
            Err(HelloError::NotTls) => Some(First::Opaque),
            Err(error) => Some(First::BadTls(error)),
        };
    }
    if head.starts_with(HTTP2) {
        return Some(First::Http2);
    }
    if HTTP2.starts_with(head) {
        return None;
    }
    let blank = head.iter().take(BLANK).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let head = &head[blank..];
    let letters = head.iter().take(METHOD).take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-').count();
    match head.get(letters) {
        None if letters < METHOD => None,
        Some(b' ') if letters > 0 && letters < METHOD => target(&head[letters + 1..], is_web),
        _ => Some(First::Opaque),
    }
}

/// Other protocols also begin with a word and a space. On their ports a request is one when its target is a path, a whole
/// address, or everything.
fn target(rest: &[u8], is_web: bool) -> Option<First> {
    let is_like = |form: &&[u8]| rest.iter().zip(*form).all(|(byte, like)| byte.eq_ignore_ascii_case(like));
    match TARGETS.iter().find(|form| is_like(form)) {
        _ if is_web => Some(First::Http),
        None => Some(First::Opaque),
        Some(form) if rest.len() >= form.len() => Some(First::Http),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_apart_by_their_first_bytes() {
        let opaque = Some(First::Opaque);
        for (head, is_web, expected) in [
            (&b""[..], true, None),
            (b"GET", true, None),
            (b"GET /", true, Some(First::Http)),
            (b"get /", false, Some(First::Http)),
            (b"M-SEARCH * HTTP/1.1", false, Some(First::Http)),
            (b"GET http://a.example/", false, Some(First::Http)),
            (b"NICK somebody\r\n", false, opaque.clone()),
            (b"NICK somebody\r\n", true, Some(First::Http)),
            (b"NICK ", false, None),
            (b"hello", false, None),
            (b"hello there", false, opaque.clone()),
            (b"get hello\r\n", false, opaque.clone()),
            (b"get http:/", false, None),
            (b"GET HTTPS://a.example/", false, Some(First::Http)),
            (b"ECHO *\r\n", false, opaque.clone()),
            (b"OPTIONS * HTTP/1.1", false, Some(First::Http)),
            (b"\r\n", false, None),
            (b"\r\n\nGET /", false, Some(First::Http)),
            (b"\r\nGET /", true, Some(First::Http)),
            (b"\n\n\n\n\n\n\n\n\n", false, opaque.clone()),
            (b"*1\r\n$4\r\nPING\r\n", false, opaque.clone()),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", false, opaque.clone()),
            (b"SSH-2.0-OpenSSH_9.2 Debian\r\n", false, opaque.clone()),
            (b"PING\r\n", false, opaque.clone()),
            (b" /", true, opaque.clone()),
            (b"\x00\x00", true, opaque.clone()),
            (b"PRI * HTTP", true, None),
            (b"PRI * HTTP/2.0\r\n\r\nSM", true, Some(First::Http2)),
            (b"ABCDEFGHIJKLMNOPQRSTUVW /", true, Some(First::Http)),
            (b"ABCDEFGHIJKLMNOPQRSTUVWX", true, opaque.clone()),
            (b"ABCDEFGHIJKLMNOPQRSTUVWX /", true, opaque.clone()),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ /", true, opaque),
            (b"\x16\x03\x01", true, None),
            (b"\x16\x03\x01\x00\x05\x02\x00\x00\x00\x00", true, Some(First::BadTls(HelloError::Malformed))),
        ] {
            assert_eq!(classify(head, is_web), expected, "{head:?} {is_web}");
        }
    }
}
