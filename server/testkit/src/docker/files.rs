//! Files of images, volumes and containers, and where a path inside a container really is.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: tar::EntryType,
    pub(super) mode: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) link: String,
}

/// A tree by absolute path.
pub(super) type Files = BTreeMap<String, Node>;

/// What every image has.
const USUAL: [&str; 9] = ["/", "/tmp", "/etc", "/usr", "/home", "/opt", "/var", "/root", "/usr/local"];

/// A path without `.`, `..`, double and trailing slashes.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

pub(super) fn plain_file(bytes: &[u8]) -> Node {
    Node { kind: tar::EntryType::Regular, mode: 0o644, bytes: bytes.to_vec(), link: String::new() }
}

/// Whether a path is there: itself, or as the parent of something.
pub(super) fn exists(files: &Files, path: &str) -> bool {
    let below = format!("{}/", path.trim_end_matches('/'));
    files.contains_key(path)
        || USUAL.contains(&path)
        || files.range(below.clone()..).next().is_some_and(|(name, _)| name.starts_with(&below))
}

/// A tree as an archive the way the engine makes it: names begin with the last part of the path.
pub(super) fn pack(files: &Files, path: &str) -> std::io::Result<Vec<u8>> {
    let base = path.rsplit('/').next().unwrap_or_default();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, node) in files.iter().filter(|(name, _)| Path::new(name).starts_with(path)) {
        let relative = format!("{base}{}", &name[path.trim_end_matches('/').len()..]);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(node.kind);
        header.set_mode(node.mode);
        header.set_size(node.bytes.len() as u64);
        if node.kind.is_symlink() {
            archive.append_link(&mut header, relative.trim_start_matches('/'), &node.link)?;
        } else {
            archive.append_data(&mut header, relative.trim_start_matches('/'), node.bytes.as_slice())?;
        }
    }
    archive.into_inner()
}

/// The entries of an archive, by their names in it.
pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Vec<(String, Node)>> {
    let plain = decompress(bytes)?;
    let mut archive = tar::Archive::new(plain.as_slice());
    let mut found = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let link = entry.link_name()?.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default();
        let (kind, mode) = (entry.header().entry_type(), entry.header().mode()?);
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        found.push((name, Node { kind, mode, bytes, link }));
    }
    Ok(found)
}

fn decompress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.to_vec());
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Where a path inside a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine.
    Host(PathBuf),
    /// In a volume.
    Volume { name: String, path: String, read_only: bool },
    /// In the container's own layer.
    Own(String),
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    /// `bind`, `volume` or `tmpfs`.
    pub(super) kind: String,
    /// Path on this machine, or a volume's name.
    pub(super) source: String,
    pub(super) target: String,
    pub(super) read_only: bool,
}

/// Finds a path among mounts; the deepest that holds it wins.
pub(super) fn place(mounts: &[Mounted], path: &str) -> Place {
    let path = normal(path);
    let holds = |mount: &&Mounted| Path::new(&path).starts_with(normal(&mount.target));
    let Some(mount) = mounts.iter().filter(holds).max_by_key(|mount| normal(&mount.target).len()) else {
        return Place::Own(path);
    };
    let inside = path[normal(&mount.target).trim_end_matches('/').len()..].trim_start_matches('/').to_owned();
    match mount.kind.as_str() {
        "bind" => Place::Host(Path::new(&mount.source).join(inside)),
        "volume" => {
            Place::Volume { name: mount.source.clone(), path: format!("/{inside}"), read_only: mount.read_only }
        }
        _ => Place::Own(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(kind: &str, source: &str, target: &str) -> Mounted {
        Mounted { kind: kind.to_owned(), source: source.to_owned(), target: target.to_owned(), read_only: false }
    }

    #[test]
    fn the_deepest_mount_holds_a_path() {
        let mounts = [mounted("bind", "/host", "/w"), mounted("volume", "cache", "/w/cache")];
        assert_eq!(place(&mounts, "/w/a/../b"), Place::Host(PathBuf::from("/host/b")));
        let volume = Place::Volume { name: "cache".to_owned(), path: "/x".to_owned(), read_only: false };
        assert_eq!(place(&mounts, "/w/cache/x"), volume);
        assert_eq!(place(&mounts, "/wide"), Place::Own("/wide".to_owned()));
    }

    #[test]
    fn an_archive_comes_back_as_it_went_in() {
        let files = Files::from([
            ("/a/b/one".to_owned(), plain_file(b"1")),
            ("/a/b/two/three".to_owned(), plain_file(b"3")),
            ("/a/bc".to_owned(), plain_file(b"not below")),
        ]);
        let entries = unpack(&pack(&files, "/a/b").expect("an archive")).expect("entries");
        let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b/one", "b/two/three"]);
        assert!(exists(&files, "/a/b/two") && !exists(&files, "/a/b/t"));
    }
}
