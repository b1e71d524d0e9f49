//! Images: found, fetched, imported, removed.

use serde_json::{Value, json};

use super::http::{Answer, Outcome, Query, Refusal, empty_answer, json_answer, message, refuse, stream_answer};
use super::world::{Engine, Image, World, digest, has_labels};
use super::{build, files};

/// A reference with its tag said.
pub(super) fn normal(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':') || reference.contains('@') { reference.to_owned() } else { format!("{reference}:latest") }
}

/// Position of an image by tag, id or the beginning of an id.
fn position(world: &World, reference: &str) -> Option<usize> {
    let tag = normal(reference);
    let hex = reference.trim_start_matches("sha256:");
    let is_hex = hex.len() >= 4 && hex.chars().all(|c| c.is_ascii_hexdigit());
    let by_tag = world.images.iter().position(|image| image.tags.contains(&tag));
    by_tag.or_else(|| world.images.iter().position(|image| is_hex && image.id["sha256:".len()..].starts_with(hex)))
}

pub(super) fn find<'a>(world: &'a World, reference: &str) -> Outcome<&'a Image> {
    let found = position(world, reference).map(|index| &world.images[index]);
    found.ok_or_else(|| Refusal { status: 404, message: format!("No such image: {}", normal(reference)) })
}

/// Adds an image under a tag, which leaves whatever had it.
pub(super) fn add(world: &mut World, mut image: Image, tag: &str, action: &str) {
    let tag = normal(tag);
    for other in &mut world.images {
        other.tags.remove(&tag);
    }
    image.tags.insert(tag.clone());
    let id = image.id.clone();
    match world.images.iter_mut().find(|known| known.id == image.id) {
        Some(known) => known.tags.append(&mut image.tags),
        None => world.images.push(image),
    }
    world.announce("image", action, &id, &json!({ "name": tag }));
}

pub(super) fn list(engine: &Engine, query: &Query) -> Answer {
    let (labels, references) = (query.filter("label"), query.filter("reference"));
    let found: Vec<Value> = engine.look(|world| {
        let wanted = world.images.iter().filter(|image| {
            has_labels(&labels, |key| image.labels.get(key).map(String::as_str))
                && (references.is_empty() || references.iter().any(|tag| image.tags.contains(&normal(tag))))
        });
        let described = wanted.map(|image| {
            json!({
                "Id": image.id, "ParentId": "", "RepoTags": tags(image), "RepoDigests": [], "Created": 1_767_225_600,
                "Size": image.size, "SharedSize": -1, "VirtualSize": image.size, "Labels": image.labels,
                "Containers": -1,
            })
        });
        described.collect()
    });
    json_answer(200, &json!(found))
}

fn tags(image: &Image) -> Vec<String> {
    if image.tags.is_empty() { vec!["<none>:<none>".to_owned()] } else { image.tags.iter().cloned().collect() }
}

pub(super) fn inspect(engine: &Engine, reference: &str) -> Outcome {
    engine.look(|world| {
        let image = find(world, reference)?;
        Ok(json_answer(
            200,
            &json!({
                "Id": image.id, "RepoTags": image.tags, "RepoDigests": [], "Created": "2026-01-01T00:00:00Z",
                "Config": { "Labels": image.labels, "Env": image.env, "Cmd": ["/bin/sh"] },
                "Architecture": image.arch, "Os": "linux", "Size": image.size, "VirtualSize": image.size,
                "RootFS": { "Type": "layers", "Layers": [] },
            }),
        ))
    })
}

