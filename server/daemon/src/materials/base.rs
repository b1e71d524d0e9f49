//! The base image of everything that is built: pulled, or where no registry answers, made from Debian's packages.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use boxwood_engine::{ByteStream, Engine};
use boxwood_protocol::{ErrorCode, RpcError};
use futures::StreamExt as _;
use tokio_util::io::ReaderStream;

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::operations::Handle;
use crate::sys::User;

/// The base image.
pub(crate) const BASE: &str = "debian:bookworm-slim";
/// Its release.
const RELEASE: &str = "bookworm";

/// Has the base image at hand.
pub(crate) async fn ensure(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, handle: &Handle) -> Result<()> {
    let turn = daemon.turn("base image");
    let _turn = turn.lock().await;
    if is_there(engine, BASE).await? {
        return Ok(());
    }
    handle.log(format!("pulling {BASE}"));
    let Err(pull) = pull(engine, handle, BASE).await else { return Ok(()) };
    handle.log(format!("{pull}; making it from Debian's packages instead"));
    bootstrap(daemon, engine, handle).await.map_err(|problem| {
        problem.caused_by(pull).hint(format!(
            "make a registry reachable so that {BASE} can be pulled, or import a Debian root filesystem under that name"
        ))
    })
}

/// Whether an image is there.
pub(crate) async fn is_there(engine: &Arc<dyn Engine>, reference: &str) -> Result<bool> {
    let found = engine.inspect_image(reference).await;
    found.map(|found| found.is_some()).map_err(|cause| error::engine("look for an image", &cause))
}

/// Pulls an image, telling each line.
pub(crate) async fn pull(engine: &Arc<dyn Engine>, handle: &Handle, reference: &str) -> Result<()> {
    let failed = |cause: boxwood_engine::EngineError| {
        RpcError::new(ErrorCode::ImageFailed, format!("failed to pull the image {reference}")).caused_by(cause)
    };
    let mut lines = engine.pull_image(reference).await.map_err(failed)?;
    while let Some(line) = lines.next().await {
        handle.log(line.map_err(failed)?);
    }
    if is_there(engine, reference).await? {
        Ok(())
    } else {
        Err(RpcError::new(ErrorCode::ImageFailed, format!("the registry gave no image {reference}")))
    }
}

/// Whether it could be made here without a registry.
pub(crate) fn can_be_made(user: User, path: &OsStr) -> bool {
    user.uid == 0 && std::env::split_paths(path).any(|directory| directory.join("debootstrap").is_file())
}

async fn bootstrap(daemon: &Arc<Daemon>, engine: &Arc<dyn Engine>, handle: &Handle) -> Result<()> {
    let failed = |reason: String| {
        RpcError::new(ErrorCode::ImageFailed, format!("failed to make the base image {BASE}")).caused_by(reason)
    };
    if daemon.user.uid != 0 {
        return Err(failed("only root can run debootstrap".to_owned()));
    }
    let directory = tempfile::Builder::new()
        .prefix("rootfs-")
        .tempdir_in(&daemon.paths.cache)
        .map_err(|cause| error::file("make a directory in", &daemon.paths.cache, &cause))?;
    let root = directory.path();
    let mut command = tokio::process::Command::new("debootstrap");
    command.args(["--variant=minbase", RELEASE]).arg(root);
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|cause| failed(format!("debootstrap is not installed or does not start: {cause}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(failed(said.lines().last().unwrap_or("debootstrap failed").to_owned()));
    }
    // As in the published image: what is lost when the machine fails while an image is built is built again.
    let quick = root.join("etc/dpkg/dpkg.cfg.d/unsafe-io");
    std::fs::write(&quick, "force-unsafe-io\n").map_err(|cause| error::file("write", &quick, &cause))?;
    handle.log("importing the root filesystem");
    import(engine, root).await
}

async fn import(engine: &Arc<dyn Engine>, root: &Path) -> Result<()> {
    let mut tar = tokio::process::Command::new("tar")
        .args([
            "--numeric-owner",
            "--exclude=./var/cache/apt/archives/*.deb",
            "--exclude=./var/lib/apt/lists/*_*",
            "-C",
        ])
        .arg(root)
        .args(["-c", "."])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| error::internal("failed to start tar").caused_by(cause))?;
    let output = tar.stdout.take().ok_or_else(|| error::internal("tar has no output"))?;
    let stream: ByteStream = Box::pin(ReaderStream::with_capacity(output, 1 << 16));
    engine.import_image(BASE, &[], stream).await.map_err(|cause| error::engine("import the base image", &cause))?;
    let status = tar.wait().await.map_err(|cause| error::internal("tar was lost").caused_by(cause))?;
    if status.success() { Ok(()) } else { Err(error::internal("tar did not pack the root filesystem whole")) }
}
