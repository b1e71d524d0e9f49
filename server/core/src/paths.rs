//! Where things are kept on the host.

use std::path::PathBuf;

/// The product's directories. Each follows its own variable, then the XDG base directories, then the home directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// What must not be lost: homes of sandboxes, approvals, journals, logs.
    pub state: PathBuf,
    /// What can be had again: packages of Claude Code, root filesystems.
    pub cache: PathBuf,
    /// The user's configuration.
    pub config: PathBuf,
    /// Socket and lock, private to the user.
    pub runtime: PathBuf,
    /// The person's home directory.
    pub home: PathBuf,
}

impl Paths {
    /// Finds the directories in the environment of a user with number `uid`.
    #[must_use]
    pub fn resolve(env: &dyn Fn(&str) -> Option<String>, uid: u32) -> Self {
        let absolute = |name: &str| {
            env(name).map(PathBuf::from).filter(|path| path.is_absolute() || cfg!(windows) && path.has_root())
        };
        let home = absolute("HOME").or_else(|| absolute("USERPROFILE")).unwrap_or_else(|| PathBuf::from("/"));
        let local = absolute("LOCALAPPDATA");
        let directory = |own: &str, xdg: &str, fallback: &str, windows: &str| {
            absolute(own).unwrap_or_else(|| match (absolute(xdg), &local) {
                (Some(base), _) => base.join("boxwood"),
                (None, Some(local)) => local.join("boxwood").join(windows),
                (None, None) => home.join(fallback).join("boxwood"),
            })
        };
        let runtime = absolute("BOXWOOD_RUNTIME_DIR")
            .or_else(|| absolute("XDG_RUNTIME_DIR").map(|base| base.join("boxwood")))
            .or_else(|| local.as_ref().map(|local| local.join("boxwood").join("run")))
            .unwrap_or_else(|| PathBuf::from(format!("/tmp/boxwood-{uid}")));
        Self {
            state: directory("BOXWOOD_STATE_DIR", "XDG_STATE_HOME", ".local/state", "state"),
            cache: directory("BOXWOOD_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "cache"),
            config: directory("BOXWOOD_CONFIG_DIR", "XDG_CONFIG_HOME", ".config", "config"),
            runtime,
            home,
        }
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("daemon.sock")
    }

    /// The log files.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The user's configuration file.
    #[must_use]
    pub fn user_config(&self) -> PathBuf {
        self.config.join("sandbox.jsonc")
    }

    /// What is kept for one sandbox.
    #[must_use]
    pub fn sandbox(&self, id: &str) -> PathBuf {
        self.state.join("sandboxes").join(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pairs: &[(&str, &str)]) -> Paths {
        Paths::resolve(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()), 7)
    }

    #[test]
    fn a_bare_home_is_enough() {
        let paths = resolve(&[("HOME", "/home/u")]);
        assert_eq!(paths.state, PathBuf::from("/home/u/.local/state/boxwood"));
        assert_eq!(paths.socket(), PathBuf::from("/tmp/boxwood-7/daemon.sock"));
    }

    #[test]
    fn own_variables_come_before_xdg_and_relative_ones_do_not_count() {
        let paths = resolve(&[
            ("HOME", "/home/u"),
            ("XDG_STATE_HOME", "/x/state"),
            ("BOXWOOD_STATE_DIR", "/own"),
            ("XDG_CACHE_HOME", "relative"),
            ("XDG_RUNTIME_DIR", "/run/user/7"),
        ]);
        assert_eq!(paths.state, PathBuf::from("/own"));
        assert_eq!(paths.cache, PathBuf::from("/home/u/.cache/boxwood"));
        assert_eq!(paths.runtime, PathBuf::from("/run/user/7/boxwood"));
    }
}
