//! Files and directories of a project that a sandbox cannot read: which they are, and what is mounted over them.
//!
//! An empty file or an empty directory, read-only, stands over each. What is on the way to one is mounted onto itself,
//! as with protected paths: a mount point cannot be renamed, so nothing is laid bare by moving a directory.

use std::collections::BTreeMap;

use crate::egress::rule::shown;
use crate::egress::settings::masked as normal;
use crate::protect::{Kind, Overlay, parents};

/// What is masked in every project. `!pattern` in `maskedPaths` lifts one.
pub const DEFAULTS: [&str; 10] = [
    ".env",
    ".env.local",
    ".env.*.local",
    "**/.ssh",
    "**/.aws",
    "**/.gnupg",
    "**/.netrc",
    "**/.git-credentials",
    "**/id_rsa",
    "**/id_ed25519",
];

/// Most paths that can be masked: each is a mount, and an engine makes them one after the other.
pub const MAX_MASKED: usize = 500;

/// One path that is masked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Masked {
    /// Path relative to the project, `/` between parts.
    pub path: String,
    /// What is mounted over it.
    pub kind: Kind,
    /// Whether nothing is there, so that an empty one must be made first.
    pub make: bool,
}

/// A masked path without a wildcard, which is known before anything is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Path relative to the project.
    pub path: String,
    /// Whether only the built-in patterns name it.
    pub is_default: bool,
    /// Whether it is named as a directory, by a slash at its end or as everything below it.
    pub is_directory: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    parts: Vec<String>,
    lifts: bool,
    is_default: bool,
    is_directory: bool,
}

/// What is to be masked: the built-in patterns, then those of the settings. The last one that fits a path decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// The built-in patterns with `configured` after them.
    #[must_use]
    pub fn new(configured: &[String]) -> Self {
        let read = |text: &str, is_default: bool| {
            let (lifts, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
            let is_directory = text.ends_with('/') || text.ends_with("/**");
            let mut parts: Vec<String> = normal(text).split('/').map(str::to_owned).collect();
            // Everything below a directory is the directory: what is put there later is masked as well.
            while parts.len() > 1 && parts.last().is_some_and(|part| part == "**") {
                parts.pop();
            }
            Pattern { parts, lifts, is_default, is_directory }
        };
        let defaults = DEFAULTS.iter().map(|text| read(text, true));
        Self(defaults.chain(configured.iter().map(|text| read(text, false))).collect())
    }

    /// Whether `path` is masked by its own name; what lies below a masked directory is masked with that.
    #[must_use]
    pub fn masks(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.0.iter().rev().find(|pattern| fits(&pattern.parts, &parts)).is_some_and(|pattern| !pattern.lifts)
    }

    /// Whether something below `directory` can be masked.
    #[must_use]
    pub fn reach_below(&self, directory: &str) -> bool {
        let parts: Vec<&str> = directory.split('/').collect();
        self.0.iter().any(|pattern| !pattern.lifts && begins(&pattern.parts, &parts))
    }

    /// Masked paths without a wildcard.
    pub fn named(&self) -> impl Iterator<Item = Named> {
        let plain = self.0.iter().filter(|pattern| !pattern.lifts && !pattern.parts.iter().any(|p| p.contains('*')));
        let mut all: BTreeMap<String, Named> = BTreeMap::new();
        for Pattern { parts, is_default, is_directory, .. } in plain {
            let path = parts.join("/");
            let entry = all.entry(path.clone()).or_insert(Named { path, is_default: true, is_directory: false });
            entry.is_default &= is_default;
            entry.is_directory |= is_directory;
        }
        all.into_values().filter(|named| self.masks(&named.path))
    }
}

/// Whether a pattern fits a path as a whole.
fn fits(pattern: &[String], path: &[&str]) -> bool {
    is_matched(pattern, path, |part| part == "**", |part, name| is_like(part.as_bytes(), name.as_bytes()))
}

