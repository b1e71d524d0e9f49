//! The daemon's side: requests on standard input, answers and news on standard output, one JSON message a line.
//!
//! Nothing here is waited for by a connection. When nobody is there any more, the last policy stays in force.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use boxwood_protocol::egress::EgressAction;
use boxwood_protocol::gateway::{Answer, Ask, MAX_LINE_BYTES, Notice, Refusal, Request};
use serde::Serialize;
use serde_json::error::Category;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroize as _;

use crate::outbox::Out;
use crate::state::State;

const VERSION: &str = "2.0";
// JSON-RPC 2.0, section 5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const INVALID_PARAMS: i32 = -32602;
/// How long it is waited for somebody to come back after the end of input.
const AWAY: Duration = Duration::from_secs(1);
/// A buffer that a long message left behind is given back.
const USUAL: usize = 64 * 1024;

/// Reads requests for ever. The end of input is only the end of one conversation.
pub async fn listen(state: &Arc<State>, mut input: impl AsyncBufRead + Unpin) {
    let mut line = Vec::new();
    let mut is_away = false;
    loop {
        match read_line(&mut input, &mut line).await {
            Ok(Line::Whole) => {
                if std::mem::take(&mut is_away) {
                    state.tell_ready();
                }
                if !line.trim_ascii().is_empty() {
                    let answer = answer(state, &line);
                    state.outbox.answer(write(&answer)).await;
                }
            }
            Ok(Line::TooLong) => {
                let message = format!("a message is longer than {MAX_LINE_BYTES} bytes");
                state.outbox.answer(write(&refuse(0, INVALID_REQUEST, message))).await;
            }
            Ok(Line::End) | Err(_) => {
                is_away = true;
                // A pipe that has lost its writers does not announce that one came back.
                tokio::time::sleep(AWAY).await;
            }
        }
        // It may have had credentials in it.
        line.zeroize();
        line.shrink_to(USUAL);
    }
}

/// Writes answers and news for ever, or until nobody can read them.
///
/// # Errors
/// When the output is closed.
pub async fn tell(state: &State, mut output: impl AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let mut line = match state.outbox.next().await {
            Out::Line(line) => line,
            Out::Tell(tell) => write(&Notice { jsonrpc: VERSION.to_owned(), tell }),
        };
        line.push('\n');
        output.write_all(line.as_bytes()).await?;
        output.flush().await?;
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads a line without its end; what is too long is read and forgotten.
async fn read_line(input: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<Line> {
    let mut is_too_long = false;
    loop {
        let available = input.fill_buf().await?;
        if available.is_empty() {
            return Ok(Line::End);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        is_too_long |= line.len() + part.len() > MAX_LINE_BYTES;
        if is_too_long {
            line.clear();
        } else {
            append(line, part);
        }
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(if is_too_long { Line::TooLong } else { Line::Whole });
        }
    }
}

/// As `extend_from_slice`, which would leave a copy behind where the line grows out of its place.
fn append(line: &mut Vec<u8>, part: &[u8]) {
    if line.capacity() - line.len() < part.len() {
        let mut larger = Vec::with_capacity((2 * line.capacity()).max(line.len() + part.len()));
        larger.extend_from_slice(line);
        std::mem::replace(line, larger).zeroize();
    }
    line.extend_from_slice(part);
}

/// Does what a line asks for.
#[must_use]
pub fn answer(state: &Arc<State>, line: &[u8]) -> Answer {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(cause) => {
            // With its number, if it has one, so that whoever asked learns it.
            let id = serde_json::from_slice::<Numbered>(line).map_or(0, |numbered| numbered.id);
            // The cause's own words may repeat a value.
            let what = match cause.classify() {
                Category::Data => "it is not a request that this gateway knows",
                Category::Io | Category::Syntax | Category::Eof => "it is not JSON",
            };
            return refuse(id, PARSE_ERROR, format!("the message cannot be read: {what}"));
        }
    };
    let id = request.id;
    if request.jsonrpc != VERSION {
        return refuse(id, INVALID_REQUEST, format!("the protocol is not {VERSION}"));
    }
    match request.ask {
        Ask::Status(_) => {}
        Ask::Configure(configure) => {
            if let Err(cause) = state.configure(&configure) {
                return refuse(id, INVALID_PARAMS, cause.to_string());
            }
        }
        Ask::Decide(decide) => {
            if decide.action == EgressAction::Ask {
                return refuse(id, INVALID_PARAMS, "an answer is allow or deny".to_owned());
            }
            if !state.asks.answer(&decide.ask, decide.action) {
                return refuse(id, INVALID_PARAMS, format!("nothing waits under '{}' any more", decide.ask));
            }
        }
    }
    Answer { jsonrpc: VERSION.to_owned(), id, result: Some(state.status()), error: None }
}

#[derive(serde::Deserialize)]
struct Numbered {
    id: u64,
}

fn refuse(id: u64, code: i32, message: String) -> Answer {
    Answer { jsonrpc: VERSION.to_owned(), id, result: None, error: Some(Refusal { code, message }) }
}

fn write(message: &impl Serialize) -> String {
    // Strings, numbers and lists of them: nothing that JSON could not hold.
    serde_json::to_string(message).unwrap_or_default()
}
