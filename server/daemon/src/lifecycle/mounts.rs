//! What of this machine beside the project a sandbox can read: what the paths lead to, whether it may be mounted, and
//! whether it is still the same when it is.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use boxwood_core::identity::Identity;
use boxwood_core::labels;
use boxwood_core::mounts::{self, Asked, Ground, Mount, Refusal};
use boxwood_core::paths::Paths;
use boxwood_engine::ContainerDetail;
use boxwood_protocol::config::{ConfigSource, SandboxConfig};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::spec;
use crate::settings::{self, Settings};

/// Links on the way to one path that are followed; the kernel follows as many.
const MOST_LINKS: usize = 40;

/// Where a path leads.
struct Led {
    real: PathBuf,
    /// Where the links on the way are, every link before them followed.
    links: Vec<String>,
}

/// Follows every link. The result is compared with the system's own, so that nothing hangs on how it is done here.
fn follow(path: &Path) -> io::Result<Led> {
    let mut left: Vec<PathBuf> = vec![path.to_path_buf()];
    let (mut at, mut links) = (PathBuf::new(), Vec::new());
    while let Some(path) = left.pop() {
        let mut parts = path.components();
        let Some(part) = parts.next() else { continue };
        left.push(parts.as_path().to_path_buf());
        match part {
            Component::Prefix(_) | Component::RootDir => at.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                at.pop();
            }
            Component::Normal(name) => {
                let next = at.join(name);
                if !fs::symlink_metadata(&next)?.is_symlink() {
                    at = next;
                    continue;
                }
                if links.len() == MOST_LINKS {
                    return Err(io::Error::other("too many links lead on from it"));
                }
                links.push(next.to_string_lossy().into_owned());
                let target = fs::read_link(&next)?;
                if target.has_root() {
                    at = PathBuf::new();
                }
                left.push(target);
            }
        }
    }
    let real = path.canonicalize()?;
    match cfg!(unix) && real != at {
        true => Err(io::Error::other("what is there is being exchanged")),
        false => Ok(Led { real, links }),
    }
}

/// Follows a path that is to be mounted to a file or a directory.
fn lead(path: &str) -> Result<(String, Vec<String>)> {
    let led = follow(Path::new(path)).and_then(|led| Ok((fs::metadata(&led.real)?.file_type(), led)));
    let problem = |why: &str| {
        RpcError::new(ErrorCode::ConfigInvalid, format!("{path:?} of 'readOnlyMounts' cannot be mounted: {why}"))
            .hint("make it, or take it out of 'readOnlyMounts'")
    };
    match led {
        Ok((kind, _)) if !kind.is_file() && !kind.is_dir() => Err(problem("it is neither a file nor a directory")),
        Ok((_, led)) => match led.real.to_str() {
            Some(real) if !real.chars().any(char::is_control) => Ok((real.to_owned(), led.links)),
            _ => Err(problem("its name has signs in it that the container engine's API cannot name")),
        },
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(problem("it is not there")),
        Err(cause) => Err(problem("it cannot be looked at").caused_by(cause)),
    }
}

fn refused(path: &str, real: &str, refusal: &Refusal) -> RpcError {
    let led = if path == real { String::new() } else { format!(", which leads to {real:?},") };
    RpcError::new(ErrorCode::ConfigInvalid, format!("{path:?} of 'readOnlyMounts'{led} {refusal}"))
        .hint(refusal.next_step())
}

/// What a project's own settings ask for, each in words for whoever is to approve it. These say what is approved, so the
/// approval is bound to them: what leads elsewhere than it did is asked for anew.
pub(crate) fn wishes(paths: &Paths, project: &SandboxConfig) -> Vec<String> {
    let home = paths.home.to_string_lossy();
    let asked = project.read_only_mounts.iter().flatten().filter_map(|text| Asked::read(text).ok());
    let words = |asked: Asked| {
        let real = lead(&asked.path(&home)).ok();
        asked.words(&home, real.as_ref().map(|(real, _)| real.as_str()))
    };
    asked.map(words).collect()
}

/// The mounts that settings ask for: what is wanted and approved now.
pub(crate) fn plan(daemon: &Daemon, identity: &Identity, settings: &Settings) -> Result<Vec<Mount>> {
    let mut wanted = settings.resolved.read_only_mounts.clone();
    if !settings.report.is_approved {
        let of_person = settings.layers.iter().filter(|(source, _)| *source != ConfigSource::Project);
        wanted = of_person.flat_map(|(_, layer)| layer.read_only_mounts.clone().unwrap_or_default()).collect();
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let text = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
    let paths = &daemon.paths;
    let boxwood = [&paths.state, &paths.config, &paths.runtime, &paths.cache].map(|path| text(path));
    let claude = daemon.sources.claude().all_places(&paths.home).map(|path| text(&path));
    let others = daemon.registry.list().into_iter().filter(|info| info.id != identity.id);
    let projects: Vec<String> = others.map(|info| info.project).collect();
    let socket = daemon.link.status().endpoint.strip_prefix("unix://").map(|path| text(Path::new(path)));
    let home = paths.home.to_string_lossy();
    let ground = Ground {
        home: &home,
        project: &identity.project,
        workspace: &spec::workspace(&identity.project, settings.resolved.workspace_path),
        projects: &projects,
        boxwood: &boxwood,
        claude: &claude,
        engine: socket.as_deref(),
    };
    let judge = |text: &String| {
        let asked = Asked::read(text).map_err(|why| RpcError::new(ErrorCode::ConfigInvalid, why))?;
        let path = asked.path(&home);
        let (real, links) = lead(&path)?;
        asked.judge(&real, &links, &ground).map_err(|refusal| refused(&path, &real, &refusal))
    };
    let judged = wanted.iter().map(judge).collect::<Result<Vec<_>>>()?;
    mounts::lay(judged).map_err(|(source, refusal)| refused(&source, &source, &refusal))
}

/// Sees to it that what was judged is what is mounted: a path that leads elsewhere by now is not.
pub(crate) fn recheck(mounts: &[Mount]) -> Result<()> {
    for Mount { source, .. } in mounts {
        let (real, _) = lead(source)?;
        if real != *source {
            return Err(RpcError::new(
                ErrorCode::ConfigInvalid,
                format!("{source:?} of 'readOnlyMounts' leads to {real:?} since it was looked at"),
            )
            .hint("look at who did that, then try again"));
        }
    }
    Ok(())
}

/// The mounts that a container was made with.
pub(crate) fn mounted(labels: &HashMap<String, String>) -> Vec<Mount> {
    let text = labels.get(labels::READ_ONLY_MOUNTS);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Whether a container has other mounts than it would be made with now. Where that cannot be told any more, one that has
/// some is to be made anew: what cannot be read allows nothing.
pub(crate) fn is_outdated(daemon: &Daemon, detail: &ContainerDetail) -> bool {
    let label = |key: &str| detail.labels.get(key).cloned().unwrap_or_default();
    let (project, id) = (label(labels::PROJECT), label(labels::SANDBOX));
    let made_with = daemon.records.get(&id).map(|record| record.request).unwrap_or_default();
    let identity = Identity { project, session: label(labels::SESSION), id };
    let has = mounted(&detail.labels);
    let wanted = settings::load(&daemon.paths, &identity.project, &made_with)
        .and_then(|settings| plan(daemon, &identity, &settings));
    wanted.map_or(!has.is_empty(), |wanted| wanted != has)
}

#[cfg(all(test, unix))]
#[path = "mounts_tests.rs"]
mod tests;
