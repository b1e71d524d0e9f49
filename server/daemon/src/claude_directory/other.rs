//! By paths. Where engines run in a machine of their own, what an agent makes there is no link for this system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(super) type Directory = PathBuf;

pub(super) fn open(parent: &Path, name: &str) -> io::Result<Directory> {
    let path = parent.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => return Ok(path),
        Ok(_) => fs::remove_file(&path)?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(cause),
    }
    fs::create_dir(&path)?;
    Ok(path)
}

pub(super) fn read(directory: &Directory, name: &str) -> io::Result<Option<File>> {
    let path = directory.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => File::open(&path).map(Some),
        Ok(_) => Ok(None),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

pub(super) fn create(directory: &Directory, name: &str) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(directory.join(name))
}

pub(super) fn rename(directory: &Directory, from: &str, to: &str) -> io::Result<()> {
    fs::rename(directory.join(from), directory.join(to))
}

pub(super) fn rename_between(from: &Directory, to: &Directory, name: &str) -> io::Result<()> {
    fs::rename(from.join(name), to.join(name))
}

pub(super) fn is_oddity(directory: &Directory, name: &str) -> io::Result<bool> {
    match fs::symlink_metadata(directory.join(name)) {
        Ok(metadata) => Ok(!metadata.is_file() && !metadata.is_dir()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

pub(super) fn is_directory(directory: &Directory, name: &str) -> io::Result<bool> {
    match fs::symlink_metadata(directory.join(name)) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

pub(super) fn unlink(directory: &Directory, name: &str) -> io::Result<()> {
    fs::remove_file(directory.join(name))
}
