//! Changes of containers.

use std::future::ready;

use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt;

use super::connect::DockerEngine;
use super::volumes::label_filter;
use crate::EngineStream;
use crate::error::EngineError;
use crate::spec::EngineEvent;

pub(super) async fn events(engine: &DockerEngine, labels: &[String]) -> Result<EngineStream<EngineEvent>, EngineError> {
    let mut filters = label_filter(labels);
    filters.insert("type", vec!["container".to_owned()]);
    let options = EventsOptionsBuilder::default().filters(&filters).build();
    let messages = engine.open_quickly(|docker| docker.events(Some(options))).await?;
    Ok(Box::pin(messages.filter_map(|message| {
        ready(match message {
            Err(error) => Some(Err(error)),
            Ok(message) => message.actor.zip(message.action).map(|(actor, action)| {
                Ok(EngineEvent {
                    action,
                    container_id: actor.id.unwrap_or_default(),
                    attributes: actor.attributes.unwrap_or_default(),
                })
            }),
        })
    })))
}