/// A pull, or an import when there is a source.
pub(super) fn create(engine: &Engine, query: &Query, body: &[u8]) -> Outcome {
    if !query.get("fromSrc").is_empty() {
        return import(engine, query, body);
    }
    let (name, tag) = (query.get("fromImage"), query.get("tag"));
    let reference = if tag.is_empty() { normal(name) } else { format!("{name}:{tag}") };
    let pulled = engine.change(|world| pull(world, &reference))?;
    let said = |id: &str, status: &str| message(&json!({ "id": id, "status": status }));
    let short = pulled["sha256:".len()..][..12].to_owned();
    let tag = reference.rsplit(':').next().unwrap_or_default().to_owned();
    let lines = vec![
        said(&tag, &format!("Pulling from {name}")),
        said(&short, "Pulling fs layer"),
        message(&json!({ "id": short, "status": "Downloading", "progressDetail": { "current": 1, "total": 2 } })),
        message(&json!({ "id": short, "status": "Downloading", "progressDetail": { "current": 2, "total": 2 } })),
        said(&short, "Pull complete"),
        message(&json!({ "status": format!("Digest: {pulled}") })),
        message(&json!({ "status": format!("Status: Downloaded newer image for {reference}") })),
    ];
    Ok(stream_answer("application/json", futures::stream::iter(lines)))
}

/// Fetches an image from the registry and gives its id.
pub(super) fn pull(world: &mut World, reference: &str) -> Outcome<String> {
    let Some(image) = world.registry.get(reference).cloned() else {
        let name = reference.split(':').next().unwrap_or(reference);
        return refuse(
            404,
            format!(
                "pull access denied for {name}, repository does not exist or may require 'docker login': denied: \
                 requested access to the resource is denied"
            ),
        );
    };
    let id = image.id.clone();
    add(world, image, reference, "pull");
    Ok(id)
}

fn import(engine: &Engine, query: &Query, body: &[u8]) -> Outcome {
    let reference = format!("{}:{}", query.get("repo"), query.get("tag"));
    let entries = match files::unpack(body) {
        Ok(entries) => entries,
        Err(error) => {
            let text = format!("Error processing tar file(exit status 1): {error}");
            let failure = json!({ "errorDetail": { "message": text }, "error": text });
            return Ok(stream_answer("application/json", futures::stream::iter([message(&failure)])));
        }
    };
    let id = format!("sha256:{}", digest(body));
    let image = Image {
        id: id.clone(),
        arch: "amd64".to_owned(),
        size: body.len() as u64,
        files: entries.into_iter().map(|(name, node)| (files::normal(&name), node)).collect(),
        labels: query
            .get("changes")
            .lines()
            .filter_map(|line| line.strip_prefix("LABEL "))
            .flat_map(build::pairs)
            .collect(),
        ..Image::default()
    };
    engine.change(|world| add(world, image, &reference, "import"));
    Ok(stream_answer("application/json", futures::stream::iter([message(&json!({ "status": id }))])))
}

pub(super) fn remove(engine: &Engine, reference: &str, query: &Query) -> Outcome {
    engine.change(|world| {
        let id = find(world, reference)?.id.clone();
        let user = world.containers.iter().find(|container| container.image_id == id).map(|user| user.id.clone());
        let Some(index) = position(world, reference) else { return Ok(empty_answer(404)) };
        let tag = normal(reference);
        let is_by_tag = world.images[index].tags.contains(&tag);
        let loses_all = !is_by_tag || world.images[index].tags.len() == 1;
        if let Some(user) = user
            && loses_all
            && !query.is_set("force")
        {
            let what = if is_by_tag {
                format!("unable to remove repository reference \"{reference}\" (must force)")
            } else {
                format!("unable to delete {} (must be forced)", &id["sha256:".len()..][..12])
            };
            return refuse(409, format!("conflict: {what} - container {} is using its referenced image", &user[..12]));
        }
        if !loses_all {
            world.images[index].tags.remove(&tag);
            world.announce("image", "untag", &id, &json!({ "name": tag }));
            return Ok(json_answer(200, &json!([{ "Untagged": tag }])));
        }
        world.images.remove(index);
        world.announce("image", "delete", &id, &json!({ "name": id }));
        Ok(json_answer(200, &json!([{ "Untagged": tag }, { "Deleted": id }])))
    })
}
