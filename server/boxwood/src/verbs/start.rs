//! `start` and `run`: a sandbox that is there afterwards, whatever was there before.

use boxwood_client::Connection;
use boxwood_protocol::config::{ApproveParams, ConfigReport, Network, SandboxConfig};
use boxwood_protocol::contract::{ApproveConfig, EgressPolicyOf, Ensure, GetConfig, Inspect};
use boxwood_protocol::credentials::ClientEnvironment;
use boxwood_protocol::egress::EgressAction;
use boxwood_protocol::params::{
    AttachParams, EnsureAction, EnsureParams, EnsureResult, ExecParams, ProjectParams, SandboxRef,
};
use boxwood_protocol::sandbox::{Enforcement, SandboxInfo};
use boxwood_protocol::{ErrorCode, RpcError};

use super::{Outcome, exec};
use crate::args::{RunArguments, SettingArguments, StartArguments};
use crate::consent;
use crate::context::{Context, program};
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
    let params = if_unattended(&connection, context, params).await;
    let result = ensure(&connection, context, &params, is_approving).await?;

    let screen = context.screen;
    let others = others(&connection, context, &result.sandbox).await;
    if detach || screen.json || !screen.is_interactive {
        screen.show(&result, |paint| words(&result, others, paint))?;
        screen.note("Claude waits in it: 'boxwood attach' on a terminal, or 'boxwood exec -- claude -p QUESTION'.");
        return Ok(0);
    }
    screen.note(&words(&result, others, screen.messages));
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
    let params = if_unattended(&connection, context, params).await;
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
        environment: Some(ClientEnvironment::read(&environment)),
    })
}

/// Where nobody looks, a new sandbox refuses the hosts that no rule names, unless settings say what becomes of them: each
/// would only wait in vain, and what waits for it with it. One that is there stays as it was made.
async fn if_unattended(connection: &Connection, context: &Context, mut params: EnsureParams) -> EnsureParams {
    if !context.screen.is_unattended {
        return params;
    }
    let target = SandboxRef { sandbox: None, project: Some(params.project.clone()), session: params.session.clone() };
    let is_new = connection.call::<Inspect>(&target).await.is_err_and(|error| error.code == ErrorCode::SandboxNotFound);
    // What cannot be read now is said by the request itself.
    if is_new && let Ok(report) = config_of(connection, &params.project).await {
        params.config = without_questions(params.config, &report.effective);
    }
    params
}

/// The request's settings, with hosts refused that no rule names when nothing in force says otherwise.
fn without_questions(request: Option<SandboxConfig>, effective: &SandboxConfig) -> Option<SandboxConfig> {
    let network = request.as_ref().and_then(|request| request.network).or(effective.network).unwrap_or_default();
    let is_said = effective.egress.as_ref().is_some_and(|egress| egress.default.is_some());
    if network != Network::Gateway || is_said {
        return request;
    }
    let mut request = request.unwrap_or_default();
    request.egress.get_or_insert_default().default.get_or_insert(EgressAction::Deny);
    Some(request)
}

/// What becomes of hosts that no rule names; `None` where no policy is enforced, or nobody reads it.
pub(super) async fn others(connection: &Connection, context: &Context, sandbox: &SandboxInfo) -> Option<EgressAction> {
    if context.screen.json || sandbox.alarm.is_some() || sandbox.enforcement == Enforcement::Off {
        return None;
    }
    let target = SandboxRef { sandbox: Some(sandbox.id.clone()), ..SandboxRef::default() };
    connection.call::<EgressPolicyOf>(&target).await.ok().map(|report| report.default)
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

/// The result in words. `others` is what becomes of hosts that no rule names, where a policy is enforced.
pub(super) fn words(result: &EnsureResult, others: Option<EgressAction>, paint: Paint) -> String {
    let sandbox = &result.sandbox;
    let done = match result.action {
        EnsureAction::Created => "Created",
        EnsureAction::Started => "Started",
        EnsureAction::Attached => "Already running:",
        EnsureAction::Recreated => "Made anew:",
    };
    let mut text = format!("{} sandbox {}", paint.paint(Style::Good, done), paint.paint(Style::Head, &sandbox.id));
    if let Some(alarm) = &sandbox.alarm {
        let head = paint.paint(Style::Bad, "Network:");
        text.push_str(&format!("\n{head} {}", one_line(alarm)));
    }
    let id = &sandbox.id;
    match others {
        Some(EgressAction::Ask) => text.push_str(&format!(
            "\nIt reaches what its policy names; other hosts wait for your answer: '{} egress ask --follow {id}' in another terminal.",
            program()
        )),
        Some(EgressAction::Deny) => {
            text.push_str("\nIt reaches what its policy names and nothing else: 'boxwood egress policy' shows it.");
        }
        Some(EgressAction::Allow) => {
            text.push_str("\nIt reaches everything that its policy does not deny: 'boxwood egress policy' shows it.");
        }
        None => {}
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

#[cfg(test)]
mod tests {
    use boxwood_protocol::egress::EgressConfig;

    use super::*;

    fn with(network: Option<Network>, default: Option<EgressAction>) -> SandboxConfig {
        let egress = default.map(|default| EgressConfig { default: Some(default), ..EgressConfig::default() });
        SandboxConfig { network, egress, ..SandboxConfig::default() }
    }

    #[test]
    fn where_nobody_looks_nothing_waits_unless_settings_say_so() {
        let refusing = || Some(with(None, Some(EgressAction::Deny)));
        let behind_gateway = |default| with(Some(Network::Gateway), default);
        let check = |request: Option<SandboxConfig>, effective: &SandboxConfig, expected: Option<SandboxConfig>| {
            assert_eq!(without_questions(request, effective), expected, "{effective:?}");
        };
        check(None, &behind_gateway(None), refusing());
        for said in [EgressAction::Ask, EgressAction::Allow, EgressAction::Deny] {
            check(None, &behind_gateway(Some(said)), None);
        }
        check(None, &with(Some(Network::Open), None), None);
        check(None, &with(Some(Network::None), None), None);
        let open = || Some(with(Some(Network::Open), None));
        check(open(), &behind_gateway(None), open());
        let allowing = EgressConfig { allow: Some(vec!["a.example".to_owned()]), ..EgressConfig::default() };
        let request = SandboxConfig { egress: Some(allowing.clone()), ..SandboxConfig::default() };
        let both = EgressConfig { default: Some(EgressAction::Deny), ..allowing };
        let expected = SandboxConfig { egress: Some(both), ..SandboxConfig::default() };
        check(Some(request), &behind_gateway(None), Some(expected));
    }
}
