//! Where Boxwood keeps what a person gave to it: the system's keyring, or files of mode 0600 where there is none.

#[cfg(test)]
mod client_tests;
mod file;
#[cfg(test)]
mod file_tests;
mod keyring;
#[cfg(all(test, target_os = "linux"))]
mod keyring_tests;
mod security;
#[cfg(all(test, unix))]
pub(super) mod security_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use boxwood_core::credentials::Secret;
use boxwood_core::credentials::select::Problem;
use boxwood_core::paths::Paths;
use boxwood_protocol::credentials::{CredentialSource, StoredCredential};
use tokio::sync::Mutex;

use file::Files;
use keyring::Keyring;
pub(crate) use security::Security;

/// The variable that has everything kept in files when it is `file`.
const KEYRING: &str = "BOXWOOD_KEYRING";
/// The name under which entries of ours stand in the keyring.
const SERVICE: &str = "boxwood";

/// Why a store gave no answer. No text repeats a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such store on this machine, or nothing answers for it.
    Absent(String),
    /// It is locked, and the person refused, was not asked again so soon, or did not answer in time.
    Locked,
    /// It is there and cannot be read or written.
    Unreadable(String),
}

impl Failure {
    /// The same in the words of [`boxwood_core::credentials`].
    pub(crate) const fn problem(&self) -> Problem {
        match self {
            Self::Locked => Problem::Locked,
            Self::Absent(_) | Self::Unreadable(_) => Problem::Unreadable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(why) => write!(f, "there is no keyring: {why}"),
            Self::Locked => write!(
                f,
                "the keyring is locked; unlock it and try again, or set {KEYRING}=file and restart the daemon to keep \
                 credentials in a file that only you can read"
            ),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

/// A place that keeps values under names. Every answer comes in bounded time.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// The value of a name.
    async fn get(&self, name: &str) -> Result<Option<Secret>, Failure>;
    /// Keeps a value, whole or not at all, in the place of the one before.
    async fn set(&self, name: &str, value: &Secret) -> Result<(), Failure>;
    /// Forgets a value; one that is not there is fine.
    async fn delete(&self, name: &str) -> Result<(), Failure>;
}

/// What is kept, one entry for each source that is: a new credential takes the place of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An API key, or a token of another provider.
    ApiKey,
    /// A token of `claude setup-token`.
    SetupToken,
}

impl Entry {
    /// Every entry.
    pub(crate) const ALL: [Self; 2] = [Self::ApiKey, Self::SetupToken];

    /// Where a credential is kept.
    pub(crate) const fn of(kind: StoredCredential) -> Self {
        match kind {
            StoredCredential::ApiKey | StoredCredential::AuthToken => Self::ApiKey,
            StoredCredential::SetupToken => Self::SetupToken,
        }
    }

    /// The source that it is for.
    pub(crate) const fn source(self) -> CredentialSource {
        match self {
            Self::ApiKey => CredentialSource::StoredKey,
            Self::SetupToken => CredentialSource::StoredLogin,
        }
    }

    /// Its name in the store.
    const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::SetupToken => "setup-token",
        }
    }
}

/// Where a value was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The system's keyring.
    Keyring,
    /// A file.
    File,
}

/// What is kept, wherever that is.
///
/// A file, where there is one, is what counts: it was written because the keyring did not answer, and so after whatever the
/// keyring has. Storing again moves it to the keyring.
pub(crate) struct Kept {
    keyring: Option<Arc<dyn Store>>,
    files: Files,
    asking: Option<Arc<Keyring>>,
    /// One at a time: what is forgotten late must not take away what was kept meanwhile.
    turn: Mutex<()>,
}

impl Kept {
    /// Opens it; `lookup` is the daemon's environment.
    pub(crate) fn open(paths: &Paths, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let is_forced = lookup(KEYRING).is_some_and(|value| value == "file");
        let asking = (!is_forced).then(|| Arc::new(Keyring::new(SERVICE)));
        let keyring = asking.clone().map(|keyring| keyring as Arc<dyn Store>);
        Self { keyring, files: Files::new(&paths.state), asking, turn: Mutex::default() }
    }

