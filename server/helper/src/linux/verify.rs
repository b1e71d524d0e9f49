//! `verify`: compares a runtime volume with its manifest and lists every difference.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::linux::error::Error;
use crate::linux::manifest::{self, Entries, FILE, FORMAT, Manifest};
use crate::linux::root::Root;

pub(crate) fn run(root: &Root, args: Vec<OsString>) -> Result<ExitCode, Error> {
    let root = manifest::root_argument("verify", root.path(), args)?;
    let expected = read(&root)?;
    let differences = differences(&expected.files, &manifest::scan(&root)?);
    for difference in &differences {
        println!("{difference}");
    }
    if !differences.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    println!("verified {} files", expected.files.len());
    Ok(ExitCode::SUCCESS)
}

fn read(root: &Path) -> Result<Manifest, Error> {
    let path = root.join(FILE);
    let text = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|source| Error::Manifest { path: path.clone(), source })?;
    if manifest.format != FORMAT {
        return Err(Error::ManifestFormat { path, found: manifest.format, known: FORMAT });
    }
    Ok(manifest)
}

/// One line for each file that is missing, changed or not listed.
fn differences(expected: &Entries, found: &Entries) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, wanted) in expected {
        match found.get(name) {
            None => lines.push(format!("missing {name}")),
            Some(entry) if entry == wanted => {}
            Some(entry) if entry.sha256 == wanted.sha256 && entry.link == wanted.link => {
                lines.push(format!("changed {name} (permissions)"));
            }
            Some(_) => lines.push(format!("changed {name}")),
        }
    }
    lines.extend(found.keys().filter(|name| !expected.contains_key(*name)).map(|name| format!("unlisted {name}")));
    lines
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::linux::seal::seal;

    #[test]
    fn every_kind_of_difference_is_listed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["same", "content", "mode", "gone"] {
            std::fs::write(path(name), name).expect("file");
        }
        std::os::unix::fs::symlink("same", path("link")).expect("symlink");
        assert_eq!(seal(dir.path()).expect("seal"), 5);
        let compare =
            || differences(&read(dir.path()).expect("read").files, &manifest::scan(dir.path()).expect("scan"));
        assert_eq!(compare(), Vec::<String>::new());

        std::fs::write(path("content"), "other").expect("file");
        std::fs::set_permissions(path("mode"), std::fs::Permissions::from_mode(0o711)).expect("chmod");
        std::fs::remove_file(path("gone")).expect("remove");
        std::fs::remove_file(path("link")).expect("remove");
        std::os::unix::fs::symlink("content", path("link")).expect("symlink");
        std::fs::write(path("new"), "").expect("file");
        let expected =
            ["changed content", "missing gone", "changed link", "changed mode (permissions)", "unlisted new"];
        assert_eq!(compare(), expected);

        seal(dir.path()).expect("seal again");
        assert_eq!(compare(), Vec::<String>::new());
    }

    #[test]
    fn a_manifest_of_another_time_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let check = |text: &str| {
            std::fs::write(dir.path().join(FILE), text).expect("manifest");
            read(dir.path()).expect_err("must be refused")
        };
        assert!(matches!(check(r#"{"format":2,"files":{}}"#), Error::ManifestFormat { found: 2, .. }));
        assert!(matches!(check(r#"{"format":1,"files":{},"more":1}"#), Error::Manifest { .. }));
        assert!(matches!(check("{"), Error::Manifest { .. }));
    }
}
