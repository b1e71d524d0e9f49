//! The environment a session's programs get on top of the image's own.
//!
//! An image may lack a UTF-8 locale, terminal descriptions, a bash, or a `PATH` that leads to the runtime volume. What
//! the image or the person has set is kept; gaps are filled.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::linux::error::Error;
use crate::linux::root::Root;
use crate::linux::shell;

/// Variables to set, by name.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// What claude, a shell or any command run for the person gets.
pub(crate) fn of_session(root: &Root) -> Variables {
    session_variables(root, &|name| std::env::var_os(name), &shell::is_executable)
}

fn session_variables(
    root: &Root,
    variable: &dyn Fn(&str) -> Option<OsString>,
    is_executable: &dyn Fn(&Path) -> bool,
) -> Variables {
    let mut variables = Variables::new();
    let path = variable("PATH").filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    variables.push(("PATH", with_element(&path, &root.path().join("bin"))));

    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if !is_set("LC_ALL") && !is_set("LC_CTYPE") && !is_set("LANG") {
        variables.push(("LANG", "C.UTF-8".into()));
    }
    // An empty first element stands for the image's own places, which so come first.
    let terminfo = variable("TERMINFO_DIRS").unwrap_or_default();
    variables.push(("TERMINFO_DIRS", with_element(&terminfo, &root.terminfo())));

    // Claude's shell tool takes $SHELL if it is bash or zsh, and works with no other.
    let current = variable("SHELL").unwrap_or_default();
    if !shell::suits_claude(Path::new(&current), is_executable) {
        variables.push(("SHELL", shell::for_claude(root, &path, is_executable).into()));
    }
    variables
}

/// tmux insists on a UTF-8 locale in its own C library's format; images without glibc's carry none.
pub(crate) fn of_tmux(root: &Root) -> Variables {
    let image_has_locale = Path::new("/usr/lib/locale/C.utf8/LC_CTYPE").exists();
    if image_has_locale || std::env::var_os("LOCPATH").is_some() {
        return Variables::new();
    }
    vec![("LOCPATH", root.lib().join("locale").into())]
}

/// Claude's documentation asks for another ripgrep than its own on musl; the bundled one is on `PATH`.
pub(crate) fn of_musl_claude(root: &Root) -> Variables {
    let mut variables: Variables = vec![("USE_BUILTIN_RIPGREP", "0".into())];
    // Only a claude that needs C++ libraries brings this directory: the variable reaches every program it starts.
    let libraries = root.lib().join("musl");
    if libraries.is_dir() {
        let current = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        variables.push(("LD_LIBRARY_PATH", with_element(&current, &libraries).to_owned()));
    }
    variables
}

/// Replaces this process by a command in a session's environment; returns only the reason why it could not.
pub(crate) fn exec(root: &Root, args: Vec<OsString>) -> Error {
    let mut args = args.into_iter().peekable();
    if args.peek().is_some_and(|arg| arg == "--") {
        args.next();
    }
    let Some(program) = args.next() else {
        return Error::Usage("exec needs a command".to_owned());
    };
    let mut command = Command::new(&program);
    let source = command.args(args).envs(of_session(root)).exec();
    Error::Exec { program: program.into(), source }
}

/// `list` with `element` at its end, once.
fn with_element(list: &OsStr, element: &Path) -> OsString {
    if std::env::split_paths(list).any(|known| known == element) {
        return list.to_owned();
    }
    let mut joined = list.to_owned();
    joined.push(":");
    joined.push(element);
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(set: &[(&'static str, &str)], executables: &[&str], expected: &[(&'static str, &str)]) {
        let root = Root::new("/opt/boxwood");
        let set: BTreeMap<_, _> = set.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
        let variables = session_variables(&root, &|name| set.get(name).cloned(), &|path| {
            executables.iter().any(|known| Path::new(known) == path)
        });
        let expected: Variables = expected.iter().map(|(name, value)| (*name, OsString::from(value))).collect();
        assert_eq!(variables, expected);
    }

    #[test]
    fn gaps_are_filled() {
        check(
            &[("PATH", "/usr/bin:/bin")],
            &["/bin/sh", "/opt/boxwood/bin/bash"],
            &[
                ("PATH", "/usr/bin:/bin:/opt/boxwood/bin"),
                ("LANG", "C.UTF-8"),
                ("TERMINFO_DIRS", ":/opt/boxwood/share/terminfo"),
                ("SHELL", "/opt/boxwood/bin/bash"),
            ],
        );
    }

    #[test]
    fn what_is_set_stays() {
        check(
            &[
                ("PATH", "/opt/boxwood/bin:/bin"),
                ("LC_ALL", "de_DE.UTF-8"),
                ("TERMINFO_DIRS", "/own"),
                ("SHELL", "/usr/bin/zsh"),
            ],
            &["/bin/bash", "/usr/bin/zsh"],
            &[("PATH", "/opt/boxwood/bin:/bin"), ("TERMINFO_DIRS", "/own:/opt/boxwood/share/terminfo")],
        );
    }

    #[test]
    fn a_shell_that_claude_cannot_use_is_replaced() {
        check(
            &[("PATH", "/bin"), ("LANG", "C"), ("SHELL", "/bin/ash")],
            &["/bin/ash", "/bin/bash"],
            &[
                ("PATH", "/bin:/opt/boxwood/bin"),
                ("TERMINFO_DIRS", ":/opt/boxwood/share/terminfo"),
                ("SHELL", "/bin/bash"),
            ],
        );
    }
}
