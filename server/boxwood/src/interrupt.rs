//! Ctrl-C while an operation runs: the first cancels it, the second leaves at once.

use boxwood_protocol::{ErrorCode, RpcError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::output::Screen;

/// Exit status after an interrupt, as shells have it.
const INTERRUPTED: i32 = 130;

/// Watches for interrupts until dropped.
pub(crate) struct Interrupt {
    token: CancellationToken,
    watch: JoinHandle<()>,
}

impl Interrupt {
    /// Triggers a token at the first interrupt and ends the process at the second.
    pub(crate) fn cancelling(screen: Screen) -> Result<Self, RpcError> {
        let mut interrupts = interrupts().map_err(|error| {
            RpcError::new(ErrorCode::Internal, "signals cannot be watched on this system").caused_by(error)
        })?;
        let token = CancellationToken::new();
        let watched = token.clone();
        let watch = tokio::spawn(async move {
            interrupts.recv().await;
            watched.cancel();
            screen.note("Cancelling and undoing what was done; once more leaves at once.");
            interrupts.recv().await;
            std::process::exit(INTERRUPTED);
        });
        Ok(Self { token, watch })
    }

    /// Triggered by the first interrupt.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[cfg(unix)]
fn interrupts() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn interrupts() -> std::io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}
