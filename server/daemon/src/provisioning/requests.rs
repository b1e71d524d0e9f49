//! Answers to requests about credentials. Nothing here answers with a value.

use std::path::Path;
use std::sync::Arc;

use boxwood_core::credentials::select::{Finding, Found, Refusal, Wish};
use boxwood_core::credentials::status::{self, Known as Login};
use boxwood_core::credentials::stored::Stored;
use boxwood_core::credentials::sync::{Conflict, Decision};
use boxwood_core::credentials::{CredentialFile, Secret, source};
use boxwood_protocol::credentials::{
    ClientEnvironment, CredentialMode, CredentialSource, CredentialsParams, CredentialsResolveParams,
    CredentialsSetModeParams, CredentialsSetParams, CredentialsSignOutParams, CredentialsStatus, StoredCredential,
};
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::SandboxRef;
use boxwood_protocol::sandbox::SandboxState;
use boxwood_protocol::{ErrorCode, Event, RpcError};

use super::copies::{self, make_same};
use super::hold::{self, Chosen, Decided, LOGIN, Subject, clock, decide, is_of_environment};
use super::origin::Origin;
use crate::claude_directory::ClaudeDirectory;
use crate::credentials::gather::Sources;
use crate::credentials::host::{CREDENTIALS, Login as Read};
use crate::credentials::store::Entry;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::ensure::{identity_of, make_again, on_sandbox};
use crate::lifecycle::{gateway, login_home};
use crate::login::Keep;
use crate::operations::Subject as About;
use crate::registry::Known;
use crate::renewal::Note;
use crate::{files, settings};
use futures::future::BoxFuture;

/// What a change of the mode is told with when the container had to be another one.
const MADE_ANEW: &str = "its container was made anew, because what is mounted in it follows the mode; its state and its \
                         conversations are as they were";
/// Said where nothing on this machine renews the login of this machine.
const BY_USE: &str = "Claude Code was not found on this machine, so its login is renewed only when you use it here";
/// Said where only the gateway knows what a sandbox was started with.
const IN_GATEWAY: &str = "what it was started with came from the environment of a terminal, and only its gateway knows it \
                          now; after 'boxwood stop', start it again from such a terminal";

/// How the credentials of a sandbox are, or those that a new one would get.
pub(crate) async fn status(daemon: Arc<Daemon>, params: CredentialsParams) -> Result<CredentialsStatus> {
    daemon.registry.ready().await;
    let known = params.target.as_ref().map(|target| daemon.resolve(target)).transpose()?;
    of(&daemon, known.as_ref(), params.environment.as_ref()).await
}

/// The same for a sandbox that is known, or for new ones.
pub(crate) async fn of(
    daemon: &Arc<Daemon>,
    known: Option<&Known>,
    environment: Option<&ClientEnvironment>,
) -> Result<CredentialsStatus> {
    let sandbox = known.map(|known| known.info.id.as_str());
    // What a sandbox was started with counts for it, and not what another terminal has.
    let remembered = sandbox.and_then(|sandbox| daemon.environments.of(sandbox, None));
    let record = sandbox.and_then(|sandbox| daemon.records.get(sandbox));
    let held = record.as_ref().and_then(|record| record.held);
    // What a daemon before this one was given is known to the gateway alone.
    let unknown = held.and_then(|held| held.source).filter(|source| is_of_environment(*source) && remembered.is_none());
    let environment = remembered.or_else(|| environment.filter(|_| unknown.is_none()).cloned()).unwrap_or_default();
    let login = sandbox.map_or_else(|| LOGIN.to_owned(), |sandbox| login_home::name(daemon, sandbox));
    let mut gathered = daemon.sources.gather(environment, &login, &clock()).await;
    gathered.findings.extend(unknown.map(|source| Finding { source, found: Found::Usable }));
    let has_gateway = known.is_none_or(|known| gateway::is_used(&known.detail.labels));
    let chosen = record.as_ref().and_then(|record| record.chosen).or_else(|| hold::chosen_for_all(daemon));
    let chosen = chosen.unwrap_or_default();
    let wish = Wish { source: chosen.source, mode: chosen.mode, consent: true };
    // Nothing is run and nobody is asked for the sake of looking.
    let choice = boxwood_core::credentials::select::choose(&gathered.findings, &wish, has_gateway, gathered.is_ci);
    // One that has a login home has no other login.
    let own = known.filter(|known| login_home::mounted(&known.detail.mounts).is_none());
    let own = own.and_then(|known| own_login(daemon, &known.info.id));
    let in_use = choice.outcome.ok();
    let read = match in_use {
        Some((source, CredentialMode::Sync)) => own.as_ref().or_else(|| gathered.login_of(source)),
        Some((_, CredentialMode::Isolated)) | None => own.as_ref().or(gathered.login_home.as_ref()),
        Some((CredentialSource::LoginHome, _)) => gathered.login_home.as_ref(),
        Some((CredentialSource::HostLogin, _)) => gathered.host_login.as_ref(),
        Some(_) => None,
    };
    let note = read.and_then(|read| note(daemon, sandbox, in_use.map(|(source, _)| source), own.as_ref(), read));
    let other = in_use.and_then(|(source, _)| gathered.login_of(source));
    let is_by_use = in_use.is_some_and(|(source, _)| daemon.renewals.is_by_use(source));
    let email = read.and_then(|read| {
        let inside = || sandbox.and_then(|sandbox| login_home::email_inside(daemon, sandbox, &read.view()));
        read.account.email.clone().or_else(inside)
    });
    let known_login = Login {
        sandbox,
        login: read.map(|read| &read.file),
        email: email.as_deref(),
        stored_at_ms: gathered.stored_at_ms,
        renewed_at_ms: note.as_ref().map(|note| note.renewed_at_ms),
        failures: note.as_ref().map_or(0, |note| note.failures),
        is_renewed_by_use: is_by_use,
        conflict: conflict(daemon, sandbox, in_use, own.as_ref().map(|own| &own.file), other),
    };
    let mut told = status::status(&choice, &known_login, &clock());
    if is_by_use && in_use.is_some_and(|(_, mode)| mode == CredentialMode::Token) {
        told.warnings.push(BY_USE.to_owned());
    }
    if unknown.is_some() {
        told.warnings.push(IN_GATEWAY.to_owned());
    }
    let is_other =
        held.is_some_and(|held| in_use.is_some_and(|(source, mode)| (held.source, held.mode) != (Some(source), mode)));
    let is_mounted_otherwise = |known: &Known| login_home::is_other(daemon, &known.info.id, &known.detail.mounts);
    if is_other || known.is_some_and(is_mounted_otherwise) {
        told.warnings.push("this takes effect when the sandbox is started again: 'boxwood restart'".to_owned());
    }
    told.warnings.append(&mut gathered.notes);
    Ok(told)
}

