//! Login homes in sandboxes: whoever signed in once is signed in wherever a sandbox holds a login of its own.
//!
//! A login home is `<state>/logins/<name>/.claude`, laid out as Claude's directory in a home, on the host. A sandbox that
//! holds its login as 'isolated' has one mounted, and Claude Code there keeps its credential file and the locks around it in
//! it, so that of several the first renews the login and the others find it renewed. In every other mode none is mounted.

mod adopt;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use boxwood_core::config::Resolved;
use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::host::HostAccount;
use boxwood_core::credentials::{CredentialFile, FileError, LoginState, View};
use boxwood_core::labels;
use boxwood_core::login::{DEFAULT_HOME, is_home_name};
use boxwood_engine::Mount;
use boxwood_protocol::credentials::{ClientEnvironment, CredentialMode};

use crate::claude_directory::{ClaudeDirectory, Found, Locked};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::gateway;
use crate::provisioning::hold::Subject;
use crate::registry::Known;
use crate::{files, provisioning, settings};

/// Where a login home is mounted inside.
pub(crate) const INSIDE: &str = "/var/lib/boxwood/login";
/// Where Claude Code keeps its credential file there. A mount of its own: what is one cannot be replaced by a link from
/// inside, which the daemon would have to tell from the directory it was.
pub(crate) const STORAGE: &str = "/var/lib/boxwood/login/.claude";
/// By this Claude Code is told where that is.
pub(crate) const VARIABLE: &str = "CLAUDE_SECURESTORAGE_CONFIG_DIR";

/// Claude's files in a login home.
pub(crate) const LOGIN: &str = ".credentials.json";
pub(crate) const CONFIG: &str = ".claude.json";
/// Copies of what was replaced, with the name of the home behind it. Beside the homes, so that no sandbox has them.
const REPLACED: &str = ".replaced-";
/// Logins that are being put in place, with the name of the home behind it.
pub(crate) const READY: &str = ".ready-";

/// Name of the login home of a sandbox: its own where it has one with a login, else the person's.
pub(crate) fn name(daemon: &Daemon, sandbox: &str) -> String {
    let logins = daemon.sources.logins();
    let is_own = holds_login(&logins.join(sandbox))
        // What is still in its home goes to its own login home when the person's has a login already.
        || (holds_login(&logins.join(DEFAULT_HOME)) && adopt::is_due(daemon, sandbox));
    if is_own { sandbox.to_owned() } else { DEFAULT_HOME.to_owned() }
}

/// Whether a sandbox without a login home mounted has a login of its own, which it renews itself.
pub(super) fn is_in_own_home(daemon: &Daemon, sandbox: &str) -> bool {
    adopt::is_due(daemon, sandbox)
}

/// Whether there is a login, also one that has ended or cannot be read: nobody changes to another one in silence.
fn holds_login(home: &Path) -> bool {
    if !home.join(".claude").exists() {
        return false;
    }
    let read = ClaudeDirectory::open(home).and_then(|directory| directory.head(LOGIN, MAX_BYTES as u64 + 1));
    match read {
        Ok(None) => false,
        Ok(Some(bytes)) => match CredentialFile::parse(&bytes) {
            Ok(file) => !matches!(file.view().state, LoginState::Absent | LoginState::Stub),
            Err(cause) => cause != FileError::Empty,
        },
        Err(_) => true,
    }
}

/// The login home that a sandbox is to have mounted, as its credential is held now. It is there afterwards.
pub(crate) fn for_container(daemon: &Daemon, sandbox: &str) -> Result<Option<PathBuf>> {
    let Some(name) = wanted(daemon, sandbox) else { return Ok(None) };
    let home = daemon.sources.logins().join(name);
    files::private_directory(daemon.sources.logins())?;
    files::private_directory(&home)?;
    ClaudeDirectory::open(&home)?;
    Ok(Some(home))
}

fn wanted(daemon: &Daemon, sandbox: &str) -> Option<String> {
    let held = daemon.records.get(sandbox).and_then(|record| record.held);
    held.is_none_or(|held| held.mode == CredentialMode::Isolated).then(|| name(daemon, sandbox))
}

/// The mounts of a login home.
pub(crate) fn mounts(home: &Path) -> [Mount; 2] {
    let bind = |source: &Path, target: &str| Mount::Bind {
        source: source.to_string_lossy().into_owned(),
        target: target.to_owned(),
        read_only: false,
    };
    [bind(home, INSIDE), bind(&home.join(".claude"), STORAGE)]
}

/// Name of the login home that a container has. The last part of its path: engines on other systems give the path as their
/// own machine sees it.
pub(crate) fn mounted(mounts: &[Mount]) -> Option<String> {
    mounts.iter().find_map(|mount| match mount {
        Mount::Bind { source, target, .. } if target == INSIDE => {
            Path::new(source).file_name().map(|name| name.to_string_lossy().into_owned())
        }
        _ => None,
    })
}

