//! Messages as they come from the editor, checked before anything reads them.
//!
//! What is too large, no JSON, or no request is replaced by a small request of our own name, which [`crate::relay`]
//! answers with the fitting error. So one bad message costs one error, and the others their order.

use std::fmt;
use std::io;

use boxwood_protocol::MAX_REQUEST_BYTES;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio_util::sync::CancellationToken;
use tower_lsp::jsonrpc::{Request, Response};

/// What a message was replaced by, as a method.
pub(crate) const TOO_LARGE: &str = "$boxwood/requestTooLarge";
/// A message that is no JSON.
pub(crate) const UNREADABLE: &str = "$boxwood/parseError";
/// A message that is JSON and neither request nor answer.
pub(crate) const MEANINGLESS: &str = "$boxwood/invalidRequest";

/// Longest head of a message; a real one has less than 100 bytes.
const LONGEST_HEAD: u64 = 8 * 1024;

/// Of a message that is too large, so much is kept to find out which request to answer.
const KEPT: u64 = 16 * 1024 * 1024;

/// What comes from the editor next.
enum Message {
    /// A body within bounds.
    Body(Vec<u8>),
    /// The beginning of a body out of bounds, and its whole length.
    Oversized(Vec<u8>, u64),
    /// Nothing any more.
    End,
}

/// Passes on messages until the input ends; then, or when its structure is lost, triggers `leaving`.
pub(crate) async fn check(input: impl AsyncRead + Unpin, mut output: DuplexStream, leaving: CancellationToken) {
    let mut input = BufReader::new(input);
    loop {
        let body = match next(&mut input).await {
            Ok(Message::Body(body)) => readable(body),
            Ok(Message::Oversized(start, length)) => {
                tracing::warn!(length, "a message is larger than {MAX_REQUEST_BYTES} bytes");
                match id_of(&start) {
                    Some(id) => replacement(TOO_LARGE, &id),
                    // A notification, which is not answered.
                    None => continue,
                }
            }
            Ok(Message::End) => break,
            Err(error) => {
                tracing::error!(%error, "the editor's messages cannot be told apart any more");
                // Nobody reads the answer if this cannot be written.
                let _ = pass_on(&mut output, &replacement(UNREADABLE, &Value::Null)).await;
                break;
            }
        };
        if pass_on(&mut output, &body).await.is_err() {
            break;
        }
    }
    drop(output);
    leaving.cancel();
}

async fn pass_on(output: &mut DuplexStream, body: &[u8]) -> io::Result<()> {
    output.write_all(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes()).await?;
    output.write_all(body).await
}

async fn next(input: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<Message> {
    let Some(length) = head(input).await? else {
        return Ok(Message::End);
    };
    let is_too_large = length > u64::from(MAX_REQUEST_BYTES);
    let wanted = if is_too_large { length.min(KEPT) } else { length };
    let mut body = Vec::new();
    (&mut *input).take(wanted).read_to_end(&mut body).await?;
    let mut received = body.len() as u64;
    if received == wanted && is_too_large {
        received += tokio::io::copy(&mut (&mut *input).take(length - wanted), &mut tokio::io::sink()).await?;
    }
    if received < length {
        tracing::warn!(received, length, "the input ends within a message");
        return Ok(Message::End);
    }
    Ok(if is_too_large { Message::Oversized(body, length) } else { Message::Body(body) })
}

/// Length of the body that follows; `None` at the end of the input.
async fn head(input: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<Option<u64>> {
    let mut input = input.take(LONGEST_HEAD);
    let mut length = None;
    let mut is_first = true;
    loop {
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line).await?;
        if line.is_empty() && is_first && input.limit() == LONGEST_HEAD {
            return Ok(None);
        }
        is_first = false;
        if line.pop() != Some(b'\n') {
            return match input.limit() {
                0 => Err(bad("the head of a message has no end")),
                _ => Ok(None),
            };
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.is_empty() {
            return length.map(Some).ok_or_else(|| bad("a message does not say how long it is"));
        }
        match line.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("content-length") => {
                length = Some(value.trim().parse().map_err(|_| bad("the length of a message is no number"))?);
            }
            Some(_) => {}
            None => return Err(bad("a line in the head of a message has no colon")),
        }
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The body, or what it is replaced by.
fn readable(body: Vec<u8>) -> Vec<u8> {
    let is_request = serde_json::from_slice::<Request>(&body).is_ok_and(|request| !request.method().is_empty());
    if is_request || serde_json::from_slice::<Response>(&body).is_ok() {
        return body;
    }
    if let Err(error) = serde_json::from_slice::<Value>(&body) {
        tracing::warn!(%error, "a message is no JSON");
        return replacement(UNREADABLE, &Value::Null);
    }
    tracing::warn!("a message is neither request nor answer");
    replacement(MEANINGLESS, &id_of(&body).unwrap_or_default())
}

fn replacement(method: &str, id: &Value) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": id, "method": method }).to_string().into_bytes()
}

/// The id of a message of which the end may be missing.
fn id_of(start: &[u8]) -> Option<Value> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(start);
    // Where the message breaks off, reading fails; what was found before stays found.
    let _ = serde::Deserializer::deserialize_map(&mut reader, IdSeeker(&mut found));
    found
}

/// Remembers the value of `id`.
struct IdSeeker<'a>(&'a mut Option<Value>);

