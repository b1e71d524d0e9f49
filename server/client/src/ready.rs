//! How a daemon that was started on demand says that it listens, or why it does not.
//!
//! Its standard output is a pipe to whoever started it. It writes one line there, `ready` or an error as JSON, and
//! lets go of the pipe. So the starter waits for an event and never asks again and again.

use std::io::{self, Write as _};

use boxwood_protocol::RpcError;

/// What a listening daemon writes.
const LISTENING: &str = "ready";

/// Says to the starter that this daemon listens, or why it does not, and points standard output elsewhere.
///
/// # Errors
///
/// When nobody reads any more; the daemon can go on nevertheless.
pub fn report(outcome: Result<(), &RpcError>) -> io::Result<()> {
    let line = match outcome {
        Ok(()) => LISTENING.to_owned(),
        Err(error) => serde_json::to_string(error)?,
    };
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    release()?;
    written
}

/// Standard output must stay open, or the next file to be opened would get its number.
#[cfg(unix)]
fn release() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(&null)?)
}

#[cfg(not(unix))]
fn release() -> io::Result<()> {
    Ok(())
}

/// Reads what a daemon reported; `None` when it ended without a word.
pub(crate) fn read(line: &str) -> Option<Result<(), RpcError>> {
    match line.trim() {
        "" => None,
        LISTENING => Some(Ok(())),
        error => serde_json::from_str(error).ok().map(Err),
    }
}

#[cfg(test)]
mod tests {
    use boxwood_protocol::ErrorCode;

    use super::*;

    #[test]
    fn what_is_reported_is_read() {
        assert_eq!(read("ready\n"), Some(Ok(())));
        assert_eq!(read(""), None);
        let error = RpcError::new(ErrorCode::SocketUnsafe, "no").caused_by("because");
        assert_eq!(read(&serde_json::to_string(&error).expect("json")), Some(Err(error)));
    }
}
