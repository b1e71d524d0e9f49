//! Masked paths of a project on the host: which there are now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, DirEntry, Metadata};
use std::path::Path;

use boxwood_core::mask::{MAX_MASKED, Masked, Named, Patterns};
use boxwood_core::protect::{Found, Kind};
use boxwood_protocol::{ErrorCode, RpcError};
use ignore::gitignore::GitignoreBuilder;

use crate::error::Result;
use crate::lifecycle::overlay::{find, has_empty_git};

/// Most entries of directories that are looked at: some tenths of a second.
const MAX_ENTRIES: usize = 150_000;
/// Directories that are large and hardly ever hold what a person put there. They are looked into last.
const BULKY: [&str; 10] =
    ["node_modules", "target", "vendor", ".venv", "venv", "dist", "build", "__pycache__", ".cache", ".tox"];
/// Most names in a warning.
const NAMED: usize = 5;

/// Identity of a file that has several names: device and inode.
type Inode = (u64, u64);

/// What the patterns come to.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    pub(crate) masked: Vec<Masked>,
    pub(crate) warnings: Vec<String>,
}

/// Finds everything in the project that is to be masked. Links are not followed; where one leads to something else in the
/// project, that is masked.
pub(crate) fn expand(project: &str, configured: &[String]) -> Result<Expansion> {
    let root = Path::new(project);
    let patterns = Patterns::new(configured);
    let mut found: BTreeMap<String, (Kind, bool)> = BTreeMap::new();
    let mut links = BTreeSet::new();
    for Named { path, is_default, is_directory } in patterns.named() {
        match find(root, &path) {
            Found::File => drop(found.insert(path, (Kind::File, false))),
            Found::Directory => drop(found.insert(path, (Kind::Directory, false))),
            Found::Other => drop(links.insert(path)),
            Found::Missing if is_made(root, &path, is_default) => {
                found.insert(path, (if is_directory { Kind::Directory } else { Kind::File }, true));
            }
            Found::Missing => {}
        }
    }
    let mut walk = Walk::new(root);
    walk.run(|path, entry| {
        let Ok(kind) = entry.file_type() else { return Go::Past };
        if patterns.masks(path) {
            match (kind.is_symlink(), kind.is_dir()) {
                (true, _) => drop(links.insert(path.to_owned())),
                (_, true) => drop(found.insert(path.to_owned(), (Kind::Directory, false))),
                _ => drop(found.insert(path.to_owned(), (Kind::File, false))),
            }
            return Go::Past;
        }
        if kind.is_dir() && patterns.reach_below(path) { Go::Below } else { Go::Past }
    });
    let mut warnings = walk.warnings("not looked through for masked paths");
    let unmasked: Vec<String> = links.into_iter().filter(|path| !follow(root, path, &mut found)).collect();
    if !unmasked.is_empty() {
        warnings.push(format!("not masked, because they are links to what cannot be masked: {}", few(&unmasked)));
    }
    other_names(root, &mut found, &mut warnings);
    let masked: Vec<Masked> = found.into_iter().map(|(path, (kind, make))| Masked { path, kind, make }).collect();
    if masked.len() > MAX_MASKED {
        return Err(RpcError::new(
            ErrorCode::ConfigInvalid,
            format!("{} paths of the project are to be masked, and at most {MAX_MASKED} can be", masked.len()),
        )
        .hint("mask the directory that holds them in 'maskedPaths'"));
    }
    Ok(Expansion { masked, warnings })
}

/// Whether an empty file is made where nothing is, so that what a person puts there later is masked as well. What the
/// settings name always is; `.env` as a default only where git ignores it, which shows that the project expects one and
/// keeps the empty one out of `git status`.
fn is_made(root: &Path, path: &str, is_default: bool) -> bool {
    let parents_fit = boxwood_core::protect::parents(path)
        .iter()
        .all(|parent| matches!(find(root, parent), Found::Directory | Found::Missing));
    parents_fit && (!is_default || path == ".env" && is_ignored(root, path))
}

fn is_ignored(root: &Path, path: &str) -> bool {
    let mut builder = GitignoreBuilder::new(root);
    for file in [".git/info/exclude", ".gitignore"] {
        // One that is missing or has a bad line ignores nothing, or what its other lines say.
        if find(root, file) == Found::File {
            let _ = builder.add(root.join(file));
        }
    }
    find(root, ".git") != Found::Missing
        && !has_empty_git(root)
        && builder.build().is_ok_and(|ignored| ignored.matched(path, false).is_ignore())
}

