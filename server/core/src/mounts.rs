//! Files and directories of this machine beside the project that a person lets a sandbox read: how they are asked for,
//! where they stand inside, and which are refused whoever asks.
//!
//! Each is written as `SOURCE` or `SOURCE:TARGET`, as for `docker run --volume`, and is read-only whatever is written. What
//! is judged is what a path leads to once every link is followed, which only the daemon can tell.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the setting.
pub const SETTING: &str = "readOnlyMounts";
/// Most that can be given.
const MOST: usize = 50;
/// Longest path, bytes.
const LONGEST: usize = 4096;
/// The home inside.
pub const HOME: &str = "/home/boxwood";
/// Where the system itself answers.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Where programs of the machine listen: that a mount is read-only does not keep anybody from connecting to a socket.
const SERVICES: [&str; 3] = ["/run", "/var/run", "/private/var/run"];
/// What a sandbox has of its own, beside its workspace. Nothing is mounted there, in it or over it.
const OWN_INSIDE: [&str; 12] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/opt/boxwood",
    "/var/lib/boxwood",
    "/etc/boxwood",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/home/boxwood/.claude",
];
/// Directories of the image without which nothing runs; single ones below them can be mounted over.
const IMAGE: [&str; 9] = ["/bin", "/boot", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/tmp", "/usr"];
/// Names of files and directories that hold private keys.
const KEYS: [&str; 6] = [".ssh", ".gnupg", ".password-store", "keyrings", "Keychains", ".pki"];
/// Names of those that hold logins and tokens.
const LOGINS: [&str; 14] = [
    ".gitconfig",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".cargo",
    ".gem",
    ".m2",
    ".config",
];

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mount {
    /// Path inside.
    pub target: String,
    /// Path on the host, every link followed.
    pub source: String,
}

/// A mount as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    source: String,
    target: Option<String>,
}

/// Why a mount is refused. Reads after the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A directory of the kernel's, or everything.
    #[error("is the system's own, or holds that")]
    System,
    /// A directory in which programs listen.
    #[error(
        "is where programs of this machine listen, and that a mount is read-only keeps nobody from talking to them"
    )]
    Services,
    /// What would have the engine do anything.
    #[error("is or holds the socket of the container engine, by which the whole machine is had")]
    Engine,
    /// Boxwood's state, configuration, socket or cache.
    #[error("is where Boxwood keeps its own files, or holds that")]
    Boxwood,
    /// Claude Code's own directory or state on this machine.
    #[error("is where Claude Code on this machine keeps its login and its settings, or holds that")]
    Claude,
    /// It is there already.
    #[error("is in the project, or leads there, which the sandbox has already")]
    Project,
    /// Masked files would be read there.
    #[error("holds the project, whose masked files could be read there")]
    HoldsProject,
    /// Whoever can write around a path can put something else in its place between look and mount.
    #[error("is in {0}, or leads there, where another sandbox can put something else in its place at any time")]
    OtherProject(String),
    /// The path inside is taken by the sandbox's own.
    #[error("cannot be at {0}, where the sandbox has something of its own")]
    Target(String),
    /// There is no path inside that follows from it.
    #[error("has no place inside that follows from it")]
    NoTarget,
    /// Two at one place.
    #[error("cannot be at {0}, where {1} is to be mounted as well")]
    Twice(String, String),
}

impl Refusal {
    /// What to do about it.
    #[must_use]
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::System | Self::Services | Self::Engine | Self::Boxwood => {
                "name the files or directories in 'readOnlyMounts' that are really needed"
            }
            Self::Claude => "choose how sandboxes are signed in with 'boxwood credentials mode'",
            Self::Project => "take it out of 'readOnlyMounts'; 'protectedPaths' makes it read-only inside",
            Self::HoldsProject => "name the directories beside the project in 'readOnlyMounts' one by one",
            Self::OtherProject(_) => "name that project as a whole in 'readOnlyMounts', or a copy elsewhere",
            Self::Target(_) | Self::NoTarget | Self::Twice(..) => {
                "give it another place in 'readOnlyMounts': SOURCE:/PATH/INSIDE"
            }
        }
    }
}

