//! The verbs: ensure, refresh, stop, restart, remove.

use std::sync::Arc;

use boxwood_core::identity::Identity;
use boxwood_core::plan::{self, Step};
use boxwood_engine::{Engine, EngineInfo};
use boxwood_protocol::config::Network;
use boxwood_protocol::credentials::ClientEnvironment;
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::{EnsureAction, EnsureParams, EnsureResult, RemoveParams, SandboxRef};
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::Result;
use crate::journal::Journal;
use crate::lifecycle::running::attach;
use crate::lifecycle::steps::Work;
use crate::lifecycle::{carry_out, gateway, login_home, mounts, overlay, spec};
use crate::operations::{Handle, Subject};
use crate::provisioning::wish;
use crate::registry::Known;
use crate::settings::{self, Settings};
use crate::{project, repair};

const RESTART: &str = "restart";

/// Starts an operation on one sandbox. A second request of the same kind joins the first; one of another kind waits for its turn.
pub(crate) fn on_sandbox<T, F, W>(
    daemon: &Arc<Daemon>,
    kind: &'static str,
    identity: &Identity,
    joins: bool,
    work: W,
) -> OperationStarted
where
    T: serde::Serialize + Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
    W: FnOnce(Handle) -> F + Send + 'static,
{
    if joins && let Some(operation_id) = daemon.operations.find(kind, &identity.id) {
        return OperationStarted { operation_id };
    }
    let (turn, daemon_, sandbox) = (daemon.turn(&identity.id), Arc::clone(daemon), identity.id.clone());
    let subject = Subject { sandbox_id: Some(identity.id.clone()), project: Some(identity.project.clone()) };
    daemon.operations.start(kind, subject, move |handle| async move {
        let _turn = handle.or_cancelled(async { Ok(turn.lock_owned().await) }).await?;
        repair::before(&daemon_, &handle, &sandbox).await?;
        work(handle).await
    })
}

/// Brings a project's sandbox to life.
pub(crate) fn ensure(daemon: &Arc<Daemon>, params: EnsureParams) -> Result<OperationStarted> {
    let identity = identify(daemon, &params.project, params.session.as_deref())?;
    let (daemon_, identity_) = (Arc::clone(daemon), identity.clone());
    Ok(on_sandbox(daemon, "ensure", &identity, true, move |handle| async move {
        daemon_.registry.ready().await;
        let done = match daemon_.registry.get(&identity_.id) {
            Some(known) if known.info.state == SandboxState::Running => {
                Box::pin(attach(&daemon_, handle, identity_, &known, &params)).await
            }
            Some(known) if known.info.state != SandboxState::Creating => {
                Box::pin(start_again(&daemon_, handle, identity_, &known, params)).await
            }
            before => Box::pin(make(&daemon_, handle, identity_, before.as_ref(), params)).await,
        };
        explained(&daemon_, done)
    }))
}

/// With what the person has not been told yet.
fn explained(daemon: &Daemon, done: Result<EnsureResult>) -> Result<EnsureResult> {
    let mut done = done?;
    done.warnings.extend(wish::tell(daemon, &done.sandbox.id));
    Ok(done)
}

/// Makes the container anew.
pub(crate) fn refresh(daemon: &Arc<Daemon>, params: EnsureParams) -> Result<OperationStarted> {
    let identity = identify(daemon, &params.project, params.session.as_deref())?;
    let (daemon_, identity_) = (Arc::clone(daemon), identity.clone());
    Ok(on_sandbox(daemon, "refresh", &identity, true, move |handle| async move {
        daemon_.registry.ready().await;
        let before = daemon_.registry.get(&identity_.id);
        explained(&daemon_, Box::pin(make(&daemon_, handle, identity_, before.as_ref(), params)).await)
    }))
}

/// Stops a sandbox.
pub(crate) fn stop(daemon: &Arc<Daemon>, target: &SandboxRef) -> Result<OperationStarted> {
    on_existing(daemon, "stop", target, plan::stop)
}

/// Stops and starts a sandbox.
pub(crate) fn restart(daemon: &Arc<Daemon>, target: &SandboxRef) -> Result<OperationStarted> {
    on_existing(daemon, RESTART, target, plan::restart)
}

/// Removes a sandbox.
pub(crate) fn remove(daemon: &Arc<Daemon>, params: &RemoveParams) -> Result<OperationStarted> {
    let target = SandboxRef {
        sandbox: params.sandbox.clone(),
        project: params.project.clone(),
        session: params.session.clone(),
    };
    let known = daemon.resolve(&target)?;
    let identity = identity_of(&known);
    let purge = params.purge_state;
    let (daemon_, identity_) = (Arc::clone(daemon), identity.clone());
    Ok(on_sandbox(daemon, "remove", &identity, !purge, move |handle| async move {
        if let Some(known) = daemon_.registry.get(&identity_.id) {
            let mut work = existing(&daemon_, handle, identity_, &known).await?;
            let steps = plan::remove(gateway::is_used(&known.detail.labels), purge);
            carry_out(&mut work, steps).await?;
        }
        Ok(boxwood_protocol::params::Empty {})
    }))
}

