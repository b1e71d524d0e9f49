//! Taking a secret from the person: typed without being shown, or piped in. Never from an argument, which every process
//! of the machine can read.

use std::io::{self, IsTerminal as _, Read};

use boxwood_protocol::credentials::Secret;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::output::Screen;

/// Longer than any key or token.
const LONGEST: usize = 16 * 1024;

/// Room beyond that. A read that is larger than the buffer of standard input goes past it, and leaves no copy there.
const ROOM: usize = LONGEST + 64 * 1024;

/// The secret that the person types after `prompt`, or that comes through a pipe.
pub(crate) async fn read(screen: Screen, prompt: &str) -> Result<Secret, RpcError> {
    if !io::stdin().is_terminal() {
        let bytes = tokio::task::spawn_blocking(|| take(&mut io::stdin().lock(), false));
        return checked(bytes.await.map_err(|error| unread(&error))?.map_err(|error| unread(&error))?);
    }
    // Before anything is changed: what comes in between would leave the terminal hidden.
    let mut interrupts = Interrupts::watch();
    let hidden = Hidden::enter().map_err(|error| {
        RpcError::new(ErrorCode::InvalidParams, "what is typed here cannot be hidden")
            .caused_by(error)
            .hint("pipe the value into standard input instead")
    })?;
    screen.prompt(prompt);
    let bytes = tokio::select! {
        bytes = tokio::task::spawn_blocking(|| take(&mut io::stdin().lock(), true)) => Some(bytes),
        () = interrupts.first() => None,
    };
    // Lines that were pasted together belong together; what follows the first is not left for the shell to run.
    let has_more = hidden.has_more();
    drop(hidden);
    screen.prompt("\n");
    let Some(bytes) = bytes else {
        return Err(RpcError::new(ErrorCode::Cancelled, "nothing was done"));
    };
    let secret = checked(bytes.map_err(|error| unread(&error))?.map_err(|error| unread(&error))?)?;
    if has_more { Err(refused("it has several lines")) } else { Ok(secret) }
}

fn unread(error: &dyn std::fmt::Display) -> RpcError {
    RpcError::new(ErrorCode::InvalidParams, "the value could not be read").caused_by(error)
}

fn refused(why: &str) -> RpcError {
    RpcError::new(ErrorCode::InvalidParams, format!("this is no key or token: {why}"))
        .hint("give the value alone, on one line")
}

/// Reads up to the end of the input, or of a line, into memory that is never moved.
fn take(input: &mut impl Read, is_line: bool) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; ROOM];
    let mut length = 0;
    while length <= LONGEST {
        match input.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                drop(kept(bytes));
                return Err(error);
            }
        }
        if is_line && bytes[..length].contains(&b'\n') {
            break;
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// As a text that is overwritten when it goes. What is not plain text is not kept at all.
fn kept(mut bytes: Vec<u8>) -> Secret {
    if !bytes.is_ascii() {
        bytes.fill(b'\0');
    }
    Secret::new(String::from_utf8(bytes).unwrap_or_default())
}

/// The value without the end of its line, when it can be one.
fn checked(mut bytes: Vec<u8>) -> Result<Secret, RpcError> {
    let end = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).map_or(bytes.len(), <[u8]>::len);
    let is_long = bytes.len() > LONGEST;
    let is_plain = bytes.is_ascii();
    bytes.truncate(end);
    let secret = kept(bytes);
    let text = secret.reveal();
    let fault = if text.is_empty() {
        "it is empty"
    } else if is_long {
        "it is too long"
    } else if !is_plain {
        "it holds other characters than keys have"
    } else if text.contains(['\n', '\r']) {
        "it has several lines"
    } else if text.chars().any(|c| c.is_ascii_control()) {
        "it holds control characters"
    } else if text.contains(' ') {
        "it holds a space"
    } else {
        return Ok(secret);
    };
    Err(refused(fault))
}

/// Waits for the person, or whoever else ends this process, to have had enough: the terminal is then put back first.
#[cfg(unix)]
struct Interrupts(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Interrupts {
    fn watch() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        // One that cannot be watched ends the process as it always does.
        Self(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    async fn first(&mut self) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// Nothing is hidden there, so nothing has to be put back.
#[cfg(not(unix))]
struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    fn watch() -> Self {
        Self
    }

    async fn first(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
use unix::Hidden;
#[cfg(not(unix))]
use windows::Hidden;

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// While it lives, the terminal does not show what is typed.
    pub(super) struct Hidden {
        before: Termios,
    }

    impl Hidden {
        pub(super) fn enter() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
            // A line at a time, also where something left the terminal otherwise.
            hidden.local_modes.insert(LocalModes::ICANON | LocalModes::ISIG);
            tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?;
            Ok(Self { before })
        }

        /// Whether another line is there already.
        pub(super) fn has_more(&self) -> bool {
            let stdin = io::stdin();
            let mut waits = [PollFd::new(&stdin, PollFlags::IN)];
            poll(&mut waits, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // What was typed and not read goes too. The terminal may be gone; then there is nothing to put back.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod windows {
    use std::io;

    /// A terminal that shows what is typed is no place for a secret.
    pub(super) struct Hidden;

    impl Drop for Hidden {
        // There is nothing to put back.
        fn drop(&mut self) {}
    }

    impl Hidden {
        pub(super) fn enter() -> io::Result<Self> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "run this in a Linux shell of the Windows Subsystem for Linux",
            ))
        }

        pub(super) fn has_more(&self) -> bool {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &[u8]) -> Result<Secret, RpcError> {
        checked(take(&mut &*text, false).expect("read"))
    }

    #[test]
    fn a_value_loses_the_end_of_its_line_and_nothing_else() {
        for line in ["key", "key\n", "key\r\n"] {
            assert_eq!(read_all(line.as_bytes()).expect("a value").reveal(), "key");
        }
        assert_eq!(
            checked(take(&mut &b"key\nrest\n"[..], true).expect("read")).map(drop).err().map(|e| e.code),
            Some(ErrorCode::InvalidParams)
        );
    }

    #[test]
    fn what_cannot_be_a_value_is_refused_and_not_repeated() {
        let long = vec![b'k'; LONGEST + 1];
        let cases: [(&[u8], &str); 9] = [
            (b"", "empty"),
            (b"\n", "empty"),
            (b"canary\n\n", "several lines"),
            (b"canary\rmore", "several lines"),
            (b"canary\ncanary", "several lines"),
            (b"can\x1bary", "control"),
            (b"canary more", "a space"),
            ("canarü".as_bytes(), "other characters"),
            (&long, "too long"),
        ];
        for (value, why) in cases {
            let error = read_all(value).expect_err(why);
            assert_eq!((error.code, error.message.contains(why)), (ErrorCode::InvalidParams, true), "{error:?}");
            assert!(!format!("{error:?}").contains("can"), "{error:?}");
        }
    }

    #[test]
    fn a_pipe_without_end_is_not_read_for_ever() {
        let error = checked(take(&mut io::repeat(b'k'), false).expect("read")).expect_err("too long");
        assert!(error.message.contains("too long"), "{error:?}");
    }
}
