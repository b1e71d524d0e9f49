//! Login homes: directories in which the real `claude` has signed in, one for each name.
//!
//! A sign-in happens in a directory of its own. When the login in it is whole, that directory is moved to where it counts,
//! and from there its files move into the login home one by one, under Claude Code's own locks and into the directory that is
//! there: sandboxes have it mounted. What interrupts it before leaves the login before, what interrupts it afterwards is
//! finished by the next start, and no file is ever put in place twice: meanwhile a sandbox may have renewed what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::host::HostAccount;
use boxwood_core::credentials::view::{AccountId, LoginState, Sameness};
use boxwood_core::credentials::{CredentialFile, Secret, View};
use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};
use zeroize::Zeroizing;

use crate::claude_directory::{ClaudeDirectory, Found, Locked};
use crate::error::{self, Result};
use crate::files;
use crate::lifecycle::login_home::{CONFIG, LOGIN, READY, keep_replaced};

/// Directories of sign-ins that run, with the operation's id behind it.
const NEW: &str = ".new-";
/// How long a lock is waited for that the daemon before may have held when it ended.
const UNTIL_STALE: Duration = Duration::from_secs(75);

/// The directory with all of them.
pub(super) fn root(paths: &Paths) -> PathBuf {
    paths.state.join("logins")
}

/// The login home of this name, whether it is there or not.
pub(super) fn path(paths: &Paths, name: &str) -> PathBuf {
    root(paths).join(name)
}

/// A login that is kept in a directory.
pub(super) struct Held {
    pub(super) file: CredentialFile,
    pub(super) account: HostAccount,
    /// An API key of the console.
    key: Option<Secret>,
}

impl Held {
    /// Reads what is in a login home. What is not there is empty.
    pub(super) fn read(home: &Path) -> Result<Self> {
        if !home.is_dir() {
            return Ok(Self { file: CredentialFile::default(), account: HostAccount::default(), key: None });
        }
        // Whoever has it mounted may have put anything there.
        let directory = ClaudeDirectory::open(home)?;
        let file = read_login(&directory)?.unwrap_or_default();
        let config = Zeroizing::new(match directory.read(CONFIG)? {
            Found::Text(text) => text,
            Found::Nothing | Found::TooLarge => String::new(),
        });
        Ok(Self { file, account: HostAccount::read(&config), key: key(&config) })
    }

    /// What the login says of itself.
    pub(super) fn view(&self) -> View {
        self.account.complete(self.file.view())
    }

    /// Whether somebody is signed in.
    pub(super) fn is_signed_in(&self) -> bool {
        matches!(self.view().state, LoginState::Full | LoginState::AccessOnly)
    }

    /// Takes the API key out.
    pub(super) fn take_key(&mut self) -> Option<Secret> {
        self.key.take()
    }

    /// Whether another login is surely of the same account.
    pub(super) fn is_of_same_account(&self, other: &Self) -> bool {
        match self.view().account_of(&other.view()) {
            Sameness::Same => true,
            Sameness::Another => false,
            Sameness::Unknown => self.account.email.is_some() && self.account.email == other.account.email,
        }
    }

    /// Whose account it was, also when its login has been blanked.
    pub(super) fn had_account(&self) -> bool {
        !matches!(self.view().state, LoginState::Absent | LoginState::Stub)
    }
}

/// The API key that `claude auth login --console` left.
fn key(config: &str) -> Option<Secret> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(rename = "primaryApiKey")]
        key: Option<Secret>,
    }
    let config: Config = serde_json::from_str(config).ok()?;
    config.key.filter(|key| !key.reveal().is_empty())
}

/// The credential file in a directory.
fn read_login(directory: &ClaudeDirectory) -> Result<Option<CredentialFile>> {
    let bytes = directory.head(LOGIN, MAX_BYTES as u64 + 1)?.map(Zeroizing::new);
    let parsed = bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| CredentialFile::parse(&bytes)).transpose();
    parsed.map_err(|cause| {
        let path = directory.path(LOGIN);
        RpcError::new(ErrorCode::StateFailed, format!("failed to read {}", path.display())).caused_by(cause)
    })
}

