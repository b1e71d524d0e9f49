//! Files of a project that the host executes or obeys, and how they stay what they are while an agent works beside
//! them.
//!
//! Each is mounted read-only over the writable project. A directory on the way to one is mounted onto itself, because
//! a mount point cannot be renamed: otherwise `.git` could be moved aside and a new one put in its place. What is
//! missing is made empty first, so that it cannot be made by the agent.

/// What a protected path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// What the host has at a path, symbolic links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link or something else.
    Other,
}

/// One mount over the project, and what must be made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Path relative to the project, `/` between parts.
    pub path: String,
    /// Whether the inside can write.
    pub read_only: bool,
    /// What is to be made, empty, when nothing is there.
    pub make: Option<Kind>,
    /// What is mounted over it, empty, so that it cannot be read; `None` when it is mounted onto itself.
    pub mask: Option<Kind>,
}

impl Overlay {
    /// A directory mounted onto itself, so that it cannot be renamed.
    #[must_use]
    pub const fn pin(path: String) -> Self {
        Self { path, read_only: false, make: None, mask: None }
    }
}

/// Paths that are protected in every project. Git's own are protected only where there is a repository.
const ALWAYS: [(&str, Kind); 11] = [
    (".vscode", Kind::Directory),
    (".idea", Kind::Directory),
    (".devcontainer", Kind::Directory),
    (".devcontainer.json", Kind::File),
    (".boxwood", Kind::Directory),
    (".envrc", Kind::File),
    (".husky", Kind::Directory),
    (".pre-commit-config.yaml", Kind::File),
    (".mcp.json", Kind::File),
    (".claude/settings.json", Kind::File),
    (".claude/settings.local.json", Kind::File),
];

/// Those that are made when they are missing, with what they then hold. The others are left missing because even an
/// empty one changes what tools on the host do; each of them asks the person before it runs anything.
const MADE: [(&str, &str); 11] = [
    (".git", ""),
    // Names the directory with the configuration and the hooks; "." is the repository itself, as without it.
    (".git/commondir", ".\n"),
    (".vscode", ""),
    (".idea", ""),
    (".devcontainer", ""),
    (".boxwood", ""),
    (".envrc", ""),
    (".claude/settings.json", "{}\n"),
    (".claude/settings.local.json", "{}\n"),
    (".git/hooks", ""),
    (".git/config.worktree", ""),
];

/// What a file that is made for a mount holds; [`None`] when the path is not one that is made.
#[must_use]
pub fn placeholder(path: &str) -> Option<&'static str> {
    MADE.iter().find(|(made, _)| *made == path).map(|(_, contents)| *contents)
}

const GIT: [(&str, Kind); 5] = [
    (".git/commondir", Kind::File),
    (".git/hooks", Kind::Directory),
    (".git/config", Kind::File),
    (".git/config.worktree", Kind::File),
    (".git/info/attributes", Kind::File),
];

/// The mounts over a project, parents before children. `find` tells what the host has at a relative path.
///
/// A protected path that is a symbolic link cannot be mounted over, because mounting would follow the link out of the
/// project; the second list names those.
#[must_use]
pub fn overlays(configured: &[String], find: &dyn Fn(&str) -> Found) -> (Vec<Overlay>, Vec<String>) {
    let mut overlays: Vec<Overlay> = Vec::new();
    let mut unprotected = Vec::new();
    let mut wanted: Vec<(String, Kind)> = ALWAYS.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
    match find(".git") {
        Found::Directory => wanted.extend(GIT.iter().map(|(path, kind)| ((*path).to_owned(), *kind))),
        Found::File => wanted.push((".git".to_owned(), Kind::File)),
        // Where there is no repository, none can be made whose hooks and monitors the host would run.
        Found::Missing => wanted.push((".git".to_owned(), Kind::Directory)),
        Found::Other => unprotected.push(".git".to_owned()),
    }
    wanted.extend(configured.iter().map(|path| (normal(path), Kind::File)));
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    wanted.dedup_by(|a, b| a.0 == b.0);
    for (path, kind) in wanted {
        let make = match find(&path) {
            Found::File | Found::Directory => None,
            Found::Missing if placeholder(&path).is_some() => Some(kind),
            Found::Missing => continue,
            Found::Other => {
                unprotected.push(path);
                continue;
            }
        };
        for parent in parents(&path) {
            if !overlays.iter().any(|overlay| overlay.path == parent) {
                overlays.push(Overlay::pin(parent));
            }
        }
        overlays.push(Overlay { path, read_only: true, make, mask: None });
    }
    overlays.sort_by(|a, b| a.path.cmp(&b.path));
    (overlays, unprotected)
}

/// What a protected path is when it is missing.
#[must_use]
pub fn kind(path: &str) -> Kind {
    let known = ALWAYS.iter().chain(&GIT).find(|(known, _)| *known == path).map(|(_, kind)| *kind);
    known.unwrap_or(if path == ".git" { Kind::Directory } else { Kind::File })
}

fn normal(path: &str) -> String {
    path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// The directories on the way to a path, the outermost first.
#[must_use]
pub fn parents(path: &str) -> Vec<String> {
    path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(found: &[(&str, Found)]) -> Vec<Overlay> {
        let find = |path: &str| found.iter().find(|(name, _)| *name == path).map_or(Found::Missing, |(_, kind)| *kind);
        overlays(&["./Makefile".to_owned()], &find).0
    }

    #[test]
    fn git_is_pinned_and_its_programs_are_read_only() {
        let mounts =
            with(&[(".git", Found::Directory), (".git/hooks", Found::Directory), (".git/config", Found::File)]);
        let of = |path: &str| mounts.iter().find(|overlay| overlay.path == path).cloned();
        assert_eq!(of(".git").map(|overlay| overlay.read_only), Some(false), "pinned, so that it cannot be renamed");
        assert_eq!(of(".git/hooks").map(|overlay| overlay.read_only), Some(true));
        assert_eq!(of(".git/config").map(|overlay| overlay.read_only), Some(true));
        let order: Vec<_> = mounts.iter().map(|overlay| overlay.path.as_str()).collect();
        assert!(order.iter().position(|p| *p == ".git") < order.iter().position(|p| *p == ".git/hooks"));
    }

    #[test]
    fn missing_directories_are_made_and_files_that_would_change_tools_are_not() {
        let mounts = with(&[]);
        assert!(mounts.iter().any(|overlay| overlay.path == ".vscode" && overlay.make == Some(Kind::Directory)));
        assert!(mounts.iter().any(|overlay| overlay.path == ".claude" && !overlay.read_only), "pinned");
        assert!(!mounts.iter().any(|overlay| overlay.path == ".pre-commit-config.yaml"));
        assert!(mounts.iter().any(|overlay| overlay.path == ".git" && overlay.read_only && overlay.make.is_some()));
    }

    #[test]
    fn a_link_is_reported_and_configured_paths_count() {
        let find = |path: &str| match path {
            ".vscode" => Found::Other,
            "Makefile" => Found::File,
            _ => Found::Missing,
        };
        let (mounts, unprotected) = overlays(&["./Makefile".to_owned()], &find);
        assert_eq!(unprotected, [".vscode"]);
        assert!(mounts.iter().any(|overlay| overlay.path == "Makefile" && overlay.read_only));
    }
}
