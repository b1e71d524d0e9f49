//! Files going into and out of containers.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::files::{self, Files, Node, Place};
use super::http::{Outcome, Query, Refusal, bytes_answer, empty_answer, refuse};
use super::world::{Container, Engine, World};

pub(super) fn stat(engine: &Engine, id: &str, query: &Query) -> Outcome {
    let path = files::normal(query.get("path"));
    engine.look(|world| {
        let container = world.container(id)?;
        if !exists(world, container, &path) {
            return missing(&path, id);
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let stat = json!({ "name": name, "size": 0, "mode": 420, "mtime": "2026-01-01T00:00:00Z", "linkTarget": "" });
        let mut answer = empty_answer(200);
        if let Ok(value) = STANDARD.encode(stat.to_string()).parse() {
            answer.headers_mut().insert("x-docker-container-path-stat", value);
        }
        Ok(answer)
    })
}

fn missing<T>(path: &str, id: &str) -> Outcome<T> {
    refuse(404, format!("Could not find the file {path} in container {id}"))
}

fn exists(world: &World, container: &Container, path: &str) -> bool {
    let leads_to_mount =
        container.mounts.iter().any(|mount| Path::new(&files::normal(&mount.target)).starts_with(path));
    leads_to_mount
        || match files::place(&container.mounts, path) {
            Place::Host(path) => path.exists(),
            Place::Volume { name, path, .. } => {
                path == "/" || world.volumes.get(&name).is_some_and(|volume| has(&volume.files, &path))
            }
            Place::Own(path) => files::exists(&container.files, &path),
        }
}

/// Like [`files::exists`] without the directories that only a root file system has.
fn has(tree: &Files, path: &str) -> bool {
    tree.keys().any(|name| Path::new(name).starts_with(path))
}

pub(super) fn download(engine: &Engine, id: &str, query: &Query) -> Outcome {
    let path = files::normal(query.get("path"));
    engine.look(|world| {
        let container = world.container(id)?;
        if !exists(world, container, &path) {
            return missing(&path, id);
        }
        let broken = |error: std::io::Error| Refusal { status: 500, message: error.to_string() };
        let archive = match files::place(&container.mounts, &path) {
            Place::Host(host) => pack_host(&host).map_err(broken)?,
            Place::Own(path) => files::pack(&container.files, &path).map_err(broken)?,
            Place::Volume { name, path, .. } => {
                let tree = world.volumes.get(&name).map(|volume| volume.files.clone()).unwrap_or_default();
                files::pack(&tree, &path).map_err(broken)?
            }
        };
        Ok(bytes_answer(200, "application/x-tar", archive))
    })
}

fn pack_host(path: &Path) -> std::io::Result<Vec<u8>> {
    let name = path.file_name().unwrap_or_default();
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    if path.is_dir() {
        archive.append_dir_all(name, path)?;
    } else {
        archive.append_path_with_name(path, name)?;
    }
    archive.into_inner()
}

pub(super) fn upload(engine: &Engine, id: &str, query: &Query, body: &[u8]) -> Outcome {
    let directory = files::normal(query.get("path"));
    let entries = match files::unpack(body) {
        Ok(entries) => entries,
        Err(error) => return refuse(400, format!("Error processing tar file: {error}")),
    };
    engine.change(|world| {
        let index = world.find(id)?;
        if !exists(world, &world.containers[index], &directory) {
            return missing(&directory, id);
        }
        for (name, node) in entries {
            let path = files::normal(&format!("{directory}/{name}"));
            match files::place(&world.containers[index].mounts, &path) {
                Place::Own(path) => drop(world.containers[index].files.insert(path, node)),
                Place::Volume { read_only: true, .. } => {
                    return refuse(400, "mounted volume is marked read-only");
                }
                Place::Volume { name, path, .. } => {
                    if let Some(volume) = world.volumes.get_mut(&name) {
                        volume.files.insert(path, node);
                    }
                }
                Place::Host(path) => {
                    write_host(&path, &node).map_err(|error| Refusal { status: 500, message: error.to_string() })?;
                }
            }
        }
        Ok(empty_answer(200))
    })
}

fn write_host(path: &Path, node: &Node) -> std::io::Result<()> {
    if node.kind.is_dir() {
        return std::fs::create_dir_all(path);
    }
    #[cfg(unix)]
    if node.kind.is_symlink() {
        return std::os::unix::fs::symlink(&node.link, path);
    }
    std::fs::write(path, &node.bytes)?;
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(node.mode))?;
    Ok(())
}
