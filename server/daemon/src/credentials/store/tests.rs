//! What every store does, and what is found of several.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;

use boxwood_core::credentials::Secret;

use super::*;

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Shown as a text, for comparing.
pub(super) async fn get(store: &dyn Store, name: &str) -> Result<Option<String>, Failure> {
    Ok(store.get(name).await?.map(|value| value.reveal().to_owned()))
}

/// What a store promises, whichever it is.
pub(super) async fn contract(store: &dyn Store) {
    assert_eq!(get(store, "one").await, Ok(None));
    store.delete("one").await.expect("nothing to forget is fine");
    for value in
        ["a value", "0123456789abcdef", "with\nlines\tand \"quotes\" $HOME `id` \\", "Zürich 東京 ☃", &"x".repeat(1500)]
    {
        store.set("one", &secret(value)).await.expect("kept");
        assert_eq!(get(store, "one").await, Ok(Some(value.to_owned())));
    }
    store.set("two", &secret("another")).await.expect("kept");
    store.set("one", &secret("replaced")).await.expect("kept");
    assert_eq!(get(store, "two").await, Ok(Some("another".to_owned())), "entries are apart");
    store.delete("one").await.expect("forgotten");
    assert_eq!(get(store, "one").await, Ok(None));
    assert_eq!(get(store, "two").await, Ok(Some("another".to_owned())));
    store.delete("two").await.expect("forgotten");
    store.delete("two").await.expect("again");
}

/// The Windows Credential Manager, which a session always has.
#[cfg(windows)]
#[tokio::test]
async fn the_credential_manager_keeps_its_promises() {
    let service = format!("boxwood-test-{}", std::process::id());
    contract(&super::keyring::Keyring::new(&service)).await;
}

/// A keyring that fails when it is told to.
#[derive(Default)]
struct Fake {
    values: StdMutex<BTreeMap<String, String>>,
    failure: StdMutex<Option<Failure>>,
}

impl Fake {
    fn fail(&self, failure: Option<Failure>) {
        *self.failure.lock().expect("a lock") = failure;
    }

    fn check(&self) -> Result<(), Failure> {
        self.failure.lock().expect("a lock").clone().map_or(Ok(()), Err)
    }

    fn value(&self) -> Option<String> {
        self.values.lock().expect("a lock").get("api-key").cloned()
    }
}

#[async_trait]
impl Store for Fake {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Failure> {
        self.check()?;
        Ok(self.values.lock().expect("a lock").get(name).map(|value| secret(value)))
    }

    async fn set(&self, name: &str, value: &Secret) -> Result<(), Failure> {
        self.check()?;
        self.values.lock().expect("a lock").insert(name.to_owned(), value.reveal().to_owned());
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        self.check()?;
        self.values.lock().expect("a lock").remove(name);
        Ok(())
    }
}

fn absent() -> Option<Failure> {
    Some(Failure::Absent("no bus".to_owned()))
}

struct Both {
    directory: tempfile::TempDir,
    keyring: Arc<Fake>,
    kept: Kept,
}

impl Both {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let keyring = Arc::<Fake>::default();
        let kept = Kept::of(Some(Arc::clone(&keyring) as Arc<dyn Store>), directory.path());
        Self { directory, keyring, kept }
    }

    async fn found(&self) -> Result<Option<String>, Failure> {
        Ok(self.kept.get(Entry::ApiKey).await?.map(|value| value.reveal().to_owned()))
    }

    fn file(&self) -> Option<String> {
        std::fs::read_to_string(self.directory.path().join("credentials/api-key")).ok()
    }
}

#[tokio::test]
async fn the_contract_holds_for_the_fake() {
    contract(&Fake::default()).await;
}

#[tokio::test]
async fn a_keyring_that_answers_is_what_is_used() {
    let both = Both::new();
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k")).await, Ok(Place::Keyring));
    assert_eq!((both.found().await, both.file()), (Ok(Some("k".to_owned())), None));
    assert_eq!(both.kept.warning(Place::Keyring), None);
    both.kept.ask_again();
    both.kept.delete(Entry::ApiKey).await.expect("forgotten");
    assert_eq!((both.found().await, both.keyring.value()), (Ok(None), None));
}