/// What is remembered of a login, the sandbox's own or the one of which it holds something.
fn note(
    daemon: &Daemon,
    sandbox: Option<&str>,
    source: Option<CredentialSource>,
    own: Option<&Read>,
    read: &Read,
) -> Option<Note> {
    let is_own = own.is_some_and(|own| std::ptr::eq(own, read));
    let source = source.unwrap_or(CredentialSource::LoginHome);
    let file = match sandbox.filter(|_| is_own) {
        Some(sandbox) => daemon.paths.sandbox(sandbox).join("renewal.json"),
        None => daemon.renewals.note_of(&match sandbox {
            Some(sandbox) => Origin::of(daemon, sandbox, source)?,
            None => Origin::of_new(source)?,
        }),
    };
    Note::of(&file, &read.view(), Some(Path::new(&read.place)), clock().now_ms)
}

/// The login that is in a sandbox.
fn own_login(daemon: &Daemon, sandbox: &str) -> Option<Read> {
    let directory = ClaudeDirectory::open(&daemon.records.home(sandbox)).ok()?;
    let most = boxwood_core::credentials::file::MAX_BYTES as u64 + 1;
    let file = CredentialFile::parse(&directory.head(CREDENTIALS, most).ok()??).ok()?;
    Some(Read {
        file,
        account: login_home::account_in(&directory),
        place: directory.path(CREDENTIALS).display().to_string(),
    })
}

/// What keeps both sides of a login that is kept the same from being so.
fn conflict(
    daemon: &Daemon,
    sandbox: Option<&str>,
    in_use: Option<(CredentialSource, CredentialMode)>,
    own: Option<&CredentialFile>,
    host: Option<&Read>,
) -> Option<Conflict> {
    let sandbox = sandbox.filter(|_| in_use.is_some_and(|(_, mode)| mode == CredentialMode::Sync))?;
    let record = files::read(&daemon.paths.sandbox(sandbox).join(super::sync::RECORD)).ok()??;
    let record = boxwood_core::credentials::sync::Record::parse(&record);
    let own = own.map_or_else(|| CredentialFile::default().view(), CredentialFile::view);
    let host = host.map_or_else(|| CredentialFile::default().view(), Read::view);
    match boxwood_core::credentials::sync::decide(Some(&host), Some(&own), &record, &clock()) {
        Decision::Conflict(conflict) => Some(conflict),
        Decision::Keep(_) | Decision::Copy { .. } => None,
    }
}

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
        let warnings = again_everywhere(&daemon_, source).await;
        let mut told = of(&daemon_, None, None).await?;
        told.warnings.splice(0..0, warnings);
        Ok(told)
    })
}

/// Nobody chooses any more what was ended.
fn forget_choice(daemon: &Daemon, source: CredentialSource) -> Result<()> {
    if hold::chosen_for_all(daemon).is_some_and(|chosen| chosen.source == Some(source)) {
        hold::choose_for_all(daemon, Chosen::default())?;
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
    let made_with = daemon.records.get(&known.info.id).map(|record| record.request).unwrap_or_default();
    let settings = settings::load(&daemon.paths, &known.info.project, &made_with).ok();
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
            hold::choose_for_all(&daemon_, Chosen { source: params.source, mode: params.mode })?;
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
