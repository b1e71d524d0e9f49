//! Images: looked up, fetched, built, imported, removed.

use std::collections::HashMap;

use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::connect::DockerEngine;
use super::errors::{about_image, translate};
use super::names;
use super::progress::{Fetching, Lines};
use super::volumes::label_filter;
use crate::error::EngineError;
use crate::spec::{BuildSpec, ImageDetail};
use crate::{ByteStream, EngineStream};

/// How far a build may be ahead of its reader, in messages.
const BUILD_BUFFER: usize = 64;

pub(super) async fn inspect(engine: &DockerEngine, reference: &str) -> Result<Option<ImageDetail>, EngineError> {
    let reference = names::image(reference)?;
    let found = match engine.quick(engine.docker.inspect_image(reference)).await {
        Err(error) if error.is_not_found() => return Ok(None),
        found => found?,
    };
    let config = found.config.unwrap_or_default();
    Ok(Some(ImageDetail {
        id: found.id.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        size_bytes: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        labels: config.labels.unwrap_or_default(),
        arch: found.architecture.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
    }))
}

/// A list says neither architecture nor environment; both are empty in it.
pub(super) async fn list(engine: &DockerEngine, labels: &[String]) -> Result<Vec<ImageDetail>, EngineError> {
    let options = ListImagesOptionsBuilder::default().filters(&label_filter(labels)).build();
    let found = engine.quick(engine.docker.list_images(Some(options))).await?;
    let images = found.into_iter().map(|image| ImageDetail {
        id: image.id,
        // The engine's way of saying that there is none.
        tags: image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect(),
        size_bytes: u64::try_from(image.size).unwrap_or_default(),
        labels: image.labels,
        ..ImageDetail::default()
    });
    Ok(images.collect())
}

pub(super) async fn pull(engine: &DockerEngine, reference: &str) -> Result<EngineStream<String>, EngineError> {
    let (repository, tag) = names::repository_and_tag(names::image(reference)?);
    let options = CreateImageOptionsBuilder::default().from_image(repository).tag(tag).build();
    let messages = engine.open(|docker| docker.create_image(Some(options), None, None)).await.map_err(about_image)?;
    let mut fetching = Fetching::default();
    Ok(Box::pin(messages.filter_map(move |message| {
        let line = message.map(|message| fetching.line(message.id, message.status)).map_err(about_image);
        std::future::ready(line.transpose())
    })))
}

/// Starts a build. It belongs to the stream: when that is dropped, the engine is told by the closed connection.
pub(super) fn build(engine: &DockerEngine, spec: &BuildSpec) -> Result<EngineStream<String>, EngineError> {
    let owned = |map: &std::collections::BTreeMap<String, String>| -> HashMap<String, String> {
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let mut options = BuildImageOptionsBuilder::default()
        .t(names::image(&spec.tag)?)
        .dockerfile(&spec.dockerfile)
        .buildargs(&owned(&spec.args))
        .labels(&owned(&spec.labels))
        .nocache(spec.no_cache)
        .rm(true)
        .forcerm(true);
    if !spec.target.is_empty() {
        options = options.target(&spec.target);
    }
    let options = options.build();
    let context = bollard::body_full(spec.context.clone());
    let (docker, endpoint) = (engine.docker.clone(), engine.address().to_owned());
    let (sender, receiver) = mpsc::channel(BUILD_BUFFER);
    // bollard's stream borrows its client, so it lives in a task that ends with the receiver.
    tokio::spawn(async move {
        let mut messages = std::pin::pin!(docker.build_image(options, None, Some(context)));
        loop {
            let message = tokio::select! {
                () = sender.closed() => return,
                message = messages.next() => message,
            };
            let Some(message) = message else { return };
            if sender.send(message.map_err(|error| about_image(translate(&endpoint, error)))).await.is_err() {
                return;
            }
        }
    });
    let messages = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|message| (message, receiver))
    });
    Ok(Lines::of_build(messages))
}

pub(super) async fn import(
    engine: &DockerEngine,
    reference: &str,
    labels: &[(String, String)],
    tar: ByteStream,
) -> Result<(), EngineError> {
    let (repository, tag) = names::repository_and_tag(names::image(reference)?);
    let mut options = CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(tag);
    if !labels.is_empty() {
        options = options.changes(vec![label_instruction(labels)]);
    }
    let options = options.build();
    let body = bollard::body_try_stream(tar);
    let mut messages = std::pin::pin!(engine.docker.create_image(Some(options), Some(body), None));
    while let Some(message) = messages.next().await {
        message.map_err(|error| about_image(engine.translate(error)))?;
    }
    Ok(())
}

/// Labels as an instruction of a Dockerfile, which is how an import takes them.
fn label_instruction(labels: &[(String, String)]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"));
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{}={}", quoted(key), quoted(value))).collect();
    format!("LABEL {}", pairs.join(" "))
}

pub(super) async fn remove(engine: &DockerEngine, reference: &str) -> Result<(), EngineError> {
    let reference = names::image(reference)?;
    match engine.slow(engine.docker.remove_image(reference, None::<RemoveImageOptions>, None)).await {
        Err(error) if error.is_not_found() => Ok(()),
        done => done.map(drop),
    }
}
