//! Passing bytes: this process's input to the command, the command's output to this process.

use std::io::ErrorKind;

use boxwood_engine::{OutputStream, Running};
use futures::StreamExt as _;
use tokio::io::{AsyncWriteExt as _, Stderr, Stdout};

use super::signals::{Sandbox, Signals};

/// How the engine begins when it says that it could not start a command.
const REFUSAL: &[u8] = b"OCI runtime exec failed";

/// How the passing ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The command's output ended, so the command did, or the sandbox. What looked like the engine's own words, and
    /// nothing came after it, was not passed on.
    OutputClosed { refusal: Vec<u8> },
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
        // Some engines give the reason why a command did not start as if the command had written it.
        let (mut refusal, mut is_first) = (Vec::new(), true);
        while let Some(Ok(piece)) = output.next().await {
            if std::mem::take(&mut is_first) && piece.stream == OutputStream::Stdout && piece.bytes.starts_with(REFUSAL)
            {
                refusal = piece.bytes.to_vec();
                continue;
            }
            if !refusal.is_empty()
                && let Err(error) = write_out(&mut stdout, &std::mem::take(&mut refusal)).await
            {
                return Ended::OutputFailed(error);
            }
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
        Ended::OutputClosed { refusal }
    };
    tokio::select! {
        () = feeding => Ended::OutputClosed { refusal: Vec::new() },
        ended = showing => ended,
        status = signals.pass_on(sandbox) => Ended::Killed(status),
    }
}

/// Shows what was held back, and gives the command's status as a shell would: an engine's words about a command that
/// did not start are an error's, and a program that is not there is 127.
pub(super) async fn conclude(refusal: &[u8], status: Option<i64>) -> std::io::Result<Option<i64>> {
    if refusal.is_empty() || !matches!(status, Some(126 | 127)) {
        write_out(&mut tokio::io::stdout(), refusal).await?;
        return Ok(status);
    }
    let text = String::from_utf8_lossy(refusal);
    write_err(&mut tokio::io::stderr(), format!("{}\n", text.trim_end()).as_bytes()).await?;
    let is_missing = ["executable file not found", "no such file or directory"].iter().any(|why| text.contains(why));
    Ok(Some(if is_missing { 127 } else { 126 }))
}

async fn write_out(stdout: &mut Stdout, bytes: &[u8]) -> std::io::Result<()> {
    stdout.write_all(bytes).await?;
    stdout.flush().await
}

async fn write_err(stderr: &mut Stderr, bytes: &[u8]) -> std::io::Result<()> {
    stderr.write_all(bytes).await?;
    stderr.flush().await
}
