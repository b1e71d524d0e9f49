//! The system's keyring: the Secret Service, the macOS Keychain, or the Windows Credential Manager.
//!
//! Its client blocks, and blocks for as long as a person looks at a dialog, so each question has a thread of its own. The
//! Secret Service comes and goes with a person's session, which the daemon outlives; so it is connected to anew each time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use boxwood_core::credentials::Secret;
use keyring::{Entry, Error};
use tokio::sync::{Semaphore, oneshot};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Failure, Store};

/// How long a person may take to unlock it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nobody is asked again after it stayed locked: whatever looks regularly must not open a dialog each time.
const REST: Duration = Duration::from_secs(120);
/// How long it may take to say whether it is open, which it does without asking anybody.
const GLANCE: Duration = Duration::from_secs(1);

/// What leads to an entry, by the service and the name of it.
type Entries = dyn Fn(&str, &str) -> Result<Entry, Error> + Send + Sync;

/// The keyring.
pub(super) struct Keyring {
    service: String,
    entries: Arc<Entries>,
    is_open: fn(&str, &str) -> bool,
    patience: Duration,
    /// One question at a time: a second dialog beside the first helps nobody, and what comes late must not overtake.
    turn: Arc<Semaphore>,
    refused: Mutex<Option<Instant>>,
}

impl Keyring {
    pub(super) fn new(service: &str) -> Self {
        Self::with_patience(service, PATIENCE)
    }

    pub(super) fn with_patience(service: &str, patience: Duration) -> Self {
        Self { is_open, ..Self::over(service, patience, Arc::new(entry)) }
    }

    /// The same over a store of which only a question shows whether it is open.
    pub(super) fn over(service: &str, patience: Duration, entries: Arc<Entries>) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { service: service.to_owned(), entries, is_open: |_, _| false, patience, turn, refused: Mutex::default() }
    }

    pub(super) fn ask_again(&self) {
        self.rest_since(None);
    }

    pub(super) fn is_resting(&self) -> bool {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_some_and(|at| at.elapsed() < REST)
    }

    async fn ask<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let (service, name, entries) = (self.service.clone(), name.to_owned(), Arc::clone(&self.entries));
        let question = move || {
            entries(&service, &name)
                .map_err(|cause| unreachable(&cause))
                .and_then(|entry| work(&entry).map_err(refused))
        };
        let answer = self.wait(self.patience, question).await;
        if matches!(answer, Err(Failure::Locked)) {
            self.rest_since(Some(Instant::now()));
        }
        answer
    }

    fn rest_since(&self, refused: Option<Instant>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Whether somebody has unlocked it meanwhile: it is worth asking then, although nobody is to be asked.
    async fn is_open(&self, name: &str) -> bool {
        let (service, name, is_open) = (self.service.clone(), name.to_owned(), self.is_open);
        self.wait(self.patience.min(GLANCE), move || Ok(is_open(&service, &name))).await.unwrap_or_default()
    }

    async fn wait<T: Send + 'static>(
        &self,
        patience: Duration,
        question: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let wait_for_turn = tokio::time::timeout(patience, Arc::clone(&self.turn).acquire_owned());
        let Ok(Ok(turn)) = wait_for_turn.await else { return Err(Failure::Locked) };
        let (tell, told) = oneshot::channel();
        let question = move || {
            let answer = question();
            // Before anybody hears of the answer, so that they find a free place when they ask the next.
            drop(turn);
            let _ = tell.send(answer);
        };
        let started = std::thread::Builder::new().name("keyring".into()).spawn(question);
        started.map_err(|cause| Failure::Unreadable(format!("failed to ask the keyring: {cause}")))?;
        match tokio::time::timeout(patience, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Unreadable("the keyring's client failed".to_owned())),
            Err(_) => Err(Failure::Locked),
        }
    }
}

#[async_trait]
impl Store for Keyring {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Failure> {
        if self.is_resting() && !self.is_open(name).await {
            return Err(Failure::Locked);
        }
        let question = |entry: &Entry| match entry.get_secret() {
            Ok(value) => match String::from_utf8(value) {
                Ok(value) => Ok(Some(Secret::new(value))),
                Err(cause) => Err(Error::BadEncoding(cause.into_bytes())),
            },
            Err(Error::NoEntry) => Ok(None),
            Err(cause) => Err(cause),
        };
        let found = self.ask(name, question).await?;
        if found.is_some() {
            // That something is not there is known of a locked one as well.
            self.rest_since(None);
        }
        Ok(found)
    }

