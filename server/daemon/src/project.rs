//! Which directory a request means, and whether it may be given to a sandbox.

use std::path::{Component, Path, PathBuf};

use boxwood_core::paths::Paths;
use boxwood_protocol::{ErrorCode, RpcError};

use crate::error::Result;

/// Directories that no sandbox gets whole: they are the system's, or would cover the sandbox's own.
const SYSTEM: [&str; 16] = [
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys",
    "/tmp", "/usr", "/var",
];

/// Directories nothing below which can be a project, because the sandbox has its own there.
const COVERED: [&str; 7] = ["/proc", "/sys", "/dev", "/boot", "/opt/boxwood", "/home/boxwood", "/etc"];

/// The canonical path of a project that exists and may be mounted.
pub(crate) fn canonical(paths: &Paths, path: &str) -> Result<String> {
    let invalid = |reason: String| RpcError::new(ErrorCode::ProjectInvalid, reason);
    if path.is_empty() || path.contains('\0') {
        return Err(invalid(format!("{path:?} is not a path")));
    }
    let given = Path::new(path);
    if !given.is_absolute() {
        return Err(invalid(format!("{path} is not an absolute path")));
    }
    // As programs write paths: engines know nothing of the form that Windows itself makes canonical.
    let real = dunce::canonicalize(given)
        .map_err(|cause| invalid(format!("the project {path} cannot be opened")).caused_by(cause))?;
    if !real.is_dir() {
        return Err(invalid(format!("{path} is not a directory")));
    }
    let text = real.to_str().ok_or_else(|| {
        invalid(format!("the path {} is not UTF-8, and the container engine's API cannot name it", real.display()))
    })?;
    std::fs::read_dir(&real).map_err(|cause| invalid(format!("the project {path} cannot be read")).caused_by(cause))?;
    permitted(paths, &real)?;
    Ok(text.to_owned())
}

/// The path of a project that may be gone: canonical when it is there, else made absolute by its letters.
pub(crate) fn lexical(path: &str) -> String {
    let given = PathBuf::from(path);
    dunce::canonicalize(&given).unwrap_or_else(|_| normal(&given)).to_string_lossy().into_owned()
}

fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir => {}
            other => result.push(other),
        }
    }
    result
}

fn permitted(paths: &Paths, real: &Path) -> Result<()> {
    let forbidden = |why: &str| {
        Err(RpcError::new(ErrorCode::ProjectForbidden, format!("{} is not given to a sandbox: {why}", real.display())))
    };
    if real.parent().is_none() || SYSTEM.iter().any(|path| real == Path::new(path)) {
        return forbidden("it is a directory of the system");
    }
    if COVERED.iter().any(|path| real.starts_with(path)) {
        return forbidden("a sandbox has its own directory there");
    }
    if paths.home.starts_with(real) {
        return forbidden("it holds your home directory, with keys and logins");
    }
    for own in [&paths.state, &paths.config, &paths.runtime, &paths.cache] {
        let own = dunce::canonicalize(own).unwrap_or_else(|_| own.clone());
        if own.starts_with(real) || real.starts_with(&own) {
            return forbidden("Boxwood keeps its own files there");
        }
    }
    let is_login = |name: &str| real.starts_with(paths.home.join(name));
    if [".ssh", ".gnupg", ".aws", ".claude", ".config", ".docker", ".kube"].iter().any(|name| is_login(name)) {
        return forbidden("it holds keys and logins");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_project_is_given_to_a_sandbox() {
        // Windows has no such names.
        const PROJECT: &str = if cfg!(windows) { "it's a project 🦀" } else { "it's a \"project\"\n 🦀" };
        let home = tempfile::tempdir().expect("a directory");
        let root = dunce::canonicalize(home.path()).expect("canonical");
        let text = root.to_string_lossy().into_owned();
        let paths = Paths::resolve(&|name| (name == "HOME").then(|| text.clone()), 7);
        for name in [PROJECT, ".ssh/keys", ".local/state/boxwood"] {
            std::fs::create_dir_all(root.join(name)).expect("made");
        }
        let code = |path: &Path| canonical(&paths, &path.to_string_lossy()).map_err(|problem| problem.code);
        let project = root.join(PROJECT);
        assert_eq!(code(&project), Ok(project.to_string_lossy().into_owned()));
        assert_eq!(code(&root), Err(ErrorCode::ProjectForbidden), "the home directory");
        let above = root.parent().expect("a directory above");
        assert_eq!(code(above), Err(ErrorCode::ProjectForbidden), "holds the home directory");
        assert_eq!(code(&root.join(".ssh/keys")), Err(ErrorCode::ProjectForbidden));
        assert_eq!(code(&root.join(".local/state/boxwood")), Err(ErrorCode::ProjectForbidden));
        assert_eq!(code(&root.join(".local")), Err(ErrorCode::ProjectForbidden), "holds the state directory");
        assert_eq!(code(&root.join("nothing")), Err(ErrorCode::ProjectInvalid));
        assert_eq!(code(Path::new("relative")), Err(ErrorCode::ProjectInvalid));
        #[cfg(unix)]
        {
            assert_eq!(code(Path::new("/")), Err(ErrorCode::ProjectForbidden));
            assert_eq!(code(Path::new("/etc")), Err(ErrorCode::ProjectForbidden));
            std::os::unix::fs::symlink("/", root.join("link")).expect("linked");
            assert_eq!(code(&root.join("link")), Err(ErrorCode::ProjectForbidden), "links are followed first");
        }
    }
}