    /// The same with another keyring, for tests.
    #[cfg(test)]
    pub(super) fn of(keyring: Option<Arc<dyn Store>>, state: &std::path::Path) -> Self {
        Self { keyring, files: Files::new(state), asking: None, turn: Mutex::default() }
    }

    /// The credential that is kept, as [`boxwood_core::credentials::stored::Stored::parse`] reads it. Where there is no
    /// keyring and no file, nobody knows; on a machine without one that is nothing.
    pub(crate) async fn get(&self, entry: Entry) -> Result<Option<Secret>, Failure> {
        let _turn = self.turn.lock().await;
        let name = entry.name();
        match self.files.get(name).await? {
            Some(value) if !is_forgotten(&value) => return Ok(Some(value)),
            Some(_) => {
                if let Some(keyring) = &self.keyring {
                    // What was forgotten while the keyring did not answer; it must not come back with it.
                    match keyring.delete(name).await {
                        Ok(()) => self.files.delete(name).await?,
                        Err(failure) => tracing::debug!(%failure, name, "cannot be forgotten in the keyring yet"),
                    }
                }
                return Ok(None);
            }
            None => {}
        }
        match &self.keyring {
            None => Ok(None),
            Some(keyring) => keyring.get(name).await,
        }
    }

    /// Keeps a credential, and says where.
    pub(crate) async fn set(&self, entry: Entry, value: &Secret) -> Result<Place, Failure> {
        let _turn = self.turn.lock().await;
        let name = entry.name();
        let Some(keyring) = &self.keyring else {
            self.files.set(name, value).await?;
            return Ok(Place::File);
        };
        // Where there is a file, it is given the new value first: then the new one is found wherever this is interrupted.
        let is_in_file = self.files.get(name).await.map_or(true, |found| found.is_some());
        if is_in_file {
            self.files.set(name, value).await?;
        }
        match keyring.set(name, value).await {
            Ok(()) => {
                if is_in_file {
                    self.files.delete(name).await?;
                }
                Ok(Place::Keyring)
            }
            Err(Failure::Absent(why)) => {
                tracing::info!(why, name, "kept in a file, because there is no keyring");
                self.files.set(name, value).await?;
                Ok(Place::File)
            }
            Err(failure) if is_in_file => {
                tracing::info!(%failure, name, "kept in the file where it was before");
                Ok(Place::File)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Forgets a credential everywhere; one that is not there is fine.
    pub(crate) async fn delete(&self, entry: Entry) -> Result<(), Failure> {
        let _turn = self.turn.lock().await;
        let name = entry.name();
        match &self.keyring {
            None => {}
            Some(keyring) => match keyring.delete(name).await {
                Ok(()) => {}
                // The keyring may have one that nobody can see now.
                Err(Failure::Absent(_)) => return self.files.set(name, &Secret::default()).await,
                Err(failure) => return Err(failure),
            },
        }
        self.files.delete(name).await
    }

    /// Where a credential would be kept now.
    pub(crate) async fn place(&self) -> Result<Place, Failure> {
        let Some(keyring) = &self.keyring else { return Ok(Place::File) };
        let _turn = self.turn.lock().await;
        match keyring.get(Entry::ApiKey.name()).await {
            Ok(_) => Ok(Place::Keyring),
            Err(Failure::Absent(_)) => Ok(Place::File),
            Err(failure) => Err(failure),
        }
    }

    /// Has the next question ask the person again although they refused a moment ago: to be called when they ask for it.
    pub(crate) fn ask_again(&self) {
        if let Some(keyring) = &self.asking {
            keyring.ask_again();
        }
    }

    /// What the person is told about a credential that was put into `place`.
    pub(crate) fn warning(&self, place: Place) -> Option<String> {
        let why =
            if self.keyring.is_some() { "no keyring answers on this machine" } else { "BOXWOOD_KEYRING is 'file'" };
        (place == Place::File).then(|| {
            format!(
                "{why}, so the credential is kept in {}, which only you can read; it is not encrypted",
                self.files.directory().display()
            )
        })
    }

    /// What the person should know of how files were found.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.files.warnings()
    }
}

/// Whether a file's value says that the entry was forgotten while the keyring did not answer.
fn is_forgotten(value: &Secret) -> bool {
    value.reveal().is_empty()
}
