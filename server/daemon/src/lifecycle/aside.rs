//! The container that another one takes the place of: set aside, put back, removed.

use boxwood_engine::ContainerState;

use crate::error::{self, Result};
use crate::lifecycle::steps::Work;

impl Work {
    pub(super) async fn set_aside(&mut self) -> Result<()> {
        let Some(before) = self.journal.before.clone() else { return Ok(()) };
        let what = "set the old container aside";
        self.end(&before).await.map_err(|cause| error::engine(what, &cause))?;
        let detail = self.engine.inspect_container(&before).await.map_err(|cause| error::engine(what, &cause))?;
        if detail.name != self.journal.aside() {
            self.engine
                .rename_container(&before, &self.journal.aside())
                .await
                .map_err(|cause| error::engine(what, &cause))?;
        }
        Ok(())
    }

    pub(super) async fn put_back(&self) -> Result<()> {
        let Some(before) = &self.journal.before else { return Ok(()) };
        let what = "put the old container back";
        let detail = match self.engine.inspect_container(before).await {
            Ok(detail) => detail,
            Err(cause) if cause.is_not_found() => return Ok(()),
            Err(cause) => return Err(error::engine(what, &cause)),
        };
        if detail.name != self.journal.container {
            self.engine
                .rename_container(before, &self.journal.container)
                .await
                .map_err(|cause| error::engine(what, &cause))?;
        }
        if self.journal.was_running && detail.state != ContainerState::Running {
            if !self.has_network() {
                self.unstop_gateway().await?;
            }
            self.start_as_made(before).await?;
        }
        Ok(())
    }

    pub(super) async fn drop_old(&mut self) -> Result<()> {
        let Some(before) = self.journal.before.clone() else { return Ok(()) };
        self.engine
            .remove_container(&before)
            .await
            .map_err(|cause| error::engine("remove the old container", &cause))?;
        self.daemon.registry.remove(&before);
        self.tidy_points().await?;
        // While it could come back, it had its login where it was.
        self.adopt_login().await;
        Ok(())
    }
}
