//! Questions to the person: once for a project and host, and refused after a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boxwood_protocol::Event;
use boxwood_protocol::git::{GitAnswer, GitAsk};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::daemon::Daemon;
use crate::sys;

/// How long a question waits.
const PATIENCE: Duration = Duration::from_secs(60);
/// Questions that are open at the same time; an agent that tries names does not fill the screen.
const MOST: usize = 20;

/// How long nobody is asked again after nobody answered: git that has no answer from one helper asks the next at once.
const SILENCE: Duration = Duration::from_secs(5);

/// What a question is about: project and host.
type About = (String, String);

struct Open {
    ask: GitAsk,
    sandbox: String,
    answer: watch::Sender<Option<GitAnswer>>,
}

/// The open questions.
#[derive(Default)]
pub(super) struct Asks {
    open: Mutex<HashMap<About, Open>>,
    /// Questions that nobody answered, and until when they are not asked again.
    silent: Mutex<HashMap<About, Instant>>,
}

impl Asks {
    fn open(&self) -> MutexGuard<'_, HashMap<About, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the person, or waits with whoever asked the same already. `None` when nobody answered in time.
    pub(super) async fn ask(&self, daemon: &Arc<Daemon>, sandbox: &str, about: About) -> Option<GitAnswer> {
        let mut answer = self.join(daemon, sandbox, about)?;
        // The question goes with its time, and its end is that of the wait.
        answer.wait_for(Option::is_some).await.ok().and_then(|answer| *answer)
    }

    fn join(&self, daemon: &Arc<Daemon>, sandbox: &str, about: About) -> Option<watch::Receiver<Option<GitAnswer>>> {
        let mut open = self.open();
        if let Some(asked) = open.get(&about) {
            return Some(asked.answer.subscribe());
        }
        if open.len() >= MOST || self.is_silent(&about) {
            return None;
        }
        let (sender, answer) = watch::channel(None);
        let until = sys::now_ms().saturating_add(i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX));
        let ask = GitAsk {
            id: sys::trace_id(),
            host: about.1.clone(),
            project: about.0.clone(),
            until_ms: u64::try_from(until).unwrap_or_default(),
        };
        let asking = Event::GitAsking { sandbox_id: sandbox.to_owned(), ask: ask.clone() };
        open.insert(about.clone(), Open { ask, sandbox: sandbox.to_owned(), answer: sender });
        drop(open);
        daemon.hub.tell(asking);
        let (daemon, mut heard) = (Arc::clone(daemon), answer.clone());
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, heard.wait_for(Option::is_some)).await;
            daemon.git.asks.close(&daemon, &about);
        });
        Some(answer)
    }

    fn is_silent(&self, about: &About) -> bool {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        silent.retain(|_, until| *until > now);
        silent.contains_key(about)
    }

    fn close(&self, daemon: &Daemon, about: &About) {
        let closed = self.open().remove(about);
        if let Some(Open { ask, sandbox, answer }) = closed {
            if answer.borrow().is_none() {
                let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
                silent.insert(about.clone(), Instant::now() + SILENCE);
            }
            daemon.hub.tell(Event::GitAsked { sandbox_id: sandbox, ask_id: ask.id });
        }
    }

    /// Gives the person's answer to whoever waits for it.
    pub(super) fn answer(&self, about: &About, answer: GitAnswer) {
        if let Some(asked) = self.open().get(about) {
            asked.answer.send_replace(Some(answer));
        }
    }

    /// The open questions of a project.
    pub(super) fn of_project(&self, project: &str) -> Vec<GitAsk> {
        let mut asks: Vec<GitAsk> =
            self.open().values().filter(|open| open.ask.project == project).map(|open| open.ask.clone()).collect();
        asks.sort_by(|one, other| (one.until_ms, &one.host).cmp(&(other.until_ms, &other.host)));
        asks
    }
}
