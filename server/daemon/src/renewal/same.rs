//! Keeps the copies of a login the same as the login: whatever one side writes, the other has at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use boxwood_core::credentials::expiry::pause_ms;
use boxwood_core::credentials::sync::{Conflict, Decision};
use boxwood_core::credentials::{CredentialFile, View};
use boxwood_protocol::Event;
use boxwood_protocol::credentials::CredentialMode;
use tokio::task::JoinSet;

use super::until;
use super::watch::Who;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::provisioning::copies::make_same;
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
}

/// Follows all copies for as long as the daemon lives.
pub(super) async fn run(daemon: &Arc<Daemon>) {
    let mut changed = daemon.renewals.changed.subscribe();
    let mut running = daemon.registry.running();
    let mut copies: BTreeMap<String, Copy> = BTreeMap::new();
    let mut work: JoinSet<(String, Made)> = JoinSet::new();
    loop {
        changed.borrow_and_update();
        running.borrow_and_update();
        let retry_ms = look(daemon, &mut copies, &mut work);
        tokio::select! {
            _ = changed.changed() => {}
            _ = running.changed() => {}
            Some(joined) = work.join_next() => match joined {
                Ok((id, outcome)) => ended(daemon, &mut copies, &id, outcome),
                Err(_) => copies.retain(|_, copy| !copy.is_busy),
            },
            () = until(&daemon.renewals, retry_ms) => {}
        }
    }
}

/// Begins what is due, and gives the moment at which something is to be tried again.
fn look(daemon: &Arc<Daemon>, copies: &mut BTreeMap<String, Copy>, work: &mut JoinSet<(String, Made)>) -> Option<i64> {
    let list = daemon.registry.list().into_iter().map(|info| info.id);
    let all: BTreeMap<String, Origin> =
        list.filter_map(|id| Some((source(daemon, &id)?, id))).map(|(s, id)| (id, s)).collect();
    copies.retain(|id, copy| copy.is_busy || all.contains_key(id));
    let inside = |id: &String| daemon.records.home(id).join(".claude");
    let directories: BTreeSet<_> = all.iter().flat_map(|(id, source)| [inside(id), source.storage(daemon)]).collect();
    daemon.renewals.watch.follow(Who::Same, directories);
    let now_ms = daemon.renewals.clock().now_ms;
    for (id, source) in &all {
        let copy = copies.entry(id.clone()).or_default();
        if copy.is_busy || copy.not_before_ms > now_ms || copy.seen == Some(see(daemon, id, source)) {
            continue;
        }
        copy.is_busy = true;
        let (daemon, id, kind) = (Arc::clone(daemon), id.clone(), source.clone());
        work.spawn(async move {
            let _turn = daemon.turn(&id).lock_owned().await;
            let outcome = same(&daemon, &id, &kind).await;
            (id, outcome)
        });
    }
    copies.values().filter(|copy| !copy.is_busy).map(|copy| copy.not_before_ms).filter(|moment| *moment > now_ms).min()
}

async fn same(daemon: &Daemon, sandbox: &str, kind: &Origin) -> Made {
    if source(daemon, sandbox).as_ref() != Some(kind) {
        return Ok(None);
    }
    // Seen before it is decided: what comes in between is then something else than was seen.
    let before = see(daemon, sandbox, kind);
    let decision = make_same(daemon, sandbox, kind, None).await?;
    // After a copy it is looked at once more: what came in between must not be taken for what was copied.
    let seen = match decision {
        Decision::Copy { .. } => None,
        Decision::Keep(_) | Decision::Conflict(_) => Some(before),
    };
    Ok(Some((decision, seen)))
}

fn ended(daemon: &Daemon, copies: &mut BTreeMap<String, Copy>, id: &str, outcome: Made) {
    let Some(copy) = copies.get_mut(id) else { return };
    copy.is_busy = false;
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
