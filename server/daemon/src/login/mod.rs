//! Signing in with nothing on the host: the real `claude` signs in, in a container of its own; the person's browser and the
//! person's code are all that it needs from outside.
//!
//! What a sign-in leaves is a login home, or a token that is handed to [`Keep`]. Both happen at its very end: whatever
//! comes in between leaves everything as it was.

mod container;
mod converse;
mod home;
mod keep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use boxwood_core::credentials::select::{self, Finding, Found, Wish};
use boxwood_core::credentials::{Clock, Secret, status};
use boxwood_core::login::{DEFAULT_HOME, is_home_name};
use boxwood_engine::Engine;
use boxwood_protocol::credentials::{CredentialSource, CredentialsStatus, StoredCredential};
use boxwood_protocol::login::{LoginAcceptParams, LoginAsk, LoginCodeParams, LoginKind, LoginStartParams};
use boxwood_protocol::operation::OperationStarted;
use boxwood_protocol::params::Empty;
use boxwood_protocol::{ErrorCode, Event, RpcError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) use self::container::RENEW;
use self::converse::{Terminal, Word};
use self::home::{Fresh, Held};
pub(crate) use self::keep::Keep;
use crate::creation;
use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::operations::{Handle, Subject};
use crate::provisioning::requests;
use crate::sys;

/// How long the person has, unless `BOXWOOD_LOGIN_SECONDS` says otherwise.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The sign-ins that run.
pub(crate) struct Logins {
    table: Mutex<HashMap<String, Running>>,
    keep: OnceLock<Arc<dyn Keep>>,
    patience: Duration,
    /// Stands for the container.
    #[cfg(test)]
    fake: OnceLock<tests::Fake>,
}

/// One of them; the table has them by the name of their home.
struct Running {
    operation_id: String,
    words: UnboundedSender<Word>,
    /// What the person is asked just now.
    asks: Vec<LoginAsk>,
}

