//! Logins, each renewed in time, and its access token where it belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use boxwood_core::credentials::expiry::{self, Due};
use boxwood_core::credentials::{Fingerprint, LoginState, View};
use boxwood_protocol::Event;
use boxwood_protocol::credentials::CredentialMode;
use boxwood_protocol::sandbox::SandboxState;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::watch::Who;
use super::{Note, claude, until};
use crate::credentials::host::CREDENTIALS;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::provisioning::hold;
use crate::provisioning::origin::Origin;

/// Keeps every login fresh that a sandbox holds a token of, or that somebody wishes to be.
pub(super) async fn run(daemon: &Arc<Daemon>) {
    let mut changed = daemon.renewals.changed.subscribe();
    let mut running = daemon.registry.running();
    let mut kept = BTreeSet::new();
    let mut keepers = FuturesUnordered::new();
    loop {
        changed.borrow_and_update();
        running.borrow_and_update();
        let held = daemon.registry.list().into_iter().filter_map(|info| token_of(daemon, &info.id));
        for origin in held.chain(daemon.renewals.wished()) {
            if kept.insert(origin.clone()) {
                keepers.push(Keeper::new(daemon, origin).run());
            }
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = running.changed() => {}
            Some(()) = keepers.next() => {}
        }
    }
}

/// The login of which a sandbox holds an access token.
fn token_of(daemon: &Daemon, sandbox: &str) -> Option<Origin> {
    hold::origin_of(daemon, sandbox, CredentialMode::Token)
}

/// Follows one login for as long as the daemon lives.
struct Keeper<'a> {
    daemon: &'a Arc<Daemon>,
    origin: Origin,
    changed: watch::Receiver<u64>,
    running: watch::Receiver<usize>,
    /// What each sandbox that holds an access token of this login has.
    handed: BTreeMap<String, Handed>,
    handing: JoinSet<(String, Result<Option<View>>)>,
    /// What was told last.
    told: Option<Told>,
}

struct Handed {
    view: View,
    is_busy: bool,
    failures: u32,
    not_before_ms: i64,
}

/// What makes a difference to a person.
#[derive(PartialEq, Eq)]
struct Told {
    state: LoginState,
    access: Option<Fingerprint>,
    is_over: bool,
    is_access_over: bool,
    is_failing: bool,
}

impl<'a> Keeper<'a> {
    fn new(daemon: &'a Arc<Daemon>, origin: Origin) -> Self {
        Self {
            daemon,
            origin,
            changed: daemon.renewals.changed.subscribe(),
            running: daemon.registry.running(),
            handed: BTreeMap::new(),
            handing: JoinSet::new(),
            told: None,
        }
    }

    async fn run(mut self) {
        loop {
            self.changed.borrow_and_update();
            self.running.borrow_and_update();
            let next_ms = self.look().await;
            self.wait(next_ms).await;
        }
    }

    /// Does what is due, and gives the moment of what is due next.
    async fn look(&mut self) -> Option<i64> {
        let holders = self.holders();
        let is_wished = self.daemon.renewals.is_wished(&self.origin);
        self.handed.retain(|id, handed| handed.is_busy || holders.iter().any(|(holder, _)| holder == id));
        let is_of_interest = !holders.is_empty() || is_wished;
        // Before anything is read, so that nothing is missed.
        let directories = is_of_interest.then(|| self.origin.storage(self.daemon)).into_iter().collect::<BTreeSet<_>>();
        self.daemon.renewals.watch.follow(Who::Keeper(self.origin.clone()), directories);
        if !is_of_interest {
            self.told = None;
            return None;
        }
        for (id, _) in &holders {
            if !self.handed.contains_key(id) {
                let view = hold::view_inside(self.daemon, id);
                let handed = Handed { view, is_busy: false, failures: 0, not_before_ms: i64::MIN };
                self.handed.insert(id.clone(), handed);
            }
        }
        let is_needed = is_wished || holders.iter().any(|(_, is_running)| *is_running);
        let due = self.due(is_needed).await;
        let retry = self.handed.values().filter(|handed| !handed.is_busy).map(|handed| handed.not_before_ms);
        let now_ms = self.daemon.renewals.clock().now_ms;
        let retry = retry.filter(|moment| *moment > now_ms).min();
        [due, retry].into_iter().flatten().min()
    }

