//! Named volumes.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use super::connect::DockerEngine;
use super::names;
use crate::error::EngineError;
use crate::spec::VolumeDetail;

pub(super) async fn create(engine: &DockerEngine, name: &str, labels: &[(String, String)]) -> Result<(), EngineError> {
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels.iter().cloned().collect()),
        ..VolumeCreateRequest::default()
    };
    engine.quick(engine.docker.create_volume(request)).await.map(drop)
}

pub(super) async fn list(engine: &DockerEngine, labels: &[String]) -> Result<Vec<VolumeDetail>, EngineError> {
    let options = ListVolumesOptionsBuilder::default().filters(&label_filter(labels)).build();
    let answer = engine.quick(engine.docker.list_volumes(Some(options))).await?;
    let volumes = answer.volumes.unwrap_or_default();
    Ok(volumes.into_iter().map(|volume| VolumeDetail { name: volume.name, labels: volume.labels }).collect())
}

pub(super) async fn remove(engine: &DockerEngine, name: &str) -> Result<(), EngineError> {
    let name = names::object("volume", name)?;
    match engine.slow(engine.docker.remove_volume(name, None::<RemoveVolumeOptions>)).await {
        Err(error) if error.is_not_found() => Ok(()),
        done => done,
    }
}

/// The engine's filter for objects that carry all of `labels`.
pub(super) fn label_filter(labels: &[String]) -> HashMap<&'static str, Vec<String>> {
    if labels.is_empty() { HashMap::new() } else { HashMap::from([("label", labels.to_vec())]) }
}