fn on_existing(
    daemon: &Arc<Daemon>,
    kind: &'static str,
    target: &SandboxRef,
    steps: fn(bool) -> Vec<Step>,
) -> Result<OperationStarted> {
    let identity = identity_of(&daemon.resolve(target)?);
    let (daemon_, identity_) = (Arc::clone(daemon), identity.clone());
    Ok(on_sandbox(daemon, kind, &identity, true, move |handle| async move {
        let known = daemon_.registry.get(&identity_.id).ok_or_else(|| gone(&identity_.id))?;
        if kind == RESTART && is_made_for_other(&daemon_, &known, None).await {
            let made = Box::pin(make(&daemon_, handle, identity_, Some(&known), EnsureParams::default())).await?;
            return Ok(made.sandbox);
        }
        let mut work = existing(&daemon_, handle, identity_, &known).await?;
        again(&mut work);
        carry_out(&mut work, steps(gateway::is_used(&known.detail.labels))).await?;
        look(&work).await
    }))
}

/// The identity that a project and a session give.
pub(crate) fn identify(daemon: &Daemon, path: &str, session: Option<&str>) -> Result<Identity> {
    let canonical = project::canonical(&daemon.paths, path)?;
    Identity::new(&canonical, session, &daemon.installation)
        .map_err(|cause| RpcError::new(ErrorCode::InvalidParams, cause.to_string()))
}

pub(crate) fn identity_of(known: &Known) -> Identity {
    Identity { project: known.info.project.clone(), session: known.info.session.clone(), id: known.info.id.clone() }
}

fn gone(id: &str) -> RpcError {
    RpcError::new(ErrorCode::SandboxNotFound, format!("the sandbox {id} is gone"))
}

/// Whether what must be mounted now, or must not be, is other than it is: by its credential, or by what the person lets it
/// read. That cannot be changed in a container that is there.
async fn is_made_for_other(daemon: &Daemon, known: &Known, environment: Option<&ClientEnvironment>) -> bool {
    mounts::is_outdated(daemon, &known.detail) || login_home::is_outdated(daemon, known, environment).await
}

async fn start_again(
    daemon: &Arc<Daemon>,
    handle: Handle,
    identity: Identity,
    known: &Known,
    params: EnsureParams,
) -> Result<EnsureResult> {
    if is_made_for_other(daemon, known, params.environment.as_ref()).await {
        return Box::pin(make(daemon, handle, identity, Some(known), params)).await;
    }
    let mut work = existing(daemon, handle, identity, known).await?;
    work.environment = params.environment;
    again(&mut work);
    carry_out(&mut work, plan::start(gateway::is_used(&known.detail.labels))).await?;
    let sandbox = look(&work).await?;
    Ok(EnsureResult { sandbox, action: EnsureAction::Started, warnings: work.warnings })
}

/// Looks at the project of a container that is there. Its mounts are fixed: those of their sources that are missing now are
/// made again, and what it would be made with now is told.
pub(crate) fn again(work: &mut Work) {
    work.settings = settings::load(&work.daemon.paths, &work.identity.project, &work.request).ok();
    work.journal.placeholders = overlay::missing(&work.identity.project, &work.overlays);
    let planned = work.settings.as_ref().map(|settings| overlay::plan(&work.identity.project, &settings.resolved));
    match planned {
        Some(Ok((wanted, warnings))) => {
            work.warnings.extend(warnings);
            work.warnings.extend(overlay::difference(&work.overlays, &wanted));
        }
        Some(Err(problem)) => work.warnings.push(problem.message),
        None => {}
    }
}

async fn make(
    daemon: &Arc<Daemon>,
    handle: Handle,
    identity: Identity,
    before: Option<&Known>,
    params: EnsureParams,
) -> Result<EnsureResult> {
    let mut work = prepare(daemon, handle, identity, before, params).await?;
    let steps = steps_to_make(&work, before);
    carry_out(&mut work, steps).await?;
    let sandbox = look(&work).await?;
    let action = if before.is_some() { EnsureAction::Recreated } else { EnsureAction::Created };
    Ok(EnsureResult { sandbox, action, warnings: work.warnings })
}

/// Makes a container anew, with what it was made with, and leaves it as it was: running or not.
pub(crate) async fn make_again(
    daemon: &Arc<Daemon>,
    handle: Handle,
    known: &Known,
    environment: Option<ClientEnvironment>,
) -> Result<Vec<String>> {
    let identity = identity_of(known);
    let params = EnsureParams { environment, ..EnsureParams::default() };
    let made = Box::pin(make(daemon, handle.clone(), identity.clone(), Some(known), params)).await?;
    if known.info.state != SandboxState::Running {
        let known = daemon.registry.get(&identity.id).ok_or_else(|| gone(&identity.id))?;
        let mut work = existing(daemon, handle, identity, &known).await?;
        carry_out(&mut work, plan::stop(gateway::is_used(&known.detail.labels))).await?;
        look(&work).await?;
    }
    Ok(made.warnings)
}