    async fn set(&self, name: &str, value: &Secret) -> Result<(), Failure> {
        let value = Zeroizing::new(value.reveal().as_bytes().to_vec());
        self.ask(name, move |entry| entry.set_secret(&value)).await?;
        self.rest_since(None);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        self.ask(name, |entry| match entry.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            done => done,
        })
        .await
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
fn entry(service: &str, name: &str) -> Result<Entry, Error> {
    use std::collections::HashMap;

    use keyring_core::api::CredentialStoreApi as _;

    let label = format!("Boxwood: {name}");
    let store = zbus_secret_service_keyring_store::Store::new()?;
    let inner = store.build(service, name, Some(&HashMap::from([("label", label.as_str())])))?;
    Ok(Entry { inner })
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn entry(service: &str, name: &str) -> Result<Entry, Error> {
    Entry::new(service, name)
}

/// Whether an entry can be had without anybody being asked, as can be that there is none.
#[cfg(all(unix, not(target_os = "macos")))]
fn is_open(service: &str, name: &str) -> bool {
    use std::collections::HashMap;

    use secret_service::EncryptionType;
    use secret_service::blocking::SecretService;

    let is_open = |keyring: SecretService<'_>| -> Result<bool, secret_service::Error> {
        let found = keyring.search_items(HashMap::from([("service", service), ("username", name)]))?;
        Ok(found.locked.is_empty())
    };
    SecretService::connect(EncryptionType::Plain).and_then(is_open).unwrap_or_default()
}

/// Elsewhere only a question shows that.
#[cfg(not(all(unix, not(target_os = "macos"))))]
fn is_open(_service: &str, _name: &str) -> bool {
    false
}

/// Why there is nobody to be asked.
fn unreachable(cause: &Error) -> Failure {
    match cause {
        Error::NoStorageAccess(_) => Failure::Locked,
        cause => Failure::Absent(cause.to_string()),
    }
}

/// What an answer that is an error means. What was found is never repeated.
fn refused(cause: Error) -> Failure {
    #[cfg(target_os = "macos")]
    if let Some(failure) = of_keychain(&cause) {
        return failure;
    }
    let unreadable = |why: &str| Failure::Unreadable(format!("the keyring's entry cannot be used: {why}"));
    match cause {
        Error::NoStorageAccess(_) => Failure::Locked,
        // The Secret Service has a name for this which its client passes on as any other failure.
        Error::PlatformFailure(cause) if cause.to_string().contains("IsLocked") => Failure::Locked,
        Error::PlatformFailure(cause) => Failure::Unreadable(format!("the keyring failed: {cause}")),
        Error::BadEncoding(mut found) | Error::BadDataFormat(mut found, _) => {
            found.zeroize();
            unreadable("it is not text")
        }
        Error::Ambiguous(_) => unreadable("there are several of this name; remove them in the keyring's own program"),
        Error::TooLong(..) => unreadable("it is longer than this keyring takes"),
        Error::NoDefaultStore => Failure::Absent("none is known for this system".to_owned()),
        _ => unreadable("the keyring does not take it"),
    }
}

/// The Keychain's errors that its client does not tell apart as needed here.
#[cfg(target_os = "macos")]
fn of_keychain(cause: &Error) -> Option<Failure> {
    let (Error::PlatformFailure(cause) | Error::NoStorageAccess(cause)) = cause else { return None };
    of_code(cause.downcast_ref::<security_framework::base::Error>()?.code(), cause)
}

/// What a number of theirs means.
#[cfg(any(test, target_os = "macos"))]
pub(super) fn of_code(code: i32, cause: &dyn std::fmt::Display) -> Option<Failure> {
    match code {
        // The person refused, gave a wrong password, or cannot be asked because nobody sits there.
        -128 | -25293 | -25308 => Some(Failure::Locked),
        // There is no Keychain, as for users that never signed in at the machine itself.
        -25291 | -25294 | -25295 | -25307 => Some(Failure::Absent(cause.to_string())),
        _ => None,
    }
}
