//! The settings that have a say in a policy: the person's file, the project's files once approved, the request.

use boxwood_core::config::ConfigError;
use boxwood_core::egress::EgressLayers;
use boxwood_core::paths::Paths;
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::{ErrorCode, RpcError};

use super::remembered;
use crate::error::Result;
use crate::settings;

/// Reads them for `project`.
pub(super) fn read(paths: &Paths, project: &str, request: &SandboxConfig) -> Result<EgressLayers> {
    let settings = settings::load(paths, project, request)?;
    let mut layers = EgressLayers::of(&settings.layers);
    layers.project = remembered::approved(paths, project, layers.project, settings.report.is_approved);
    Ok(layers)
}

/// A policy that cannot be made although each of its layers could be read.
pub(super) fn invalid(cause: &ConfigError) -> RpcError {
    RpcError::new(ErrorCode::ConfigInvalid, "the network policy is not valid").caused_by(cause)
}
