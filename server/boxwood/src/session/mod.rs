//! A command in a sandbox, connected to this process's own terminal or pipes.
//!
//! The daemon says what to run and where; the bytes then pass between the engine and this process directly.

pub(crate) mod notice;
mod pump;
mod signals;
mod terminal;

use std::io::IsTerminal as _;

use boxwood_engine::docker::DockerEngine;
use boxwood_engine::{ContainerState, Endpoint, Engine as _, EngineError, ExecSpec};
use boxwood_protocol::params::AttachTarget;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::output::Screen;
use pump::Ended;
use signals::{Marker, Signals};
use terminal::RawMode;

/// Highest status that a command gives by itself; above it, something ended the command.
const HIGHEST_OWN_STATUS: i64 = 127;

/// Where the runtime volume is; a terminal's own programs lie there.
const RUNTIME: &str = "/opt/boxwood/";

/// Becomes its arguments when the terminal has a size, or after two seconds without. The shell looks at the size after
/// each child, even one that does nothing.
const ONCE_SIZED: &str = r#"until ((COLUMNS || SECONDS > 2)); do (:); done; exec -- "$@""#;

/// Exit status of a program whose reader has gone, as shells have it: 128 + SIGPIPE.
const READER_GONE: u8 = 141;

/// How a command is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// To this terminal.
    Terminal,
    /// To this process's pipes and files.
    Pipes {
        /// Whether it reads what this process is given.
        has_input: bool,
    },
}

impl Wiring {
    /// A terminal where both ends are one and nothing says otherwise. A terminal's keys are left alone when only the
    /// output goes elsewhere: a pager may be reading them.
    pub(crate) fn of_this_process(screen: Screen) -> Self {
        if screen.is_interactive { Self::Terminal } else { Self::Pipes { has_input: !std::io::stdin().is_terminal() } }
    }
}

/// Opens the engine that the daemon named.
pub(crate) fn engine(target: &AttachTarget) -> Result<DockerEngine, RpcError> {
    Endpoint::parse(&target.endpoint, "daemon")
        .and_then(|endpoint| DockerEngine::at(&endpoint, &target.api_version))
        .map_err(|error| failed("reach the engine", &error))
}

/// Runs the command to its end and gives its exit status.
pub(crate) async fn run(target: &AttachTarget, wiring: Wiring, screen: Screen) -> Result<u8, RpcError> {
    let engine = engine(target)?;
    let marker = Marker::new();
    let is_terminal = wiring == Wiring::Terminal;
    // Watched before the command exists, so that no signal falls in between.
    let mut signals = Signals::watch(is_terminal)
        .map_err(|error| RpcError::new(ErrorCode::Internal, "signals cannot be watched").caused_by(error))?;
    let spec = ExecSpec {
        command: command(target, is_terminal),
        env: environment(&marker, is_terminal),
        user: target.user.clone(),
        workdir: target.workdir.clone(),
        tty: is_terminal,
        stdin: wiring != Wiring::Pipes { has_input: false },
    };
    let running = engine.exec(&target.container_id, &spec).await.map_err(|error| match error {
        EngineError::NotFound(_) | EngineError::Conflict(_) => stopped(target).caused_by(error),
        error => failed("start the command", &error),
    })?;
    let exec_id = running.exec_id.clone();

    let raw_mode = is_terminal.then(RawMode::enter).transpose().map_err(|error| {
        RpcError::new(ErrorCode::Internal, "the terminal cannot be switched to pass on keys").caused_by(error)
    })?;
    let sandbox = signals::Sandbox { engine: &engine, target, exec_id: &exec_id, marker: &marker };
    let ended = pump::run(running, &sandbox, &mut signals, spec.stdin).await;
    drop(raw_mode);
    let refusal = match ended {
        Ended::OutputClosed { refusal } => refusal,
        Ended::Killed(status) => return Ok(status),
        // The command's own connection is closed by now; the engine reports no command's end while it holds output
        // that nobody takes.
        Ended::ReaderGone => {
            sandbox.send("PIPE").await;
            return Ok(READER_GONE);
        }
        Ended::OutputFailed(error) => {
            sandbox.send("TERM").await;
            return Err(unwritable(&error));
        }
    };
    let status = engine.exec_exit_code(&exec_id).await;
    let shown = pump::conclude(&refusal, status.as_ref().ok().copied()).await.map_err(|error| unwritable(&error))?;
    let status = shown.map_or(status, Ok);
    conclude(&engine, target, status, is_terminal, screen).await
}