impl Logins {
    /// None runs yet.
    pub(crate) fn new() -> Self {
        let given = std::env::var("BOXWOOD_LOGIN_SECONDS").ok().and_then(|text| text.parse().ok());
        Self {
            table: Mutex::default(),
            keep: OnceLock::new(),
            patience: given.map_or(PATIENCE, Duration::from_secs),
            #[cfg(test)]
            fake: OnceLock::new(),
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where tokens and keys go. Without it only logins can be made.
    pub(crate) fn keep_with(&self, keep: Arc<dyn Keep>) {
        let _ = self.keep.set(keep);
    }

    /// What running sign-ins ask, by operation.
    pub(crate) fn asks(&self) -> BTreeMap<String, Vec<LoginAsk>> {
        let table = self.table();
        let asking = table.values().filter(|running| !running.asks.is_empty());
        asking.map(|running| (running.operation_id.clone(), running.asks.clone())).collect()
    }

    fn asked(&self, operation_id: &str, ask: &LoginAsk) {
        let mut table = self.table();
        let Some(running) = table.values_mut().find(|running| running.operation_id == operation_id) else { return };
        // The address stays good while the code is awaited; everything else takes the place of what was asked before.
        running.asks.retain(|before| matches!(before, LoginAsk::Url { .. }));
        running.asks.push(ask.clone());
    }

    /// Hands a word on when it is asked for. It is not asked for any more then.
    fn say(&self, operation_id: &str, word: Word) -> Result<Empty> {
        let mut table = self.table();
        let not_asked = || RpcError::new(ErrorCode::LoginNotAsked, "no sign-in with this id waits for that");
        let running = table.values_mut().find(|running| running.operation_id == operation_id).ok_or_else(not_asked)?;
        let fits = |ask: &LoginAsk| match word {
            Word::Code(_) => matches!(ask, LoginAsk::WantsCode | LoginAsk::WrongCode { .. }),
            Word::Accept(_) => matches!(ask, LoginAsk::OtherAccount { .. }),
        };
        let at = running.asks.iter().position(fits).ok_or_else(not_asked)?;
        running.asks.remove(at);
        running.words.send(word).map_err(|_| not_asked())?;
        Ok(Empty {})
    }
}

/// Takes a sign-in off the table however it ends.
struct Entered {
    daemon: Arc<Daemon>,
    home: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.daemon.logins.table().remove(&self.home);
    }
}

/// Hands on a code.
pub(crate) fn code(daemon: &Arc<Daemon>, params: LoginCodeParams) -> Result<Empty> {
    daemon.logins.say(&params.operation_id, Word::Code(params.code))
}

/// Says whether another account may take the place of the one before.
pub(crate) fn accept(daemon: &Arc<Daemon>, params: &LoginAcceptParams) -> Result<Empty> {
    daemon.logins.say(&params.operation_id, Word::Accept(params.accept))
}

/// Begins to sign in.
pub(crate) fn start(daemon: &Arc<Daemon>, params: LoginStartParams) -> Result<OperationStarted> {
    let wanted = Wanted::of(daemon, params)?;
    // Held until it is on the table, so that of two at once the second finds the first.
    let mut table = daemon.logins.table();
    if let Some(running) = table.get(&wanted.home) {
        let message = format!("somebody is signing in to '{}' already", wanted.home);
        return Err(
            RpcError::new(ErrorCode::LoginRunning, message).caused_by(format!("operation {}", running.operation_id))
        );
    }
    let (words, heard) = unbounded_channel();
    let home = wanted.home.clone();
    let subject = Subject { sandbox_id: wanted.sandbox.clone(), project: None };
    let daemon_ = Arc::clone(daemon);
    let started = daemon.operations.start("login", subject, move |handle| async move {
        let _entered = Entered { daemon: Arc::clone(&daemon_), home: wanted.home.clone() };
        sign_in(&daemon_, &handle, &wanted, heard).await
    });
    let running = Running { operation_id: started.operation_id.clone(), words, asks: Vec::new() };
    table.insert(home, running);
    Ok(started)
}

/// What is wanted, after it was looked at.
struct Wanted {
    kind: LoginKind,
    home: String,
    sandbox: Option<String>,
    /// Where a token goes.
    keep: Option<Arc<dyn Keep>>,
}

impl Wanted {
    fn of(daemon: &Daemon, params: LoginStartParams) -> Result<Self> {
        let invalid = |message: &str| RpcError::new(ErrorCode::InvalidParams, message);
        let sandbox = match (&params.target, &params.home) {
            (Some(_), Some(_)) => return Err(invalid("a login home has a name or belongs to a sandbox, not both")),
            (Some(target), None) => Some(daemon.resolve(target)?.info.id),
            (None, _) => None,
        };
        let home = sandbox.clone().or(params.home).unwrap_or_else(|| DEFAULT_HOME.to_owned());
        if !is_home_name(&home) {
            return Err(invalid(
                "the name of a login home has letters, digits, '-', '_' and '.', and begins with none of these dots",
            ));
        }
        let wanted = Self { kind: params.kind, home, sandbox, keep: daemon.logins.keep.get().cloned() };
        if wanted.kind != LoginKind::Login {
            return match wanted.keep {
                Some(_) => Ok(wanted),
                None => Err(RpcError::new(ErrorCode::StateFailed, "there is no place here to keep a token in")
                    .hint("sign in with 'boxwood login', which keeps a login instead")),
            };
        }
        // One that cannot be read is replaced like one that has ended.
        let before = Held::read(&home::path(&daemon.paths, &wanted.home));
        let clock = Clock::at(sys::now_ms());
        match before {
            Ok(before) if before.is_signed_in() && !before.view().is_over(&clock) && !params.replace => {
                let account = wanted.status(CredentialSource::LoginHome, Some(&before)).account;
                let account = account.and_then(|account| account.email.or(account.id));
                let whose = account.map(|account| format!(" as {account}")).unwrap_or_default();
                Err(RpcError::new(ErrorCode::LoginExists, format!("'{}' is signed in already{whose}", wanted.home)))
            }
            _ => Ok(wanted),
        }
    }