/// Whether a pattern can fit something below a directory.
fn begins(pattern: &[String], directory: &[&str]) -> bool {
    match (pattern.split_first(), directory.split_first()) {
        (Some((first, _)), _) if first == "**" => true,
        (Some(_), None) => true,
        (Some((first, rest)), Some((name, below))) => is_like(first.as_bytes(), name.as_bytes()) && begins(rest, below),
        (None, _) => false,
    }
}

/// Whether a name is like a pattern in which `*` stands for anything.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    is_matched(pattern, name, |byte| *byte == b'*', |byte, other| byte == other)
}

/// Whether `items` fit a pattern in which a star stands for any number of them. Goes back to the last star only, so that
/// the time it takes is bounded by the product of the lengths: patterns come from projects.
fn is_matched<P, T>(pattern: &[P], items: &[T], is_star: impl Fn(&P) -> bool, equal: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while seen < items.len() {
        match pattern.get(at) {
            Some(part) if is_star(part) => {
                star = Some((at, seen));
                at += 1;
            }
            Some(part) if equal(part, &items[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, seen) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(is_star)
}

/// Lays masks over the mounts of protected paths, parents before children. What was to be mounted at a masked path or
/// below a masked directory is left out: there is nothing any more to protect.
#[must_use]
pub fn lay(overlays: Vec<Overlay>, masked: &[Masked]) -> Vec<Overlay> {
    let is_covered = |path: &str| {
        masked.iter().any(|mask| path.strip_prefix(mask.path.as_str()).is_some_and(|rest| rest.starts_with('/')))
    };
    let is_masked = |path: &str| is_covered(path) || masked.iter().any(|mask| mask.path == path);
    let mut all: BTreeMap<String, Overlay> = overlays
        .into_iter()
        .filter(|overlay| !is_masked(&overlay.path))
        .map(|overlay| (overlay.path.clone(), overlay))
        .collect();
    for mask in masked.iter().filter(|mask| !is_covered(&mask.path)) {
        for parent in parents(&mask.path) {
            all.entry(parent.clone()).or_insert_with(|| Overlay::pin(parent));
        }
        let make = mask.make.then_some(mask.kind);
        let overlay = Overlay { path: mask.path.clone(), read_only: true, make, mask: Some(mask.kind) };
        all.insert(mask.path.clone(), overlay);
    }
    // By parts and not by letters: "a/b" comes before "a-b" then, and children right after their parents.
    let mut all: Vec<Overlay> = all.into_values().collect();
    all.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    all
}

/// What a project's own settings lay bare, in plain words.
#[must_use]
pub fn widens(paths: &[String]) -> Option<String> {
    let lifted: Vec<String> = paths.iter().filter_map(|path| path.strip_prefix('!')).map(shown).collect();
    (!lifted.is_empty()).then(|| format!("may read {}", lifted.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::{self, Found};

    fn of(configured: &[&str]) -> Patterns {
        Patterns::new(&configured.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_defaults_are_where_secrets_usually_are() {
        let patterns = of(&[]);
        for path in [".env", ".env.local", ".env.test.local", ".ssh", "a/b/.ssh", "x/.netrc", "id_rsa", "k/id_ed25519"]
        {
            assert!(patterns.masks(path), "{path}");
        }
        for path in [".env.example", "a/.env", ".env.local.example", "ssh", "id_rsa.pub", "a/.sshd", ".environment"] {
            assert!(!patterns.masks(path), "{path}");
        }
    }

    #[test]
    fn the_last_pattern_that_fits_decides() {
        assert!(!of(&["!.env"]).masks(".env"));
        assert!(of(&["!.env", ".env"]).masks(".env"));
        let patterns = of(&["!**/id_rsa", "keys/id_rsa"]);
        assert!(patterns.masks("keys/id_rsa") && !patterns.masks("tests/id_rsa"));
        assert_eq!(of(&["!./.env/"]).named().map(|named| named.path).collect::<Vec<_>>(), [".env.local"]);
    }

    #[test]
    fn stars_stand_for_parts_of_a_name_and_two_for_directories() {
        let patterns = of(&["secrets/**", "a/*/k*.pem", "deep/**/x"]);
        for path in ["secrets", "a/b/k.pem", "a/b/key.pem", "deep/x", "deep/1/2/x"] {
            assert!(patterns.masks(path), "{path}");
        }
        for path in ["a/k.pem", "a/b/c/k.pem", "a/b/k.pem2", "x", "secretsx"] {
            assert!(!patterns.masks(path), "{path}");
        }
        assert!(is_like(b"*a*b*", b"xxaxxb") && !is_like(b"*a*b", b"xxaxxbx") && is_like(b"*", b""));
        let long = "a".repeat(2000);
        assert!(!is_like("*a".repeat(200).as_bytes(), format!("{long}b").as_bytes()), "and in bounded time");
        assert!(!of(&["**/*/".repeat(100).as_str(), "!**"]).masks(&"a/".repeat(500)), "so do directories");
    }

    #[test]
    fn only_directories_in_which_something_can_be_masked_are_looked_into() {
        let patterns =
            Patterns(of(&["a/*/k.pem", "!b/c"]).0.into_iter().filter(|pattern| !pattern.is_default).collect());
        assert!(patterns.reach_below("a") && patterns.reach_below("a/b"));
        assert!(!patterns.reach_below("a/b/c") && !patterns.reach_below("b"));
        assert!(of(&[]).reach_below("any/where"), "the defaults reach everywhere");
    }

    #[test]
    fn paths_that_are_known_before_they_are_there() {
        let named = |path: &str, is_default: bool, is_directory: bool| Named {
            path: path.to_owned(),
            is_default,
            is_directory,
        };
        let patterns = of(&["keys/server.pem", ".env.local", "*.key", "./vault/", "secrets/**"]);
        assert_eq!(
            patterns.named().collect::<Vec<_>>(),
            [
                named(".env", true, false),
                named(".env.local", false, false),
                named("keys/server.pem", false, false),
                named("secrets", false, true),
                named("vault", false, true),
            ]
        );
    }

    #[test]
    fn masks_lie_over_protected_paths_and_what_is_on_the_way_is_pinned() {
        let find = |path: &str| match path {
            ".git" | ".vscode" | ".claude" => Found::Directory,
            ".envrc" => Found::File,
            _ => Found::Missing,
        };
        let mask = |path: &str, kind: Kind, make: bool| Masked { path: path.to_owned(), kind, make };
        let masked = [
            mask(".envrc", Kind::File, false),
            mask("a-b", Kind::File, false),
            mask("a/b/.ssh", Kind::Directory, false),
            mask("a/b/.ssh/id_rsa", Kind::File, false),
            mask(".claude", Kind::Directory, false),
            mask(".vscode/secret", Kind::File, true),
        ];
        let all = lay(protect::overlays(&[], &find).0, &masked);
        let of = |path: &str| all.iter().find(|overlay| overlay.path == path);
        assert_eq!(of(".envrc").and_then(|overlay| overlay.mask), Some(Kind::File));
        assert_eq!(of(".claude").and_then(|overlay| overlay.mask), Some(Kind::Directory));
        assert_eq!(of(".claude/settings.json"), None, "covered");
        assert_eq!(of("a/b/.ssh/id_rsa"), None, "covered");
        assert_eq!(
            of(".vscode").map(|overlay| (overlay.read_only, overlay.mask)),
            Some((true, None)),
            "still read-only"
        );
        assert_eq!(of(".vscode/secret").and_then(|overlay| overlay.make), Some(Kind::File));
        for pinned in ["a", "a/b"] {
            assert_eq!(of(pinned).map(|overlay| (overlay.read_only, overlay.mask)), Some((false, None)), "{pinned}");
        }
        let order: Vec<_> = all.iter().map(|overlay| overlay.path.as_str()).collect();
        for (index, path) in order.iter().enumerate() {
            for parent in parents(path) {
                let before = order.iter().position(|other| *other == parent);
                assert!(before.is_none_or(|before| before < index), "{parent} before {path}");
            }
        }
    }

    #[test]
    fn what_a_project_lays_bare_is_said() {
        assert_eq!(widens(&[".env".to_owned()]), None);
        assert_eq!(widens(&["!.env".to_owned(), "!a".to_owned()]).as_deref(), Some("may read .env, a"));
    }
}
