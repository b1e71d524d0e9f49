//! Containers described.

use serde_json::{Value, json};

use super::http::{Answer, Outcome, Query, json_answer};
use super::lifecycle::health_json;
use super::networks;
use super::system::time;
use super::world::{Container, Engine, has_labels};

pub(super) fn list(engine: &Engine, query: &Query) -> Answer {
    let (labels, names, states, ids) =
        (query.filter("label"), query.filter("name"), query.filter("status"), query.filter("id"));
    let (volumes, images) = (query.filter("volume"), query.filter("ancestor"));
    let found: Vec<Value> = engine.look(|world| {
        let newest_first = world.containers.iter().rev();
        let wanted = newest_first.filter(|container| {
            let own = container.labels();
            (query.is_set("all") || container.is_running() || !states.is_empty())
                && has_labels(&labels, |key| own.get(key).and_then(Value::as_str))
                && (names.is_empty() || names.iter().any(|name| container.name.contains(name.trim_matches('/'))))
                && (states.is_empty() || states.contains(&container.state))
                && (ids.is_empty() || ids.iter().any(|id| container.id.starts_with(id.as_str())))
                && (volumes.is_empty() || volumes.iter().any(|name| container.mounts_volume(name)))
                && (images.is_empty() || images.contains(&container.image_id))
        });
        wanted.map(summary).collect()
    });
    json_answer(200, &json!(found))
}

fn summary(container: &Container) -> Value {
    json!({
        "Id": container.id, "Names": [format!("/{}", container.name)], "Image": container.image(),
        "ImageID": container.image_id, "Command": command(container).join(" "),
        "Created": container.created.as_second(), "State": container.state, "Status": container.state,
        "Labels": container.labels(), "Ports": [], "Mounts": mount_points(container),
        "HostConfig": { "NetworkMode": "default" }, "NetworkSettings": networks::settings(container),
    })
}

fn command(container: &Container) -> Vec<String> {
    let words = |name: &str| container.request[name].as_array().cloned().unwrap_or_default();
    let all = words("Entrypoint").into_iter().chain(words("Cmd"));
    all.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

pub(super) fn inspect(engine: &Engine, id: &str) -> Outcome {
    engine.look(|world| world.container(id).map(|container| json_answer(200, &detail(container))))
}

fn detail(container: &Container) -> Value {
    let command = command(container);
    let mut config = container.request.clone();
    if let Some(config) = config.as_object_mut() {
        config.remove("HostConfig");
        config.remove("NetworkingConfig");
    }
    json!({
        "Id": container.id, "Name": format!("/{}", container.name), "Created": container.created.to_string(),
        "Path": command.first(), "Args": command.get(1..).unwrap_or_default(), "Image": container.image_id,
        "State": {
            "Status": container.state, "Running": container.is_running(), "Paused": container.state == "paused",
            "Restarting": false, "OOMKilled": container.is_oom_killed, "Dead": false,
            "Pid": if container.is_running() { 4242 } else { 0 }, "ExitCode": container.exit_code,
            "Error": container.error, "StartedAt": time(container.started_at), "FinishedAt": time(container.finished_at),
            "Health": health_json(container.health.as_ref()),
        },
        "Config": config, "HostConfig": container.request["HostConfig"], "Mounts": mount_points(container),
        "RestartCount": 0, "Driver": "overlay2", "Platform": "linux",
        "NetworkSettings": networks::settings(container),
    })
}

fn mount_points(container: &Container) -> Vec<Value> {
    let points = container.mounts.iter().map(|mount| {
        let is_volume = mount.kind == "volume";
        let source = match mount.kind.as_str() {
            "volume" => format!("/var/lib/docker/volumes/{}/_data", mount.source),
            _ => mount.source.clone(),
        };
        json!({
            "Type": mount.kind, "Name": if is_volume { mount.source.as_str() } else { "" }, "Source": source,
            "Destination": mount.target, "Mode": "", "RW": !mount.read_only, "Propagation": "rprivate",
        })
    });
    points.collect()
}