#[tokio::test]
async fn without_a_keyring_a_file_is_used_and_told_and_moves_when_stored_again() {
    let both = Both::new();
    both.keyring.fail(absent());
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k1")).await, Ok(Place::File));
    assert!(both.kept.warning(Place::File).is_some_and(|warning| warning.contains("credentials")));
    assert_eq!(both.found().await, Ok(Some("k1".to_owned())));
    both.keyring.fail(None);
    assert_eq!(both.found().await, Ok(Some("k1".to_owned())), "stays found once there is a keyring");
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k2")).await, Ok(Place::Keyring));
    assert_eq!((both.file(), both.keyring.value()), (None, Some("k2".to_owned())));
}

#[tokio::test]
async fn a_locked_keyring_is_an_error_and_nothing_is_put_elsewhere_in_silence() {
    let both = Both::new();
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k1")).await, Ok(Place::Keyring));
    both.keyring.fail(Some(Failure::Locked));
    assert_eq!(both.found().await, Err(Failure::Locked));
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k2")).await, Err(Failure::Locked));
    assert_eq!(both.kept.delete(Entry::ApiKey).await, Err(Failure::Locked));
    assert_eq!(both.file(), None);
    both.keyring.fail(None);
    assert_eq!(both.found().await, Ok(Some("k1".to_owned())));
}

#[tokio::test]
async fn the_newest_is_found_whatever_the_keyring_does() {
    let both = Both::new();
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("old")).await, Ok(Place::Keyring));
    both.keyring.fail(absent());
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("new")).await, Ok(Place::File));
    both.keyring.fail(None);
    assert_eq!(both.found().await, Ok(Some("new".to_owned())));
    both.keyring.fail(Some(Failure::Locked));
    // Where a file is what counts, it goes on being that.
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("newest")).await, Ok(Place::File));
    assert_eq!(both.found().await, Ok(Some("newest".to_owned())));
}

#[tokio::test]
async fn what_was_forgotten_does_not_come_back_with_the_keyring() {
    let both = Both::new();
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k")).await, Ok(Place::Keyring));
    both.keyring.fail(absent());
    both.kept.delete(Entry::ApiKey).await.expect("forgotten");
    assert_eq!(both.found().await, Ok(None));
    both.keyring.fail(None);
    assert_eq!((both.found().await, both.keyring.value(), both.file()), (Ok(None), None, None));
    assert_eq!(both.kept.set(Entry::ApiKey, &secret("k2")).await, Ok(Place::Keyring));
    assert_eq!(both.found().await, Ok(Some("k2".to_owned())));
}

#[tokio::test]
async fn files_can_be_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().to_string_lossy().into_owned();
    let lookup = |name: &str| match name {
        "BOXWOOD_STATE_DIR" => Some(root.clone()),
        "BOXWOOD_KEYRING" => Some("file".to_owned()),
        _ => None,
    };
    let kept = Kept::open(&Paths::resolve(&lookup, 0), &lookup);
    assert_eq!(kept.set(Entry::SetupToken, &secret("t")).await, Ok(Place::File));
    assert!(kept.warning(Place::File).is_some_and(|warning| warning.starts_with("BOXWOOD_KEYRING")));
    assert_eq!(std::fs::read_to_string(directory.path().join("credentials/setup-token")).expect("read"), "t");
    kept.delete(Entry::SetupToken).await.expect("forgotten");
    assert!(!directory.path().join("credentials/setup-token").exists());
    kept.ask_again();
}

#[test]
fn entries_are_those_of_their_sources() {
    let entries = [StoredCredential::ApiKey, StoredCredential::AuthToken, StoredCredential::SetupToken].map(Entry::of);
    assert_eq!(entries, [Entry::ApiKey, Entry::ApiKey, Entry::SetupToken]);
    let sources = Entry::ALL.map(Entry::source);
    assert_eq!(sources, [CredentialSource::StoredKey, CredentialSource::StoredLogin]);
    assert_eq!(Failure::Locked.problem(), Problem::Locked);
    assert_eq!(Failure::Absent(String::new()).problem(), Problem::Unreadable);
    assert!(Failure::Locked.to_string().contains("BOXWOOD_KEYRING=file"));
}
