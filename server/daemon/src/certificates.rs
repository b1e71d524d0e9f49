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

/// Names a file of further authorities for programs that understand it; where a company has one, it sets this.
const ADDED_BY: &str = "NODE_EXTRA_CA_CERTS";

/// Largest certificate file that is taken, bytes.
const LARGEST: u64 = 1 << 20;

/// The host's added authorities.
#[derive(Debug)]
pub(crate) struct Certificates {
    directories: Vec<PathBuf>,
    bundles: Vec<PathBuf>,
    named: Option<PathBuf>,
    found: OnceLock<Vec<(String, Vec<u8>)>>,
}

impl Certificates {
    /// Those of this machine.
    pub(crate) fn of_host() -> Self {
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
        let named = std::env::var_os(ADDED_BY).map(PathBuf::from);
        // The distribution's own list adds nothing, and many name it there.
        let named = named.filter(|named| BUNDLES.iter().all(|bundle| Path::new(bundle) != named));
        Self { named, ..Self::within(paths(&ADDED), paths(&BUNDLES)) }
    }

    fn within(directories: Vec<PathBuf>, bundles: Vec<PathBuf>) -> Self {
        Self { directories, bundles, named: None, found: OnceLock::new() }
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

    /// Everything beyond the public authorities that sandboxes and gateways trust. The product's own images are made
    /// without the person's own file: they are everybody's.
    fn trusted(&self) -> impl Iterator<Item = Vec<u8>> {
        let named = self.named.as_deref().and_then(certificate);
        self.added().iter().cloned().chain(named).map(|(_, contents)| contents)
    }

    /// The added authorities as one text, for programs that know the public ones by themselves.
    pub(crate) fn added_text(&self) -> Option<String> {
        let texts: Vec<_> = self.trusted().map(|contents| String::from_utf8_lossy(&contents).into_owned()).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
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
        let _any = self.trusted().next()?;
        self.bundle_with(None)
    }

    /// Everything that the host trusts, and one authority more. `None` on a host that keeps no such list: the authority
    /// alone in its place would take every public one from the programs that read it.
    pub(crate) fn bundle_with(&self, authority: Option<&str>) -> Option<Vec<u8>> {
        let mut contents = self.bundles.iter().find_map(|path| fs::read(path).ok());
        if contents.is_none() && authority.is_some() {
            return None;
        }
        let text = contents.get_or_insert_default();
        for certificate in self.trusted().chain(authority.map(|authority| authority.as_bytes().to_vec())) {
            let is_there = text.windows(certificate.len().max(1)).any(|window| window == certificate);
            if !is_there {
                text.push(b'\n');
                text.extend_from_slice(&certificate);
            }
        }
        contents
    }
}

fn certificates(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| certificate(&entry.path())).collect()
}

fn certificate(path: &Path) -> Option<(String, Vec<u8>)> {
    let is_fit = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
    let contents = is_fit.then(|| fs::read(path).ok())??;
    let is_pem = contents.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    is_pem.then(|| (format!("{name}.crt"), contents))
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
        let public = directory.path().join("public.bundle");
        let certificates = Certificates::within(vec![directory.path().to_path_buf()], vec![public.clone()]);
        assert_eq!(certificates.added().len(), 1);
        assert_eq!(certificates.added()[0].0, "00-our-proxy.crt");
        assert!(Certificates::within(Vec::new(), Vec::new()).bundle_contents().is_none());
        assert!(certificates.bundle_with(Some("own")).is_none(), "the public ones are missing");
        fs::write(&public, "all the others\n").expect("written");
        let bundle = certificates.bundle_with(Some("own")).expect("a bundle");
        assert_eq!(String::from_utf8_lossy(&bundle), format!("all the others\n\n{pem}\nown"));
    }

    #[test]
    fn the_one_that_the_person_names_counts_where_it_is_the_only_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let (named, public) = (directory.path().join("company.pem"), directory.path().join("public.bundle"));
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        fs::write(&named, pem).expect("written");
        fs::write(&public, "all the others\n").expect("written");
        let certificates = Certificates { named: Some(named), ..Certificates::within(Vec::new(), vec![public]) };
        assert!(certificates.added().is_empty(), "images of the product are everybody's");
        assert_eq!(certificates.added_text().as_deref(), Some(pem));
        let bundle = certificates.bundle_contents().expect("a bundle");
        assert_eq!(String::from_utf8_lossy(&bundle), format!("all the others\n\n{pem}"));
    }
}
