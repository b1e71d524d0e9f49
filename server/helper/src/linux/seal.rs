//! `seal`: writes the manifest of a filled runtime volume. A volume with a manifest is complete and on disk.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::linux::error::Error;
use crate::linux::manifest::{self, FILE, FORMAT, Manifest};
use crate::linux::root::Root;

pub(crate) fn run(root: &Root, args: Vec<OsString>) -> Result<ExitCode, Error> {
    let root = manifest::root_argument("seal", root.path(), args)?;
    let count = seal(&root)?;
    println!("sealed {count} files");
    Ok(ExitCode::SUCCESS)
}

/// Returns the number of files and symlinks listed.
pub(crate) fn seal(root: &Path) -> Result<usize, Error> {
    let draft = root.join(".manifest.json.draft");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &draft, error));
        }
        _ => {}
    }
    let files = manifest::scan(root)?;
    let count = files.len();
    let text = serde_json::to_vec_pretty(&Manifest { format: FORMAT, files })
        .map_err(|error| Error::system("write the manifest", error))?;

    // Contents first, then the name that vouches for them: after a crash there is no manifest or a true one.
    let directory = File::open(root).map_err(|error| Error::io("open", root, error))?;
    rustix::fs::syncfs(&directory).map_err(|error| Error::io("flush", root, error))?;
    let mut file = File::create_new(&draft).map_err(|error| Error::io("create", &draft, error))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| Error::io("write", &draft, error))?;
    std::fs::rename(&draft, root.join(FILE)).map_err(|error| Error::io("rename", &draft, error))?;
    directory.sync_all().map_err(|error| Error::io("flush", root, error))?;
    Ok(count)
}
