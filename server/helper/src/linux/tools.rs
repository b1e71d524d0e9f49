//! Starts a bundled tool in place of this process.
//!
//! tmux and ripgrep are Debian's own binaries; they run on any image because the loader and libraries they were linked
//! with lie beside them. On musl images claude comes through here too, for its environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::linux::error::Error;
use crate::linux::root::Root;
use crate::linux::surroundings;

/// The loader's file name is fixed by each architecture's ABI.
const LOADERS: [&str; 2] = ["ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// What a symlink to this program may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Tmux,
    Ripgrep,
    Claude,
}

impl Tool {
    pub(crate) fn from_name(name: &OsStr) -> Option<Self> {
        match name.to_str() {
            Some("tmux") => Some(Self::Tmux),
            Some("rg") => Some(Self::Ripgrep),
            Some("claude") => Some(Self::Claude),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tmux => "tmux",
            Self::Ripgrep => "rg",
            Self::Claude => "claude",
        }
    }
}

/// Replaces this process by the tool; returns only the reason why it could not.
pub(crate) fn exec(root: &Root, tool: Tool, args: Vec<OsString>) -> Error {
    match command(root, tool) {
        Ok(mut command) => {
            command.args(args);
            let source = command.exec();
            Error::Exec { program: root.libexec(tool.name()), source }
        }
        Err(error) => error,
    }
}

/// The command that starts the tool, without arguments of its own.
pub(crate) fn command(root: &Root, tool: Tool) -> Result<Command, Error> {
    let program = root.libexec(tool.name());
    if tool == Tool::Claude {
        let mut command = Command::new(program);
        command.arg0("claude").envs(surroundings::of_session(root));
        command.envs(surroundings::of_musl_claude(root));
        return Ok(command);
    }
    let lib = root.lib();
    let mut command = Command::new(loader(&lib)?);
    command.arg("--library-path").arg(&lib).arg("--argv0").arg(tool.name()).arg(program);
    if tool == Tool::Tmux {
        command.envs(surroundings::of_tmux(root));
    }
    Ok(command)
}

fn loader(lib: &Path) -> Result<PathBuf, Error> {
    LOADERS
        .iter()
        .map(|name| lib.join(name))
        .find(|path| path.exists())
        .ok_or_else(|| Error::NoLoader { path: lib.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(dir.path().join("lib")).expect("lib");
        let root = Root::new(dir.path());
        (dir, root)
    }

    #[test]
    fn only_the_bundled_tools_have_names() {
        let check = |name: &str, tool| assert_eq!(Tool::from_name(OsStr::new(name)), tool);
        check("tmux", Some(Tool::Tmux));
        check("rg", Some(Tool::Ripgrep));
        check("claude", Some(Tool::Claude));
        check("boxwood-helper", None);
        check("", None);
    }

    #[test]
    fn tmux_starts_through_the_bundled_loader() {
        let (_dir, root) = volume();
        std::fs::write(root.lib().join("ld-linux-x86-64.so.2"), "").expect("loader");
        let command = command(&root, Tool::Tmux).expect("command");
        assert_eq!(command.get_program(), root.lib().join("ld-linux-x86-64.so.2"));
        let args: Vec<_> = command.get_args().map(OsStr::to_os_string).collect();
        let expected: [OsString; 5] =
            ["--library-path".into(), root.lib().into(), "--argv0".into(), "tmux".into(), root.libexec("tmux").into()];
        assert_eq!(args, expected);
    }

    #[test]
    fn a_missing_loader_is_said() {
        let (_dir, root) = volume();
        assert!(matches!(command(&root, Tool::Ripgrep), Err(Error::NoLoader { .. })));
    }

    #[test]
    fn a_missing_claude_is_reported_as_a_shell_would() {
        let (_dir, root) = volume();
        let error = exec(&root, Tool::Claude, Vec::new());
        assert_eq!(format!("{:?}", error.exit_code()), format!("{:?}", std::process::ExitCode::from(127)));
    }
}
