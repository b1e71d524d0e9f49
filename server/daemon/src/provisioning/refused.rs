//! What a server does not accept any more is got again from where it came from: a helper prints another key by then, or the
//! person has stored one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boxwood_protocol::Event;
use boxwood_protocol::credentials::CredentialSource;

use super::requests;
use crate::daemon::Daemon;

/// How long nothing is got again for the same sandbox: a key that is no good is not asked for with every request.
const PAUSE: Duration = Duration::from_secs(20);

/// When credentials were last got again, by sandbox.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Instant>>);

impl Refusals {
    /// Whether it is time, which it then is not for a while.
    fn is_due(&self, sandbox: &str, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| now.duration_since(*at) < PAUSE);
        if last.contains_key(sandbox) {
            return false;
        }
        last.insert(sandbox.to_owned(), now);
        true
    }

    fn forget(&self, sandbox: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(sandbox);
    }
}

/// Gets the credential of a sandbox again and gives it to the gateway, in its own time: the client tries again by itself.
pub(crate) fn again(daemon: &Arc<Daemon>, sandbox: &str) {
    if !daemon.refusals.is_due(sandbox, Instant::now()) {
        return;
    }
    let (daemon, sandbox) = (Arc::clone(daemon), sandbox.to_owned());
    tokio::spawn(async move {
        // What is under way with the sandbox looks at its credential itself, or ends it.
        let Ok(_turn) = daemon.turn(&sandbox).try_lock_owned() else {
            return daemon.refusals.forget(&sandbox);
        };
        let Some(known) = daemon.registry.get(&sandbox) else { return };
        daemon.sources.forget_printed().await;
        match requests::again(&daemon, &known, None).await {
            Ok(_) => {
                if is_unknown(&daemon, &sandbox) {
                    daemon.refusals.forget(&sandbox);
                }
                daemon.hub.tell(Event::CredentialsChanged { sandbox_id: Some(sandbox) });
            }
            Err(problem) => tracing::warn!(sandbox, %problem, "a refused credential could not be got again"),
        }
    });
}

/// Whether a sandbox's gateway has nothing of what the person stored, as while the keyring is locked. The next refusal may
/// find it open; that it asks a person to open it has a pause of its own.
fn is_unknown(daemon: &Daemon, sandbox: &str) -> bool {
    let held = daemon.records.get(sandbox).and_then(|record| record.held).and_then(|held| held.source);
    matches!(held, Some(CredentialSource::StoredKey | CredentialSource::StoredLogin))
        && daemon.egress.injected(sandbox).is_none_or(|given| given.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_no_good_is_got_again_only_now_and_then() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let due: Vec<bool> = (0..100).map(|_| refusals.is_due("a", now)).collect();
        assert_eq!((due[0], due.iter().filter(|due| **due).count()), (true, 1));
        assert!(refusals.is_due("b", now), "another sandbox");
        assert!(!refusals.is_due("a", now + PAUSE / 2));
        assert!(refusals.is_due("a", now + PAUSE));
        refusals.forget("a");
        assert!(refusals.is_due("a", now + PAUSE), "nothing was there to be got");
    }
}
