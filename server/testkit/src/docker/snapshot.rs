//! Everything that exists, in a form that two moments can be compared in: no ids, no times, everything sorted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::world::World;

/// Everything that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Containers by name.
    pub containers: BTreeMap<String, ContainerSnapshot>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, VolumeSnapshot>,
    /// Images by id.
    pub images: BTreeMap<String, ImageSnapshot>,
    /// Networks by name.
    pub networks: BTreeMap<String, NetworkSnapshot>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerSnapshot {
    /// `created`, `running`, `paused`, `exited`.
    pub state: String,
    /// Reference it was made from.
    pub image: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `KIND SOURCE -> TARGET`, with ` (ro)` when it cannot be written.
    pub mounts: Vec<String>,
    /// `NAME`, with ` ADDRESS` while it runs, of networks that were made.
    pub networks: Vec<String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkSnapshot {
    /// Whether it leads nowhere.
    pub internal: bool,
    /// Its addresses.
    pub subnet: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeSnapshot {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Paths in it.
    pub files: Vec<String>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageSnapshot {
    /// References.
    pub tags: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl Snapshot {
    pub(super) fn of(world: &World) -> Self {
        let containers = world.containers.iter().map(|container| {
            let labels = container.labels().into_iter();
            let mut mounts: Vec<String> = container
                .mounts
                .iter()
                .map(|mount| {
                    let suffix = if mount.read_only { " (ro)" } else { "" };
                    format!("{} {} -> {}{suffix}", mount.kind, mount.source, mount.target)
                })
                .collect();
            mounts.sort();
            let snapshot = ContainerSnapshot {
                state: container.state.clone(),
                image: container.image().to_owned(),
                labels: labels.map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned())).collect(),
                mounts,
                networks: container
                    .places
                    .iter()
                    .filter(|(name, _)| world.networks.contains_key(*name))
                    .map(|(name, place)| match place.address {
                        Some(address) => format!("{name} {address}"),
                        None => name.clone(),
                    })
                    .collect(),
            };
            (container.name.clone(), snapshot)
        });
        let volumes = world.volumes.iter().map(|(name, volume)| {
            let files = volume.files.keys().cloned().collect();
            (name.clone(), VolumeSnapshot { labels: volume.labels.clone(), files })
        });
        let images = world.images.iter().map(|image| {
            let tags = image.tags.iter().cloned().collect();
            (image.id.clone(), ImageSnapshot { tags, labels: image.labels.clone() })
        });
        let networks = world.networks.iter().map(|(name, network)| {
            let (internal, labels) = (network.internal, network.labels.clone());
            (name.clone(), NetworkSnapshot { internal, subnet: network.subnet.to_string(), labels })
        });
        Self {
            containers: containers.collect(),
            volumes: volumes.collect(),
            images: images.collect(),
            networks: networks.collect(),
        }
    }
}