/// Steps that make a container, in the place of the one that is there.
pub(crate) fn steps_to_make(work: &Work, before: Option<&Known>) -> Vec<Step> {
    let has_gateway = work.settings.as_ref().is_some_and(|settings| settings.resolved.network == Network::Gateway);
    match before {
        Some(known) => plan::recreate(gateway::is_used(&known.detail.labels), has_gateway),
        None => plan::create(has_gateway),
    }
}

/// What there is of a gateway, when the operation is about one.
async fn survey(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    info: &EngineInfo,
    sandbox: &str,
    before: bool,
    after: bool,
) -> Result<Option<gateway::Before>> {
    if !before && !after {
        return Ok(None);
    }
    gateway::Site { daemon, engine, info, sandbox }.survey(!before).await.map(Some)
}

/// What an operation that makes a container holds.
pub(crate) async fn prepare(
    daemon: &Arc<Daemon>,
    handle: Handle,
    identity: Identity,
    before: Option<&Known>,
    params: EnsureParams,
) -> Result<Work> {
    let (made_with, endpoint) =
        daemon.records.get(&identity.id).map(|record| (record.request, record.endpoint)).unzip();
    let request = params.config.or_else(|| before.and(made_with.clone())).unwrap_or_default();
    let settings: Settings = settings::load(&daemon.paths, &identity.project, &request)?.approved()?;
    let mounts = mounts::plan(daemon, &identity, &settings)?;
    let (engine, info) = daemon.link.engine().await?;
    let (overlays, warnings) = overlay::plan(&identity.project, &settings.resolved)?;
    let has_gateway = settings.resolved.network == Network::Gateway;
    let had_gateway = before.is_some_and(|known| gateway::is_used(&known.detail.labels));
    let journal = Journal {
        trace: handle.id.clone(),
        sandbox: identity.id.clone(),
        container: identity.container(),
        project: identity.project.clone(),
        steps: Vec::new(),
        made_directories: !daemon.paths.sandbox(&identity.id).exists(),
        placeholders: overlay::missing(&identity.project, &overlays),
        before: before.map(|known| known.detail.id.clone()),
        was_running: before.is_some_and(|known| known.info.state == SandboxState::Running),
        gateway: survey(daemon, &engine, &info, &identity.id, had_gateway, has_gateway).await?,
        request: before.and(made_with),
        endpoint: endpoint.flatten(),
    };
    let workspace = spec::workspace(&identity.project, settings.resolved.workspace_path);
    Ok(Work {
        daemon: Arc::clone(daemon),
        engine,
        info,
        handle,
        journal,
        identity,
        settings: Some(settings),
        request,
        environment: params.environment,
        for_gateway: None,
        in_gateway: None,
        overlays,
        mounts,
        workspace,
        materials: None,
        place: None,
        container: None,
        warnings,
        #[cfg(test)]
        saboteur: None,
    })
}

/// What an operation on a container that is there holds.
pub(crate) async fn existing(daemon: &Arc<Daemon>, handle: Handle, identity: Identity, known: &Known) -> Result<Work> {
    let (engine, info) = daemon.link.engine().await?;
    let record = daemon.records.get(&identity.id).unwrap_or_default();
    let label = |key: &str| known.detail.labels.get(key).cloned().unwrap_or_default();
    let has_gateway = gateway::is_used(&known.detail.labels);
    let workspace = label(boxwood_core::labels::WORKSPACE);
    let overlays = overlay::mounted(&identity.project, &workspace, &known.detail.mounts);
    let journal = Journal {
        trace: handle.id.clone(),
        sandbox: identity.id.clone(),
        container: identity.container(),
        project: identity.project.clone(),
        steps: Vec::new(),
        made_directories: false,
        placeholders: Vec::new(),
        before: Some(known.detail.id.clone()),
        was_running: known.info.state == SandboxState::Running,
        gateway: survey(daemon, &engine, &info, &identity.id, has_gateway, has_gateway).await?,
        request: None,
        endpoint: None,
    };
    Ok(Work {
        daemon: Arc::clone(daemon),
        engine,
        info,
        handle,
        journal,
        workspace,
        identity,
        settings: None,
        request: record.request,
        environment: None,
        for_gateway: None,
        in_gateway: None,
        overlays,
        mounts: mounts::mounted(&known.detail.labels),
        materials: None,
        place: gateway::place_of(&known.detail.labels),
        container: Some(known.detail.id.clone()),
        warnings: Vec::new(),
        #[cfg(test)]
        saboteur: None,
    })
}

/// The sandbox as it is after its steps.
pub(super) async fn look(work: &Work) -> Result<SandboxInfo> {
    let id = work.container.as_deref().ok_or_else(|| gone(&work.identity.id))?;
    let detail = work
        .engine
        .inspect_container(id)
        .await
        .map_err(|cause| crate::error::engine("look at the container", &cause))?;
    Ok(work.daemon.registry.update(detail))
}