impl<'de> Visitor<'de> for IdSeeker<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "id" {
                *self.0 = Some(map.next_value::<Value>()?).filter(|id| id.is_number() || id.is_string());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn checked(input: &[u8]) -> (String, bool) {
        let (checked, mut reading) = tokio::io::duplex(1024);
        let leaving = CancellationToken::new();
        let (_, output) = tokio::join!(check(input, checked, leaving.clone()), async {
            let mut output = String::new();
            reading.read_to_string(&mut output).await.map(|_| output)
        });
        (output.expect("valid UTF-8"), leaving.is_cancelled())
    }

    async fn check_passes(input: &[u8], expected: &[&str]) {
        let (output, has_left) = checked(input).await;
        let expected: String =
            expected.iter().map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len())).collect();
        assert_eq!(output, expected);
        assert!(has_left, "the end of the input is the editor's leaving");
    }

    const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    fn framed(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn what_is_in_order_passes() {
        check_passes(b"", &[]).await;
        check_passes(framed(PING).as_bytes(), &[PING]).await;
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":null}"#;
        check_passes((framed(PING) + &framed(answer)).as_bytes(), &[PING, answer]).await;
        let odd_head = format!("X: y\r\ncontent-length:{}\nContent-Type: z\r\n\r\n{PING}", PING.len());
        check_passes(odd_head.as_bytes(), &[PING]).await;
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_replaced() {
        let unreadable = r#"{"jsonrpc":"2.0","id":null,"method":"$boxwood/parseError"}"#;
        check_passes((framed("{\"jsonrpc\"") + &framed(PING)).as_bytes(), &[unreadable, PING]).await;
        let invalid_utf8 = [b"Content-Length: 2\r\n\r\n\xff\xfe", framed(PING).as_bytes()].concat();
        check_passes(&invalid_utf8, &[unreadable, PING]).await;
        let meaningless = r#"{"jsonrpc":"2.0","id":7,"method":"$boxwood/invalidRequest"}"#;
        check_passes((framed(r#"{"id":7}"#) + &framed(PING)).as_bytes(), &[meaningless, PING]).await;
    }

    #[tokio::test]
    async fn a_lost_structure_ends_the_conversation() {
        let unreadable = r#"{"jsonrpc":"2.0","id":null,"method":"$boxwood/parseError"}"#;
        check_passes(b"hello\r\n\r\n", &[unreadable]).await;
        check_passes(b"Content-Length: many\r\n\r\n", &[unreadable]).await;
        check_passes(b"Content-Type: x\r\n\r\n", &[unreadable]).await;
        check_passes(&[b'x'; 10_000], &[unreadable]).await;
    }

    #[tokio::test]
    async fn half_a_message_is_the_end() {
        check_passes(b"Content-Len", &[]).await;
        check_passes(b"Content-Length: 40\r\n\r\n{\"jsonrpc\"", &[]).await;
        check_passes(b"Content-Length: 99999999999999\r\n\r\n{\"jsonrpc\"", &[]).await;
    }

    #[tokio::test]
    async fn a_large_request_is_answered_and_a_large_notification_dropped() {
        let too_large = r#"{"jsonrpc":"2.0","id":"x","method":"$boxwood/requestTooLarge"}"#;
        let filler = "a".repeat(10 * 1024 * 1024);
        let first = format!(r#"{{"id":"x","jsonrpc":"2.0","method":"m","params":{{"id":2,"p":"{filler}"}}}}"#);
        let last = format!(r#"{{"jsonrpc":"2.0","params":{{"id":2,"p":"{filler}"}},"method":"m","id":"x"}}"#);
        let none = format!(r#"{{"jsonrpc":"2.0","params":{{"id":2,"p":"{filler}"}},"method":"m"}}"#);
        check_passes((framed(&first) + &framed(PING)).as_bytes(), &[too_large, PING]).await;
        check_passes((framed(&last) + &framed(PING)).as_bytes(), &[too_large, PING]).await;
        check_passes((framed(&none) + &framed(PING)).as_bytes(), &[PING]).await;
    }
}
