//! Answers to requests about credentials. Nothing here answers with a value.

use std::sync::Arc;

use boxwood_core::credentials::select::{Refusal, Wish};
use boxwood_core::credentials::stored::Stored;
use boxwood_core::credentials::sync::Decision;
use boxwood_core::credentials::{Secret, source};
use boxwood_protocol::credentials::{
    ClientEnvironment, CredentialMode, CredentialSource, CredentialsResolveParams, CredentialsSetModeParams,
    CredentialsSetParams, CredentialsSignOutParams, StoredCredential,
};
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, Event, RpcError};

use super::copies::{self, make_same};
use super::hold::{self, Decided, LOGIN, Subject, clock, decide};
use super::status::of;
use super::wish::{self, Chosen};
use crate::credentials::gather::Sources;
use crate::credentials::store::Entry;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::ensure::{identity_of, make_again, on_sandbox};
use crate::lifecycle::{gateway, login_home};
use crate::login::Keep;
use crate::operations::Subject as About;
use crate::registry::Known;
use futures::future::BoxFuture;

/// What a change of the mode is told with when the container had to be another one.
const MADE_ANEW: &str = "its container was made anew, because what is mounted in it follows the mode; its state and its \
                         conversations are as they were";

/// Where sign-ins put tokens and keys.
pub(crate) struct InStore(Arc<Sources>);

impl InStore {
    /// The person's store.
    pub(crate) fn of(daemon: &Daemon) -> Self {
        Self(Arc::clone(&daemon.sources))
    }
}

impl Keep for InStore {
    fn keep(&self, kind: StoredCredential, value: Secret) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { keep(&self.0, kind, value, None).await.map(drop) })
    }
}

/// Keeps a key or a token; gives the source that it is for, and what the person should know.
async fn keep(
    sources: &Sources,
    kind: StoredCredential,
    value: Secret,
    base_url: Option<String>,
) -> Result<(CredentialSource, Option<String>)> {
    let stored = Stored::new(kind, value, base_url, clock().now_ms)
        .map_err(|cause| RpcError::new(ErrorCode::InvalidParams, cause.to_string()))?;
    let kept = sources.kept();
    kept.ask_again();
    let place = kept.set(Entry::of(kind), &stored.render()).await.map_err(|failure| store(&failure))?;
    Ok((stored.source(), kept.warning(place)))
}

/// Keeps a key or a token, and gives it to the sandboxes that have theirs from there.
pub(crate) fn set(daemon: &Arc<Daemon>, params: CredentialsSetParams) -> OperationStarted {
    let daemon_ = Arc::clone(daemon);
    daemon.operations.start("setCredential", About::default(), move |_| async move {
        let CredentialsSetParams { kind, value, base_url } = params;
        let (source, warning) = keep(&daemon_.sources, kind, value, base_url).await?;
        let mut warnings = Vec::from_iter(warning);
        warnings.extend(again_everywhere(&daemon_, source).await);
        let mut told = of(&daemon_, None, None).await?;
        told.warnings.splice(0..0, warnings);
        Ok(told)
    })
}

/// Forgets a credential, here and in every sandbox that has it from here.
pub(crate) fn sign_out(daemon: &Arc<Daemon>, params: &CredentialsSignOutParams) -> OperationStarted {
    let (daemon_, source) = (Arc::clone(daemon), params.source);
    daemon.operations.start("signOut", About::default(), move |_| async move {
        match source {
            CredentialSource::StoredKey => {
                daemon_.sources.kept().delete(Entry::ApiKey).await.map_err(|failure| store(&failure))?;
            }
            CredentialSource::StoredLogin => {
                daemon_.sources.kept().delete(Entry::SetupToken).await.map_err(|failure| store(&failure))?;
            }
            CredentialSource::LoginHome => login_home::forget_all(&daemon_).await?,
            CredentialSource::HostLogin => {}
            CredentialSource::KeyHelper => {
                return Err(RpcError::new(ErrorCode::CredentialUnusable, "your apiKeyHelper is not Boxwood's to end")
                    .hint("take 'apiKeyHelper' out of your Claude Code settings"));
            }
            other => {
                let title = source::of(other).map_or("it", |entry| entry.title);
                return Err(RpcError::new(ErrorCode::CredentialUnusable, format!("{title} is not Boxwood's to end"))
                    .hint("unset its variables where you start sandboxes, and start them again"));
            }
        }
        forget_choice(&daemon_, source).and_then(|()| copies::forget_kept(&daemon_, source))?;
        let mut warnings = again_everywhere(&daemon_, source).await;
        warnings.extend(wish::goes_on(&daemon_, source));
        let mut told = of(&daemon_, None, None).await?;
        told.warnings.splice(0..0, warnings);
        Ok(told)
    })
}

