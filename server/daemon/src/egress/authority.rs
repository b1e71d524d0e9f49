//! The certificate authority of one sandbox: made once, trusted in that sandbox only, gone with its state.

use std::path::{Path, PathBuf};

use boxwood_core::paths::Paths;
use boxwood_protocol::gateway::Authority;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::error::{self, Result};
use crate::files;

/// How long it counts, in years. A sandbox that lives longer is made anew long before.
const YEARS: i32 = 10;

fn places(paths: &Paths, sandbox: &str) -> (PathBuf, PathBuf) {
    let directory = paths.sandbox(sandbox);
    (directory.join("authority.pem"), directory.join("authority.key"))
}

/// The authority of a sandbox, made when it has none that is whole.
pub(super) fn get(paths: &Paths, sandbox: &str) -> Result<Authority> {
    let (certificate_file, key_file) = places(paths, sandbox);
    if let (Some(certificate), Some(key)) = (files::read(&certificate_file)?, files::read(&key_file)?)
        && KeyPair::from_pem(&key).is_ok()
        && certificate.contains("-----END CERTIFICATE-----")
    {
        return Ok(Authority { certificate, key });
    }
    let authority = make(sandbox).map_err(|cause| error::internal("failed to make an authority").caused_by(cause))?;
    // The directory is there as long as the sandbox is, and is not made here: nothing comes back after its end.
    // The key first: a certificate without its key would be taken for a whole authority by nobody.
    put(&key_file, &authority.key)?;
    put(&certificate_file, &authority.certificate)?;
    Ok(authority)
}

/// Removes the authority of a sandbox; one that was never made is fine.
pub(super) fn forget(paths: &Paths, sandbox: &str) -> Result<()> {
    let (certificate, key) = places(paths, sandbox);
    files::remove(&certificate)?;
    files::remove(&key)
}

fn put(path: &Path, text: &str) -> Result<()> {
    files::write(path, text.as_bytes())
}

fn make(sandbox: &str) -> std::result::Result<Authority, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.distinguished_name.push(DnType::OrganizationName, "Boxwood");
    // Names have at most 64 characters in certificates.
    let name: String = format!("sandbox {sandbox}").chars().take(64).collect();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = u8::try_from(today.month()).unwrap_or(1);
    // A sandbox may have a clock that is a little behind.
    parameters.not_before = rcgen::date_time_ymd(i32::from(today.year()) - 1, month, 1);
    parameters.not_after = rcgen::date_time_ymd(i32::from(today.year()) + YEARS, month, 1);
    let certificate = parameters.self_signed(&key)?;
    Ok(Authority { certificate: certificate.pem(), key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_private() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_STATE_DIR").then(|| root.clone()), 0);
        assert!(get(&paths, "a").is_err(), "there is no such sandbox");
        for sandbox in ["a", "b"] {
            std::fs::create_dir_all(paths.sandbox(sandbox)).expect("made");
        }
        let first = get(&paths, "a").expect("made");
        assert!(first == get(&paths, "a").expect("read"));
        assert!(first != get(&paths, "b").expect("made"), "each sandbox has its own");
        let (certificate, key) = places(&paths, "a");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&key, "half").expect("written");
        let second = get(&paths, "a").expect("made anew");
        assert!(first != second && certificate.exists());
    }
}
