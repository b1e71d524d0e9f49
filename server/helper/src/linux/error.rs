//! What can go wrong, what to say about it, and the exit code that tells it to a program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A failure of one subcommand. The message reads after the program's name; [`Error::hint`] names the next step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {doing}: {source}")]
    System { doing: &'static str, source: io::Error },
    #[error("{} is not a private directory of this user", path.display())]
    SharedDirectory { path: PathBuf },
    #[error("standard input and output are not a terminal")]
    NoTerminal,
    #[error("no program loader in {}", path.display())]
    NoLoader { path: PathBuf },
    #[error("cannot start {}: {source}", program.display())]
    Exec { program: PathBuf, source: io::Error },
    #[error("{} is not a manifest this version can read: {source}", path.display())]
    Manifest { path: PathBuf, source: serde_json::Error },
    #[error("{} has manifest format {found}, this version reads {known}", path.display())]
    ManifestFormat { path: PathBuf, found: u32, known: u32 },
    #[error("{} is not a file, directory or symlink with a UTF-8 name", path.display())]
    UnsealableFile { path: PathBuf },
    #[error("no longer mounted: {}", path.display())]
    Bare { path: PathBuf },
}

impl Error {
    /// An operation on a path that failed; `doing` is a verb phrase that reads after "cannot".
    pub(crate) fn io(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { doing, path: path.to_path_buf(), source: source.into() }
    }

    /// A system call without a path that failed.
    pub(crate) fn system(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System { doing, source: source.into() }
    }

    /// The next step for a person, where there is one.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoTerminal => Some("run it on a terminal, or use 'exec' for a command that needs none"),
            Self::SharedDirectory { .. } => Some("remove it inside the sandbox, or recreate the sandbox"),
            Self::NoLoader { .. } | Self::Manifest { .. } | Self::ManifestFormat { .. } => {
                Some("the runtime volume is incomplete or of another version; recreate it")
            }
            Self::Usage(_)
            | Self::Io { .. }
            | Self::System { .. }
            | Self::Exec { .. }
            | Self::UnsealableFile { .. }
            | Self::Bare { .. } => None,
        }
    }

    /// 2 for a wrong call, 79 when a protected or masked file lies bare (the daemon knows the number), 126 or 127 (as a
    /// shell would) for a program that cannot be started, 1 otherwise.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Bare { .. } => 79,
            Self::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Exec { .. } => 126,
            _ => 1,
        }
    }

    /// [`Self::status`] to leave with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }
}
