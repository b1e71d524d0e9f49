//! `attach` and `exec`: a process in a sandbox, on this terminal or these pipes.

use boxwood_client::Connection;
use boxwood_protocol::contract::{Attach, Exec};
use boxwood_protocol::params::{AttachParams, ExecParams};
use boxwood_protocol::{ErrorCode, RpcError};

use super::Outcome;
use super::egress::watch::{self, Place};
use crate::args::{AttachArguments, ExecArguments};
use crate::context::Context;
use crate::session::{self, Wiring};

pub(super) async fn attach(arguments: AttachArguments, context: &Context) -> Outcome {
    let screen = context.screen;
    let params = AttachParams {
        target: context.target(arguments.target)?,
        command: None,
        shell: arguments.shell,
        resume_last: arguments.resume,
    };
    if screen.json {
        let connection = context.connect().await?;
        screen.json(&connection.call::<Attach>(&params).await?)?;
        return Ok(0);
    }
    if !screen.is_interactive {
        return Err(RpcError::new(ErrorCode::InvalidParams, "attaching needs a terminal, and this is none").hint(
            "run a command with 'boxwood exec -- COMMAND', or ask Claude with 'boxwood exec -- claude -p QUESTION'",
        ));
    }
    let connection = context.connect().await?;
    connect_terminal(&connection, context, &params, Wiring::Terminal).await
}

pub(super) async fn exec(arguments: ExecArguments, context: &Context) -> Outcome {
    let ExecArguments { target, command } = arguments;
    let target = context.target(target)?;
    let connection = context.connect().await?;
    if context.screen.json {
        return captured(&connection, context, &ExecParams { target, command, workdir: None }).await;
    }
    let params = AttachParams { target, command: Some(command), ..AttachParams::default() };
    connect_terminal(&connection, context, &params, Wiring::of_this_process(context.screen)).await
}

/// Asks the daemon what to run, and runs it on the engine directly.
pub(super) async fn connect_terminal(
    connection: &Connection,
    context: &Context,
    params: &AttachParams,
    wiring: Wiring,
) -> Outcome {
    let target = connection.call::<Attach>(params).await?;
    let place = if params.command.is_some() { Place::beside(wiring) } else { Place::Bottom };
    let work = session::run(&target, wiring, context.screen);
    watch::during(connection, &target, place, context.screen, work).await
}

/// Runs a command whose output becomes part of one JSON document.
pub(super) async fn captured(connection: &Connection, context: &Context, params: &ExecParams) -> Outcome {
    let result = context.run::<Exec>(connection, params).await?;
    context.screen.json(&result)?;
    Ok(u8::try_from(result.exit_code).unwrap_or(u8::MAX))
}
