//! One file of mode 0600 for each entry, in a directory that only the person enters.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use boxwood_core::credentials::Secret;

use super::super::guarded;
use super::{Failure, Store};

/// Largest value, bytes.
const MOST: usize = 64 * 1024;

/// Files below the daemon's state.
#[derive(Clone)]
pub(super) struct Files {
    directory: PathBuf,
    warnings: Arc<Mutex<BTreeSet<String>>>,
}

impl Files {
    pub(super) fn new(state: &Path) -> Self {
        Self { directory: state.join("credentials"), warnings: Arc::default() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn work<T: Send + 'static>(
        &self,
        name: &str,
        what: &'static str,
        work: impl FnOnce(&Self, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (files, name) = (self.clone(), name.to_owned());
        let path = self.directory.join(&name);
        let failed = |cause: io::Error| Failure::Unreadable(format!("failed to {what} {}: {cause}", path.display()));
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if !is_name {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "this is no name of an entry")));
        }
        let done = tokio::task::spawn_blocking(move || work(&files, &name)).await;
        done.map_err(io::Error::other).and_then(|done| done).map_err(failed)
    }

    /// Sees to it that the directory is there, no link, and the person's alone. False when it is not there.
    fn check_directory(&self) -> io::Result<bool> {
        match fs::symlink_metadata(&self.directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "its directory is a link or a file")),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(cause),
        }
        if let Some(mode) = restrict(&self.directory, 0o700)? {
            self.warn(&self.directory, mode, "entered");
        }
        Ok(true)
    }

    fn warn(&self, path: &Path, mode: u32, what: &str) {
        let text = format!(
            "{} could be {what} by others (mode {mode:o}) and no longer can; where others use this machine, replace \
             the credential",
            path.display()
        );
        tracing::warn!("{text}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
    }

    fn read(&self, name: &str) -> io::Result<Option<Secret>> {
        if !self.check_directory()? {
            return Ok(None);
        }
        let path = self.directory.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file())
            && let Some(mode) = restrict(&path, 0o600)?
        {
            self.warn(&path, mode, "read");
        }
        let text = guarded::read_text(&self.directory, &[name], MOST)?;
        Ok(text.map(|mut text| Secret::new(std::mem::take(&mut *text))))
    }

    fn write(&self, name: &str, value: &Secret) -> io::Result<()> {
        if !self.check_directory()? {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&self.directory)?;
        }
        if value.reveal().len() > MOST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MOST} bytes")));
        }
        // Mode 0600 from the first byte on. What stands in its place, a link too, is replaced and not followed.
        let mut temporary = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.directory)?;
        temporary.write_all(value.reveal().as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(self.directory.join(name)).map_err(|failed| failed.error)?;
        self.sync_directory()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.check_directory()? {
            return Ok(());
        }
        match fs::remove_file(self.directory.join(name)) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(cause),
            Ok(()) => self.sync_directory(),
        }
    }

    /// A name is on the disk when its directory is.
    #[cfg(unix)]
    fn sync_directory(&self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_directory(&self) -> io::Result<()> {
        fs::metadata(&self.directory).map(|_| ())
    }
}

#[async_trait]
impl Store for Files {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Failure> {
        self.work(name, "read", Self::read).await
    }

    async fn set(&self, name: &str, value: &Secret) -> Result<(), Failure> {
        let value = value.duplicate();
        self.work(name, "write", move |files, name| files.write(name, &value)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        self.work(name, "remove", Self::remove).await
    }
}

/// Takes away what others may do with a file or directory; gives the mode that it had, when that was too much.
#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt as _;
    let before = fs::metadata(path)?.permissions().mode() & 0o7777;
    if before & !mode == 0 {
        return Ok(None);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(Some(before))
}

/// What is below a person's own directories is theirs alone on this system.
#[cfg(not(unix))]
fn restrict(_path: &Path, _mode: u32) -> io::Result<Option<u32>> {
    Ok(None)
}
