//! The settings that have a say in a policy: the person's file, the project's files once approved, the request.

use boxwood_core::config::ConfigError;
use boxwood_core::egress::EgressLayers;
use boxwood_core::paths::Paths;
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::{ErrorCode, RpcError};

use super::remembered;
use crate::error::Result;
use crate::settings;

/// What they say at present.
pub(super) struct Read {
    pub(super) layers: EgressLayers,
    /// Why that is not all that the project's files say.
    pub(super) held_back: Option<String>,
}

/// Reads them for `project`.
pub(super) fn read(paths: &Paths, project: &str, request: &SandboxConfig) -> Result<Read> {
    let settings = settings::load(paths, project, request)?;
    let mut layers = EgressLayers::of(&settings.layers);
    let (counts, is_all) = remembered::approved(paths, project, layers.project, settings.report.is_approved);
    layers.project = counts;
    let file = settings.report.project_file.unwrap_or_default();
    let held_back = (!is_all).then(|| {
        format!(
            "what {file} opens is not in force before you approve it: read the file, then 'boxwood start --approve-config'"
        )
    });
    Ok(Read { layers, held_back })
}

/// A policy that cannot be made although each of its layers could be read.
pub(super) fn invalid(cause: &ConfigError) -> RpcError {
    RpcError::new(ErrorCode::ConfigInvalid, "the network policy is not valid").caused_by(cause)
}
