//! Where the runtime volume is, and the places in it that the subcommands use.

use std::path::{Path, PathBuf};

const DEFAULT: &str = "/opt/boxwood";

/// The runtime volume's top directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root(PathBuf);

impl Root {
    #[cfg(test)]
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The volume this program itself was started from, so that a volume works wherever it is mounted.
    pub(crate) fn of_this_program() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        Self::of_program(&program)
    }

    fn of_program(program: &Path) -> Self {
        match program.parent() {
            Some(bin) if bin.file_name().is_some_and(|name| name == "bin") => {
                Self(bin.parent().unwrap_or(Path::new(DEFAULT)).to_path_buf())
            }
            _ => Self(PathBuf::from(DEFAULT)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Programs a person or an agent may call by name.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    /// The volume's claude; in an image with claude baked in and no volume, the one on `PATH`.
    pub(crate) fn claude(&self) -> PathBuf {
        let bundled = self.bin("claude");
        if bundled.exists() { bundled } else { PathBuf::from("claude") }
    }

    /// Real binaries behind a dispatching symlink in `bin`.
    pub(crate) fn libexec(&self, name: &str) -> PathBuf {
        self.0.join("libexec").join(name)
    }

    /// The bundled loader and libraries.
    pub(crate) fn lib(&self) -> PathBuf {
        self.0.join("lib")
    }

    /// The bundled terminal descriptions.
    pub(crate) fn terminfo(&self) -> PathBuf {
        self.0.join("share/terminfo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_bin_belongs_to_the_directory_above() {
        let check = |program: &str, root: &str| assert_eq!(Root::of_program(Path::new(program)), Root::new(root));
        check("/opt/boxwood/bin/boxwood-helper", "/opt/boxwood");
        check("/mnt/volume/bin/boxwood-helper", "/mnt/volume");
        check("/build/target/release/boxwood-helper", DEFAULT);
        check("", DEFAULT);
    }
}
