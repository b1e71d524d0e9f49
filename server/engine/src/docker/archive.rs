//! Files of containers, as tar archives.

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures::StreamExt;

use super::connect::DockerEngine;
use super::names;
use crate::ByteStream;
use crate::error::EngineError;

/// Unpacks a tar stream. Not limited in time: it takes as long as its source does.
pub(super) async fn upload(engine: &DockerEngine, id: &str, path: &str, tar: ByteStream) -> Result<(), EngineError> {
    let id = names::object("container", id)?;
    let options = UploadToContainerOptionsBuilder::default().path(path).build();
    let upload = engine.docker.upload_to_container(id, Some(options), bollard::body_try_stream(tar));
    upload.await.map_err(|error| engine.translate(error))
}

pub(super) async fn path_exists(engine: &DockerEngine, id: &str, path: &str) -> Result<bool, EngineError> {
    let id = names::object("container", id)?;
    let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
    match engine.quick(engine.docker.get_container_archive_info(id, Some(options))).await {
        Ok(_) => Ok(true),
        // The engine says 404 for the path and for the container alike, and a HEAD request's answer has no words.
        Err(error) if error.is_not_found() => super::containers::inspect(engine, id).await.map(|_| false),
        Err(error) => Err(error),
    }
}

pub(super) async fn download(
    engine: &DockerEngine,
    id: &str,
    path: &str,
    limit: usize,
) -> Result<Vec<u8>, EngineError> {
    let id = names::object("container", id)?;
    let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
    let mut pieces = engine.open(|docker| docker.download_from_container(id, Some(options))).await?;
    let mut archive = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let wanted = piece.len().min(limit - archive.len());
        archive.extend_from_slice(&piece[..wanted]);
        if archive.len() == limit {
            break;
        }
    }
    Ok(archive)
}
