//! Operations: started, watched, cancelled, and ended exactly once.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use boxwood_protocol::operation::{Cancelled, OperationEnd, OperationStarted, OperationSummary, OutcomeKind, Stream};
use boxwood_protocol::{ErrorCode, Event, RpcError};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::error::{self, Result};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::sys;

/// Ended operations that can still be asked for.
const REMEMBERED: usize = 256;

/// What an operation is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    pub(crate) sandbox_id: Option<String>,
    pub(crate) project: Option<String>,
}

struct Entry {
    summary: OperationSummary,
    cancel: CancellationToken,
    end: watch::Receiver<Option<Arc<OperationEnd>>>,
}

#[derive(Default)]
struct Table {
    running: HashMap<String, Entry>,
    ended: VecDeque<(OperationSummary, Arc<OperationEnd>)>,
}

/// All operations of the daemon.
pub(crate) struct Operations {
    table: Mutex<Table>,
    hub: Hub,
    metrics: Metrics,
    /// Raised when an operation begins or ends.
    activity: watch::Sender<u64>,
}

/// What an operation's own code holds.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) id: String,
    pub(crate) cancel: CancellationToken,
    hub: Hub,
    left_over: Arc<Mutex<Vec<String>>>,
}

impl Handle {
    /// Tells how far it is.
    pub(crate) fn progress(
        &self,
        step: &str,
        message: impl Into<String>,
        done: usize,
        total: usize,
        percent: Option<u8>,
    ) {
        self.hub.tell(Event::OperationProgress {
            operation_id: self.id.clone(),
            step: step.to_owned(),
            message: message.into(),
            done: u32::try_from(done).unwrap_or(u32::MAX),
            total: u32::try_from(total).unwrap_or(u32::MAX),
            percent,
        });
    }

    /// Tells a line for the person.
    pub(crate) fn log(&self, line: impl Into<String>) {
        self.output(Stream::Log, line.into());
    }

    /// Tells a piece of output.
    pub(crate) fn output(&self, stream: Stream, text: String) {
        self.hub.tell(Event::OperationOutput { operation_id: self.id.clone(), stream, text });
    }

    /// Takes note of what could not be undone.
    pub(crate) fn left_over(&self, what: String) {
        lock(&self.left_over).push(what);
    }

    /// Runs `work` unless the operation is cancelled first.
    pub(crate) async fn or_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            result = work => result,
        }
    }
}

