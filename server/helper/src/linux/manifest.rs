//! The list of everything in a runtime volume, as `seal` writes it and `verify` checks it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::linux::error::Error;

/// The manifest's own name in the volume.
pub(crate) const FILE: &str = "manifest.json";

/// Raised when an older reader could be misled.
pub(crate) const FORMAT: u32 = 1;

/// Path relative to the volume's top, with `/` between its parts, to what is there.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// The stored document.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) files: Entries,
}

/// One file or symlink. Directories are implied by what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Of a file: its digest in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// Of a file: its permission bits in octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    /// Of a symlink: where it points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// Everything below the volume's top except the manifest itself.
pub(crate) fn scan(root: &Path) -> Result<Entries, Error> {
    let mut entries = Entries::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        let failed = |error| Error::io("list", &directory, error);
        for child in std::fs::read_dir(&directory).map_err(failed)? {
            let path = child.map_err(failed)?.path();
            let found = std::fs::symlink_metadata(&path).map_err(|error| Error::io("look at", &path, error))?;
            if found.is_dir() {
                pending.push(path);
                continue;
            }
            let name = name_below(root, &path)?;
            if name != FILE {
                entries.insert(name, entry(&path, &found)?);
            }
        }
    }
    Ok(entries)
}

fn name_below(root: &Path, path: &Path) -> Result<String, Error> {
    let name = path.strip_prefix(root).ok().and_then(Path::to_str);
    name.map(str::to_owned).ok_or_else(|| Error::UnsealableFile { path: path.to_path_buf() })
}

fn entry(path: &Path, found: &std::fs::Metadata) -> Result<Entry, Error> {
    if found.is_symlink() {
        let target = std::fs::read_link(path).map_err(|error| Error::io("read", path, error))?;
        let target = target.to_str().ok_or_else(|| Error::UnsealableFile { path: path.to_path_buf() })?;
        return Ok(Entry { sha256: None, mode: None, link: Some(target.to_owned()) });
    }
    if !found.is_file() {
        return Err(Error::UnsealableFile { path: path.to_path_buf() });
    }
    let mode = format!("{:04o}", found.mode() & 0o7777);
    Ok(Entry { sha256: Some(digest(path)?), mode: Some(mode), link: None })
}

fn digest(path: &Path) -> Result<String, Error> {
    let failed = |error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `[--root DIR]`, the only argument of `seal` and `verify`.
pub(crate) fn root_argument(command: &str, default: &Path, args: Vec<std::ffi::OsString>) -> Result<PathBuf, Error> {
    let mut root = default.to_path_buf();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--root") => {
                let value = args.next().ok_or_else(|| Error::Usage("--root needs a directory".to_owned()))?;
                root = value.into();
            }
            _ => return Err(Error::Usage(format!("{command} does not know '{}'", arg.display()))),
        }
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_symlinks_are_listed_without_the_manifest() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(dir.path().join("bin/deep")).expect("directory");
        std::fs::write(dir.path().join("bin/deep/file"), "abc").expect("file");
        std::fs::write(dir.path().join(FILE), "{}").expect("manifest");
        std::os::unix::fs::symlink("deep/file", dir.path().join("bin/link")).expect("symlink");
        let entries = scan(dir.path()).expect("scan");
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["bin/deep/file", "bin/link"]);
        // The digest of "abc" is the first example of FIPS 180-2.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(entries["bin/deep/file"].sha256.as_deref(), Some(expected));
        assert_eq!(entries["bin/link"].link.as_deref(), Some("deep/file"));
    }

    #[test]
    fn what_is_neither_file_nor_symlink_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).expect("socket");
        assert!(matches!(scan(dir.path()), Err(Error::UnsealableFile { .. })));
    }
}