/// Masks what a link leads to. True when nothing of the host can be read through it: it leads out of the project, where
/// the sandbox has its own files only, or to what is masked now.
fn follow(root: &Path, path: &str, found: &mut BTreeMap<String, (Kind, bool)>) -> bool {
    let Ok(target) = dunce::canonicalize(root.join(path)) else { return false };
    let Ok(inside) = target.strip_prefix(root) else { return true };
    let (Some(inside), Ok(metadata)) = (inside.to_str(), fs::symlink_metadata(&target)) else { return false };
    // The project itself, or where git keeps everything, is not given up for a link.
    if inside.is_empty() || inside == ".git" {
        return false;
    }
    let kind = if metadata.is_dir() { Kind::Directory } else { Kind::File };
    found.entry(inside.replace('\\', "/")).or_insert((kind, false));
    true
}

/// A masked file can have further names: hard links. They are masked too; names that were not found are told.
fn other_names(root: &Path, found: &mut BTreeMap<String, (Kind, bool)>, warnings: &mut Vec<String>) {
    let mut wanted: BTreeMap<Inode, (u64, u64, String)> = BTreeMap::new();
    let mut note = |path: &str, metadata: &Metadata| {
        if let Some((inode, names @ 2..)) = names_of(metadata) {
            wanted.entry(inode).or_insert_with(|| (names, 0, path.to_owned())).1 += 1;
        }
    };
    for (path, (kind, _)) in found.iter().filter(|(_, (_, make))| !make) {
        let below = root.join(path);
        if *kind == Kind::Directory {
            Walk::new(&below).run(|name, entry| {
                entry.metadata().iter().for_each(|metadata| note(&format!("{path}/{name}"), metadata));
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) { Go::Below } else { Go::Past }
            });
        } else if let Ok(metadata) = fs::symlink_metadata(&below) {
            note(path, &metadata);
        }
    }
    if wanted.is_empty() {
        return;
    }
    let mut more = Vec::new();
    Walk::new(root).run(|path, entry| {
        if found.contains_key(path) {
            return Go::Past;
        }
        if let Some((inode, 2..)) = entry.metadata().ok().as_ref().and_then(names_of)
            && let Some(known) = wanted.get_mut(&inode)
        {
            known.1 += 1;
            more.push(path.to_owned());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) { Go::Below } else { Go::Past }
    });
    found.extend(more.into_iter().map(|path| (path, (Kind::File, false))));
    let unseen: Vec<String> =
        wanted.into_values().filter(|(names, seen, _)| seen < names).map(|(_, _, path)| path).collect();
    if !unseen.is_empty() {
        warnings.push(format!("masked, but with further names (hard links) that were not found: {}", few(&unseen)));
    }
}

/// The inode and how many names it has, for a file.
#[cfg(unix)]
fn names_of(metadata: &Metadata) -> Option<(Inode, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    metadata.is_file().then(|| ((metadata.dev(), metadata.ino()), metadata.nlink()))
}

#[cfg(not(unix))]
fn names_of(_metadata: &Metadata) -> Option<(Inode, u64)> {
    None
}

/// Where to go from an entry.
enum Go {
    Below,
    Past,
}

/// A walk over a directory: near things first, bulky directories last, bounded, no links followed, nothing of git's own.
struct Walk<'a> {
    root: &'a Path,
    near: VecDeque<String>,
    bulky: VecDeque<String>,
    left: usize,
    /// Directories and names that could not be looked at.
    unseen: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, near: [String::new()].into(), bulky: VecDeque::new(), left: MAX_ENTRIES, unseen: Vec::new() }
    }

    fn run(&mut self, mut visit: impl FnMut(&str, &DirEntry) -> Go) {
        while let Some(directory) = self.near.pop_front().or_else(|| self.bulky.pop_front()) {
            if self.left == 0 {
                self.unseen.push(directory);
                continue;
            }
            // What the person cannot read, the sandbox cannot either.
            let Ok(entries) = fs::read_dir(self.root.join(&directory)) else { continue };
            for entry in entries.flatten() {
                self.left = self.left.saturating_sub(1);
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    self.unseen.push(format!("{directory}/{}", name.to_string_lossy()));
                    continue;
                };
                let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
                if let Go::Below = visit(&path, &entry) {
                    match name {
                        ".git" => {}
                        _ if BULKY.contains(&name) => self.bulky.push_back(path),
                        _ => self.near.push_back(path),
                    }
                }
                if self.left == 0 {
                    self.unseen.push(if directory.is_empty() { ".".to_owned() } else { directory.clone() });
                    break;
                }
            }
        }
    }

    fn warnings(&self, what: &str) -> Vec<String> {
        if self.unseen.is_empty() { Vec::new() } else { vec![format!("{what}: {}", few(&self.unseen))] }
    }
}

/// The first names of a list and how many more there are.
pub(crate) fn few(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
