//! Claude Code on this machine: where its files are, the login that it has, the person's own helper for keys. Read, and not
//! through links that somebody else may have put there; written only where a copy of its login is kept the same.

use std::io;
use std::path::{Path, PathBuf};

use boxwood_core::credentials::file::MAX_BYTES;
use boxwood_core::credentials::host::{self, HostAccount};
use boxwood_core::credentials::select::Problem;
use boxwood_core::credentials::{CredentialFile, View};
use sha2::{Digest as _, Sha256};

use super::guarded;
use super::keychain::InKeychain;
use super::store::{Security, Store as _};
use crate::provisioning::sync::{Holder, InDirectory};

/// Claude Code's credential file.
pub(crate) const CREDENTIALS: &str = ".credentials.json";
/// Its state, and what older versions called it, which comes first where it is.
const CLAUDE_JSON: &str = ".claude.json";
const OLD_CLAUDE_JSON: &str = ".config.json";
/// Most bytes of these that are read; the state grows with every project.
const MAX_STATE: usize = 16 << 20;
/// Service of the Keychain's item that takes the place of the credential file on macOS.
const KEYCHAIN: &str = "Claude Code-credentials";

/// Why there is no login to be had where there should be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In the words of [`boxwood_core::credentials`].
    pub(crate) problem: Problem,
    /// In plain words, with the name of the file. It repeats nothing that stands there.
    pub(crate) reason: String,
}

/// A login.
#[derive(Debug)]
pub(crate) struct Login {
    /// The whole file, also of what is not Claude's login.
    pub(crate) file: CredentialFile,
    /// Whose it is.
    pub(crate) account: HostAccount,
    /// Where it was found, for a person: a path, or the Keychain.
    pub(crate) place: String,
}

impl Login {
    /// What is in it, with the account where only the state says that.
    pub(crate) fn view(&self) -> View {
        self.account.complete(self.file.view())
    }
}

/// Claude Code of the person on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Claude {
    directory: PathBuf,
    storage: PathBuf,
    state: PathBuf,
    keychain: Option<(Security, String)>,
}

impl Claude {
    /// Finds it as Claude Code does; `lookup` is the daemon's environment.
    pub(crate) fn find(home: &Path, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut claude = Self::places(home, lookup);
        if cfg!(target_os = "macos") {
            claude.keychain = Some((Security::new(account(lookup)), service(lookup)));
        }
        claude
    }

    /// The same with a Keychain on any system, for tests.
    #[cfg(all(test, unix))]
    pub(super) fn with_keychain(home: &Path, lookup: &dyn Fn(&str) -> Option<String>, keychain: Security) -> Self {
        Self { keychain: Some((keychain, service(lookup))), ..Self::places(home, lookup) }
    }

