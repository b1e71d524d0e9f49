//! `start` and `run`: a sandbox that is there afterwards, whatever was there before.

use boxwood_client::Connection;
use boxwood_protocol::config::{ApproveParams, ConfigReport};
use boxwood_protocol::contract::{ApproveConfig, Ensure, GetConfig};
use boxwood_protocol::params::{
    AttachParams, EnsureAction, EnsureParams, EnsureResult, ExecParams, ProjectParams, SandboxRef,
};
use boxwood_protocol::sandbox::Enforcement;
use boxwood_protocol::{ErrorCode, RpcError};

use super::{Outcome, exec};
use crate::args::{RunArguments, SettingArguments, StartArguments};
use crate::consent;
use crate::context::Context;
use crate::output::table::one_line;
use crate::output::{Paint, Style};
use crate::session::Wiring;
use crate::settings;

pub(super) async fn start(arguments: StartArguments, context: &Context) -> Outcome {
    let StartArguments { directory, detach, resume, settings, claude_args } = arguments;
    let project = context.project_at(directory.as_deref().or(context.global.project.as_deref()))?;
    let connection = context.connect().await?;
    let is_approving = settings.approve_config;
    let params = ensure_params(context, project, settings, claude_args)?;
    let result = ensure(&connection, context, &params, is_approving).await?;

    let screen = context.screen;
    if detach || screen.json || !screen.is_interactive {
        screen.show(&result, |paint| words(&result, paint))?;
        screen.note("Claude waits in it: 'boxwood attach' on a terminal, or 'boxwood exec -- claude -p QUESTION'.");
        return Ok(0);
    }
    screen.note(&words(&result, screen.messages));
    let params = AttachParams {
        target: SandboxRef { sandbox: Some(result.sandbox.id), ..SandboxRef::default() },
        resume_last: resume,
        ..AttachParams::default()
    };
    exec::connect_terminal(&connection, context, &params, Wiring::Terminal).await
}

pub(super) async fn run(arguments: RunArguments, context: &Context) -> Outcome {
    let RunArguments { settings, command } = arguments;
    let connection = context.connect().await?;
    let is_approving = settings.approve_config;
    let params = ensure_params(context, context.project()?, settings, Vec::new())?;
    let result = ensure(&connection, context, &params, is_approving).await?;
    let target = SandboxRef { sandbox: Some(result.sandbox.id), ..SandboxRef::default() };
    if context.screen.json {
        return exec::captured(&connection, context, &ExecParams { target, command, workdir: None }).await;
    }
    let params = AttachParams { target, command: Some(command), ..AttachParams::default() };
    exec::connect_terminal(&connection, context, &params, Wiring::of_this_process(context.screen)).await
}

/// What to ask for: the flags' settings, and the credentials of this environment.
pub(super) fn ensure_params(
    context: &Context,
    project: String,
    flags: SettingArguments,
    claude_args: Vec<String>,
) -> Result<EnsureParams, RpcError> {
    let environment = |name: &str| std::env::var(name).ok();
    Ok(EnsureParams {
        project,
        session: context.global.session.clone(),
        config: settings::config(flags, claude_args, &environment)?,
        credentials: settings::credentials(&environment),
    })
}

/// Brings the sandbox to life, approving the project's configuration if the person wants that.
async fn ensure(
    connection: &Connection,
    context: &Context,
    params: &EnsureParams,
    is_approving: bool,
) -> Result<EnsureResult, RpcError> {
    if is_approving {
        approve(connection, context, &params.project).await?;
    }
    let result = match context.run::<Ensure>(connection, params).await {
        Err(error)
            if error.code == ErrorCode::ConfigApproval && context.screen.is_interactive && !context.screen.json =>
        {
            ask_for_approval(connection, context, &params.project).await?;
            context.run::<Ensure>(connection, params).await?
        }
        result => result?,
    };
    for warning in &result.warnings {
        context.screen.warn(warning);
    }
    Ok(result)
}

/// Approves the project's configuration as it stands now, if there is anything to approve.
pub(super) async fn approve(connection: &Connection, context: &Context, project: &str) -> Result<(), RpcError> {
    let report = config_of(connection, project).await?;
    if let Some(content_hash) = report.content_hash.filter(|_| !report.is_approved) {
        for what in &report.widens {
            context.screen.note(&format!("approved: {}", one_line(what)));
        }
        connection.call::<ApproveConfig>(&ApproveParams { project: report.project, content_hash }).await?;
    }
    Ok(())
}

async fn ask_for_approval(connection: &Connection, context: &Context, project: &str) -> Result<(), RpcError> {
    let report = config_of(connection, project).await?;
    let Some(content_hash) = report.content_hash else {
        return Ok(());
    };
    let screen = context.screen;
    let file = report.project_file.unwrap_or_default();
    screen.note(&format!("{} asks for more than the default:", one_line(&file)));
    for what in &report.widens {
        screen.note(&format!("  {} {}", screen.messages.paint(Style::Warning, "-"), one_line(what)));
    }
    consent::confirm(screen, "Approve it as it stands?", "--approve-config").await?;
    // Bound to what was shown: a file that changed meanwhile is refused.
    connection.call::<ApproveConfig>(&ApproveParams { project: report.project, content_hash }).await?;
    Ok(())
}

async fn config_of(connection: &Connection, project: &str) -> Result<ConfigReport, RpcError> {
    connection.call::<GetConfig>(&ProjectParams { project: Some(project.to_owned()) }).await
}

/// The result in words.
pub(super) fn words(result: &EnsureResult, paint: Paint) -> String {
    let sandbox = &result.sandbox;
    let done = match result.action {
        EnsureAction::Created => "Created",
        EnsureAction::Started => "Started",
        EnsureAction::Attached => "Already running:",
        EnsureAction::Recreated => "Made anew:",
    };
    let mut text = format!("{} sandbox {}", paint.paint(Style::Good, done), paint.paint(Style::Head, &sandbox.id));
    match (&sandbox.alarm, sandbox.enforcement) {
        (Some(alarm), _) => {
            let head = paint.paint(Style::Bad, "Network:");
            text.push_str(&format!("\n{head} {}", one_line(alarm)));
        }
        (None, Enforcement::Outside | Enforcement::Inside) => {
            text.push_str("\nIts network is what the policy allows: 'boxwood egress policy' shows it.");
        }
        (None, Enforcement::Off) => {}
    }
    if sandbox.bypass_until_ms.is_some() {
        let head = paint.paint(Style::Warning, "Network:");
        text.push_str(&format!("\n{head} everything is let through at present; 'boxwood egress bypass off' ends it."));
    }
    if sandbox.is_outdated {
        text.push_str("\nIts configuration has changed since; 'boxwood refresh' applies it.");
    }
    text
}