    /// How the credentials are that this sign-in gives.
    fn status(&self, source: CredentialSource, held: Option<&Held>) -> CredentialsStatus {
        let now_ms = sys::now_ms();
        let findings = [Finding { source, found: Found::Usable }];
        let known = status::Known {
            sandbox: self.sandbox.as_deref(),
            login: held.map(|held| &held.file),
            email: held.and_then(|held| held.account.email.as_deref()),
            stored_at_ms: (source == CredentialSource::StoredLogin).then_some(now_ms),
            ..status::Known::default()
        };
        status::status(&select::choose(&findings, &Wish::default(), true, false), &known, &Clock::at(now_ms))
    }
}

async fn sign_in(
    daemon: &Arc<Daemon>,
    handle: &Handle,
    wanted: &Wanted,
    mut words: UnboundedReceiver<Word>,
) -> Result<CredentialsStatus> {
    let fresh = Fresh::make(&daemon.paths, &handle.id)?;
    let outcome = handle.or_cancelled(within_container(daemon, handle, wanted, &fresh, &mut words)).await;
    // Also what the engine was still making when this was cancelled.
    if let Ok((engine, _)) = daemon.link.engine().await
        && let Err(problem) = creation::clear(daemon, &engine, &handle.id).await
    {
        handle.left_over(problem.to_string());
    }
    let token = outcome?;
    handle.or_cancelled(finish(daemon, handle, wanted, &fresh, token, &mut words)).await
}

/// Signs in, in a container that is removed by the caller.
async fn within_container(
    daemon: &Arc<Daemon>,
    handle: &Handle,
    wanted: &Wanted,
    fresh: &Fresh,
    words: &mut UnboundedReceiver<Word>,
) -> Result<Option<Secret>> {
    #[cfg(test)]
    if let Some(fake) = daemon.logins.fake.get() {
        let (terminal, status) = fake(wanted.kind, fresh.claude());
        let status = || async move { Ok(status) };
        let conversation = converse::converse(terminal, wanted.kind, words, |ask| tell(daemon, handle, ask), status);
        return in_time(daemon, conversation).await;
    }
    let container = container::start(daemon, handle, fresh.directory(), &fresh.claude()).await?;
    let running = container.sign_in(wanted.kind).await?;
    let terminal = Terminal { output: running.output, input: running.input };
    let status = || container.status(&running.exec_id);
    let conversation = converse::converse(terminal, wanted.kind, words, |ask| tell(daemon, handle, ask), status);
    in_time(daemon, conversation).await
}

fn tell(daemon: &Daemon, handle: &Handle, ask: LoginAsk) {
    daemon.logins.asked(&handle.id, &ask);
    daemon.hub.tell(Event::LoginAsks { operation_id: handle.id.clone(), ask });
}

async fn in_time<T>(daemon: &Daemon, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(daemon.logins.patience, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(RpcError::new(ErrorCode::LoginTimedOut, "nobody signed in in time")),
    }
}

/// Puts what came of it where it belongs.
async fn finish(
    daemon: &Arc<Daemon>,
    handle: &Handle,
    wanted: &Wanted,
    fresh: &Fresh,
    token: Option<Secret>,
    words: &mut UnboundedReceiver<Word>,
) -> Result<CredentialsStatus> {
    let nothing = |what: &str| {
        RpcError::new(ErrorCode::LoginFailed, format!("Claude Code said that it signed in, and left no {what}"))
    };
    let made = Held::read(fresh.directory());
    let (kind, value, source) = match wanted.kind {
        LoginKind::Login => {
            let made = made?;
            if !made.is_signed_in() {
                return Err(nothing("login"));
            }
            replace(daemon, handle, wanted, &made, words).await?;
            fresh.put(&daemon.paths, &wanted.home).await?;
            let mut told = wanted.status(CredentialSource::LoginHome, Some(&made));
            told.warnings.extend(spread(daemon, CredentialSource::LoginHome).await);
            return Ok(told);
        }
        LoginKind::SetupToken => (StoredCredential::SetupToken, token, CredentialSource::StoredLogin),
        LoginKind::Console => (StoredCredential::ApiKey, made?.take_key(), CredentialSource::StoredKey),
    };
    let keep = wanted.keep.as_ref().ok_or_else(|| error::internal("there is no place to keep a token in"))?;
    keep.keep(kind, value.ok_or_else(|| nothing("token"))?).await?;
    let mut told = wanted.status(source, None);
    told.warnings.extend(spread(daemon, source).await);
    Ok(told)
}

/// Gives what a sign-in left to the sandboxes that have theirs from there. What fails there takes nothing of the sign-in back.
async fn spread(daemon: &Arc<Daemon>, source: CredentialSource) -> Vec<String> {
    daemon.renewals.wake();
    requests::again_everywhere(daemon, source).await
}

/// Has the real `claude` renew the login in `claude`, Claude's configuration directory on the host, if that is due.
pub(crate) async fn renew(daemon: &Arc<Daemon>, handle: &Handle, claude: &Path) -> Result<()> {
    let fresh = Fresh::make(&daemon.paths, &handle.id)?;
    container::renew(daemon, handle, fresh.directory(), claude).await
}

/// Waits for renewals that an earlier daemon began.
pub(crate) async fn settle_renewals(daemon: &Daemon) -> Result<()> {
    container::settle_renewals(daemon).await
}

/// Asks whether the login may take the place of another account's.
async fn replace(
    daemon: &Arc<Daemon>,
    handle: &Handle,
    wanted: &Wanted,
    made: &Held,
    words: &mut UnboundedReceiver<Word>,
) -> Result<()> {
    let Ok(before) = Held::read(&home::path(&daemon.paths, &wanted.home)) else { return Ok(()) };
    if !before.had_account() || before.is_of_same_account(made) {
        return Ok(());
    }
    let name = |held: &Held| {
        let account = wanted.status(CredentialSource::LoginHome, Some(held)).account;
        account.and_then(|account| account.email.or(account.id)).or_else(|| home::id_of(&held.view()))
    };
    tell(daemon, handle, LoginAsk::OtherAccount { before: name(&before), now: name(made) });
    let answer = async {
        loop {
            match words.recv().await {
                Some(Word::Accept(accept)) => return Ok(accept),
                Some(Word::Code(_)) => {}
                None => return Err(error::internal("nobody is left to answer")),
            }
        }
    };
    match in_time(daemon, answer).await? {
        true => Ok(()),
        false => Err(RpcError::new(ErrorCode::Cancelled, "the login before was left as it was")),
    }
}

/// Puts right what sign-ins left that were interrupted.
pub(crate) async fn repair(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>) {
    let running: Vec<String> =
        daemon.operations.list_running().into_iter().map(|operation| operation.operation_id).collect();
    let is_running = |trace: &str| running.iter().any(|id| id == trace);
    if let Err(problem) = container::tidy(daemon, engine, is_running).await {
        tracing::warn!(%problem, "a container of a sign-in stays behind");
    }
    match home::repair(&daemon.paths, is_running) {
        Ok(unfinished) => unfinished.into_iter().for_each(|name| resume(daemon, name)),
        Err(problem) => tracing::warn!(%problem, "what a sign-in left stays behind"),
    }
}

/// Finishes a sign-in as soon as nobody holds Claude Code's locks any more; what this daemon's predecessor held, it waits for.
fn resume(daemon: &Arc<Daemon>, name: String) {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        if let Err(problem) = home::resume(&daemon.paths, &name).await {
            tracing::warn!(%problem, "a sign-in is finished when the daemon starts anew");
        }
    });
}
