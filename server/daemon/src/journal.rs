//! What an operation is about to change, written down before it begins.
//!
//! A journal is on disk from before the first step until after the last. One that is found when the daemon starts
//! belongs to an operation that was interrupted; everything in it is undone.

use std::path::{Path, PathBuf};

use boxwood_core::plan::Step;
use boxwood_protocol::config::SandboxConfig;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files;
use crate::lifecycle::gateway::Before;

/// The facts that undoing needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Journal {
    /// Trace id of the operation; also a label of the container that it makes.
    pub(crate) trace: String,
    /// Id of the sandbox.
    pub(crate) sandbox: String,
    /// Name of its container.
    pub(crate) container: String,
    /// Canonical path of the project.
    pub(crate) project: String,
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// Whether the sandbox's directories were not there before.
    pub(crate) made_directories: bool,
    /// Mount points that are made in the project.
    pub(crate) placeholders: Vec<String>,
    /// Id of the container that was there before.
    pub(crate) before: Option<String>,
    /// Whether that one ran.
    pub(crate) was_running: bool,
    /// What there was of a gateway before; absent when the operation is not about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<Before>,
    /// What the sandbox was made with before; absent when it is not made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<SandboxConfig>,
    /// The API that it was made with before, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
}

impl Journal {
    /// Name that the container from before has while it is set aside.
    pub(crate) fn aside(&self) -> String {
        format!("{}.{}", self.container, &self.trace[..8.min(self.trace.len())])
    }

    fn path(directory: &Path, trace: &str) -> PathBuf {
        directory.join(format!("{trace}.json"))
    }

    /// Writes it down.
    pub(crate) fn open(&self, directory: &Path) -> Result<()> {
        files::write_json(&Self::path(directory, &self.trace), self)
    }

    /// The operation is over and nothing is left to undo.
    pub(crate) fn close(&self, directory: &Path) -> Result<()> {
        files::remove(&Self::path(directory, &self.trace))
    }

    /// Those that were interrupted.
    pub(crate) fn interrupted(directory: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| files::read_json(&path))
            .collect()
    }
}
