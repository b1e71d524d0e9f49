//! `credentials mode`: a choice that may mean something, which is said before it is made.

use boxwood_client::Connection;
use boxwood_protocol::contract::{CredentialsStatusOf, SetCredentialMode};
use boxwood_protocol::credentials::{CredentialMode, CredentialSource, CredentialsSetModeParams, CredentialsStatus};
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::{ErrorCode, RpcError};

use super::words;
use crate::args::WhoseArguments;
use crate::consent;
use crate::context::Context;
use crate::output::table::one_line;
use crate::verbs::Outcome;

/// What the person asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) mode: CredentialMode,
    pub(super) source: Option<CredentialSource>,
    /// They said yes beforehand.
    pub(super) is_agreed: bool,
}

pub(super) async fn choose(wish: &Wish, whose: WhoseArguments, context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let target = super::meant(&connection, whose, context).await?;
    let status = connection.call::<CredentialsStatusOf>(&super::asked(target.clone())).await?;
    let explanation = explanation(wish, &status);
    let is_agreed = wish.is_agreed || explanation.is_some();
    if let Some(explanation) = explanation.filter(|_| !wish.is_agreed) {
        agree(wish, &target, &explanation, context).await?;
    }
    let result = match request(wish, &target, is_agreed, &connection, context).await {
        // Of a source that is not in use, only the refusal says what the choice means.
        Err(refusal) if refusal.code == ErrorCode::CredentialConsent && !is_agreed && is_other(wish, &status) => {
            let Some(explanation) = &refusal.hint else { return Err(refusal) };
            agree(wish, &target, &format!("{}. {explanation}", refusal.message), context).await?;
            request(wish, &target, true, &connection, context).await?
        }
        result => result?,
    };
    let done = format!("The credential is held as '{}' {}", wish.mode.as_str(), words::of(target.as_ref()));
    super::conclude(&result, &done, context)
}

fn is_other(wish: &Wish, status: &CredentialsStatus) -> bool {
    wish.source.is_some() && wish.source != status.source
}

/// What the status says of the choice, when it speaks of its source.
fn explanation(wish: &Wish, status: &CredentialsStatus) -> Option<String> {
    if is_other(wish, status) {
        return None;
    }
    status.modes.iter().find(|report| report.mode == wish.mode).and_then(|report| report.explanation.clone())
}

/// Says what the choice means and asks for a yes. Where nobody can be asked, what it means is part of the refusal.
async fn agree(wish: &Wish, target: &Option<SandboxRef>, explanation: &str, context: &Context) -> Result<(), RpcError> {
    let screen = context.screen;
    if screen.is_interactive && !screen.json {
        screen.note(&one_line(explanation));
    }
    let question = format!("Hold the credential as '{}' {}?", wish.mode.as_str(), words::of(target.as_ref()));
    consent::confirm(screen, &question, "--yes").await.map_err(|error| match error.code {
        ErrorCode::InvalidParams => error.caused_by(explanation),
        _ => error,
    })
}

async fn request(
    wish: &Wish,
    target: &Option<SandboxRef>,
    consent: bool,
    connection: &Connection,
    context: &Context,
) -> Result<CredentialsStatus, RpcError> {
    let params = CredentialsSetModeParams {
        target: target.clone(),
        source: wish.source,
        mode: Some(wish.mode),
        consent,
        environment: super::environment(),
    };
    context.run::<SetCredentialMode>(connection, &params).await
}
