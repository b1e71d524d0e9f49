//! Which shell of the image a person gets, and which one claude gets.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::linux::root::Root;

/// Whether anyone may run the file; enough for choosing, the kernel decides when it is started.
pub(crate) fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}

/// Claude's shell tool works with bash and zsh only.
pub(crate) fn suits_claude(shell: &Path, is_executable: &dyn Fn(&Path) -> bool) -> bool {
    let name = shell.file_name().and_then(OsStr::to_str);
    shell.is_absolute() && matches!(name, Some("bash" | "zsh")) && is_executable(shell)
}

/// The image's bash, else its zsh, else the bundled bash.
pub(crate) fn for_claude(root: &Root, path: &OsStr, is_executable: &dyn Fn(&Path) -> bool) -> PathBuf {
    first_of(&["bash", "zsh"], path, is_executable).unwrap_or_else(|| root.bin("bash"))
}

/// The image's bash, zsh or sh, whichever comes first, else the bundled bash.
pub(crate) fn for_person(root: &Root, path: &OsStr, is_executable: &dyn Fn(&Path) -> bool) -> PathBuf {
    first_of(&["bash", "zsh", "sh"], path, is_executable).unwrap_or_else(|| root.bin("bash"))
}

fn first_of(names: &[&str], path: &OsStr, is_executable: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let directories: Vec<PathBuf> = std::env::split_paths(path).filter(|directory| directory.is_absolute()).collect();
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|candidate| is_executable(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(executables: &[&str], for_a_person: &str, for_the_agent: &str) {
        let root = Root::new("/opt/boxwood");
        let path = OsStr::new("/usr/bin:relative:/bin");
        let exists = |path: &Path| executables.iter().any(|known| Path::new(known) == path);
        assert_eq!(for_person(&root, path, &exists), Path::new(for_a_person));
        assert_eq!(for_claude(&root, path, &exists), Path::new(for_the_agent));
    }

    #[test]
    fn the_best_shell_of_the_image_is_taken() {
        check(&["/bin/bash", "/usr/bin/zsh", "/bin/sh"], "/bin/bash", "/bin/bash");
        check(&["/usr/bin/zsh", "/bin/sh"], "/usr/bin/zsh", "/usr/bin/zsh");
        check(&["/bin/sh"], "/bin/sh", "/opt/boxwood/bin/bash");
        check(&["relative/bash"], "/opt/boxwood/bin/bash", "/opt/boxwood/bin/bash");
    }
}
