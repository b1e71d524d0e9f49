//! Ctrl-C while an operation runs: the first cancels it, the second leaves at once.

use std::time::Duration;

use boxwood_client::Cancel;
use boxwood_protocol::{ErrorCode, RpcError};
use futures::stream::{self, Stream, StreamExt as _};
use tokio::task::JoinHandle;

use crate::output::Screen;

/// Exit status after an interrupt, as shells have it.
const INTERRUPTED: i32 = 130;

/// How long the second interrupt waits for the daemon to take the first one, which is a matter of milliseconds: whoever
/// left before that would leave the operation running.
const UNANSWERED: Duration = Duration::from_secs(2);

/// Watches for interrupts until dropped.
pub(crate) struct Interrupt {
    cancel: Cancel,
    watch: JoinHandle<()>,
}

impl Interrupt {
    /// Wishes for the end of the operation at the first interrupt and ends the process at the second.
    pub(crate) fn cancelling(screen: Screen) -> Result<Self, RpcError> {
        let mut interrupts = interrupts().map_err(|error| {
            RpcError::new(ErrorCode::Internal, "signals cannot be watched on this system").caused_by(error)
        })?;
        let cancel = Cancel::default();
        let wish = cancel.clone();
        let watch = tokio::spawn(async move {
            let presses = stream::poll_fn(|context| interrupts.poll_recv(context));
            let say = || screen.note("Cancelling and undoing what was done; once more leaves at once.");
            if !watch(presses, &wish, say).await {
                screen.warn("the daemon does not answer, so what was begun may go on; 'boxwood doctor' says more");
            }
            std::process::exit(INTERRUPTED);
        });
        Ok(Self { cancel, watch })
    }

    /// Wished by the first interrupt.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Completes when it is time to leave, and says whether the daemon knows that the operation is to stop.
async fn watch(mut presses: impl Stream<Item = ()> + Unpin, cancel: &Cancel, say: impl FnOnce()) -> bool {
    presses.next().await;
    cancel.wish();
    say();
    presses.next().await;
    tokio::select! {
        biased;
        () = cancel.taken() => true,
        _ = presses.next() => false,
        () = tokio::time::sleep(UNANSWERED) => false,
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

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;

    use super::*;

    /// Where presses come from, and the watch, which says what it said.
    fn watched(cancel: &Cancel) -> (mpsc::UnboundedSender<()>, JoinHandle<bool>, mpsc::UnboundedReceiver<()>) {
        let (press, presses) = mpsc::unbounded();
        let (said, says) = mpsc::unbounded();
        let cancel = cancel.clone();
        let watching =
            tokio::spawn(async move { watch(presses, &cancel, || said.unbounded_send(()).expect("heard")).await });
        (press, watching, says)
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_press_leaves_when_the_daemon_knows_and_not_before() {
        let cancel = Cancel::default();
        let (press, mut watching, mut says) = watched(&cancel);
        press.unbounded_send(()).expect("watched");
        cancel.wished().await;
        assert_eq!(says.next().await, Some(()));
        press.unbounded_send(()).expect("watched");
        let nearly = UNANSWERED - Duration::from_millis(10);
        assert!(tokio::time::timeout(nearly, &mut watching).await.is_err(), "it left before the daemon knew");
        cancel.take();
        assert!(watching.await.expect("left"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_press_alone_leaves_never_and_a_second_at_once_when_the_daemon_knows() {
        let cancel = Cancel::default();
        let (press, mut watching, _says) = watched(&cancel);
        press.unbounded_send(()).expect("watched");
        cancel.wished().await;
        cancel.take();
        assert!(tokio::time::timeout(Duration::from_secs(3600), &mut watching).await.is_err(), "it left");
        press.unbounded_send(()).expect("watched");
        let before = tokio::time::Instant::now();
        assert!(watching.await.expect("left"));
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_does_not_answer_keeps_nobody() {
        for presses in [2, 3] {
            let cancel = Cancel::default();
            let (press, watching, _says) = watched(&cancel);
            for _ in 0..presses {
                press.unbounded_send(()).expect("watched");
            }
            let before = tokio::time::Instant::now();
            assert!(!watching.await.expect("left"));
            // The third is not kept waiting at all.
            assert_eq!(before.elapsed() >= UNANSWERED, presses == 2);
        }
    }
}