    fn places(home: &Path, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let usual = home.join(".claude");
        let chosen = lookup("CLAUDE_CONFIG_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let directory = chosen.clone().unwrap_or_else(|| usual.clone());
        let storage = match lookup("CLAUDE_SECURESTORAGE_CONFIG_DIR") {
            None => directory.clone(),
            // Empty is the usual place, whatever the other variable says; what is relative, is nowhere we know.
            Some(other) => Some(PathBuf::from(other)).filter(|path| path.is_absolute()).unwrap_or(usual),
        };
        // Without the variable the state stands beside the directory, with it inside.
        let state = if chosen.is_some() { directory.clone() } else { home.to_path_buf() };
        Self { directory, storage, state, keychain: None }
    }

    /// Its configuration directory.
    #[cfg(all(test, unix))]
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Everything of it: directories, and its state.
    pub(crate) fn all_places(&self, home: &Path) -> [PathBuf; 5] {
        let state = self.state.join(CLAUDE_JSON);
        [self.directory.clone(), self.storage.clone(), state, home.join(".claude"), home.join(CLAUDE_JSON)]
    }

    /// The directory of its credential file and of the locks around it.
    pub(crate) fn storage(&self) -> &Path {
        &self.storage
    }

    /// What reads and writes its login where a copy of it is kept the same.
    pub(crate) fn holder(&self) -> Box<dyn Holder + Send + Sync> {
        let file = InDirectory(self.storage.clone());
        match &self.keychain {
            Some((keychain, service)) => {
                Box::new(InKeychain { keychain: keychain.clone(), service: service.clone(), file })
            }
            None => Box::new(file),
        }
    }

    /// The login, as it is now; none when nobody ever signed in.
    pub(crate) async fn login(&self) -> Result<Option<Login>, Trouble> {
        if let Some((keychain, service)) = &self.keychain {
            let place = format!("the Keychain's item '{service}'");
            let found = keychain
                .get(service)
                .await
                .map_err(|failure| Trouble { problem: failure.problem(), reason: format!("{place}: {failure}") })?;
            if let Some(found) = found {
                let file = parse(found.reveal().as_bytes(), &place)?;
                let claude = self.clone();
                let account = blocking(move || Ok(claude.account())).await?;
                return Ok(Some(Login { file, account, place }));
            }
            // Without an item Claude Code takes the file, as it does everywhere else.
        }
        let claude = self.clone();
        blocking(move || login(&claude.storage, &[CREDENTIALS], || claude.account())).await
    }

    fn account(&self) -> HostAccount {
        let old = (self.directory.as_path(), OLD_CLAUDE_JSON);
        account_of([old, (self.state.as_path(), CLAUDE_JSON)].map(|(root, name)| (root, vec![name])))
    }

    /// The command that prints a key, from the person's own settings.
    pub(crate) async fn key_helper(&self) -> Result<Option<String>, Trouble> {
        let directory = self.directory.clone();
        blocking(move || {
            let place = directory.join("settings.json").display().to_string();
            let settings = guarded::read_text(&directory, &["settings.json"], MAX_STATE).map_err(cannot(&place))?;
            Ok(settings.and_then(|settings| host::key_helper(&settings)))
        })
        .await
    }
}

/// The login in a login home: `<logins>/<name>/.claude`, laid out as in a sandbox.
pub(crate) async fn login_home(logins: &Path, name: &str) -> Result<Option<Login>, Trouble> {
    let is_name = !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_name {
        return Ok(None);
    }
    let (logins, name) = (logins.to_path_buf(), name.to_owned());
    blocking(move || {
        let account = || account_of([(logins.as_path(), vec![name.as_str(), ".claude", CLAUDE_JSON])]);
        login(&logins, &[&name, ".claude", CREDENTIALS], account)
    })
    .await
}

fn login(root: &Path, beneath: &[&str], account: impl FnOnce() -> HostAccount) -> Result<Option<Login>, Trouble> {
    let place = beneath.iter().fold(root.to_path_buf(), |path, name| path.join(name)).display().to_string();
    let Some(bytes) = guarded::read(root, beneath, MAX_BYTES).map_err(cannot(&place))? else { return Ok(None) };
    let file = parse(&bytes, &place)?;
    Ok(Some(Login { file, account: account(), place }))
}

fn parse(bytes: &[u8], place: &str) -> Result<CredentialFile, Trouble> {
    CredentialFile::parse(bytes)
        .map_err(|cause| Trouble { problem: Problem::Unreadable, reason: format!("{place}: {cause}") })
}

/// Whose login it is, by the first of these files that is there. One that cannot be read says nothing.
fn account_of<'a>(files: impl IntoIterator<Item = (&'a Path, Vec<&'a str>)>) -> HostAccount {
    let read = |(root, beneath): (&Path, Vec<&str>)| guarded::read_text(root, &beneath, MAX_STATE).ok().flatten();
    let mut found = files.into_iter().filter_map(read).filter(|text| !text.trim().is_empty());
    found.next().map(|text| HostAccount::read(&text)).unwrap_or_default()
}

fn cannot(place: &str) -> impl FnOnce(io::Error) -> Trouble {
    move |cause| Trouble { problem: Problem::Unreadable, reason: format!("{place} cannot be read: {cause}") }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Trouble> + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|cause| {
        Err(Trouble { problem: Problem::Unreadable, reason: format!("reading was broken off: {cause}") })
    })
}

/// The account under which Claude Code puts its item into the Keychain.
fn account(lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let is_plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let user = lookup("USER").filter(|user| !user.is_empty()).or_else(|| lookup("LOGNAME"));
    user.filter(is_plain).unwrap_or_else(|| "claude-code-user".to_owned())
}

/// The service of the item: with a directory of the person's own choice it has a mark of that.
fn service(lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let chosen = lookup("CLAUDE_SECURESTORAGE_CONFIG_DIR").or_else(|| lookup("CLAUDE_CONFIG_DIR"));
    match chosen.filter(|chosen| !chosen.is_empty()) {
        None => KEYCHAIN.to_owned(),
        Some(chosen) => {
            let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(&chosen);
            let digest = Sha256::digest(composed.as_bytes());
            let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{KEYCHAIN}-{mark}")
        }
    }
}

#[cfg(all(test, unix))]
pub(super) mod tests;
