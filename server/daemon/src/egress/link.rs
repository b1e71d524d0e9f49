//! A conversation with one gateway: requests with their answers, and what it tells by itself.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use boxwood_engine::{EngineStream, Output, OutputStream};
use boxwood_protocol::gateway::{Answer, Ask, MAX_LINE_BYTES, Notice, Request, Status, Tell};
use boxwood_protocol::{ErrorCode, RpcError};
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::{self, Result};

/// How long a gateway has for an answer. It needs milliseconds; a machine under load gets much more.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that may wait for the conversation to be taken up again.
const BACKLOG: usize = 64;
/// Lines of one conversation that are logged although they say nothing we know.
const LOGGED: u32 = 20;

/// A request that waits for its answer.
pub(super) struct Wish {
    ask: Ask,
    answer: oneshot::Sender<Result<()>>,
}

/// What requests wait in until the conversation takes them.
pub(super) type Wishes = mpsc::Receiver<Wish>;

/// The way to ask a gateway. It outlives single conversations: a request made between two of them waits a moment.
#[derive(Clone)]
pub(super) struct Gateway {
    wishes: mpsc::Sender<Wish>,
}

impl Gateway {
    pub(super) fn new() -> (Self, Wishes) {
        let (wishes, receiver) = mpsc::channel(BACKLOG);
        (Self { wishes }, receiver)
    }

    /// Asks and waits until it is done, also when the conversation breaks off in between. The status that comes with the
    /// answer is heard before this returns.
    pub(super) async fn ask(&self, ask: Ask) -> Result<()> {
        self.ask_within(ask, PATIENCE).await
    }

    /// As [`Self::ask`], for questions whose answer would be nice to have.
    pub(super) async fn ask_within(&self, ask: Ask, patience: Duration) -> Result<()> {
        let asked = async {
            loop {
                let (answer, answered) = oneshot::channel();
                let wish = Wish { ask: ask.clone(), answer };
                self.wishes.send(wish).await.map_err(|_| silent("the conversation has ended"))?;
                // One that broke off is taken up again, and every question may be asked twice.
                if let Ok(answer) = answered.await {
                    return answer;
                }
            }
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or_else(|_| Err(silent(&format!("no answer within {} seconds", patience.as_secs_f32()))))
    }
}

fn silent(why: &str) -> RpcError {
    RpcError::new(ErrorCode::EgressGateway, "the sandbox's gateway does not answer").caused_by(why)
}

/// The two ends of a gateway's standard streams.
pub(super) struct Streams {
    pub(super) output: EngineStream<Output>,
    pub(super) input: Pin<Box<dyn AsyncWrite + Send>>,
}

type Waiting = Mutex<HashMap<u64, oneshot::Sender<Result<()>>>>;

/// What a gateway says. Whatever order it says it in is the order in which it is true.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// How it is; that came with an answer.
    Status(Status),
    /// News.
    Tell(Tell),
}

/// Carries a conversation on until one side ends it; says how it ended.
pub(super) async fn converse(streams: Streams, wishes: &mut Wishes, mut hear: impl FnMut(Heard)) -> String {
    let waiting = Waiting::default();
    let Streams { output, input } = streams;
    // What still waits for an answer is told that there is none by the end of its sender.
    tokio::select! {
        end = read(output, &waiting, &mut hear) => end,
        end = write(input, wishes, &waiting) => end,
    }
}

async fn write(mut input: Pin<Box<dyn AsyncWrite + Send>>, wishes: &mut Wishes, waiting: &Waiting) -> String {
    let mut id = 0;
    // An earlier conversation may have broken off in the middle of a line.
    let mut text = Zeroizing::new(b"\n".to_vec());
    loop {
        if let Err(cause) = async {
            input.write_all(&text).await?;
            input.flush().await
        }
        .await
        {
            return cause.to_string();
        }
        // There may have been credentials in it.
        text.zeroize();
        let Some(Wish { ask, answer }) = wishes.recv().await else { return "it is no longer needed".to_owned() };
        if answer.is_closed() {
            continue;
        }
        id += 1;
        text = match serde_json::to_vec(&Request { jsonrpc: "2.0".to_owned(), id, ask }).map(Zeroizing::new) {
            Ok(text) if text.len() < MAX_LINE_BYTES => text,
            Ok(_) => {
                let problem = error::internal("the policy is too large for the gateway")
                    .hint(format!("it may have {MAX_LINE_BYTES} bytes; use fewer rules"));
                let _ = answer.send(Err(problem));
                continue;
            }
            Err(cause) => return cause.to_string(),
        };
        text.push(b'\n');
        waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
    }
}

