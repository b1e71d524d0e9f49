//! A container being made: everything the engine checks before it says yes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::fake::{Health, Usage};
use super::files::{Mounted, normal};
use super::http::{Outcome, Query, json_answer, refuse};
use super::world::{Container, Engine, Image, World, check_name};
use super::{images, networks, volumes};

const LEAST_MEMORY: u64 = 6 << 20;

pub(super) fn create(engine: &Engine, query: &Query, mut request: Value) -> Outcome {
    let cpus = engine.settings().cpus;
    engine.change(|world| {
        let name = match query.get("name").trim_start_matches('/') {
            "" => format!("fake_{}", world.containers.len()),
            name => name.to_owned(),
        };
        check_name("container", &name)?;
        let reference = request["Image"].as_str().unwrap_or_default().to_owned();
        let image = images::find(world, &reference)?.clone();
        check_limits(&request["HostConfig"], cpus)?;
        let mounts = read_mounts(&request["HostConfig"]["Mounts"])?;
        let places = networks::asked(&request)?;
        if let Some(other) = world.containers.iter().find(|container| container.name == name) {
            return refuse(
                409,
                format!(
                    "Conflict. The container name \"/{name}\" is already in use by container \"{}\". You have to \
                     remove (or rename) that container to be able to reuse that name.",
                    other.id
                ),
            );
        }
        inherit(&mut request, &image);
        for (mount, asked) in mounts.iter().zip(request["HostConfig"]["Mounts"].as_array().into_iter().flatten()) {
            if mount.kind == "volume" {
                fill_volume(world, mount, asked, &image);
            }
        }
        let id = world.new_id();
        world.containers.push(Container {
            id: id.clone(),
            name,
            created: jiff::Timestamp::now(),
            image_id: image.id,
            state: "created".to_owned(),
            exit_code: 0,
            is_oom_killed: false,
            error: String::new(),
            started_at: None,
            finished_at: None,
            health: checks_health(&request).then(|| (Health::Starting, String::new())),
            log: Vec::new(),
            files: image.files,
            mounts,
            places,
            read: Vec::new(),
            usage: Usage::default(),
            run: 0,
            request,
        });
        world.tell(&id, "create", &[]);
        Ok(json_answer(201, &json!({ "Id": id, "Warnings": [] })))
    })
}

fn check_limits(host: &Value, cpus: u32) -> Outcome<()> {
    let memory = host["Memory"].as_u64().unwrap_or_default();
    if memory > 0 && memory < LEAST_MEMORY {
        return refuse(400, "Minimum memory limit allowed is 6MB");
    }
    if host["MemorySwap"].as_u64().is_some_and(|swap| swap > 0 && swap < memory) {
        return refuse(400, "Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host["NanoCpus"].as_u64().unwrap_or_default() > u64::from(cpus) * 1_000_000_000 {
        let message = format!("Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available");
        return refuse(400, message);
    }
    Ok(())
}

fn read_mounts(asked: &Value) -> Outcome<Vec<Mounted>> {
    let mut mounts: Vec<Mounted> = Vec::new();
    for mount in asked.as_array().into_iter().flatten() {
        let text = |name: &str| mount[name].as_str().unwrap_or_default().to_owned();
        let (kind, source, target) = (text("Type"), text("Source"), text("Target"));
        if !target.starts_with('/') {
            return refuse(
                400,
                format!(
                    "invalid mount config for type \"{kind}\": invalid mount path: '{target}' mount path must be absolute"
                ),
            );
        }
        if kind == "bind" && !Path::new(&source).exists() {
            return refuse(
                400,
                format!("invalid mount config for type \"bind\": bind source path does not exist: {source}"),
            );
        }
        if mounts.iter().any(|known| normal(&known.target) == normal(&target)) {
            return refuse(400, format!("Duplicate mount point: {target}"));
        }
        mounts.push(Mounted { kind, source, target, read_only: mount["ReadOnly"] == json!(true) });
    }
    Ok(mounts)
}

/// The image's part of the configuration, where the request says nothing.
fn inherit(request: &mut Value, image: &Image) {
    let asked = request["Env"].as_array().cloned().unwrap_or_default();
    let name_of = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
    let given: Vec<String> = asked.iter().filter_map(Value::as_str).map(name_of).collect();
    let inherited = image.env.iter().filter(|entry| !given.contains(&name_of(entry))).map(|entry| json!(entry));
    request["Env"] = inherited.chain(asked.iter().cloned()).collect();
    let mut labels: BTreeMap<String, Value> =
        image.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    labels.extend(request["Labels"].as_object().cloned().unwrap_or_default());
    request["Labels"] = json!(labels);
}

fn checks_health(request: &Value) -> bool {
    request["Healthcheck"]["Test"][0].as_str().is_some_and(|first| first.starts_with("CMD"))
}

/// Makes a volume that is not there, and copies the image's files into one that is empty.
fn fill_volume(world: &mut World, mount: &Mounted, asked: &Value, image: &Image) {
    volumes::ensure(world, &mount.source, BTreeMap::new());
    let is_copied = asked["VolumeOptions"]["NoCopy"] != json!(true);
    let Some(volume) = world.volumes.get_mut(&mount.source) else { return };
    if !is_copied || !volume.files.is_empty() {
        return;
    }
    let below = format!("{}/", normal(&mount.target));
    let copied = image
        .files
        .iter()
        .filter_map(|(name, node)| name.strip_prefix(&below).map(|inside| (format!("/{inside}"), node.clone())));
    volume.files = copied.collect();
}
