//! What the state directory keeps of each sandbox beside what its container's labels say.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::provisioning::hold::Held;
use crate::provisioning::wish::Chosen;
use boxwood_core::egress::{self, policy};
use boxwood_core::paths::Paths;
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::egress::EgressRule;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::files;

/// Version of the stored form; a reader takes its own version and older ones.
const VERSION: u32 = 1;

/// One sandbox's record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) version: u32,
    pub(crate) project: String,
    pub(crate) session: String,
    /// Flags and editor settings that the container was made with.
    pub(crate) request: SandboxConfig,
    /// URL of the API that the environment of whoever started it named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// What it holds of a credential, and whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Held>,
    /// What the person chose for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chosen: Option<Chosen>,
    /// Whether it holds what a setting chose, and nobody was told yet what that means.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_unexplained: bool,
    /// Mount points that were made in the project: path relative to it.
    #[serde(default)]
    pub(crate) placeholders: Vec<String>,
    /// Mount points that were made in its home: path relative to it, parents first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mount_points: Vec<String>,
    /// What the person decided about its network until it stops.
    #[serde(default, skip_serializing_if = "Passing::is_empty")]
    pub(crate) egress: Passing,
    /// Where it presents credentials; never what these are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) credentials: Vec<CredentialServer>,
}

/// A server that a sandbox presents credentials to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CredentialServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
    /// What its name leads to, where only the sandbox knows that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<IpAddr>,
    /// Whether it is the gateway that puts them on requests, not the sandbox.
    pub(crate) is_set: bool,
}

/// Decisions about a sandbox's network that end with it, kept so that they outlive the daemon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Passing {
    #[serde(default)]
    pub(crate) session: Vec<EgressRule>,
    /// Until when everything is let through, milliseconds since 1970; 0 for not at all.
    #[serde(default)]
    pub(crate) bypass_until_ms: u64,
}

impl Passing {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Record {
    /// What whoever started the sandbox asked for, the way to the API of their environment included.
    pub(crate) fn asked(&self) -> SandboxConfig {
        let Some(Ok(endpoint)) = self.endpoint.as_deref().map(egress::endpoint) else { return self.request.clone() };
        let egress = policy::over(&endpoint.egress, &self.request.egress.clone().unwrap_or_default());
        SandboxConfig { egress: Some(egress), ..self.request.clone() }
    }
}

/// The records of all sandboxes.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    paths: Paths,
}

impl Records {
    pub(crate) const fn new(paths: Paths) -> Self {
        Self { paths }
    }

    fn file(&self, id: &str) -> PathBuf {
        self.paths.sandbox(id).join("sandbox.json")
    }

    /// The home of the sandbox's processes, on the host.
    pub(crate) fn home(&self, id: &str) -> PathBuf {
        self.paths.sandbox(id).join("home")
    }

    /// The record of a sandbox, when there is one that can be understood.
    pub(crate) fn get(&self, id: &str) -> Option<Record> {
        files::read_json::<Record>(&self.file(id)).filter(|record| record.version <= VERSION)
    }

    /// Keeps a record.
    pub(crate) fn put(&self, id: &str, mut record: Record) -> Result<()> {
        record.version = VERSION;
        files::write_json(&self.file(id), &record)
    }
}

/// Random name of this state directory, made once. It is part of every sandbox's identity, so that two state
/// directories on one engine keep apart.
pub(crate) fn installation(paths: &Paths) -> Result<String> {
    let path = paths.state.join("installation");
    if let Some(id) = files::read(&path)?.map(|text| text.trim().to_owned()).filter(|id| !id.is_empty()) {
        return Ok(id);
    }
    let id = crate::sys::trace_id()[..16].to_owned();
    files::write(&path, id.as_bytes())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 0.1.0 wrote it; it must stay readable.
    const SAMPLE: &str =
        r#"{"version":1,"project":"/p","session":"default","request":{"memory":"2g"},"placeholders":[".vscode"]}"#;

    #[test]
    fn old_records_are_read_and_newer_ones_are_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0);
        let records = Records::new(paths.clone());
        let write = |text: &str| {
            std::fs::create_dir_all(paths.sandbox("a")).expect("made");
            std::fs::write(paths.sandbox("a").join("sandbox.json"), text).expect("written");
        };
        write(SAMPLE);
        assert_eq!(records.get("a").map(|record| record.placeholders), Some(vec![".vscode".to_owned()]));
        write(&SAMPLE.replace(":1,", ":99,"));
        assert_eq!(records.get("a"), None);
        assert_eq!(installation(&paths).expect("made"), installation(&paths).expect("read"));
    }
}
