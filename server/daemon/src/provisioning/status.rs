//! How credentials are, as it is told: found by looking only. Nothing is run and nobody is asked for the sake of it.

use std::path::Path;
use std::sync::Arc;

use boxwood_core::credentials::CredentialFile;
use boxwood_core::credentials::select::{Finding, Found, choose};
use boxwood_core::credentials::status::{self, Known as Login};
use boxwood_core::credentials::sync::{Conflict, Decision};
use boxwood_protocol::credentials::{
    ClientEnvironment, CredentialMode, CredentialSource, CredentialsParams, CredentialsStatus,
};

use super::hold::{LOGIN, clock, is_of_environment};
use super::origin::Origin;
use super::wish;
use crate::claude_directory::ClaudeDirectory;
use crate::credentials::host::{CREDENTIALS, Login as Read};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::files;
use crate::lifecycle::{gateway, login_home};
use crate::registry::Known;
use crate::renewal::Note;

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
    look(daemon, known, environment).await.map(|(status, _)| status)
}

/// The same, with what was found at each source.
pub(crate) async fn look(
    daemon: &Arc<Daemon>,
    known: Option<&Known>,
    environment: Option<&ClientEnvironment>,
) -> Result<(CredentialsStatus, Vec<Finding>)> {
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
    gathered.expect(held.and_then(|held| held.source));
    gathered.findings.extend(unknown.map(|source| Finding { source, found: Found::Usable }));
    let has_gateway = known.is_none_or(|known| gateway::is_used(&known.detail.labels));
    let wish = wish::of(daemon, sandbox, wish::is_host_login(daemon, known));
    let choice = choose(&gathered.findings, &wish, has_gateway, gathered.is_ci);
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
    told.warnings.extend(sandbox.and_then(|sandbox| wish::untold(daemon, sandbox)));
    told.warnings.append(&mut gathered.notes);
    Ok((told, gathered.findings))
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
