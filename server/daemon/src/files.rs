//! Files of the state directory: whole or not at all, and for the person only.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{self, Result};

mod beneath;
mod remove;

pub(crate) use beneath::{Found, open_beneath};
pub(crate) use remove::remove_directory;

/// Sees to it that a directory is there and entered by the person only. True when it was not there.
pub(crate) fn private_directory(path: &Path) -> Result<bool> {
    let make = || -> io::Result<bool> {
        let is_new = !path.is_dir();
        fs::create_dir_all(path)?;
        restrict(path, 0o700)?;
        Ok(is_new)
    };
    make().map_err(|cause| error::file("make the directory", path, &cause))
}

/// Writes a file whole: to a temporary one beside it, to the disk, and then over it. Mode 0600.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let put = || -> io::Result<()> {
        let parent = path.parent().unwrap_or_else(|| Path::new("."));
        let mut temporary = tempfile::Builder::new().prefix(".boxwood-").tempfile_in(parent)?;
        temporary.write_all(contents)?;
        temporary.as_file().sync_data()?;
        temporary.persist(path).map_err(|failed| failed.error)?;
        Ok(())
    };
    put().map_err(|cause| error::file("write", path, &cause))
}

/// Writes a file unless it already holds exactly this.
pub(crate) fn write_if_different(path: &Path, contents: &[u8]) -> Result<()> {
    match fs::read(path) {
        Ok(existing) if existing == contents => Ok(()),
        _ => write(path, contents),
    }
}

/// Writes a program that only the person runs.
pub(crate) fn write_program(path: &Path, contents: &[u8]) -> Result<()> {
    write_if_different(path, contents)?;
    restrict(path, 0o700).map_err(|cause| error::file("make a program of", path, &cause))
}

/// Writes `value` as JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|cause| error::internal(cause.to_string()))?;
    write(path, &text)
}

/// Reads a file as text; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(error::file("read", path, &cause)),
    }
}

/// Opens a file in a place where an agent may have put something else: what is no file is an error, and nobody waits.
fn open_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // A pipe without a writer is opened at once like this, and turned away below.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    }
}

/// Reads a file of a project. One that is larger than `most` bytes is an error.
pub(crate) fn read_project_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    if file.metadata()?.len() > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first bytes of a file, at most `most`.
pub(crate) fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads JSON; `None` when there is no file or it cannot be understood, which is logged.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = read(path).ok()??;
    serde_json::from_str(&text)
        .inspect_err(|cause| tracing::warn!(path = %path.display(), %cause, "a state file cannot be understood"))
        .ok()
}

/// Removes a file; one that is gone is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(error::file("remove", path, &cause)),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path)?.permissions().mode() & 0o777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}
