//! `stop`, `restart`, `refresh`, `remove`.

use boxwood_protocol::contract::{Inspect, Refresh, Remove, Restart, Stop};
use boxwood_protocol::params::{Empty, RemoveParams, SandboxRef};
use boxwood_protocol::sandbox::SandboxInfo;

use super::{Outcome, start};
use crate::args::{RefreshArguments, RemoveArguments, TargetArguments};
use crate::consent;
use crate::context::Context;
use crate::output::{Paint, Style};

pub(super) async fn stop(arguments: TargetArguments, context: &Context) -> Outcome {
    let target = context.target(arguments)?;
    let connection = context.connect().await?;
    let sandbox = context.run::<Stop>(&connection, &target).await?;
    context.screen.show(&sandbox, |paint| done(paint, "Stopped", &sandbox))?;
    Ok(0)
}

pub(super) async fn restart(arguments: TargetArguments, context: &Context) -> Outcome {
    let target = context.target(arguments)?;
    let connection = context.connect().await?;
    let sandbox = context.run::<Restart>(&connection, &target).await?;
    context.screen.show(&sandbox, |paint| done(paint, "Restarted", &sandbox))?;
    Ok(0)
}

pub(super) async fn refresh(arguments: RefreshArguments, context: &Context) -> Outcome {
    let RefreshArguments { target, settings } = arguments;
    let connection = context.connect().await?;
    let is_approving = settings.approve_config;
    let mut params = match target.sandbox {
        // The daemon makes it anew from its project and session, which it knows.
        Some(_) => {
            let known = connection.call::<Inspect>(&context.target(target)?).await?.sandbox;
            let mut params = start::ensure_params(context, known.project, settings, Vec::new())?;
            params.session = Some(known.session);
            params
        }
        None => start::ensure_params(context, context.project()?, settings, Vec::new())?,
    };
    if is_approving {
        start::approve(&connection, context, &params.project).await?;
    }
    params.session = params.session.filter(|session| session != "default");
    let result = context.run::<Refresh>(&connection, &params).await?;
    for warning in &result.warnings {
        context.screen.warn(warning);
    }
    let others = start::others(&connection, context, &result.sandbox).await;
    context.screen.show(&result, |paint| start::words(&result, others, paint))?;
    Ok(0)
}

pub(super) async fn remove(arguments: RemoveArguments, context: &Context) -> Outcome {
    let RemoveArguments { target, purge_state, consent } = arguments;
    let SandboxRef { sandbox, project, session } = context.target(target)?;
    let mut params = RemoveParams { sandbox, project, session, purge_state };
    let connection = context.connect().await?;
    if purge_state && !consent.yes {
        // What is asked about is what is removed, even if another sandbox fits the reference by then.
        let target = SandboxRef {
            sandbox: params.sandbox.clone(),
            project: params.project.clone(),
            session: params.session.clone(),
        };
        let known = connection.call::<Inspect>(&target).await?.sandbox;
        let question = format!("Delete sandbox {} with its conversations and login for good?", known.id);
        consent::confirm(context.screen, &question, "--yes").await?;
        params = RemoveParams { sandbox: Some(known.id), purge_state, ..RemoveParams::default() };
    }
    context.run::<Remove>(&connection, &params).await?;
    context.screen.show(&Empty {}, |paint| {
        let rest = if purge_state { "" } else { "; its conversations stay on disk" };
        format!("{} the sandbox{rest}", paint.paint(Style::Good, "Removed"))
    })?;
    Ok(0)
}

fn done(paint: Paint, what: &str, sandbox: &SandboxInfo) -> String {
    format!("{} sandbox {}", paint.paint(Style::Good, what), paint.paint(Style::Head, &sandbox.id))
}