/// What is around a sandbox, in paths with every link followed.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The person's home, as they call it.
    pub home: &'a str,
    /// The sandbox's project.
    pub project: &'a str,
    /// Path of the project inside.
    pub workspace: &'a str,
    /// Projects of other sandboxes.
    pub projects: &'a [String],
    /// Boxwood's own directories.
    pub boxwood: &'a [String],
    /// What Claude Code on this machine has.
    pub claude: &'a [String],
    /// The engine's socket, when it is a file.
    pub engine: Option<&'a str>,
}

fn is_within(inner: &str, outer: &str) -> bool {
    Path::new(inner).starts_with(outer)
}

fn touches(one: &str, other: &str) -> bool {
    is_within(one, other) || is_within(other, one)
}

fn has_drive(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && matches!(letters.next(), Some('/' | '\\'))
}

/// A path inside without needless signs; `None` when it is none.
fn inside(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').filter(|part| !part.is_empty()).collect();
    let is_plain = !parts.is_empty() && parts.iter().all(|part| !matches!(*part, "." | ".."));
    is_plain.then(|| format!("/{}", parts.join("/")))
}

impl Asked {
    /// Reads what somebody wrote.
    ///
    /// # Errors
    /// When it names no absolute path, in words for whoever wrote it.
    pub fn read(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{text:?} {why}"));
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return refuse("is not a path");
        }
        let path = match text.rsplit_once(':') {
            Some((path, "ro" | "readonly")) => path,
            Some((_, option)) if !option.contains(['/', '\\']) => {
                return refuse("has something else than a path after ':'; what is named here is always read-only");
            }
            _ => text,
        };
        let between = path.rfind(":/").filter(|at| !(*at == 1 && has_drive(path)));
        let (source, target) = between.map_or((path, None), |at| (&path[..at], Some(&path[at + 1..])));
        let is_absolute = source.starts_with('/') || source == "~" || source.starts_with("~/") || has_drive(source);
        if !is_absolute {
            return refuse("is not an absolute path; begin it with '/' or '~/'");
        }
        let separators: &[char] = if has_drive(source) { &['/', '\\'] } else { &['/'] };
        if source.split(separators).any(|part| matches!(part, "." | "..")) {
            return refuse("has '.' or '..' in it; write the path without them");
        }
        let target = match target.map(inside) {
            None => None,
            Some(Some(target)) => Some(target),
            Some(None) => return refuse("has no absolute path without '.' and '..' after ':'"),
        };
        Ok(Self { source: source.to_owned(), target })
    }

    /// Where it is on this machine, links not followed.
    #[must_use]
    pub fn path(&self, home: &str) -> String {
        match self.source.strip_prefix('~') {
            Some(below) => format!("{}{below}", home.trim_end_matches(['/', '\\'])),
            None => self.source.clone(),
        }
    }

    /// Where it is inside: where somebody wants it, else at the same place in the sandbox's home when it is in the
    /// person's, else at the same path.
    #[must_use]
    pub fn target(&self, home: &str) -> Option<String> {
        if let Some(target) = &self.target {
            return Some(target.clone());
        }
        let path = self.path(home);
        match Path::new(&path).strip_prefix(home) {
            Ok(below) => {
                let below = below.to_string_lossy();
                let below = if path.starts_with('/') { below.into_owned() } else { below.replace('\\', "/") };
                inside(&format!("{HOME}/{below}"))
            }
            Err(_) => inside(&path),
        }
    }

    /// What it asks for, for whoever is to approve it. `real` is what the path leads to, when there is something.
    #[must_use]
    pub fn words(&self, home: &str, real: Option<&str>) -> String {
        let path = self.path(home);
        let Some(real) = real else { return format!("reads {path:?} of this machine, where there is nothing now") };
        let given = if path == real { String::new() } else { format!(", to which {path:?} leads") };
        let at = self.target(home).map(|target| format!(", at {target:?} inside")).unwrap_or_default();
        format!("reads {real:?} of this machine{given}{at}: {}", stake(&[real, &path]))
    }

    /// The mount, when it may be. `real` is what the path leads to, over the links at `links`.
    ///
    /// # Errors
    /// When it may not be, whoever asks for it.
    pub fn judge(&self, real: &str, links: &[String], ground: &Ground<'_>) -> Result<Mount, Refusal> {
        // A link that a sandbox can write leads wherever what runs there wants it to lead.
        for path in links.iter().map(String::as_str).chain([real]) {
            if is_within(path, ground.project) {
                return Err(Refusal::Project);
            }
            let around = |project: &&String| path != project.as_str() && is_within(path, project);
            if let Some(project) = ground.projects.iter().find(around) {
                return Err(Refusal::OtherProject(project.clone()));
            }
        }
        let one_of = |list: &[&str]| list.iter().any(|path| touches(real, path));
        let one_of_ours = |list: &[String]| list.iter().any(|path| touches(real, path));
        if Path::new(real).parent().is_none() || one_of(&SYSTEM) {
            return Err(Refusal::System);
        }
        if one_of_ours(ground.boxwood) {
            return Err(Refusal::Boxwood);
        }
        if one_of_ours(ground.claude) {
            return Err(Refusal::Claude);
        }
        if ground.engine.is_some_and(|socket| touches(real, socket)) {
            return Err(Refusal::Engine);
        }
        if one_of(&SERVICES) {
            return Err(Refusal::Services);
        }
        if is_within(ground.project, real) {
            return Err(Refusal::HoldsProject);
        }
        let target = self.target(ground.home).ok_or(Refusal::NoTarget)?;
        let is_taken = OWN_INSIDE.iter().chain([&ground.workspace]).any(|own| touches(&target, own))
            || IMAGE.contains(&target.as_str());
        if is_taken {
            return Err(Refusal::Target(target));
        }
        Ok(Mount { target, source: real.to_owned() })
    }
}