/// Nobody chooses any more what was ended.
fn forget_choice(daemon: &Daemon, source: CredentialSource) -> Result<()> {
    if wish::for_all(daemon).is_some_and(|chosen| chosen.source == Some(source)) {
        wish::choose_for_all(daemon, Chosen::default())?;
    }
    for info in daemon.registry.list() {
        if let Some(mut record) = daemon.records.get(&info.id)
            && record.chosen.is_some_and(|chosen| chosen.source == Some(source))
        {
            record.chosen = None;
            daemon.records.put(&info.id, record)?;
        }
    }
    Ok(())
}

/// Has every sandbox that holds something from a source hold what there is now. Those where that fails are named.
pub(crate) async fn again_everywhere(daemon: &Arc<Daemon>, source: CredentialSource) -> Vec<String> {
    daemon.registry.ready().await;
    let mut warnings = Vec::new();
    for info in daemon.registry.list() {
        let Some(known) = daemon.registry.get(&info.id) else { continue };
        // One that holds nothing gets what is there now.
        let held = daemon.records.get(&info.id).and_then(|record| record.held);
        if held.is_some_and(|held| held.source.is_some_and(|held| held != source)) {
            continue;
        }
        let turn = daemon.turn(&info.id);
        let _turn = turn.lock_owned().await;
        if let Err(problem) = again(daemon, &known, None).await {
            warnings.push(format!("{}: {problem}", info.id));
        } else if info.state == SandboxState::Running && login_home::is_other(daemon, &info.id, &known.detail.mounts) {
            warnings.push(format!("{}: this takes effect when it is started again: 'boxwood restart'", info.id));
        }
    }
    daemon.hub.tell(Event::CredentialsChanged { sandbox_id: None });
    warnings
}

/// Has a sandbox hold what it would hold if it were started now.
pub(crate) async fn again(
    daemon: &Arc<Daemon>,
    known: &Known,
    environment: Option<&ClientEnvironment>,
) -> Result<Vec<String>> {
    let settings = wish::settings_of(daemon, known);
    let subject = Subject::of(daemon, known, settings.as_ref().map(|settings| &settings.resolved));
    let has_gateway = subject.has_gateway;
    let outcome = subject.hold(environment).await?;
    let is_running = known.info.state == SandboxState::Running;
    if let Some((injections, reach)) = outcome.for_gateway.filter(|_| is_running && has_gateway) {
        daemon.egress.inject(daemon, &known.info.id, injections, reach).await?;
    }
    Ok(outcome.warnings)
}

/// Chooses where a sandbox's credential comes from and how it is held.
pub(crate) fn set_mode(daemon: &Arc<Daemon>, params: CredentialsSetModeParams) -> Result<OperationStarted> {
    let Some(target) = &params.target else {
        let daemon_ = Arc::clone(daemon);
        return Ok(daemon.operations.start("setCredentialMode", About::default(), move |_| async move {
            check(&daemon_, None, &params, true).await?;
            wish::choose_for_all(&daemon_, Chosen { source: params.source, mode: params.mode })?;
            daemon_.hub.tell(Event::CredentialsChanged { sandbox_id: None });
            of(&daemon_, None, params.environment.as_ref()).await
        }));
    };
    let identity = identity_of(&daemon.resolve(target)?);
    let daemon_ = Arc::clone(daemon);
    Ok(on_sandbox(daemon, "setCredentialMode", &identity.clone(), false, move |handle| async move {
        let target = SandboxRef { sandbox: Some(identity.id.clone()), ..SandboxRef::default() };
        let known = daemon_.resolve(&target)?;
        check(&daemon_, Some(&identity.id), &params, gateway::is_used(&known.detail.labels)).await?;
        let before = choose(&daemon_, &identity.id, Some(Chosen { source: params.source, mode: params.mode }))?;
        // What it was started with counts, and not what the terminal has in which the person chooses.
        let is_known = daemon_.environments.of(&identity.id, None).is_some();
        let environment = params.environment.as_ref().filter(|_| !is_known);
        let warnings = if login_home::is_outdated(&daemon_, &known, environment).await {
            match Box::pin(make_again(&daemon_, handle, &known, environment.cloned())).await {
                Ok(warnings) => [warnings, vec![MADE_ANEW.to_owned()]].concat(),
                Err(problem) => {
                    // The container is the one before, so what it holds has to be as well.
                    choose(&daemon_, &identity.id, before)?;
                    again(&daemon_, &known, None).await?;
                    return Err(problem);
                }
            }
        } else {
            again(&daemon_, &known, environment).await?
        };
        let known = daemon_.resolve(&target)?;
        daemon_.hub.tell(Event::CredentialsChanged { sandbox_id: Some(identity.id) });
        let mut told = of(&daemon_, Some(&known), params.environment.as_ref()).await?;
        told.warnings.extend(warnings);
        Ok(told)
    }))
}

