//! A sandbox that runs already: what is put right in it, and what a refresh would change.

use std::sync::Arc;

use boxwood_core::identity::Identity;
use boxwood_core::plan::Step;
use boxwood_protocol::ErrorCode;
use boxwood_protocol::config::SandboxConfig;
use boxwood_protocol::params::{EnsureAction, EnsureParams, EnsureResult};
use boxwood_protocol::sandbox::SandboxInfo;

use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::ensure::{existing, look};
use crate::lifecycle::{carry_out, gateway, overlay};
use crate::operations::Handle;
use crate::registry::Known;
use crate::settings;

/// A running sandbox is attached to as it is, unless its network is gone; what a refresh would change is told.
pub(super) async fn attach(
    daemon: &Arc<Daemon>,
    handle: Handle,
    identity: Identity,
    known: &Known,
    params: &EnsureParams,
) -> Result<EnsureResult> {
    let mut warnings = Vec::new();
    // What is in it goes on without a network, so it can be attached to whatever becomes of that.
    let mended = match Box::pin(mend(daemon, handle, identity, known)).await {
        Ok(mended) => mended,
        Err(problem) if problem.code == ErrorCode::Cancelled => return Err(problem),
        Err(problem) => {
            warnings.push(format!("its network could not be made anew: {problem}"));
            None
        }
    };
    let known = &mended.or_else(|| daemon.registry.get(&known.info.id)).unwrap_or_else(|| known.clone());
    let is_outdated = daemon.is_outdated(&known.detail);
    daemon.registry.outdated(&known.detail.id, is_outdated);
    let request = params.config.clone().unwrap_or_default();
    let made_with = daemon.records.get(&known.info.id).map(|record| record.request).unwrap_or_default();
    if request != SandboxConfig::default() && request != made_with {
        warnings.push("it runs with other settings than these; 'boxwood refresh' applies them".to_owned());
    } else if let Some(difference) = difference(daemon, known, &made_with) {
        warnings.push(difference);
    } else if is_outdated {
        warnings.push("its configuration has changed since it was made; 'boxwood refresh' applies it".to_owned());
    }
    let sandbox = SandboxInfo { is_outdated, ..known.info.clone() };
    Ok(EnsureResult { sandbox, action: EnsureAction::Attached, warnings })
}

/// Makes the network of a running sandbox anew when that was taken away from it, and looks whether it is what it must be.
async fn mend(daemon: &Arc<Daemon>, handle: Handle, identity: Identity, known: &Known) -> Result<Option<Known>> {
    if known.info.alarm.is_none() || !gateway::is_used(&known.detail.labels) {
        return Ok(None);
    }
    let mut work = existing(daemon, handle, identity, known).await?;
    if work.is_on_network().await? {
        return Ok(None);
    }
    carry_out(&mut work, vec![Step::Network, Step::Verify]).await?;
    look(&work).await?;
    Ok(daemon.registry.get(&known.info.id))
}

/// What of a project is not mounted in its container as it would be now.
fn difference(daemon: &Daemon, known: &Known, made_with: &SandboxConfig) -> Option<String> {
    let settings = settings::load(&daemon.paths, &known.info.project, made_with).ok()?;
    let workspace = known.detail.labels.get(boxwood_core::labels::WORKSPACE)?;
    let (wanted, _) = overlay::plan(&known.info.project, &settings.resolved).ok()?;
    overlay::difference(&overlay::mounted(&known.info.project, workspace, &known.detail.mounts), &wanted)
}
