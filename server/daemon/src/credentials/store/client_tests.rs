//! Boxwood's own entries where the system's store is asked by the keyring's client, as on macOS: over the client's own
//! imitation of a store, which fails as it is told to. On macOS over the Keychain itself as well.

use std::sync::Arc;
use std::time::Duration;

use keyring_core::api::CredentialStoreApi as _;
use keyring_core::error::Error;
use keyring_core::mock;

use super::keyring::{Keyring, of_code};
use super::tests::{contract, get, secret};
use super::*;

const SERVICE: &str = "boxwood-test";

/// What answers with this instead of a value.
const CANARY: &str = "canary";

struct Client {
    store: Arc<mock::Store>,
    keyring: Keyring,
}

impl Client {
    fn new() -> Self {
        let store = mock::Store::new().expect("made");
        let store_ = Arc::clone(&store);
        let entries =
            move |service: &str, name: &str| Ok(::keyring::Entry { inner: store_.build(service, name, None)? });
        let keyring = Keyring::over(SERVICE, Duration::from_secs(20), Arc::new(entries));
        Self { store, keyring }
    }

    /// Has the next question about an entry fail.
    fn fail(&self, name: &str, error: Error) {
        let entry = self.store.build(SERVICE, name, None).expect("an entry");
        entry.as_any().downcast_ref::<mock::Cred>().expect("the imitation's").set_error(error);
    }
}

#[tokio::test]
async fn the_contract_holds_over_the_client() {
    contract(&Client::new().keyring).await;
}

#[tokio::test]
async fn what_the_client_cannot_get_is_told_apart_and_not_repeated() {
    let client = Client::new();
    client.keyring.set("one", &secret("kept")).await.expect("kept");
    let failed = || Box::new(std::io::Error::other("it broke"));
    for (error, expected) in [
        (Error::PlatformFailure(failed()), None),
        (Error::BadEncoding(CANARY.into()), None),
        (Error::BadDataFormat(CANARY.into(), failed()), None),
        (Error::TooLong("value".to_owned(), 2560), None),
        (Error::Ambiguous(Vec::new()), None),
        (Error::NoDefaultStore, Some(Failure::Absent("none is known for this system".to_owned()))),
        (Error::NoStorageAccess(failed()), Some(Failure::Locked)),
    ] {
        let shown = format!("{error:?}");
        client.fail("one", error);
        let failure = get(&client.keyring, "one").await.expect_err(&shown);
        match expected {
            Some(expected) => assert_eq!(failure, expected, "{shown}"),
            None => assert!(matches!(failure, Failure::Unreadable(_)), "{shown}: {failure:?}"),
        }
        assert!(!failure.to_string().contains(CANARY), "{failure}");
    }
    // It was locked last, so nobody is asked until they want to be.
    assert_eq!(get(&client.keyring, "one").await, Err(Failure::Locked));
    client.keyring.ask_again();
    assert_eq!(get(&client.keyring, "one").await, Ok(Some("kept".to_owned())));
    client.fail("one", Error::NoStorageAccess(failed()));
    assert_eq!(client.keyring.set("one", &secret("new")).await, Err(Failure::Locked));
    client.fail("one", Error::NoStorageAccess(failed()));
    assert_eq!(client.keyring.delete("one").await, Err(Failure::Locked));
}

#[test]
fn numbers_of_the_keychain_are_told_apart() {
    for (code, expected) in [
        (-128, Some(Failure::Locked)),
        (-25293, Some(Failure::Locked)),
        (-25308, Some(Failure::Locked)),
        (-25291, Some(Failure::Absent("why".to_owned()))),
        (-25294, Some(Failure::Absent("why".to_owned()))),
        (-25295, Some(Failure::Absent("why".to_owned()))),
        (-25307, Some(Failure::Absent("why".to_owned()))),
        // There is no such item, and that a parameter is wrong: the client tells these itself.
        (-25300, None),
        (-50, None),
    ] {
        assert_eq!(of_code(code, &"why"), expected, "{code}");
    }
}

/// The Keychain of the session that the tests run in.
#[cfg(target_os = "macos")]
#[tokio::test]
async fn the_keychain_keeps_its_promises() {
    contract(&Keyring::new(&format!("{SERVICE}-{}", std::process::id()))).await;
}