/// A directory for a sign-in that runs. It goes when this does.
pub(super) struct Fresh {
    directory: PathBuf,
}

impl Fresh {
    /// Makes one for the operation `trace`.
    pub(super) fn make(paths: &Paths, trace: &str) -> Result<Self> {
        files::private_directory(&root(paths))?;
        let fresh = Self { directory: root(paths).join(format!("{NEW}{trace}")) };
        files::private_directory(&fresh.directory)?;
        files::private_directory(&fresh.claude())?;
        Ok(fresh)
    }

    /// What Claude has for its configuration.
    pub(super) fn claude(&self) -> PathBuf {
        self.directory.join(".claude")
    }

    /// The directory as a login home; what else the container is given can be there, too.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts the login that was made here in the place of the one that is kept under `name`. What else is in that one's
    /// credential file, logins of other servers for example, stays.
    pub(super) async fn put(&self, paths: &Paths, name: &str) -> Result<()> {
        let home = Locked::open(&path(paths, name)).await?;
        self.put_into(paths, name, home.directory(), &mut || home.check())
    }

    fn put_into(
        &self,
        paths: &Paths,
        name: &str,
        home: &ClaudeDirectory,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let ready = ready(paths, name);
        go_on()?;
        // What an earlier one did not finish is not finished any more.
        files::remove_directory(&ready)?;
        go_on()?;
        fs::rename(&self.directory, &ready).map_err(|cause| error::file("put the new login to", &ready, &cause))?;
        finish(paths, name, home, go_on)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Err(problem) = files::remove_directory(&self.directory) {
            tracing::warn!(%problem, "the directory of a sign-in stays behind until the daemon starts anew");
        }
    }
}

/// Where a login is from the moment on in which it counts.
fn ready(paths: &Paths, name: &str) -> PathBuf {
    root(paths).join(format!("{READY}{name}"))
}

/// Moves what is ready into the login home.
fn finish(paths: &Paths, name: &str, home: &ClaudeDirectory, go_on: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let ready = ready(paths, name);
    let from = ClaudeDirectory::open(&ready)?;
    if let Some(new) = read_login(&from)? {
        go_on()?;
        keep_replaced(&root(paths), name, home)?;
        let mut whole = read_login(home).ok().flatten().unwrap_or_default();
        whole.set_login(Some(&new));
        go_on()?;
        from.write_if_different(LOGIN, whole.render().reveal())?;
        go_on()?;
        from.move_to(LOGIN, home)?;
    }
    go_on()?;
    from.move_to(CONFIG, home)?;
    go_on()?;
    files::remove_directory(&ready)
}

/// Takes away what an interrupted sign-in left, and gives the names of the login homes where one is to be finished.
pub(super) fn repair(paths: &Paths, is_running: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut unfinished = Vec::new();
    for entry in fs::read_dir(root(paths)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What was being removed has another ending.
        let is_removed = name.ends_with(".removed");
        let bare = name.strip_suffix(".removed").unwrap_or(&name);
        if let Some(trace) = bare.strip_prefix(NEW) {
            if !is_running(trace) {
                files::remove_directory(&entry.path())?;
            }
        } else if let Some(home) = bare.strip_prefix(READY) {
            match is_removed {
                true => files::remove_directory(&entry.path())?,
                false => unfinished.push(home.to_owned()),
            }
        }
    }
    Ok(unfinished)
}

/// Finishes a sign-in that was interrupted when its login counted already.
pub(super) async fn resume(paths: &Paths, name: &str) -> Result<()> {
    let home = Locked::open_within(&path(paths, name), UNTIL_STALE).await?;
    // A later one may have taken its place while this waited.
    match ready(paths, name).is_dir() {
        true => finish(paths, name, home.directory(), &mut || home.check()),
        false => Ok(()),
    }
}

/// Id of an account, for a person, where it does not say its address.
pub(super) fn id_of(view: &View) -> Option<String> {
    view.account.as_ref().map(AccountId::as_str).map(str::to_owned)
}

#[cfg(test)]
pub(super) mod tests;
