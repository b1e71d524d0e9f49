//! Reading a line that is not shown while it is typed.

use std::io::{self, BufRead as _};

use boxwood_protocol::credentials::Secret;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::output::Screen;

/// Asks on the same line and gives what was typed or pasted; empty when the input has ended.
pub(super) async fn read(screen: Screen, question: &str) -> Result<Secret, RpcError> {
    let unread = |cause: &dyn std::fmt::Display| {
        RpcError::new(ErrorCode::Cancelled, "the code could not be read").caused_by(cause)
    };
    // Held here and not by the thread that reads, which nobody can end: whatever ends the waiting shows letters again.
    let silence = Silence::begin().map_err(|cause| unread(&cause))?;
    screen.prompt(question);
    let line = tokio::task::spawn_blocking(read_line).await.map_err(|cause| unread(&cause))?;
    if silence.is_some() {
        // The Enter key was not shown either.
        screen.prompt("\n");
    }
    line.map_err(|cause| unread(&cause))
}

fn read_line() -> io::Result<Secret> {
    // Room for any code at once: a text that grows leaves copies behind.
    let mut line = String::with_capacity(8192);
    let read = io::stdin().lock().read_line(&mut line);
    let line = Secret::new(line);
    read.map(|_| line)
}

/// While it lives, the terminal shows nothing of what is typed.
#[cfg(unix)]
struct Silence {
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Silence {
    /// `None` where the input is no terminal, which shows nothing anyway.
    fn begin() -> io::Result<Option<Self>> {
        use std::io::IsTerminal as _;

        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Some(Self { before }))
    }
}

/// The code is good for once and for minutes, so it is asked for also where it cannot be hidden.
#[cfg(not(unix))]
enum Silence {}

#[cfg(not(unix))]
impl Silence {
    const fn begin() -> io::Result<Option<Self>> {
        Ok(None)
    }
}

#[cfg(unix)]
impl Drop for Silence {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // The terminal may be gone; then there is nothing to put back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