    async fn due(&mut self, is_needed: bool) -> Option<i64> {
        loop {
            let renewals = &self.daemon.renewals;
            let login = match self.origin.login(self.daemon).await {
                Ok(login) => login,
                Err(problem) => {
                    tracing::warn!(%problem, "a login that sandboxes hold cannot be read");
                    renewals.answer(&self.origin);
                    return None;
                }
            };
            let clock = renewals.clock();
            let file = renewals.note_of(&self.origin);
            let found = login.as_ref().map_or_else(View::absent, |login| login.view());
            let note = Note::of(&file, &found, Some(&self.origin.storage(self.daemon).join(CREDENTIALS)), clock.now_ms);
            let view = note.as_ref().map_or_else(|| found.clone(), |note| note.complete(&found));
            self.tell(&view, note.as_ref());
            let renewal = expiry::Renewal {
                source: &view,
                renewed_at_ms: note.as_ref().map(|note| note.renewed_at_ms),
                lead_ms: match self.origin {
                    Origin::Home(_) => expiry::LEAD_MS,
                    Origin::Host => expiry::HOST_LEAD_MS,
                },
                failures: note.as_ref().map_or(0, |note| note.failures),
                failed_at_ms: note.as_ref().and_then(|note| note.failed_at_ms),
            };
            let waits = |handed: &&Handed| !handed.is_busy && handed.not_before_ms <= clock.now_ms;
            let handed: Vec<View> = self.handed.values().filter(waits).map(|handed| handed.view.clone()).collect();
            match expiry::next(&renewal, &handed, &clock) {
                Due::HandOut => self.hand_out(&view, clock.now_ms),
                Due::Renew if is_needed && !renewals.is_by_use(self.origin.source()) => {
                    let renewed = claude::renew(self.daemon, &self.origin).await;
                    if let (Err(problem), Some(note)) = (renewed, note) {
                        tracing::warn!(%problem, origin = ?self.origin, "a login was not renewed");
                        note.failed(&file, self.daemon.renewals.clock().now_ms);
                    }
                    self.daemon.renewals.answer(&self.origin);
                }
                Due::Renew | Due::Changed | Due::SignIn => {
                    renewals.answer(&self.origin);
                    // That its token has ended is news to the person, too.
                    let end = view.expires_at_ms.map(|end| end.saturating_add(clock.skew_ms));
                    return end.filter(|end| *end > clock.now_ms);
                }
                Due::At(moment) => {
                    renewals.answer(&self.origin);
                    return Some(moment);
                }
            }
        }
    }

    fn hand_out(&mut self, source: &View, now_ms: i64) {
        let is_due = |handed: &Handed| !handed.is_busy && handed.not_before_ms <= now_ms;
        for (id, handed) in self.handed.iter_mut().filter(|(_, handed)| is_due(handed)) {
            if handed.view.access == source.access {
                continue;
            }
            handed.is_busy = true;
            let (daemon, origin, id) = (Arc::clone(self.daemon), self.origin.clone(), id.clone());
            self.handing.spawn(async move {
                // In its turn, so that nothing of it races with its start, stop or removal.
                let _turn = daemon.turn(&id).lock_owned().await;
                let outcome = hold::hand_out(&daemon, &origin, &id).await;
                (id, outcome)
            });
        }
    }

    /// Waits until there is something to look at.
    async fn wait(&mut self, moment_ms: Option<i64>) {
        tokio::select! {
            _ = self.changed.changed() => {}
            _ = self.running.changed() => {}
            Some(joined) = self.handing.join_next() => {
                match joined {
                    Ok((id, outcome)) => self.handed_out(&id, outcome),
                    // It broke off, and nobody knows which; what is there is read again.
                    Err(_) => self.handed.retain(|_, handed| !handed.is_busy),
                }
            }
            () = until(&self.daemon.renewals, moment_ms) => {}
        }
    }

    fn handed_out(&mut self, id: &str, outcome: Result<Option<View>>) {
        let now_ms = self.daemon.renewals.clock().now_ms;
        let Some(handed) = self.handed.get_mut(id) else { return };
        handed.is_busy = false;
        match outcome {
            Ok(Some(view)) => {
                tracing::info!(sandbox = id, origin = ?self.origin, "has the newest access token");
                (handed.view, handed.failures) = (view, 0);
            }
            // It holds something else by now, or there was nothing to give.
            Ok(None) => drop(self.handed.remove(id)),
            Err(problem) => {
                tracing::warn!(sandbox = id, %problem, "the newest access token was not handed out");
                handed.failures = handed.failures.saturating_add(1);
                handed.not_before_ms = now_ms.saturating_add(expiry::pause_ms(handed.failures));
            }
        }
    }

    /// Sandboxes that hold an access token of this login, and whether they run.
    fn holders(&self) -> Vec<(String, bool)> {
        let holds = |id: &str| token_of(self.daemon, id).as_ref() == Some(&self.origin);
        let all = self.daemon.registry.list().into_iter();
        all.filter(|info| holds(&info.id)).map(|info| (info.id, info.state == SandboxState::Running)).collect()
    }

    fn tell(&mut self, view: &View, note: Option<&Note>) {
        let clock = self.daemon.renewals.clock();
        let now = Told {
            state: view.state,
            access: view.access.clone(),
            is_over: view.is_over(&clock),
            is_access_over: view.is_access_over(&clock),
            is_failing: note.is_some_and(|note| note.failures > 0),
        };
        if self.told.as_ref().is_some_and(|told| *told != now) {
            if now.is_over {
                tracing::warn!(origin = ?self.origin, "a login has ended; somebody has to sign in again");
            }
            self.daemon.hub.tell(Event::CredentialsChanged { sandbox_id: None });
        }
        self.told = Some(now);
    }
}
