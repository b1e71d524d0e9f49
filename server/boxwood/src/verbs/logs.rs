//! `logs`: what the main process wrote, and goes on to write.

use std::io::{ErrorKind, Write as _};

use boxwood_client::Connection;
use boxwood_engine::{Engine as _, OutputStream};
use boxwood_protocol::contract::{Attach, Logs};
use boxwood_protocol::params::{AttachParams, LogsParams, SandboxRef};
use boxwood_protocol::{ErrorCode, RpcError};
use futures::StreamExt as _;
use serde::Serialize;

use super::Outcome;
use crate::args::LogsArguments;
use crate::context::Context;
use crate::session;

/// One line of `logs --follow --json`.
#[derive(Serialize)]
struct Piece<'a> {
    stream: &'static str,
    text: &'a str,
}

pub(super) async fn logs(arguments: LogsArguments, context: &Context) -> Outcome {
    let LogsArguments { target, follow, tail } = arguments;
    let target = context.target(target)?;
    let connection = context.connect().await?;
    if follow {
        match follow_logs(&connection, context, &target, tail).await {
            // What ended has nothing to follow, and still something to show.
            Err(error) if error.code == ErrorCode::SandboxNotRunning => {}
            outcome => return outcome,
        }
    }
    let result = context.run::<Logs>(&connection, &LogsParams { target, tail: Some(tail) }).await?;
    if result.lines.is_empty() {
        context.screen.note("Its main process has written nothing.");
    }
    context.screen.show(&result, |_| result.lines.iter().map(|line| format!("{line}\n")).collect())?;
    Ok(0)
}

async fn follow_logs(connection: &Connection, context: &Context, target: &SandboxRef, tail: u32) -> Outcome {
    let params = AttachParams { target: target.clone(), ..AttachParams::default() };
    let target = connection.call::<Attach>(&params).await?;
    let engine = session::engine(&target)?;
    let stream = engine.logs(&target.container_id, Some(tail), true).await;
    let mut stream = stream.map_err(|error| session::failed("read the sandbox's output", &error))?;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| session::failed("read the sandbox's output", &error))?;
        let (name, is_error) = match piece.stream {
            OutputStream::Stdout => ("stdout", false),
            OutputStream::Stderr => ("stderr", true),
        };
        if context.screen.json {
            context.screen.json_line(&Piece { stream: name, text: &String::from_utf8_lossy(&piece.bytes) })?;
        } else if !write(&piece.bytes, is_error)? {
            break;
        }
    }
    Ok(0)
}

/// Writes bytes as they are; false when nobody reads them any more.
fn write(bytes: &[u8], is_error: bool) -> Result<bool, RpcError> {
    let written = if is_error {
        std::io::stderr().lock().write_all(bytes)
    } else {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    };
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(RpcError::new(ErrorCode::StateFailed, "the output could not be written").caused_by(error)),
    }
}
