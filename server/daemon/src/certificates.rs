//! Certificate authorities that the host trusts beyond its distribution's: companies whose proxies inspect TLS add some.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use boxwood_core::paths::Paths;

use crate::error::Result;
use crate::files;

/// Where distributions keep authorities that an administrator added.
const ADDED: [&str; 3] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/ca-certificates/trust-source/anchors",
];

/// Where distributions keep everything that is trusted, as one file.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Largest certificate file that is taken, bytes.
const LARGEST: u64 = 1 << 20;

/// The host's added authorities.
#[derive(Debug)]
pub(crate) struct Certificates {
    directories: Vec<PathBuf>,
    found: OnceLock<Vec<(String, Vec<u8>)>>,
}

impl Certificates {
    /// Those of this machine.
    pub(crate) fn of_host() -> Self {
        Self::within(ADDED.iter().map(PathBuf::from).collect())
    }

    fn within(directories: Vec<PathBuf>) -> Self {
        Self { directories, found: OnceLock::new() }
    }

    /// File names, ending in `.crt`, and their PEM contents, in order.
    pub(crate) fn added(&self) -> &[(String, Vec<u8>)] {
        self.found.get_or_init(|| {
            let mut files: Vec<_> = self.directories.iter().flat_map(|directory| certificates(directory)).collect();
            files.sort();
            files.dedup_by(|a, b| a.1 == b.1);
            files.into_iter().enumerate().map(|(at, (name, contents))| (format!("{at:02}-{name}"), contents)).collect()
        })
    }

    /// Everything that the host trusts as one file for sandboxes to mount; `None` when nothing was added.
    pub(crate) fn bundle(&self, paths: &Paths) -> Result<Option<String>> {
        let Some(contents) = self.bundle_contents() else { return Ok(None) };
        let path = paths.state.join("ca-bundle.pem");
        files::write_if_different(&path, &contents)?;
        Ok(Some(path.to_string_lossy().into_owned()))
    }

    /// The contents of that file.
    pub(crate) fn bundle_contents(&self) -> Option<Vec<u8>> {
        if self.added().is_empty() {
            return None;
        }
        let mut contents = BUNDLES.iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
        for (_, certificate) in self.added() {
            let is_there = contents.windows(certificate.len().max(1)).any(|window| window == certificate.as_slice());
            if !is_there {
                contents.push(b'\n');
                contents.extend_from_slice(certificate);
            }
        }
        Some(contents)
    }
}

fn certificates(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST))
        .filter_map(|entry| {
            let contents = fs::read(entry.path()).ok()?;
            let is_pem = contents.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
            let stem = entry.path().file_stem()?.to_string_lossy().into_owned();
            let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            is_pem.then(|| (format!("{name}.crt"), contents))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_count_and_each_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        fs::write(directory.path().join("our proxy.crt"), pem).expect("written");
        fs::write(directory.path().join("same.pem"), pem).expect("written");
        fs::write(directory.path().join("notes.txt"), "hello").expect("written");
        let certificates = Certificates::within(vec![directory.path().to_path_buf()]);
        assert_eq!(certificates.added().len(), 1);
        assert_eq!(certificates.added()[0].0, "00-our-proxy.crt");
        assert!(Certificates::within(Vec::new()).bundle_contents().is_none());
    }
}
