//! Volumes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::{Answer, Outcome, Query, Refusal, empty_answer, json_answer, refuse};
use super::world::{Engine, Volume, World, check_name, has_labels};

pub(super) fn list(engine: &Engine, query: &Query) -> Answer {
    let wanted = query.filter("label");
    let volumes: Vec<Value> = engine.look(|world| {
        let named = world.volumes.iter();
        let found = named.filter(|(_, volume)| has_labels(&wanted, |key| volume.labels.get(key).map(String::as_str)));
        found.map(|(name, volume)| describe(name, volume)).collect()
    });
    json_answer(200, &json!({ "Volumes": volumes, "Warnings": null }))
}

pub(super) fn create(engine: &Engine, request: &Value) -> Outcome {
    let labels: BTreeMap<String, String> = serde_json::from_value(request["Labels"].clone()).unwrap_or_default();
    engine.change(|world| {
        let name = match request["Name"].as_str().unwrap_or_default() {
            "" => world.new_id(),
            name => name.to_owned(),
        };
        check_name("volume", &name)?;
        ensure(world, &name, labels);
        Ok(json_answer(201, &describe(&name, &world.volumes[&name])))
    })
}

/// Makes a volume unless it is there.
pub(super) fn ensure(world: &mut World, name: &str, labels: BTreeMap<String, String>) {
    if !world.volumes.contains_key(name) {
        world.volumes.insert(name.to_owned(), Volume { labels, ..Volume::default() });
        world.announce("volume", "create", name, &json!({ "driver": "local" }));
    }
}

pub(super) fn inspect(engine: &Engine, name: &str) -> Outcome {
    engine.look(|world| {
        let volume = world.volumes.get(name).ok_or_else(|| missing(name))?;
        Ok(json_answer(200, &describe(name, volume)))
    })
}

pub(super) fn remove(engine: &Engine, name: &str) -> Outcome {
    engine.change(|world| {
        let volume = world.volumes.contains_key(name);
        if let Some(user) = world.containers.iter().find(|container| container.mounts_volume(name)) {
            return refuse(409, format!("remove {name}: volume is in use - [{}]", user.id));
        }
        if !volume {
            return Err(missing(name));
        }
        world.volumes.remove(name);
        world.announce("volume", "destroy", name, &json!({ "driver": "local" }));
        Ok(empty_answer(204))
    })
}

fn missing(name: &str) -> Refusal {
    Refusal { status: 404, message: format!("get {name}: no such volume") }
}

fn describe(name: &str, volume: &Volume) -> Value {
    json!({
        "Name": name, "Driver": "local", "Mountpoint": format!("/var/lib/docker/volumes/{name}/_data"),
        "Labels": volume.labels, "Scope": "local", "Options": {}, "CreatedAt": "2026-01-01T00:00:00Z",
    })
}
