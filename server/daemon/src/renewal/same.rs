//! Keeps the copies of a login the same as the login: whatever one side writes, the other has at once, and no two sides renew
//! it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use boxwood_core::credentials::expiry::pause_ms;
use boxwood_core::credentials::sync::{Conflict, Decision};
use boxwood_core::credentials::{CredentialFile, View};
use boxwood_protocol::Event;
use boxwood_protocol::credentials::CredentialMode;
use tokio::task::JoinSet;

use super::until;
use super::watch::{Knocks, Who};
use crate::credentials::locks::gate::Gate;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::provisioning::copies::{close, let_renew, make_same};
use crate::provisioning::hold;
use crate::provisioning::origin::Origin;

/// Both sides as they were seen; a file that cannot be read is nothing.
type Seen = (Option<View>, View);
/// What came of making a sandbox's copy the same; nothing when it has none any more.
type Made = Result<Option<(Decision, Option<Seen>)>>;

#[derive(Default)]
struct Copy {
    /// What was there when both were looked at last. Nothing is done until there is something else, so that what is written
    /// here is no reason to write again.
    seen: Option<Seen>,
    is_busy: bool,
    failures: u32,
    not_before_ms: i64,
    conflict: Option<Conflict>,
    door: Door,
}

/// How long nobody is let in after somebody was. However often somebody knocks, the login itself can be renewed in between, and
/// whoever needs to come in is there for longer: Claude Code tries five times, which takes at least four seconds.
const REST_MS: i64 = 2500;

/// By which whoever renews inside has to come.
#[derive(Default)]
struct Door {
    gate: Option<Gate>,
    /// There can be none here.
    is_gateless: bool,
    /// How often somebody had knocked when that was looked at last.
    answered: u64,
    /// Until then nobody is let in.
    rests_until_ms: i64,
}

impl Door {
    /// Whether anybody may renew who does not knock, and that need not be so.
    fn is_open(&self) -> bool {
        !self.is_gateless && self.gate.as_ref().is_none_or(Gate::is_lost)
    }

    /// Since when somebody who has knocked is to be let in, if anybody is: `knocks` is how often that happened.
    fn is_due_ms(&self, knocks: u64) -> Option<i64> {
        (self.gate.is_some() && self.answered != knocks).then_some(self.rests_until_ms)
    }
}

/// Follows all copies for as long as the daemon lives.
pub(super) async fn run(daemon: &Arc<Daemon>) {
    let mut changed = daemon.renewals.changed.subscribe();
    let mut running = daemon.registry.running();
    let mut copies: BTreeMap<String, Copy> = BTreeMap::new();
    let mut work: JoinSet<(String, Door, Made)> = JoinSet::new();
    loop {
        changed.borrow_and_update();
        running.borrow_and_update();
        let retry_ms = look(daemon, &mut copies, &mut work);
        tokio::select! {
            _ = changed.changed() => {}
            _ = running.changed() => {}
            Some(joined) = work.join_next() => match joined {
                Ok((id, door, outcome)) => ended(daemon, &mut copies, &id, door, outcome),
                Err(_) => copies.retain(|_, copy| !copy.is_busy),
            },
            () = until(&daemon.renewals, retry_ms) => {}
        }
    }
}

/// Begins what is due, and gives the moment at which something is to be tried again.
fn look(
    daemon: &Arc<Daemon>,
    copies: &mut BTreeMap<String, Copy>,
    work: &mut JoinSet<(String, Door, Made)>,
) -> Option<i64> {
    let list = daemon.registry.list().into_iter().map(|info| info.id);
    let all: BTreeMap<String, Origin> =
        list.filter_map(|id| Some((source(daemon, &id)?, id))).map(|(s, id)| (id, s)).collect();
    copies.retain(|id, copy| copy.is_busy || all.contains_key(id));
    let both = |(id, source): (&String, &Origin)| [inside(daemon, id), source.storage(daemon)];
    let directories: BTreeSet<_> = all.iter().flat_map(both).collect();
    daemon.renewals.watch.follow(Who::Same, directories);
    let now_ms = daemon.renewals.clock().now_ms;
    for (id, source) in &all {
        let copy = copies.entry(id.clone()).or_default();
        if copy.is_busy || copy.not_before_ms > now_ms {
            continue;
        }
        let has_knocked = copy.door.is_due_ms(knocks(daemon, id)).is_some_and(|due_ms| due_ms <= now_ms);
        if !has_knocked && !copy.door.is_open() && copy.seen == Some(see(daemon, id, source)) {
            continue;
        }
        copy.is_busy = true;
        let (daemon, id, kind) = (Arc::clone(daemon), id.clone(), source.clone());
        let mut door = std::mem::take(&mut copy.door);
        work.spawn(async move {
            let _turn = daemon.turn(&id).lock_owned().await;
            let outcome = same(&daemon, &id, &kind, &mut door).await;
            (id, door, outcome)
        });
    }
    let later = copies.iter().filter(|(_, copy)| !copy.is_busy).flat_map(|(id, copy)| {
        let due_ms = copy.door.is_due_ms(knocks(daemon, id)).map(|due_ms| due_ms.max(copy.not_before_ms));
        [Some(copy.not_before_ms), due_ms]
    });
    later.flatten().filter(|moment| *moment > now_ms).min()
}

