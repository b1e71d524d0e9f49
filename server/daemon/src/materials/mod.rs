//! What a sandbox is made of: an image, and the runtime volume with Claude Code. Had once, kept for the next time.

pub(crate) mod base;
pub(crate) mod build;
pub(crate) mod gateway;
pub(crate) mod helper;
pub(crate) mod image;
pub(crate) mod interior;
mod others;
pub(crate) mod package;
pub(crate) mod runtime;
#[cfg(test)]
mod runtime_tests;
mod upload;

use std::sync::Arc;

use boxwood_core::config::ImageSource;
use boxwood_engine::{Engine, EngineInfo};

use crate::daemon::Daemon;
use crate::error::Result;
use crate::operations::Handle;
use crate::settings::Settings;

use image::Image;
use interior::Interior;
use runtime::{Libc, Runtime};

/// The image, what is inside it, and the runtime volume for a sandbox. An agent image is known to have glibc, so image and volume are
/// had at the same time; any other image is looked into first.
pub(crate) async fn get(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    info: &EngineInfo,
    handle: &Handle,
    settings: &Settings,
) -> Result<Materials> {
    if let ImageSource::Variant(variant) = settings.resolved.image {
        let image = async {
            let image = image::agent(daemon, engine, handle, variant, false).await?;
            let interior = interior::of(daemon, engine, handle, &image).await?;
            Ok((image, interior))
        };
        let runtime = runtime::get(daemon, engine, info, handle, Libc::Glibc);
        let ((image, interior), runtime) = tokio::try_join!(image, runtime)?;
        return Ok(Materials { image, interior, runtime });
    }
    let image = image::of_project(daemon, engine, handle, settings).await?;
    let interior = interior::of(daemon, engine, handle, &image).await?;
    let runtime = runtime::get(daemon, engine, info, handle, interior.libc()).await?;
    Ok(Materials { image, interior, runtime })
}

/// What a container is made of.
#[derive(Debug, Clone)]
pub(crate) struct Materials {
    pub(crate) image: Image,
    pub(crate) interior: Interior,
    pub(crate) runtime: Runtime,
}
