//! One source's login: renewed in time, and its access token where it belongs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use boxwood_core::credentials::expiry::{self, Due};
use boxwood_core::credentials::{Fingerprint, LoginState, View};
use boxwood_protocol::Event;
use boxwood_protocol::credentials::{CredentialMode, CredentialSource};
use boxwood_protocol::sandbox::SandboxState;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::watch::Who;
use super::{Note, claude, until};
use crate::credentials::host::CREDENTIALS;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::provisioning::hold::{self, LOGIN};

/// Follows one source for as long as the daemon lives.
pub(super) struct Keeper<'a> {
    daemon: &'a Arc<Daemon>,
    source: CredentialSource,
    changed: watch::Receiver<u64>,
    running: watch::Receiver<usize>,
    /// What each sandbox that holds an access token of this source has.
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
    pub(super) fn new(daemon: &'a Arc<Daemon>, source: CredentialSource) -> Self {
        Self {
            daemon,
            source,
            changed: daemon.renewals.changed.subscribe(),
            running: daemon.registry.running(),
            handed: BTreeMap::new(),
            handing: JoinSet::new(),
            told: None,
        }
    }

    pub(super) async fn run(mut self) {
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
        let is_wished = self.daemon.renewals.is_wished(self.source);
        self.handed.retain(|id, handed| handed.is_busy || holders.iter().any(|(holder, _)| holder == id));
        let is_of_interest = !holders.is_empty() || is_wished;
        // Before anything is read, so that nothing is missed.
        let directories = is_of_interest.then(|| self.directory()).into_iter().collect::<BTreeSet<_>>();
        let who = if self.source == CredentialSource::LoginHome { Who::LoginHome } else { Who::HostLogin };
        self.daemon.renewals.watch.follow(who, directories);
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
            let login = match hold::login_of(self.daemon, self.source).await {
                Ok(login) => login,
                Err(problem) => {
                    tracing::warn!(%problem, "a login that sandboxes hold cannot be read");
                    renewals.answer(self.source);
                    return None;
                }
            };
            let clock = renewals.clock();
            let file = renewals.note_of(self.source);
            let found = login.as_ref().map_or_else(View::absent, |login| login.view());
            let note = Note::of(&file, &found, Some(&self.directory().join(CREDENTIALS)), clock.now_ms);
            let view = note.as_ref().map_or_else(|| found.clone(), |note| note.complete(&found));
            self.tell(&view, note.as_ref());
            let renewal = expiry::Renewal {
                source: &view,
                renewed_at_ms: note.as_ref().map(|note| note.renewed_at_ms),
                lead_ms: match self.source {
                    CredentialSource::LoginHome => expiry::LEAD_MS,
                    _ => expiry::HOST_LEAD_MS,
                },
                failures: note.as_ref().map_or(0, |note| note.failures),
                failed_at_ms: note.as_ref().and_then(|note| note.failed_at_ms),
            };
            let waits = |handed: &&Handed| !handed.is_busy && handed.not_before_ms <= clock.now_ms;
            let handed: Vec<View> = self.handed.values().filter(waits).map(|handed| handed.view.clone()).collect();
            match expiry::next(&renewal, &handed, &clock) {
                Due::HandOut => self.hand_out(&view, clock.now_ms),
                Due::Renew if is_needed && !renewals.is_by_use(self.source) => {
                    let renewed = claude::renew(self.daemon, self.source).await;
                    if let (Err(problem), Some(note)) = (renewed, note) {
                        tracing::warn!(%problem, source = self.source.as_str(), "a login was not renewed");
                        note.failed(&file, self.daemon.renewals.clock().now_ms);
                    }
                    self.daemon.renewals.answer(self.source);
                }
                Due::Renew | Due::Changed | Due::SignIn => {
                    renewals.answer(self.source);
                    // That its token has ended is news to the person, too.
                    let end = view.expires_at_ms.map(|end| end.saturating_add(clock.skew_ms));
                    return end.filter(|end| *end > clock.now_ms);
                }
                Due::At(moment) => {
                    renewals.answer(self.source);
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
            let (daemon, kind, id) = (Arc::clone(self.daemon), self.source, id.clone());
            self.handing.spawn(async move {
                // In its turn, so that nothing of it races with its start, stop or removal.
                let _turn = daemon.turn(&id).lock_owned().await;
                let outcome = hold::hand_out(&daemon, kind, &id).await;
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
                tracing::info!(sandbox = id, source = self.source.as_str(), "has the newest access token");
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

    /// Sandboxes that hold an access token of this source, and whether they run.
    fn holders(&self) -> Vec<(String, bool)> {
        let holds = |id: &str| hold::holds(self.daemon, id, self.source, CredentialMode::Token);
        let all = self.daemon.registry.list().into_iter();
        all.filter(|info| holds(&info.id)).map(|info| (info.id, info.state == SandboxState::Running)).collect()
    }

    fn directory(&self) -> PathBuf {
        match self.source {
            CredentialSource::LoginHome => self.daemon.sources.logins().join(LOGIN).join(".claude"),
            _ => self.daemon.sources.claude().storage().to_path_buf(),
        }
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
                tracing::warn!(source = self.source.as_str(), "a login has ended; somebody has to sign in again");
            }
            self.daemon.hub.tell(Event::CredentialsChanged { sandbox_id: None });
        }
        self.told = Some(now);
    }
}
