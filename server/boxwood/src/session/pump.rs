//! Passing bytes: this process's input to the command, the command's output to this process.

use std::io::ErrorKind;

use boxwood_engine::{OutputStream, Running};
use futures::StreamExt as _;
use tokio::io::{AsyncWriteExt as _, Stderr, Stdout};

use super::signals::{Sandbox, Signals};

/// How the passing ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The command's output ended, so the command did, or the sandbox.
    OutputClosed,
    /// Nobody reads this process's output any more.
    ReaderGone,
    /// This process's output cannot be written.
    OutputFailed(std::io::Error),
    /// A signal ended this process's part.
    Killed(u8),
}

/// Passes bytes and signals until the command's output ends.
pub(super) async fn run(running: Running, sandbox: &Sandbox<'_>, signals: &mut Signals, has_input: bool) -> Ended {
    let Running { mut output, mut input, .. } = running;
    let feeding = async move {
        if has_input {
            // The command may well end before its input does.
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut input).await;
        }
        let _ = input.shutdown().await;
        // Kept: with some engines, dropping the input would close the output as well.
        std::future::pending::<()>().await;
        drop(input);
    };
    let showing = async {
        let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
        while let Some(Ok(piece)) = output.next().await {
            let written = match piece.stream {
                OutputStream::Stdout => write_out(&mut stdout, &piece.bytes).await,
                OutputStream::Stderr => write_err(&mut stderr, &piece.bytes).await,
            };
            match written {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ended::ReaderGone,
                Err(error) => return Ended::OutputFailed(error),
            }
        }
        Ended::OutputClosed
    };
    tokio::select! {
        () = feeding => Ended::OutputClosed,
        ended = showing => ended,
        status = signals.pass_on(sandbox) => Ended::Killed(status),
    }
}

async fn write_out(stdout: &mut Stdout, bytes: &[u8]) -> std::io::Result<()> {
    stdout.write_all(bytes).await?;
    stdout.flush().await
}

async fn write_err(stderr: &mut Stderr, bytes: &[u8]) -> std::io::Result<()> {
    stderr.write_all(bytes).await?;
    stderr.flush().await
}
