//! `daemon`: the role itself, and looking after it.

use std::process::ExitCode;

use boxwood_daemon::DaemonOptions;
use boxwood_protocol::contract::{Status, StopDaemon};
use boxwood_protocol::params::{DaemonStatus, DaemonStopParams, Empty};

use super::Outcome;
use crate::args::{DaemonArguments, DaemonVerb};
use crate::context::Context;
use crate::output::table::{Cell, fields};
use crate::output::units::{size, span};
use crate::output::{Paint, Style};

/// Exit status of a question whose answer is no.
const NO: u8 = 1;

/// Runs the daemon in this process. Started on demand, it belongs to no terminal.
pub(crate) fn serve(arguments: &DaemonArguments) -> ExitCode {
    let is_on_demand = arguments.ready_fd.is_some();
    #[cfg(unix)]
    if is_on_demand {
        // Refused only to a process that already leads a group of its own, which serves as well.
        let _ = rustix::process::setsid();
    }
    boxwood_daemon::run(DaemonOptions { foreground: !is_on_demand })
}

pub(super) async fn daemon(arguments: &DaemonArguments, context: &Context) -> Outcome {
    match arguments.verb {
        Some(DaemonVerb::Status) => status(context).await,
        Some(DaemonVerb::Stop { force }) => stop(force, context).await,
        // A role of its own, which main has taken before.
        None => Ok(0),
    }
}

async fn status(context: &Context) -> Outcome {
    let Some(connection) = context.connect_running().await? else {
        context.screen.note("The daemon does not run. Whatever needs it starts it.");
        context.screen.show(&None::<DaemonStatus>, |_| String::new())?;
        return Ok(NO);
    };
    let status = connection.call::<Status>(&Empty {}).await?;
    context.screen.show(&status, |paint| words(&status, paint))?;
    Ok(0)
}

async fn stop(force: bool, context: &Context) -> Outcome {
    if let Some(connection) = context.connect_running().await? {
        connection.call::<StopDaemon>(&DaemonStopParams { force }).await?;
        connection.closed().await;
        context.launcher()?.daemon_is_gone().await?;
        context.screen.note("The daemon has left; sandboxes keep running.");
    } else {
        context.screen.note("The daemon does not run.");
    }
    context.screen.show(&Empty {}, |_| String::new())?;
    Ok(0)
}

fn words(status: &DaemonStatus, paint: Paint) -> String {
    let engine = match (&status.engine.version, &status.engine.problem) {
        (_, Some(problem)) => Cell::styled(Style::Bad, problem),
        (Some(version), None) if status.engine.is_available => Cell::styled(Style::Good, format!("version {version}")),
        _ => Cell::styled(Style::Warning, "not asked yet"),
    };
    let uptime = span(i64::try_from(status.uptime_seconds).unwrap_or(i64::MAX));
    fields(
        paint,
        &[
            ("version", (&status.version).into()),
            ("process", status.pid.to_string().into()),
            ("up for", uptime.into()),
            ("memory", status.memory_bytes.map_or_else(|| "unknown".to_owned(), size).into()),
            ("clients", status.clients.to_string().into()),
            ("sandboxes", format!("{} running", status.running_sandboxes).into()),
            ("operations", format!("{} running", status.operations).into()),
            ("engine", engine),
            ("asked at", format!("{} ({})", status.engine.endpoint, status.engine.source).into()),
            ("socket", (&status.socket).into()),
            ("state", (&status.state_directory).into()),
            ("logs", (&status.log_directory).into()),
        ],
    )
}
