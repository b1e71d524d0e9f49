//! Keeps logins fresh: has the one place of a login renewed by the real `claude`, hands its access token out to the sandboxes
//! that hold one, keeps copies the same on both sides, and gives gateways again what a daemon before this one gave them.
//!
//! Nothing here asks an identity server anything, and nothing looks at intervals: everything follows from a change of a file,
//! of what sandboxes there are, or from the one moment at which something is due.

mod claude;
mod keeper;
mod note;
mod restore;
mod same;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boxwood_core::credentials::Clock;
use boxwood_core::paths::Paths;
use boxwood_protocol::credentials::CredentialSource;

pub(crate) use self::note::Note;
use self::watch::Watch;
use crate::daemon::{Daemon, Lookup};
use crate::provisioning::origin::Origin;
use crate::sys;

/// How long a start waits for a login to be renewed that has ended meanwhile.
const SOON: Duration = Duration::from_secs(60);
/// The machine may sleep, or its clock may be set, which no timer hears of: the clock is looked at this often at least.
const LONGEST_SLEEP: Duration = Duration::from_secs(5 * 60);

/// What the tasks that keep logins fresh have in common, and what others tell them.
pub(crate) struct Renewals {
    /// Raised when a login, or who holds one, may have changed.
    changed: Arc<tokio::sync::watch::Sender<u64>>,
    /// Raised when a wish was looked at.
    answered: tokio::sync::watch::Sender<u64>,
    wishes: Mutex<BTreeSet<Origin>>,
    /// Sandboxes whose credential was put in place by this daemon.
    seen_to: Mutex<BTreeSet<String>>,
    watch: Watch,
    notes: PathBuf,
    /// Claude Code on this machine.
    program: Option<PathBuf>,
    /// Stands for the real `claude`, and for the time.
    #[cfg(test)]
    fake: std::sync::OnceLock<tests::Fake>,
}

impl Renewals {
    /// Nothing is kept fresh before [`run`]; `lookup` is the daemon's environment.
    pub(crate) fn new(paths: &Paths, lookup: Lookup<'_>) -> Self {
        let changed = Arc::new(tokio::sync::watch::channel(0).0);
        Self {
            watch: Watch::new(Arc::clone(&changed)),
            changed,
            answered: tokio::sync::watch::channel(0).0,
            wishes: Mutex::default(),
            seen_to: Mutex::default(),
            notes: paths.state.join("renewals"),
            program: claude::find(lookup),
            #[cfg(test)]
            fake: std::sync::OnceLock::new(),
        }
    }

    /// Has everything looked at again.
    pub(crate) fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Takes note that this daemon put a sandbox's credential in place.
    pub(crate) fn saw_to(&self, sandbox: &str) {
        lock(&self.seen_to).insert(sandbox.to_owned());
        self.wake();
    }

    /// Has a login renewed that is due although no sandbox that holds it runs, and waits for that, but not for long.
    pub(crate) async fn fresh(&self, origin: Origin) {
        let mut answered = self.answered.subscribe();
        lock(&self.wishes).insert(origin.clone());
        self.wake();
        let answer = async { while lock(&self.wishes).contains(&origin) && answered.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(SOON, answer).await;
    }

    fn is_wished(&self, origin: &Origin) -> bool {
        lock(&self.wishes).contains(origin)
    }

    fn wished(&self) -> Vec<Origin> {
        lock(&self.wishes).iter().cloned().collect()
    }

    fn answer(&self, origin: &Origin) {
        if lock(&self.wishes).remove(origin) {
            self.answered.send_modify(|count| *count += 1);
        }
    }

    /// The file of what is remembered of a login.
    pub(crate) fn note_of(&self, origin: &Origin) -> PathBuf {
        match origin {
            Origin::Home(name) => self.notes.join("homes").join(format!("{name}.json")),
            Origin::Host => self.notes.join("host.json"),
        }
    }

    /// Whether a login of this source is renewed only when the person uses Claude Code.
    pub(crate) fn is_by_use(&self, source: CredentialSource) -> bool {
        source == CredentialSource::HostLogin && self.program.is_none()
    }

    /// The time.
    pub(crate) fn clock(&self) -> Clock {
        #[cfg(test)]
        if let Some(fake) = self.fake.get() {
            return fake.clock();
        }
        Clock::at(sys::now_ms())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps everything fresh until the daemon leaves.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    daemon.registry.ready().await;
    let all = async { tokio::join!(keeper::run(&daemon), same::run(&daemon), restore::run(&daemon),) };
    tokio::select! {
        () = daemon.leave.cancelled() => {}
        _ = all => {}
    }
}

/// Waits until a moment, milliseconds since 1970; without one, for ever.
async fn until(renewals: &Renewals, moment_ms: Option<i64>) {
    let Some(moment) = moment_ms else { return std::future::pending().await };
    loop {
        let left = moment.saturating_sub(renewals.clock().now_ms);
        if left <= 0 {
            return;
        }
        let left = Duration::from_millis(left.unsigned_abs());
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}
