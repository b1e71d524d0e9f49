//! Durations and outcomes per kind of operation, kept across restarts.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;

use boxwood_protocol::operation::{Metric, OutcomeKind};
use serde::{Deserialize, Serialize};

use crate::files;

/// Durations kept per kind.
const WINDOW: usize = 128;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    kinds: BTreeMap<String, Series>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Series {
    ok: u64,
    cancelled: u64,
    failed: u64,
    durations_ms: VecDeque<u64>,
}

/// The figures and the file they are kept in.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    kept: Mutex<Kept>,
}

impl Metrics {
    pub(crate) fn load(path: PathBuf) -> Self {
        let kept = files::read_json::<Kept>(&path).filter(|kept| kept.version == 1).unwrap_or_default();
        Self { path, kept: Mutex::new(Kept { version: 1, ..kept }) }
    }

    /// Takes note of an operation that ended.
    pub(crate) fn note(&self, kind: &str, outcome: OutcomeKind, duration_ms: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let series = kept.kinds.entry(kind.to_owned()).or_default();
        match outcome {
            OutcomeKind::Ok => series.ok += 1,
            OutcomeKind::Cancelled => series.cancelled += 1,
            OutcomeKind::Failed => series.failed += 1,
        }
        series.durations_ms.push_back(duration_ms);
        if series.durations_ms.len() > WINDOW {
            series.durations_ms.pop_front();
        }
    }

    /// Writes the figures down; called when the daemon has nothing better to do.
    pub(crate) fn save(&self) {
        let text = {
            let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            serde_json::to_vec(&*kept)
        };
        let written = text
            .map_err(|cause| crate::error::internal(cause.to_string()))
            .and_then(|text| files::write(&self.path, &text));
        if let Err(cause) = written {
            tracing::warn!(%cause, "the metrics could not be kept");
        }
    }

    /// The figures, by kind.
    pub(crate) fn report(&self) -> Vec<Metric> {
        let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.kinds
            .iter()
            .map(|(kind, series)| {
                let mut sorted: Vec<u64> = series.durations_ms.iter().copied().collect();
                sorted.sort_unstable();
                let at = |share: usize| {
                    sorted
                        .get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1)))
                        .copied()
                        .unwrap_or_default()
                };
                Metric {
                    kind: kind.clone(),
                    ok: series.ok,
                    cancelled: series.cancelled,
                    failed: series.failed,
                    median_ms: at(50),
                    p95_ms: at(95),
                    max_ms: at(100),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("metrics.json");
        let metrics = Metrics::load(path.clone());
        for duration in 1..=100 {
            metrics.note("ensure", OutcomeKind::Ok, duration);
        }
        metrics.note("ensure", OutcomeKind::Failed, 5000);
        metrics.save();
        let report = Metrics::load(path).report();
        assert_eq!((report[0].ok, report[0].failed, report[0].median_ms, report[0].max_ms), (100, 1, 51, 5000));
    }

    #[test]
    fn a_broken_file_is_not_fatal() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("metrics.json");
        std::fs::write(&path, b"{").expect("written");
        assert!(Metrics::load(path).report().is_empty());
    }
}