/// Remembers what was chosen for a sandbox, and gives what was chosen before.
fn choose(daemon: &Daemon, sandbox: &str, chosen: Option<Chosen>) -> Result<Option<Chosen>> {
    let mut record = daemon.records.get(sandbox).unwrap_or_default();
    let before = std::mem::replace(&mut record.chosen, chosen);
    daemon.records.put(sandbox, record).map(|()| before)
}

/// Refuses what cannot be had, or what the person has not read about, before anything changes.
async fn check(
    daemon: &Daemon,
    sandbox: Option<&str>,
    params: &CredentialsSetModeParams,
    has_gateway: bool,
) -> Result<()> {
    let environment = params.environment.clone().unwrap_or_default();
    let login = sandbox.map_or_else(|| LOGIN.to_owned(), |sandbox| login_home::name(daemon, sandbox));
    let mut gathered = daemon.sources.gather(environment, &login, &clock()).await;
    let wish = Wish { source: params.source, mode: params.mode, consent: params.consent };
    let Decided { choice, .. } = decide(&mut gathered, &wish, has_gateway).await;
    match choice.outcome {
        Ok(_) | Err(Refusal::Nothing { .. }) => Ok(()),
        Err(refusal @ Refusal::NeedsConsent(..)) => {
            Err(RpcError::new(ErrorCode::CredentialConsent, refusal.reason()).hint(refusal.next_step()))
        }
        Err(refusal) => Err(RpcError::new(ErrorCode::CredentialUnusable, refusal.reason()).hint(refusal.next_step())),
    }
}

/// Keeps one of two logins where it could not be told which is the newer.
pub(crate) fn resolve(daemon: &Arc<Daemon>, params: &CredentialsResolveParams) -> Result<OperationStarted> {
    let identity = identity_of(&daemon.resolve(&params.target)?);
    let (daemon_, keep) = (Arc::clone(daemon), params.keep);
    Ok(on_sandbox(daemon, "resolveCredentials", &identity.clone(), false, move |_| async move {
        let known = daemon_.resolve(&SandboxRef { sandbox: Some(identity.id.clone()), ..SandboxRef::default() })?;
        let Some(origin) = hold::origin_of(&daemon_, &identity.id, CredentialMode::Sync) else {
            return Err(RpcError::new(ErrorCode::CredentialUnusable, "the sandbox has no login that is kept the same")
                .hint("choose that with 'boxwood credentials mode sync'"));
        };
        match make_same(&daemon_, &identity.id, &origin, Some(keep)).await? {
            Decision::Conflict(conflict) => {
                Err(RpcError::new(ErrorCode::CredentialUnusable, conflict.reason()).hint(conflict.next_step()))
            }
            Decision::Keep(_) | Decision::Copy { .. } => {
                daemon_.hub.tell(Event::CredentialsChanged { sandbox_id: Some(identity.id) });
                of(&daemon_, Some(&known), None).await
            }
        }
    }))
}

fn store(failure: &crate::credentials::store::Failure) -> RpcError {
    RpcError::new(ErrorCode::CredentialStore, failure.to_string())
}
