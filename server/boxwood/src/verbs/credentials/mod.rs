//! `credentials`: whose login sandboxes use, and what they hold of it.

mod mode;
mod words;

use boxwood_client::Connection;
use boxwood_protocol::contract::{CredentialsStatusOf, Inspect, ResolveCredentials, SetCredential, SignOut};
use boxwood_protocol::credentials::{
    ClientEnvironment, CredentialHealth, CredentialSide, CredentialSource, CredentialsParams, CredentialsResolveParams,
    CredentialsSetParams, CredentialsSignOutParams, CredentialsStatus, StoredCredential,
};
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::{ErrorCode, RpcError};
use jiff::Timestamp;

use super::Outcome;
use crate::args::{CredentialsVerb, TargetArguments, WhoseArguments};
use crate::context::Context;
use crate::secret;

/// Exit status of `status` when a sandbox could do nothing with what there is.
const NOT_SIGNED_IN: u8 = 1;

pub(super) async fn credentials(verb: CredentialsVerb, context: &Context) -> Outcome {
    match verb {
        CredentialsVerb::Status { whose } => status(whose, context).await,
        CredentialsVerb::Set { kind, base_url } => set(kind, base_url, context).await,
        CredentialsVerb::SignOut { source } => sign_out(source, context).await,
        CredentialsVerb::Mode { mode, source, whose, consent } => {
            let wish = mode::Wish { mode, source, is_agreed: consent.yes };
            mode::choose(&wish, whose, context).await
        }
        CredentialsVerb::Resolve { keep, sandbox } => resolve(keep, sandbox, context).await,
    }
}

/// Claude Code's variables here, which are a source as well.
fn environment() -> Option<ClientEnvironment> {
    Some(ClientEnvironment::read(&|name| std::env::var(name).ok()))
}

/// What is asked about these credentials.
fn asked(target: Option<SandboxRef>) -> CredentialsParams {
    CredentialsParams { target, environment: environment() }
}

async fn status(whose: WhoseArguments, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let target = meant(&connection, whose, context).await?;
    let status = connection.call::<CredentialsStatusOf>(&asked(target)).await?;
    context.screen.show(&status, |paint| words::status(&status, paint, Timestamp::now()))?;
    Ok(match status.health {
        CredentialHealth::Ok | CredentialHealth::Expiring | CredentialHealth::Attention => 0,
        CredentialHealth::Expired | CredentialHealth::Unreadable | CredentialHealth::SignedOut => NOT_SIGNED_IN,
    })
}

/// Whose credentials a person means here: those of the sandbox they name, else of the project's, else of new ones. A login
/// is the person's and not a project's, so it can be asked for anywhere, and without an engine.
async fn meant(
    connection: &Connection,
    whose: WhoseArguments,
    context: &Context,
) -> Result<Option<SandboxRef>, RpcError> {
    if whose.new {
        return Ok(None);
    }
    let is_named = whose.sandbox.is_some();
    let target = context.target(TargetArguments { sandbox: whose.sandbox })?;
    if is_named {
        return Ok(Some(target));
    }
    match connection.call::<Inspect>(&target).await {
        // What is shown and asked about is what is changed, even if another sandbox fits by then.
        Ok(detail) => Ok(Some(SandboxRef { sandbox: Some(detail.sandbox.id), ..SandboxRef::default() })),
        Err(error) => match error.code {
            ErrorCode::SandboxNotFound
            | ErrorCode::ProjectInvalid
            | ErrorCode::ProjectForbidden
            | ErrorCode::EngineUnavailable
            | ErrorCode::EnginePermission
            | ErrorCode::EngineTooOld => Ok(None),
            _ => Err(error),
        },
    }
}

async fn set(kind: StoredCredential, base_url: Option<String>, context: &Context) -> Outcome {
    // Before the daemon is started: whoever presses Ctrl-C has changed nothing.
    let value = secret::read(context.screen, &format!("{}: ", words::kind(kind))).await?;
    let connection = context.connect().await?;
    let params = CredentialsSetParams { kind, value, base_url };
    let status = context.run::<SetCredential>(&connection, &params).await?;
    conclude(&status, &format!("Kept the {}", words::kind(kind)), context)
}

async fn sign_out(source: Option<CredentialSource>, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let Some(source) = source.map_or(in_use(&connection).await?, Some) else {
        return Err(RpcError::new(ErrorCode::InvalidParams, "there is nothing to sign out of")
            .hint("'boxwood credentials status' shows every source"));
    };
    let status = context.run::<SignOut>(&connection, &CredentialsSignOutParams { source }).await?;
    conclude(&status, &format!("Signed out of {}", words::title(&status, source)), context)
}

async fn in_use(connection: &Connection) -> Result<Option<CredentialSource>, RpcError> {
    Ok(connection.call::<CredentialsStatusOf>(&CredentialsParams::default()).await?.source)
}

async fn resolve(keep: CredentialSide, sandbox: Option<String>, context: &Context) -> Outcome {
    let target = context.target(TargetArguments { sandbox })?;
    let connection = context.connect().await?;
    let status = context.run::<ResolveCredentials>(&connection, &CredentialsResolveParams { target, keep }).await?;
    let kept = match keep {
        CredentialSide::Host => "Kept the login of this machine; the sandbox's is kept as a backup",
        CredentialSide::Sandbox => "Kept the login of the sandbox; the other one is kept as a backup",
    };
    conclude(&status, kept, context)
}

/// Says what was done, and how things are now.
fn conclude(status: &CredentialsStatus, done: &str, context: &Context) -> Outcome {
    for warning in &status.warnings {
        context.screen.warn(warning);
    }
    context.screen.show(status, |paint| words::done(done, status, paint))?;
    Ok(0)
}
