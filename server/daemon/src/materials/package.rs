//! The package of Claude Code: its pinned version, where it is had from, and whether it is what it should be.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};
use serde::Deserialize;
use sha2::{Digest as _, Sha512};

use crate::error::Result;
use crate::files;
use crate::operations::Handle;

/// The pinned version and digests.
pub(crate) const CLAUDE: &str = include_str!("../../../../images/claude.json");

/// A version of Claude Code.
#[derive(Debug, Deserialize)]
pub(crate) struct Pinned {
    pub(crate) version: String,
    packages: BTreeMap<String, Package>,
}

/// The package for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Package {
    /// Name of the package.
    pub(crate) name: String,
    /// `sha512-` and base64, of the archive.
    pub(crate) integrity: String,
    /// Hexadecimal, of the binary.
    pub(crate) sha256: String,
}

/// The version in use.
pub(crate) fn pinned() -> &'static Pinned {
    static PINNED: OnceLock<Pinned> = OnceLock::new();
    PINNED.get_or_init(|| {
        serde_json::from_str(CLAUDE).unwrap_or_else(|cause| {
            tracing::error!(%cause, "images/claude.json is not valid");
            Pinned { version: String::new(), packages: BTreeMap::new() }
        })
    })
}

impl Pinned {
    /// The package for a platform such as `linux-x64-musl`.
    pub(crate) fn package(&self, platform: &str) -> Result<&Package> {
        self.packages.get(platform).ok_or_else(|| {
            RpcError::new(
                ErrorCode::RuntimeFailed,
                format!("Claude Code {} has no package for {platform}", self.version),
            )
        })
    }
}

/// The archive of a package, from the cache or by way of npm, with the right digest.
pub(crate) async fn archive(paths: &Paths, handle: &Handle, version: &str, package: &Package) -> Result<PathBuf> {
    let directory = paths.cache.join("claude");
    files::private_directory(&directory)?;
    let path = directory.join(format!("{}-{version}.tgz", package.name.trim_start_matches('@').replace('/', "-")));
    if path.exists() {
        match is_intact(&path, &package.integrity).await {
            Ok(true) => return Ok(path),
            _ => {
                handle.log(format!("{} is damaged; getting it again", path.display()));
                files::remove(&path)?;
            }
        }
    }
    handle.progress("image", format!("downloading Claude Code {version}"), 0, 0, None);
    handle.log(format!("downloading {}@{version}", package.name));
    let staging = tempfile::Builder::new()
        .prefix("download-")
        .tempdir_in(&directory)
        .map_err(|cause| crate::error::file("make a directory in", &directory, &cause))?;
    download(staging.path(), &format!("{}@{version}", package.name), &path).await?;
    let name = path.file_name().unwrap_or_default();
    let fetched = staging.path().join(name);
    if !is_intact(&fetched, &package.integrity).await.unwrap_or(false) {
        return Err(RpcError::new(
            ErrorCode::RuntimeFailed,
            format!("the package {}@{version} is not the one that Boxwood was made for: its digest differs", package.name),
        )
        .hint("something between this machine and the package registry changes files, or the download broke off; try again"));
    }
    std::fs::rename(&fetched, &path).map_err(|cause| crate::error::file("keep", &path, &cause))?;
    Ok(path)
}

async fn download(directory: &Path, specifier: &str, wanted: &Path) -> Result<()> {
    let failed = |reason: String| {
        RpcError::new(ErrorCode::RuntimeFailed, format!("failed to download {specifier}")).caused_by(reason).hint(
            format!(
                "check the network and that 'npm' is installed, or put the package's archive at {} and try again",
                wanted.display()
            ),
        )
    };
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = tokio::process::Command::new(program);
    command.args(["pack", specifier, "--silent", "--ignore-scripts", "--pack-destination"]).arg(directory);
    let output = command
        .current_dir(directory)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|cause| failed(format!("npm does not start: {cause}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().filter(|line| !line.trim().is_empty()).take(4).collect::<Vec<_>>().join("; ")))
}

async fn is_intact(path: &Path, integrity: &str) -> io::Result<bool> {
    let (path, integrity) = (path.to_path_buf(), integrity.to_owned());
    let check = move || -> io::Result<bool> {
        let mut hasher = Sha512::new();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        let wanted = integrity.strip_prefix("sha512-").unwrap_or_default();
        Ok(base64(&hasher.finalize()) == wanted)
    };
    tokio::task::spawn_blocking(check).await.map_err(io::Error::other)?
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Calls `with` with the size and the contents of the binary in an archive.
pub(crate) fn with_binary<T>(archive: &Path, with: impl FnOnce(u64, &mut dyn Read) -> io::Result<T>) -> io::Result<T> {
    let mut archive =
        tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::with_capacity(1 << 16, File::open(archive)?)));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let is_binary = entry.path()?.file_stem().is_some_and(|stem| stem == "claude") && entry.size() > 1 << 20;
        if is_binary {
            return with(entry.size(), &mut entry);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the package holds no binary"))
}