async fn read(mut output: EngineStream<Output>, waiting: &Waiting, hear: &mut impl FnMut(Heard)) -> String {
    let (mut lines, mut words) = (Lines::default(), Lines::default());
    let mut foreign = 0;
    loop {
        let piece = match output.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(cause)) => return cause.to_string(),
            None => return "its output ended".to_owned(),
        };
        if piece.stream == OutputStream::Stderr {
            words.push(&piece.bytes, |line| {
                note(&mut foreign, || tracing::info!(line = %printable(line), "a gateway says"));
            });
            continue;
        }
        lines.push(&piece.bytes, |line| match serde_json::from_slice(line) {
            Ok(Line::Answer(answer)) => deliver(waiting, answer, hear),
            Ok(Line::Notice(notice)) => hear(Heard::Tell(notice.tell)),
            Err(cause) => note(
                &mut foreign,
                || tracing::warn!(line = %printable(line), %cause, "a gateway said something unknown"),
            ),
        });
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Answer(Answer),
    Notice(Notice),
}

/// Passes on an answer. Its status is heard here and now: whoever asked goes on later, after further news perhaps.
fn deliver(waiting: &Waiting, answer: Answer, hear: &mut impl FnMut(Heard)) {
    let asked = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&answer.id);
    let Some(asked) = asked else { return };
    let outcome = match (answer.result, answer.error) {
        (Some(status), _) => {
            hear(Heard::Status(status));
            Ok(())
        }
        (None, Some(refusal)) => {
            Err(RpcError::new(ErrorCode::EgressGateway, "the sandbox's gateway refused").caused_by(refusal.message))
        }
        (None, None) => Err(silent("its answer is empty")),
    };
    // Whoever asked may have lost patience.
    let _ = asked.send(outcome);
}

/// A conversation that is full of noise is not worth a full log.
fn note(count: &mut u32, log: impl FnOnce()) {
    *count += 1;
    if *count <= LOGGED {
        log();
    }
}

fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(400)]).escape_debug().collect()
}

/// Puts pieces together to lines. One that is too long is left out.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.add(&rest[..end]);
            if !self.is_too_long && !self.begun.is_empty() {
                line(&self.begun);
            }
            self.begun.clear();
            self.is_too_long = false;
            rest = &rest[end + 1..];
        }
        self.add(rest);
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.begun.len() + bytes.len() > MAX_LINE_BYTES {
            self.is_too_long = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::fake::FakeGateway;

    #[test]
    fn lines_are_put_together_and_endless_ones_left_out() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        lines.push(b"a\nb", |line| seen.push(line.to_vec()));
        lines.push(b"c\n\n", |line| seen.push(line.to_vec()));
        lines.push(&vec![b'x'; MAX_LINE_BYTES], |line| seen.push(line.to_vec()));
        lines.push(b"y\nd\n", |line| seen.push(line.to_vec()));
        assert_eq!(seen, [b"a".to_vec(), b"bc".to_vec(), b"d".to_vec()]);
    }

    #[tokio::test]
    async fn answers_find_their_questions_through_noise() {
        let gateway = FakeGateway::new();
        let (asker, mut wishes) = Gateway::new();
        let streams = gateway.attach();
        gateway.say("no json at all");
        gateway.say(r#"{"jsonrpc":"2.0","method":"sing","params":{}}"#);
        gateway.say(r#"{"jsonrpc":"2.0","id":77,"result":null}"#);
        let mut heard = Vec::new();
        let conversation = converse(streams, &mut wishes, |one| heard.push(one));
        let questions = async {
            let (a, b) =
                tokio::join!(asker.ask(Ask::Status(Default::default())), asker.ask(Ask::Status(Default::default())));
            assert!(a.is_ok() && b.is_ok());
            gateway.tell(&Tell::Asked { id: "7".to_owned() });
            gateway.hang_up();
        };
        let (end, ()) = tokio::join!(conversation, questions);
        assert_eq!(end, "its output ended");
        assert!(matches!(&heard[..2], [Heard::Status(a), Heard::Status(b)] if (a.run, b.run) == (1, 1)), "{heard:?}");
        assert_eq!(heard[2..], [Heard::Tell(Tell::Asked { id: "7".to_owned() })]);
    }

    #[tokio::test]
    async fn a_gateway_that_says_nothing_is_not_waited_for() {
        let (asker, _wishes) = Gateway::new();
        let problem = asker.ask_within(Ask::Status(Default::default()), Duration::ZERO).await.expect_err("silence");
        assert_eq!(problem.code, ErrorCode::EgressGateway);
    }
}
