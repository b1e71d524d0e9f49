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
    // Quieter, it would not say either why it failed.
    command.args(["pack", specifier, "--loglevel=error", "--ignore-scripts", "--pack-destination"]).arg(directory);
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
    Err(failed(essence(&String::from_utf8_lossy(&output.stderr))))
}

/// What npm says of a failure, without what it begins each line with (before its version 10 and since), and without the name of
/// its own log.
fn essence(said: &str) -> String {
    let lines = said.lines().map(|line| line.trim_start_matches("npm ERR!").trim_start_matches("npm error").trim());
    let lines = lines.filter(|line| !line.is_empty() && !line.contains("complete log of this run"));
    lines.take(4).collect::<Vec<_>>().join("; ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn why_a_download_failed_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        // Nobody listens there any more.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("an address");
        let settings = format!("@boxwood-test:registry=http://{nobody}/\nfetch-retries=0\n");
        std::fs::write(directory.path().join(".npmrc"), settings).expect("written");
        let wanted = directory.path().join("wanted.tgz");
        let error = download(directory.path(), "@boxwood-test/package@1.0.0", &wanted).await.expect_err("it fails");
        let said = format!("{error:?}");
        assert!(said.contains("ECONNREFUSED") && !said.contains("npm err") && !said.contains("npm ERR"), "{said}");
        assert!(error.hint.is_some_and(|hint| hint.contains("wanted.tgz")));
    }

    #[test]
    fn what_npm_says_is_told_without_its_trappings() {
        let since_10 = "npm error code E404\nnpm error 404 Not Found\nnpm error\nnpm error 404\n\
                        npm error A complete log of this run can be found in: /home/person/.npm/_logs/1.log\n";
        assert_eq!(essence(since_10), "code E404; 404 Not Found; 404");
        assert_eq!(essence("npm ERR! code ENOSPC\n\nnpm ERR! no space left\n"), "code ENOSPC; no space left");
        assert_eq!(essence("sh: 1: node: not found"), "sh: 1: node: not found");
    }
}