/// What whoever approves a mount gives away.
fn stake(paths: &[&str]) -> &'static str {
    let has = |names: &[&str]| {
        let mut parts = paths.iter().flat_map(|path| path.split(['/', '\\']));
        parts.any(|part| names.contains(&part))
    };
    let is_key = |path: &&str| {
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        name.starts_with("id_") || [".pem", ".key", ".p12", ".pfx"].iter().any(|end| name.ends_with(end))
    };
    if has(&KEYS) || paths.iter().any(is_key) {
        "private keys there become readable inside, and what is read can be sent out"
    } else if has(&LOGINS) {
        "logins and tokens there become readable inside, and what is read can be sent out"
    } else {
        "what is read can be sent where its network policy lets it"
    }
}

/// The mounts of a container, in the order of their places. The same one twice is one.
///
/// # Errors
/// When two are to be at one place, or one in another; the source of the second and why.
pub fn lay(mut mounts: Vec<Mount>) -> Result<Vec<Mount>, (String, Refusal)> {
    mounts.sort();
    mounts.dedup();
    for (at, mount) in mounts.iter().enumerate() {
        if let Some(other) = mounts[..at].iter().find(|other| is_within(&mount.target, &other.target)) {
            return Err((mount.source.clone(), Refusal::Twice(mount.target.clone(), other.source.clone())));
        }
    }
    Ok(mounts)
}

/// Checks the setting of a layer, or of several joined.
///
/// # Errors
/// When one is no path, or there are too many; in words for whoever wrote it.
pub fn check(list: &[String]) -> Result<(), String> {
    if list.len() > MOST {
        return Err(format!("at most {MOST} can be given"));
    }
    list.iter().try_for_each(|text| Asked::read(text).map(drop))
}

#[cfg(test)]
mod tests;
