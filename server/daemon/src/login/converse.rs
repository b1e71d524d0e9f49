//! The conversation with `claude` on its terminal, until it has ended.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use boxwood_core::credentials::Secret;
use boxwood_core::login::{Failure, Seen, SignIn};
use boxwood_engine::{EngineStream, Output};
use boxwood_protocol::login::{LoginAsk, LoginKind};
use boxwood_protocol::{ErrorCode, RpcError};
use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{self, Result};

/// How long `claude` may take to leave after it has signed in.
const PARTING: Duration = Duration::from_secs(20);

/// What the person says meanwhile.
#[derive(Debug)]
pub(super) enum Word {
    /// What was copied in the browser.
    Code(Secret),
    /// Whether another account may take the place of the one before.
    Accept(bool),
}

/// The terminal.
pub(super) struct Terminal {
    pub(super) output: EngineStream<Output>,
    pub(super) input: Pin<Box<dyn AsyncWrite + Send>>,
}

/// Signs in. Gives the token, where the way to sign in gives one; all else is in Claude's files by then.
pub(super) async fn converse<S>(
    mut terminal: Terminal,
    kind: LoginKind,
    words: &mut UnboundedReceiver<Word>,
    tell: impl Fn(LoginAsk),
    status: impl FnOnce() -> S,
) -> Result<Option<Secret>>
where
    S: Future<Output = Result<i64>>,
{
    let mut sign_in = SignIn::new(kind);
    let mut token = None;
    let broken = |cause: std::io::Error| error::internal("the terminal of the sign-in broke").caused_by(cause);
    loop {
        let parting = async {
            match sign_in.is_well() {
                true => tokio::time::sleep(PARTING).await,
                false => std::future::pending().await,
            }
        };
        let seen = tokio::select! {
            output = terminal.output.next() => match output {
                Some(Ok(output)) => sign_in.feed(&output.bytes),
                Some(Err(cause)) => return Err(error::engine("read what Claude Code shows", &cause)),
                None => break,
            },
            Some(word) = words.recv() => match word {
                // Whoever asked twice has given it already.
                Word::Code(code) if sign_in.wants_code() => match sign_in.answer(&code) {
                    Ok(keys) => vec![Seen::Type(keys)],
                    Err(cause) => {
                        tell(LoginAsk::WrongCode { reason: cause.to_string() });
                        continue;
                    }
                },
                Word::Code(_) | Word::Accept(_) => continue,
            },
            // It has done what it was for.
            () = parting => return Ok(token),
        };
        for seen in seen {
            take(seen, &mut token, &tell, &mut terminal.input).await.map_err(|cause| match cause {
                Stop::Failed(failure) => problem(&failure),
                Stop::Broken(cause) => broken(cause),
            })?;
        }
    }
    // The line that says why may be the last one.
    let seen = if sign_in.is_well() { Vec::new() } else { sign_in.end(status().await?) };
    for seen in seen {
        match seen {
            Seen::Failed(failure) => return Err(problem(&failure)),
            Seen::Token(made) => token = Some(made),
            Seen::SignedIn | Seen::Url(_) | Seen::WantsCode | Seen::Type(_) => {}
        }
    }
    Ok(token)
}

enum Stop {
    Failed(Failure),
    Broken(std::io::Error),
}

async fn take(
    seen: Seen,
    token: &mut Option<Secret>,
    tell: &impl Fn(LoginAsk),
    input: &mut Pin<Box<dyn AsyncWrite + Send>>,
) -> std::result::Result<(), Stop> {
    match seen {
        Seen::Url(address) => tell(LoginAsk::Url { url: address.as_str().to_owned() }),
        Seen::WantsCode => tell(LoginAsk::WantsCode),
        Seen::Type(keys) => {
            input.write_all(keys.reveal().as_bytes()).await.map_err(Stop::Broken)?;
            input.flush().await.map_err(Stop::Broken)?;
        }
        Seen::Token(made) => *token = Some(made),
        Seen::SignedIn => {}
        Seen::Failed(failure) => return Err(Stop::Failed(failure)),
    }
    Ok(())
}

fn problem(failure: &Failure) -> RpcError {
    match failure {
        Failure::WrongCode => RpcError::new(ErrorCode::LoginWrongCode, "Claude did not accept the code"),
        Failure::Address(_) => RpcError::new(ErrorCode::LoginFailed, "the sign-in was stopped")
            .caused_by(failure)
            .hint("do not open the address; run 'boxwood doctor', and 'boxwood cleanup-all' to have Claude Code anew"),
        Failure::Said(_) | Failure::Ended(_) => {
            RpcError::new(ErrorCode::LoginFailed, "Claude Code could not sign in").caused_by(failure)
        }
    }
}
