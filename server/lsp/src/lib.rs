//! The language server: an editor's way to the daemon, and language features.
//!
//! Requests of the product's namespace go to the daemon as they are and its events come back as notifications, so no
//! method is listed here ([`relay`], [`link`]). What an editor sends is checked before anything reads it
//! ([`framing`]). Language features stand in [`features`].

pub mod features;
mod framing;
mod link;
mod relay;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use boxwood_client::Launcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower_lsp::{LspService, Server};

use crate::link::Link;
use crate::relay::Relay;

/// Requests that may be under way at once. Each waits in a task of its own, so a high number costs little, and a low
/// one would let waiting requests delay others.
const AT_ONCE: usize = 4096;

/// Bytes that pass between the checking of messages and their reading.
const PASSING: usize = 64 * 1024;

/// How long answers may take to be written once the editor has left.
const LEAVING: Duration = Duration::from_secs(2);

/// Serves the editor on standard input and output until it leaves.
#[must_use]
pub fn run() -> ExitCode {
    let paths = boxwood_client::paths();
    if let Err(error) = boxwood_client::log::init(&paths.log_dir(), "lsp") {
        eprintln!("boxwood lsp: no log file in {}: {error}", paths.log_dir().display());
    }
    let launcher = match Launcher::new("lsp") {
        Ok(launcher) => launcher,
        Err(error) => {
            eprintln!("boxwood lsp: {error}");
            return ExitCode::from(error.code.exit_code());
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("boxwood lsp: the system gives no resources to start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let is_orderly = runtime.block_on(serve(tokio::io::stdin(), tokio::io::stdout(), launcher));
    // A thread may still wait for input that nobody will read.
    runtime.shutdown_background();
    if is_orderly { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Serves an editor until its input ends or it says `exit`. False when it said so without `shutdown` before, as the
/// protocol has it.
pub async fn serve(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Send,
    launcher: Launcher,
) -> bool {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "serving an editor");
    let leaving = CancellationToken::new();
    let mut link = None;
    let (service, socket) = LspService::new(|client| {
        let link = link.insert(Link::new(launcher, client));
        server::Boxwood::new(link.clone())
    });
    // The closure above has run by now.
    let Some(link) = link else { return false };
    let relay = Relay::new(service, link.clone(), leaving.clone());
    let is_orderly = relay.is_orderly();

    let (checked, reading) = tokio::io::duplex(PASSING);
    let checking = tokio::spawn(framing::check(input, checked, leaving.clone()));
    let serving = Server::new(reading, output, socket).concurrency_level(AT_ONCE).serve(relay);
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = leaving.cancelled() => {
            link.close();
            if tokio::time::timeout(LEAVING, serving).await.is_err() {
                tracing::warn!("the editor does not read its last answers");
            }
        }
    }
    link.close();
    checking.abort();
    tracing::info!("the editor has left");
    is_orderly()
}
