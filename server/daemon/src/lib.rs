//! The daemon: one process per user that owns sandboxes, operations and state.
//!
//! Clients come and go over a private socket; whatever takes time is an operation that outlives them. The engine's
//! labels say what exists, the state directory holds what labels cannot, and a journal holds what is being changed.

mod certificates;
mod claude_directory;
mod counted;
mod creation;
mod credentials;
mod daemon;
mod doctor;
mod egress;
mod error;
mod files;
mod git;
mod hub;
mod idle;
mod inside;
mod journal;
mod known;
mod lifecycle;
mod link;
mod listen;
mod login;
mod materials;
mod metrics;
mod operations;
mod project;
mod provisioning;
mod prune;
mod records;
mod registry;
#[cfg(test)]
mod registry_tests;
mod renewal;
mod repair;
mod rpc;
mod settings;
mod sys;
mod templates;
mod watcher;

use std::process::ExitCode;
use std::sync::Arc;

use boxwood_client::{log, ready, transport};
use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};

use daemon::Daemon;

/// How the daemon is to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct DaemonOptions {
    /// Whether a person started it to look at it; its log then also goes to the terminal.
    pub foreground: bool,
}

/// Runs the daemon until it is asked to leave or has had nothing to do for a while.
#[must_use]
pub fn run(options: DaemonOptions) -> ExitCode {
    let paths = Paths::resolve(&|name| std::env::var(name).ok(), sys::User::current().uid);
    if let Err(cause) = log::init(&paths.log_dir(), "daemon") {
        eprintln!("boxwood: the log cannot be written to {}: {cause}", paths.log_dir().display());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(|cause| error::internal("failed to start the runtime").caused_by(cause));
    let outcome = runtime.and_then(|runtime| {
        let outcome = runtime.block_on(serve(paths, options));
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tracing::error!(%problem, code = problem.code.as_str(), "the daemon cannot run");
            if options.foreground {
                eprintln!("boxwood: {problem}");
            } else {
                // Whoever started it reads this; nobody may be there any more.
                let _ = ready::report(Err(&problem));
            }
            ExitCode::from(problem.code.exit_code())
        }
    }
}

async fn serve(paths: Paths, options: DaemonOptions) -> Result<(), RpcError> {
    transport::prepare(&paths)?;
    let _lock = lock(&paths)?;
    let build = boxwood_client::build_id();
    let daemon = Daemon::open(
        paths,
        &|name| std::env::var(name).ok(),
        Box::new(boxwood_engine::endpoint::Endpoint::from_environment),
    )?;
    let listener = listen::Listener::bind(&daemon.paths)?;
    if options.foreground {
        eprintln!("boxwood: listening on {}", daemon.paths.socket().display());
    } else {
        let _ = ready::report(Ok(()));
    }
    daemon.logins.keep_with(Arc::new(provisioning::requests::InStore::of(&daemon)));
    tracing::info!(build, pid = std::process::id(), "listening");
    tokio::spawn(watcher::run(Arc::clone(&daemon)));
    tokio::spawn(git::run(Arc::clone(&daemon)));
    tokio::spawn(renewal::run(Arc::clone(&daemon)));
    tokio::spawn(idle::leave_when_idle(Arc::clone(&daemon)));
    tokio::spawn(idle::leave_on_signal(Arc::clone(&daemon)));
    let served = rpc::serve(&daemon, listener, build).await;
    daemon.operations.metrics().save();
    listen::tidy(&daemon.paths);
    tracing::info!("left");
    served
}

/// Held for as long as the process lives: one daemon per user.
fn lock(paths: &Paths) -> Result<std::fs::File, RpcError> {
    let path = paths.runtime.join("daemon.lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|cause| error::file("open", &path, &cause))?;
    file.try_lock().map_err(|_| {
        RpcError::new(ErrorCode::DaemonUnavailable, "another daemon of yours is running or about to leave")
            .hint("try again in a moment; 'boxwood daemon status' shows it")
    })?;
    Ok(file)
}
