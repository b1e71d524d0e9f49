//! Mount points in the project, as steps: made before a container starts, removed when none needs them any more.

use boxwood_core::labels;

use crate::error::{self, Result};
use crate::lifecycle::overlay;
use crate::lifecycle::steps::Work;

impl Work {
    pub(super) fn make_placeholders(&self) -> Result<()> {
        overlay::refuse_links(&self.identity.project, &self.overlays)?;
        overlay::make(&self.identity.project, &self.overlays, &self.journal.placeholders)
    }

    pub(super) fn unmake_placeholders(&self) -> Result<()> {
        if self.daemon.is_project_in_use(&self.identity.project, &self.identity.id) {
            return Ok(());
        }
        overlay::clear(&self.identity.project, &self.journal.placeholders)
    }

    /// They stay while another sandbox of the project needs them.
    pub(super) fn clear_placeholders(&self) -> Result<()> {
        if self.daemon.is_project_in_use(&self.identity.project, &self.identity.id) {
            return Ok(());
        }
        let Some(record) = self.daemon.records.get(&self.identity.id) else { return Ok(()) };
        overlay::clear(&self.identity.project, &record.placeholders)
    }

    /// Makes again what the container has mounted: it is started again, and an engine would refuse to, or make them as root.
    pub(super) async fn unclear_placeholders(&self) -> Result<()> {
        let Some(before) = &self.journal.before else { return Ok(()) };
        let detail = match self.engine.inspect_container(before).await {
            Ok(detail) => detail,
            Err(cause) if cause.is_not_found() => return Ok(()),
            Err(cause) => return Err(error::engine("look at the container", &cause)),
        };
        let made = self.daemon.records.get(&self.identity.id).map(|record| record.placeholders).unwrap_or_default();
        let workspace = detail.labels.get(labels::WORKSPACE).map(String::as_str).unwrap_or_default();
        let overlays = overlay::mounted(&self.identity.project, workspace, &detail.mounts);
        let mut missing = overlay::missing(&self.identity.project, &overlays);
        missing.retain(|path| made.contains(path));
        overlay::make(&self.identity.project, &overlays, &missing)
    }
}
