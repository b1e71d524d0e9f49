//! Signals as something to wait for: each arrives as a readable descriptor.
//!
//! Handlers, unlike ignored or blocked signals, are not inherited by the programs started here.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::SigId;
pub(crate) use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

use crate::linux::error::Error;

/// Readable after one of its signals has arrived.
#[derive(Debug)]
pub(crate) struct SignalPipe {
    reader: UnixStream,
    registered: Vec<SigId>,
}

impl SignalPipe {
    /// From now on these signals do nothing but make the pipe readable.
    pub(crate) fn catching(signals: &[i32]) -> Result<Self, Error> {
        let failed = |error| Error::system("catch signals", error);
        let (reader, writer) = UnixStream::pair().map_err(failed)?;
        reader.set_nonblocking(true).map_err(failed)?;
        let mut pipe = Self { reader, registered: Vec::new() };
        for signal in signals {
            let writer = writer.try_clone().map_err(failed)?;
            pipe.registered.push(signal_hook::low_level::pipe::register(*signal, writer).map_err(failed)?);
        }
        Ok(pipe)
    }

    /// An entry for `poll`.
    pub(crate) fn poll_entry(&self) -> PollFd<'_> {
        PollFd::new(&self.reader, PollFlags::IN)
    }

    /// Whether a signal has arrived since the last call.
    pub(crate) fn take(&mut self) -> bool {
        let mut bytes = [0; 64];
        let mut any = false;
        while self.reader.read(&mut bytes).is_ok_and(|count| count > 0) {
            any = true;
        }
        any
    }
}

impl Drop for SignalPipe {
    /// A handler that wrote to a pipe without a reader would raise a signal of its own. The caught signals stay
    /// without effect.
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// Sleeps until one of the entries is ready or the time is over; an interrupted sleep counts as over.
pub(crate) fn wait(entries: &mut [PollFd<'_>], limit: Option<Duration>) -> Result<(), Error> {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    match rustix::event::poll(entries, limit.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(Error::system("wait for events", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_makes_the_pipe_readable_once() {
        // A signal that no other test or the test runner uses.
        let signal = signal_hook::consts::SIGWINCH;
        let mut pipe = SignalPipe::catching(&[signal]).expect("pipe");
        assert!(!pipe.take());
        signal_hook::low_level::raise(signal).expect("raise");
        rustix::event::poll(&mut [pipe.poll_entry()], None).expect("poll");
        assert!(pipe.take());
        assert!(!pipe.take());
    }
}
