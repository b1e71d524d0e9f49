//! Writes devcontainer templates into projects. What is there is never changed.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use boxwood_core::template::{self, InsertAction, RenderedFile};
use boxwood_protocol::params::{TemplateInsertParams, TemplateInsertResult};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::{self, Result};
use crate::materials::package;
use crate::{files, project};

/// Largest existing file that is compared, bytes.
const LARGEST: u64 = 4 << 20;

/// Renders and writes a template.
pub(crate) fn insert(daemon: &Daemon, params: &TemplateInsertParams) -> Result<TemplateInsertResult> {
    let project = project::canonical(&daemon.paths, &params.project)?;
    let root = Path::new(&project);
    let options = params.options.clone().unwrap_or_default();
    let rendered = template::render(&params.template, &options, &package::pinned().version)
        .map_err(|cause| RpcError::new(ErrorCode::TemplateInvalid, format!("failed to {cause}")))?;
    let main = template::main_file(&rendered).unwrap_or(".devcontainer/devcontainer.json").to_owned();
    for file in &rendered {
        refuse_links(root, &file.path)?;
    }
    let existing = |path: &str| {
        match files::read_project_file(&root.join(path), LARGEST) {
            Ok(contents) => Some(contents),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            // It is there, and is not what would be written.
            Err(_) => Some(Vec::new()),
        }
    };
    let absolute = |path: &str| root.join(path).to_string_lossy().into_owned();
    let mut result = TemplateInsertResult { open: absolute(&main), ..TemplateInsertResult::default() };
    for action in template::insert_plan(rendered, &existing) {
        match action {
            InsertAction::Write(file) => {
                if !params.dry_run {
                    write_new(root, &file)?;
                }
                result.written.push(absolute(&file.path));
            }
            InsertAction::Unchanged { path } => result.unchanged.push(absolute(&path)),
            InsertAction::Keep { path, beside, proposal } => {
                result.kept.push(absolute(&path));
                if let Some(proposal) = proposal {
                    if !params.dry_run {
                        write_new(root, &proposal)?;
                    }
                    result.written.push(absolute(&beside));
                }
            }
        }
    }
    Ok(result)
}

/// A link on the way would have us write outside the project.
fn refuse_links(root: &Path, path: &str) -> Result<()> {
    let mut at = root.to_path_buf();
    for part in path.split('/') {
        at.push(part);
        if at.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(RpcError::new(ErrorCode::ProjectForbidden, format!("{} is a link", at.display()))
                .hint("replace the link by a directory or file of the project, then try again"));
        }
    }
    Ok(())
}

fn write_new(root: &Path, file: &RenderedFile) -> Result<()> {
    let path = root.join(&file.path);
    let put = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut out = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        out.write_all(file.contents.as_bytes())?;
        out.sync_all()?;
        #[cfg(unix)]
        if file.executable {
            use std::os::unix::fs::PermissionsExt as _;
            out.set_permissions(fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    };
    put().map_err(|cause| error::file("write", &path, &cause))
}
