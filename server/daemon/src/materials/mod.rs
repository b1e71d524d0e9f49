//! What a sandbox is made of: an image, and the runtime volume with Claude Code. Had once, kept for the next time.

pub(crate) mod base;
pub(crate) mod build;
pub(crate) mod image;
pub(crate) mod package;
pub(crate) mod runtime;

use std::sync::Arc;

use boxwood_core::config::ImageSource;
use boxwood_engine::{Engine, EngineInfo};

use crate::daemon::Daemon;
use crate::error::Result;
use crate::operations::Handle;
use crate::settings::Settings;

use image::Image;
use runtime::{Libc, Runtime};

/// The image and the runtime volume for a sandbox. An agent image is known to have glibc, so both are had at the same
/// time; any other image is looked into first.
pub(crate) async fn get(
    daemon: &Arc<Daemon>,
    engine: &Arc<dyn Engine>,
    info: &EngineInfo,
    handle: &Handle,
    settings: &Settings,
) -> Result<(Image, Runtime)> {
    if let ImageSource::Variant(variant) = settings.resolved.image {
        return tokio::try_join!(
            image::agent(daemon, engine, handle, variant, false),
            runtime::get(daemon, engine, info, handle, Libc::Glibc),
        );
    }
    let image = image::of_project(daemon, engine, handle, settings).await?;
    let libc = runtime::libc_of(daemon, engine, &image).await?;
    let runtime = runtime::get(daemon, engine, info, handle, libc).await?;
    Ok((image, runtime))
}