/// Whether a container has another login home than its sandbox should have by what it holds, or has one and should not.
pub(crate) fn is_other(daemon: &Daemon, sandbox: &str, mounts: &[Mount]) -> bool {
    wanted(daemon, sandbox) != mounted(mounts)
}

/// Whether a container would have another one if it were made now, by all that is there now.
pub(crate) async fn is_outdated(daemon: &Daemon, known: &Known, given: Option<&ClientEnvironment>) -> bool {
    let sandbox = known.info.id.as_str();
    let made_with = daemon.records.get(sandbox).map(|record| record.request).unwrap_or_default();
    let settings = settings::load(&daemon.paths, &known.info.project, &made_with).ok();
    let resolved: Option<&Resolved> = settings.as_ref().map(|settings| &settings.resolved);
    let workspace = known.detail.labels.get(labels::WORKSPACE).map_or("", String::as_str);
    let has_gateway = gateway::is_used(&known.detail.labels);
    let mode = Subject { daemon, sandbox, workspace, resolved, has_gateway }.mode(given).await;
    (mode == CredentialMode::Isolated).then(|| name(daemon, sandbox)) != mounted(&known.detail.mounts)
}

/// Keeps a copy of the login in a home that another one is about to replace.
pub(crate) fn keep_replaced(logins: &Path, name: &str, directory: &ClaudeDirectory) -> Result<()> {
    if directory.head(LOGIN, 1)?.is_none() {
        return Ok(());
    }
    let kept = logins.join(format!("{REPLACED}{name}"));
    files::private_directory(&kept)?;
    directory.copy_out(LOGIN, &kept.join(LOGIN))?;
    directory.copy_out(CONFIG, &kept.join(CONFIG)).map(drop)
}

/// Ends every login: those in login homes, in sandboxes' own homes, and what was kept of others. What else stands in the
/// credential files stays. Where it fails, which an agent that holds a lock can see to, the others end all the same.
pub(crate) async fn forget_all(daemon: &Daemon) -> Result<()> {
    let logins = daemon.sources.logins();
    let mut outcome = Ok(());
    for name in names_in(logins).into_iter().filter(|name| is_home_name(name)) {
        let ended = forget_home(logins, &name).await;
        outcome = outcome.and(ended);
    }
    for sandbox in names_in(&daemon.paths.state.join("sandboxes")) {
        if adopt::is_due(daemon, &sandbox) {
            let ended = Locked::open(&daemon.records.home(&sandbox)).await.and_then(|locked| forget(&locked));
            outcome = outcome.and(ended);
        }
    }
    outcome
}

async fn forget_home(logins: &Path, name: &str) -> Result<()> {
    for beside in [READY, REPLACED] {
        files::remove_directory(&logins.join(format!("{beside}{name}")))?;
    }
    let locked = Locked::open(&logins.join(name)).await?;
    for gone in [CONFIG, provisioning::REPLACED] {
        locked.directory().remove(gone)?;
    }
    forget(&locked)
}

/// Takes the login out of a credential file. One that cannot be read may hold one, and goes.
fn forget(locked: &Locked) -> Result<()> {
    let directory = locked.directory();
    let Some(bytes) = directory.head(LOGIN, MAX_BYTES as u64 + 1)? else { return directory.remove(LOGIN) };
    let mut file = CredentialFile::parse(&bytes).unwrap_or_default();
    file.set_login(None);
    locked.check()?;
    match file.is_empty() {
        true => directory.remove(LOGIN),
        false => directory.write_if_different(LOGIN, file.render().reveal()),
    }
}

/// Whose login Claude in a directory last had.
pub(crate) fn account_in(directory: &ClaudeDirectory) -> HostAccount {
    match directory.read(CONFIG) {
        Ok(Found::Text(text)) => HostAccount::read(&text),
        _ => HostAccount::default(),
    }
}

/// The address of a login that says only which account it is, where Claude in the sandbox has heard it: one that was made
/// inside is told of in the sandbox's own home.
pub(crate) fn email_inside(daemon: &Daemon, sandbox: &str, login: &View) -> Option<String> {
    let account = account_in(&ClaudeDirectory::open(&daemon.records.home(sandbox)).ok()?);
    account.email.filter(|_| account.id.is_some() && account.id == login.account)
}

/// Forgets the login home of a sandbox that is no more.
pub(crate) fn purge(daemon: &Daemon, sandbox: &str) -> Result<()> {
    for name in [sandbox.to_owned(), format!("{READY}{sandbox}"), format!("{REPLACED}{sandbox}")] {
        files::remove_directory(&daemon.sources.logins().join(name))?;
    }
    Ok(())
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
