//! TLS's first message, read without answering it: which name the client wants, and whether it hides one.
//!
//! What is read here decides where the very same bytes go, so nothing is skipped or repaired: a message that a server
//! might read in another way than this does is refused. Layout from RFC 8446 section 4.1.2 and 5.1, the name from
//! RFC 6066 section 3, its encrypted form from RFC 9849.

use boxwood_core::egress::Host;

/// Longest message that is read, with the headers of its records. Those with post-quantum keys have about 2 KB.
pub const MAX_BYTES: usize = 16 * 1024;
/// Most records that a message may come in. Nobody needs more than a few; each one costs time when read byte by byte.
const MAX_RECORDS: usize = 64;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;

const CONTENT_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
/// Encrypted client hello, its inner part, and the draft before it that encrypted the name alone.
const EXTENSIONS_ENCRYPTED: [u16; 3] = [0xfe0d, 0xfd00, 0xffce];

/// What a first message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The name, in its normal form: never an address.
    pub name: Option<Host>,
    /// Whether it hides another message, and so another name, or pretends to.
    pub is_encrypted: bool,
}

/// Why bytes are no first message that is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Another protocol.
    #[error("it is not TLS")]
    NotTls,
    /// Longer than any client's, or in more pieces.
    #[error("its first message is longer than {MAX_BYTES} bytes or in more than {MAX_RECORDS} pieces")]
    TooLong,
    /// Lengths inside do not add up.
    #[error("its first message is malformed")]
    Malformed,
    /// An extension is there twice.
    #[error("its first message says something twice")]
    Repeated,
    /// Not exactly one name, or one that is none.
    #[error("its first message does not name one host")]
    Name,
}

/// Reads the beginning of a connection; `None` while there is not enough of it.
///
/// The answer does not depend on how the bytes arrived or how they were cut into records.
///
/// # Errors
/// When this is no TLS, or not a message that every server reads alike. More bytes would not change that.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, HelloError> {
    let Some(message) = message(bytes)? else { return Ok(None) };
    let mut reader = Reader(&message[HANDSHAKE_HEADER..]);
    // Version, always of 1.2 in 1.3, and the random number.
    if reader.take(2)?[0] != 3 {
        return Err(HelloError::Malformed);
    }
    reader.take(32)?;
    if reader.vector8()?.len() > 32 {
        return Err(HelloError::Malformed);
    }
    let suites = reader.vector16()?;
    if suites.is_empty() || suites.len() % 2 != 0 || reader.vector8()?.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut hello = Hello { name: None, is_encrypted: false };
    if !reader.0.is_empty() {
        let extensions = reader.vector16()?;
        reader.end()?;
        read_extensions(extensions, &mut hello)?;
    }
    Ok(Some(hello))
}

/// The whole handshake message out of its records, with its header.
fn message(bytes: &[u8]) -> Result<Option<Vec<u8>>, HelloError> {
    let mut message = Vec::new();
    let mut rest = bytes;
    for _ in 0..MAX_RECORDS {
        let Some(body) = next_record(&mut rest)? else {
            return if bytes.len() < MAX_BYTES { Ok(None) } else { Err(HelloError::TooLong) };
        };
        message.extend_from_slice(body.present);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(HelloError::Malformed);
        }
        if let Some([_, high, middle, low]) = message.first_chunk::<HANDSHAKE_HEADER>() {
            let length = HANDSHAKE_HEADER + (usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low));
            if length + RECORD_HEADER > MAX_BYTES {
                return Err(HelloError::TooLong);
            }
            // No other message may follow before the server has answered, so the last record ends with this one.
            if message.len() + body.missing > length {
                return Err(HelloError::Malformed);
            }
            if message.len() == length {
                let is_short = bytes.len() - rest.len() <= MAX_BYTES;
                return if is_short { Ok(Some(message)) } else { Err(HelloError::TooLong) };
            }
        }
        if body.missing > 0 {
            return if bytes.len() < MAX_BYTES { Ok(None) } else { Err(HelloError::TooLong) };
        }
    }
    Err(HelloError::TooLong)
}

/// A record's body, as much of it as is there.
struct Body<'a> {
    present: &'a [u8],
    missing: usize,
}

/// Takes a record off the front; `None` while its header is not there.
fn next_record<'a>(rest: &mut &'a [u8]) -> Result<Option<Body<'a>>, HelloError> {
    let header = &rest[..rest.len().min(RECORD_HEADER)];
    // Said as early as it can be: whoever speaks another protocol may be waiting for an answer.
    let is_tls = header.first().is_none_or(|kind| *kind == CONTENT_HANDSHAKE)
        && header.get(1).is_none_or(|major| *major == 3)
        && header.get(2).is_none_or(|minor| *minor <= 4);
    if !is_tls {
        return Err(HelloError::NotTls);
    }
    let [_, _, _, high, low] = header else { return Ok(None) };
    let length = usize::from(*high) << 8 | usize::from(*low);
    if length == 0 || length > 1 << 14 {
        return Err(HelloError::Malformed);
    }
    let after = &rest[RECORD_HEADER..];
    let present = &after[..after.len().min(length)];
    *rest = &after[present.len()..];
    Ok(Some(Body { present, missing: length - present.len() }))
}

fn read_extensions(bytes: &[u8], hello: &mut Hello) -> Result<(), HelloError> {
    let mut seen = std::collections::HashSet::new();
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let kind = reader.number16()?;
        let content = reader.vector16()?;
        if !seen.insert(kind) {
            return Err(HelloError::Repeated);
        }
        match kind {
            EXTENSION_SERVER_NAME => hello.name = Some(server_name(content)?),
            kind if EXTENSIONS_ENCRYPTED.contains(&kind) => hello.is_encrypted = true,
            _ => {}
        }
    }
    Ok(())
}

fn server_name(content: &[u8]) -> Result<Host, HelloError> {
    let mut outer = Reader(content);
    let mut list = Reader(outer.vector16()?);
    outer.end()?;
    // One kind of name exists, and a list has one of each kind.
    if list.take(1)? != [0] {
        return Err(HelloError::Name);
    }
    let text = list.vector16()?;
    if !list.0.is_empty() {
        return Err(HelloError::Name);
    }
    let text = std::str::from_utf8(text).map_err(|_| HelloError::Name)?;
    let host = Host::parse(text).map_err(|_| HelloError::Name)?;
    // The server sees these bytes, not our normal form of them: only their case may differ.
    if host.name().is_some_and(|name| name.eq_ignore_ascii_case(text)) { Ok(host) } else { Err(HelloError::Name) }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number16(&mut self) -> Result<u16, HelloError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self) -> Result<&'a [u8], HelloError> {
        let length = usize::from(self.take(1)?[0]);
        self.take(length)
    }

    fn vector16(&mut self) -> Result<&'a [u8], HelloError> {
        let length = usize::from(self.number16()?);
        self.take(length)
    }

    fn end(&self) -> Result<(), HelloError> {
        if self.0.is_empty() { Ok(()) } else { Err(HelloError::Malformed) }
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