/// The error of a cancelled operation.
pub(crate) fn cancelled() -> RpcError {
    RpcError::new(ErrorCode::Cancelled, "cancelled")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Operations {
    pub(crate) fn new(hub: Hub, metrics: Metrics) -> Self {
        Self { table: Mutex::default(), hub, metrics, activity: watch::channel(0).0 }
    }

    /// Starts an operation. What `work` gives is its end; a panic in it is a failure like any other.
    pub(crate) fn start<T, F, W>(self: &Arc<Self>, kind: &'static str, subject: Subject, work: W) -> OperationStarted
    where
        T: Serialize + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        W: FnOnce(Handle) -> F,
    {
        let id = sys::trace_id();
        let cancel = CancellationToken::new();
        let (end_sender, end) = watch::channel(None);
        let summary = OperationSummary {
            operation_id: id.clone(),
            kind: kind.to_owned(),
            sandbox_id: subject.sandbox_id,
            project: subject.project,
            started_at: sys::now(),
            outcome: None,
        };
        let left_over = Arc::default();
        let handle =
            Handle { id: id.clone(), cancel: cancel.clone(), hub: self.hub.clone(), left_over: Arc::clone(&left_over) };
        lock(&self.table).running.insert(id.clone(), Entry { summary: summary.clone(), cancel, end });
        self.hub.tell(Event::OperationStarted { operation: summary.clone() });
        self.activity.send_modify(|count| *count += 1);
        let span = tracing::info_span!("operation", trace = %id, kind);
        tracing::info!(parent: &span, project = summary.project.as_deref(), sandbox = summary.sandbox_id.as_deref(), "began");
        let began = Instant::now();
        let task = tokio::spawn(work(handle).instrument(span.clone()));
        let operations = Arc::clone(self);
        tokio::spawn(
            async move {
                let result = match task.await {
                    Ok(result) => result.and_then(|value| {
                        serde_json::to_value(value).map_err(|cause| error::internal(cause.to_string()))
                    }),
                    Err(panic) => Err(error::internal(format!("the operation broke off: {panic}"))),
                };
                let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let left_over = lock(&left_over).clone();
                operations.finish(summary, result, left_over, duration_ms, &end_sender);
            }
            .instrument(span),
        );
        OperationStarted { operation_id: id }
    }

    fn finish(
        &self,
        mut summary: OperationSummary,
        result: Result<serde_json::Value>,
        left_over: Vec<String>,
        duration_ms: u64,
        sender: &watch::Sender<Option<Arc<OperationEnd>>>,
    ) {
        let (outcome, result, error) = match result {
            Ok(value) => (OutcomeKind::Ok, Some(value), None),
            Err(error) if error.code == ErrorCode::Cancelled => (OutcomeKind::Cancelled, None, Some(error)),
            Err(error) => (OutcomeKind::Failed, None, Some(error)),
        };
        let error = error.map(|mut error| {
            error.trace_id = Some(summary.operation_id.clone());
            error
        });
        match &error {
            Some(error) => {
                tracing::warn!(?outcome, duration_ms, code = error.code.as_str(), %error, ?left_over, "ended");
            }
            None => tracing::info!(?outcome, duration_ms, "ended"),
        }
        summary.outcome = Some(outcome);
        let end = Arc::new(OperationEnd {
            operation_id: summary.operation_id.clone(),
            kind: summary.kind.clone(),
            outcome,
            result,
            error,
            left_over,
            duration_ms,
        });
        self.metrics.note(&summary.kind, outcome, duration_ms);
        {
            let mut table = lock(&self.table);
            table.running.remove(&summary.operation_id);
            table.ended.push_back((summary, Arc::clone(&end)));
            if table.ended.len() > REMEMBERED {
                table.ended.pop_front();
            }
        }
        let _ = sender.send(Some(Arc::clone(&end)));
        self.hub.tell(Event::OperationEnded { end: (*end).clone() });
        self.activity.send_modify(|count| *count += 1);
    }

    /// The end of an operation, as soon as it has come.
    pub(crate) async fn wait(&self, id: &str) -> Result<OperationEnd> {
        let mut end = {
            let table = lock(&self.table);
            if let Some((_, end)) = table.ended.iter().find(|(summary, _)| summary.operation_id == id) {
                return Ok((**end).clone());
            }
            table.running.get(id).map(|entry| entry.end.clone()).ok_or_else(|| not_found(id))?
        };
        let ended =
            end.wait_for(Option::is_some).await.map_err(|_| error::internal("an operation ended without an end"))?;
        ended.as_deref().cloned().ok_or_else(|| error::internal("an operation ended without an end"))
    }

    /// Asks an operation to stop.
    pub(crate) fn cancel(&self, id: &str) -> Result<Cancelled> {
        let table = lock(&self.table);
        if let Some(entry) = table.running.get(id) {
            entry.cancel.cancel();
            return Ok(Cancelled { was_running: true });
        }
        let is_known = table.ended.iter().any(|(summary, _)| summary.operation_id == id);
        if is_known { Ok(Cancelled { was_running: false }) } else { Err(not_found(id)) }
    }

    /// Cancels everything.
    pub(crate) fn cancel_all(&self) {
        for entry in lock(&self.table).running.values() {
            entry.cancel.cancel();
        }
    }

    /// Waits until nothing runs.
    pub(crate) async fn all_ended(&self) {
        let mut activity = self.activity.subscribe();
        while self.running() > 0 {
            if activity.changed().await.is_err() {
                return;
            }
        }
    }

    /// Raised whenever an operation begins or ends.
    pub(crate) fn activity(&self) -> watch::Receiver<u64> {
        self.activity.subscribe()
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        lock(&self.table).running.len()
    }

    /// A running operation of this kind on this sandbox.
    pub(crate) fn find(&self, kind: &str, sandbox_id: &str) -> Option<String> {
        let table = lock(&self.table);
        let fits = |entry: &&Entry| {
            entry.summary.kind == kind
                && entry.summary.sandbox_id.as_deref() == Some(sandbox_id)
                && !entry.cancel.is_cancelled()
        };
        table.running.values().find(fits).map(|entry| entry.summary.operation_id.clone())
    }

    /// What runs, then what ended, the newest first.
    pub(crate) fn list(&self) -> Vec<OperationSummary> {
        let table = lock(&self.table);
        let running = table.running.values().map(|entry| entry.summary.clone());
        running.chain(table.ended.iter().rev().map(|(summary, _)| summary.clone())).collect()
    }

    /// What runs.
    pub(crate) fn list_running(&self) -> Vec<OperationSummary> {
        lock(&self.table).running.values().map(|entry| entry.summary.clone()).collect()
    }

    /// Durations and outcomes.
    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

fn not_found(id: &str) -> RpcError {
    RpcError::new(ErrorCode::OperationNotFound, format!("no operation has the id {id}"))
}