/// What to start. A terminal gets its size only once the command runs, and a program that asks at once would be told
/// that it has none, so a person's own command begins when the size is there. The product's programs take it at any
/// time.
fn command(target: &AttachTarget, is_terminal: bool) -> Vec<String> {
    let is_own = target.command.first().is_some_and(|program| program.starts_with(RUNTIME));
    if !is_terminal || is_own || terminal::size().is_none() {
        return target.command.clone();
    }
    let shell = [signals::SHELL, "-c", ONCE_SIZED, "boxwood"].map(str::to_owned);
    shell.into_iter().chain(target.command.iter().cloned()).collect()
}

fn unwritable(error: &std::io::Error) -> RpcError {
    RpcError::new(ErrorCode::StateFailed, "the command's output could not be written")
        .caused_by(error)
        .hint("check where the output goes")
}

fn environment(marker: &Marker, is_terminal: bool) -> Vec<String> {
    let mut environment = vec![marker.as_variable()];
    if is_terminal {
        for name in ["TERM", "COLORTERM"] {
            environment.extend(std::env::var(name).ok().map(|value| format!("{name}={value}")));
        }
    }
    environment
}

/// The command's own status, and a word about the sandbox if that ended with it.
async fn conclude(
    engine: &DockerEngine,
    target: &AttachTarget,
    status: Result<i64, EngineError>,
    is_terminal: bool,
    screen: Screen,
) -> Result<u8, RpcError> {
    // A multiplexer whose sandbox stops has a status of its own for that, and an ordinary one.
    let highest = if is_terminal { 0 } else { HIGHEST_OWN_STATUS };
    if let Ok(status) = status
        && (0..=highest).contains(&status)
    {
        return Ok(u8::try_from(status).unwrap_or(u8::MAX));
    }
    let is_running = match engine.inspect_container(&target.container_id).await {
        Ok(detail) => detail.state == ContainerState::Running,
        Err(EngineError::NotFound(_)) => false,
        Err(error) => return Err(failed("ask for the command's exit status", &error)),
    };
    if !is_running && is_terminal {
        // The multiplexer may have had no time to leave the screen as it found it.
        terminal::reset_screen();
    }
    match status {
        Ok(status) if is_running => Ok(u8::try_from(status).unwrap_or(u8::MAX)),
        Ok(status) => {
            screen.warn(&format!("the sandbox {} stopped while the command ran", target.sandbox.id));
            Ok(u8::try_from(status).unwrap_or(u8::MAX))
        }
        Err(_) if !is_running => Err(stopped(target)),
        Err(error) => Err(failed("ask for the command's exit status", &error)),
    }
}

fn stopped(target: &AttachTarget) -> RpcError {
    RpcError::new(ErrorCode::SandboxNotRunning, format!("the sandbox {} stopped", target.sandbox.id))
}

/// An engine's error in the product's terms.
pub(crate) fn failed(what: &str, error: &EngineError) -> RpcError {
    let code = match error {
        EngineError::Unavailable { .. } | EngineError::Endpoint { .. } => ErrorCode::EngineUnavailable,
        EngineError::Permission { .. } => ErrorCode::EnginePermission,
        EngineError::TooOld { .. } => ErrorCode::EngineTooOld,
        EngineError::NoSpace(_) => ErrorCode::DiskFull,
        EngineError::NotFound(_) => ErrorCode::SandboxNotFound,
        EngineError::Conflict(_)
        | EngineError::Overlap(_)
        | EngineError::Image(_)
        | EngineError::Failed { .. }
        | EngineError::Broken(_) => ErrorCode::EngineFailed,
    };
    RpcError::new(code, format!("failed to {what}")).caused_by(error)
}