/// Where a sandbox's copy is.
fn inside(daemon: &Daemon, sandbox: &str) -> PathBuf {
    daemon.records.home(sandbox).join(".claude")
}

/// How often somebody there began to renew, or would have liked to.
fn knocks(daemon: &Daemon, sandbox: &str) -> u64 {
    daemon.renewals.watch.knocks().borrow().get(&inside(daemon, sandbox)).copied().unwrap_or_default()
}

async fn same(daemon: &Daemon, sandbox: &str, kind: &Origin, door: &mut Door) -> Made {
    if source(daemon, sandbox).as_ref() != Some(kind) {
        return Ok(None);
    }
    if door.is_open() {
        drop(door.gate.take());
        door.gate = close(daemon, sandbox).await?;
        door.is_gateless = door.gate.is_none();
        // Whoever was here before has renewed without knocking, or tries again.
        door.answered = knocks(daemon, sandbox);
    }
    let now_ms = daemon.renewals.clock().now_ms;
    let has_knocked = door.is_due_ms(knocks(daemon, sandbox)).is_some_and(|due_ms| due_ms <= now_ms);
    // Seen before it is decided: what comes in between is then something else than was seen.
    let before = see(daemon, sandbox, kind);
    let decision = if has_knocked {
        let made = let_renew(daemon, sandbox, kind, &mut door.gate, || another(daemon, sandbox)).await;
        // Also those who came in between: they try again.
        door.answered = knocks(daemon, sandbox);
        door.rests_until_ms = daemon.renewals.clock().now_ms.saturating_add(REST_MS);
        made?
    } else {
        make_same(daemon, sandbox, kind, None).await?
    };
    if matches!(decision, Decision::Copy { .. }) {
        // Whoever has knocked finds what was renewed, or tries again.
        door.answered = knocks(daemon, sandbox);
    }
    // After a copy it is looked at once more: what came in between must not be taken for what was copied.
    let seen = match decision {
        Decision::Copy { .. } => None,
        Decision::Keep(_) | Decision::Conflict(_) => Some(before),
    };
    Ok(Some((decision, seen)))
}

/// Begins to listen, and ends when somebody knocks.
fn another(daemon: &Daemon, sandbox: &str) -> impl Future<Output = ()> + use<> {
    let (before, inside) = (knocks(daemon, sandbox), inside(daemon, sandbox));
    let mut heard = daemon.renewals.watch.knocks();
    async move {
        let has_another = |knocks: &Knocks| knocks.get(&inside).is_some_and(|count| *count > before);
        // It ends with the daemon otherwise.
        drop(heard.wait_for(has_another).await);
    }
}

fn ended(daemon: &Daemon, copies: &mut BTreeMap<String, Copy>, id: &str, door: Door, outcome: Made) {
    let Some(copy) = copies.get_mut(id) else { return };
    (copy.is_busy, copy.door) = (false, door);
    match outcome {
        Ok(Some((decision, seen))) => {
            (copy.seen, copy.failures) = (seen, 0);
            let conflict = match decision {
                Decision::Conflict(conflict) => Some(conflict),
                Decision::Copy { from, .. } => {
                    tracing::info!(sandbox = id, ?from, "a login was copied to the other side");
                    None
                }
                Decision::Keep(_) => None,
            };
            let is_news = matches!(decision, Decision::Copy { .. }) || conflict != copy.conflict;
            copy.conflict = conflict;
            if is_news {
                daemon.hub.tell(Event::CredentialsChanged { sandbox_id: Some(id.to_owned()) });
            }
        }
        Ok(None) => drop(copies.remove(id)),
        Err(problem) => {
            tracing::warn!(sandbox = id, %problem, "a login was not made the same on both sides");
            copy.failures = copy.failures.saturating_add(1);
            copy.not_before_ms = daemon.renewals.clock().now_ms.saturating_add(pause_ms(copy.failures));
        }
    }
}

/// The login of which a sandbox has a copy.
fn source(daemon: &Daemon, sandbox: &str) -> Option<Origin> {
    hold::origin_of(daemon, sandbox, CredentialMode::Sync)
}

fn see(daemon: &Daemon, sandbox: &str, source: &Origin) -> Seen {
    let there = source.holder(daemon).and_then(|holder| holder.read()).ok().flatten();
    let there = there.and_then(|text| CredentialFile::parse(text.reveal().as_bytes()).ok());
    (there.map(|file| file.view()), hold::view_inside(daemon, sandbox))
}
