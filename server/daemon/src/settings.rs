//! The configuration in force for a project: its layers read, joined, checked, approved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use boxwood_core::config::{self, ConfigError, ImageSource, Resolved};
use boxwood_core::content_hash;
use boxwood_core::egress::plain;
use boxwood_core::paths::Paths;
use boxwood_protocol::config::{ConfigReport, ConfigSource, SandboxConfig};
use boxwood_protocol::{ErrorCode, RpcError};

use crate::error::{self, Result};
use crate::files;
use crate::lifecycle::mounts;

/// Most bytes of a Dockerfile.
pub(crate) const LARGEST_DOCKERFILE: u64 = 1 << 20;

/// A project's settings and what decides whether they may be used.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) resolved: Resolved,
    pub(crate) report: ConfigReport,
    /// The layers as they stand, the strongest last.
    pub(crate) layers: Vec<(ConfigSource, SandboxConfig)>,
}

/// The person's own settings, which are for every project.
pub(crate) fn of_person(paths: &Paths) -> Result<SandboxConfig> {
    layer(&paths.user_config()).map(Option::unwrap_or_default)
}

/// Reads the settings of `project` with those of a request on top.
pub(crate) fn load(paths: &Paths, project: &str, request: &SandboxConfig) -> Result<Settings> {
    let user = of_person(paths)?;
    let (file, plain_file) =
        (Path::new(project).join(config::PROJECT_FILE), Path::new(project).join(config::EGRESS_FILE));
    let (own, plain) = (layer(&file)?, read_as(&plain_file, plain::parse)?);
    let there =
        [(&own, &file), (&plain, &plain_file)].into_iter().find_map(|(layer, path)| layer.as_ref().map(|_| path));
    let there = there.cloned();
    let mut own = plain::beneath(plain.unwrap_or_default(), own.unwrap_or_default());
    // Of the project's own wish it must be seen which file that is: an approval is bound to its text.
    own.dockerfile = own.dockerfile.map(|path| found_dockerfile(project, &path).unwrap_or(path));
    let layers =
        [(ConfigSource::User, user), (ConfigSource::Project, own.clone()), (ConfigSource::Request, request.clone())];
    let (mut effective, sources) = config::merge(&layers);
    if let Some(path) = &effective.dockerfile {
        let missing = || invalid(&file, &format!("there is no {} to build", config::DOCKERFILES.join(", ")));
        effective.dockerfile = Some(found_dockerfile(project, path).ok_or_else(missing)?);
    }
    let resolved = config::resolve(&effective).map_err(|cause| blame(paths, &file, &sources, &cause))?;
    let mut widens = config::widens(&own);
    let mounts = mounts::wishes(paths, &own);
    let content_hash = match there {
        Some(_) => Some(approval_hash(project, &file, &plain_file, &own, &mounts)?),
        None => None,
    };
    widens.extend(mounts);
    let is_approved = widens.is_empty()
        || content_hash.as_ref().is_some_and(|hash| approvals(paths).contains(&approval(project, hash)));
    Ok(Settings {
        resolved,
        report: ConfigReport {
            project: project.to_owned(),
            effective,
            sources: sources.into_iter().collect::<BTreeMap<_, _>>(),
            project_file: there.map(|file| file.display().to_string()),
            content_hash,
            widens,
            is_approved,
        },
        layers: layers.into(),
    })
}

/// The Dockerfile that a path means; `None` for `auto` when there is none.
fn found_dockerfile(project: &str, path: &str) -> Option<String> {
    if path != "auto" {
        return Some(path.to_owned());
    }
    let found = config::DOCKERFILES.into_iter().find(|path| Path::new(project).join(path).is_file());
    found.map(str::to_owned)
}

impl Settings {
    /// Refuses settings of the project that the person has not approved as they stand.
    pub(crate) fn approved(self) -> Result<Self> {
        if self.report.is_approved {
            return Ok(self);
        }
        let file = self.report.project_file.as_deref().unwrap_or_default();
        Err(RpcError::new(
            ErrorCode::ConfigApproval,
            format!("{file} asks for more than the default: it {}", self.report.widens.join(", ")),
        ))
    }

    /// Hash of everything that a container is made from.
    pub(crate) fn hash(&self, image_content: &str, claude: &str) -> String {
        let resolved = format!("{:?}", self.resolved);
        content_hash([resolved.as_bytes(), image_content.as_bytes(), claude.as_bytes()])
    }

    /// What the image is made from: a Dockerfile's text, or the image's name.
    pub(crate) fn image_content(&self, agent_hash: impl FnOnce() -> String) -> String {
        match &self.resolved.image {
            ImageSource::Variant(variant) => format!("{} {}", variant.as_str(), agent_hash()),
            ImageSource::Reference(reference) => reference.clone(),
            ImageSource::Dockerfile(path) => {
                let path = Path::new(&self.report.project).join(path);
                let text = files::read_project_file(&path, LARGEST_DOCKERFILE).unwrap_or_default();
                content_hash([text.as_slice()])
            }
        }
    }
}

/// Approves the project's file as it stands, when it is what the person saw.
pub(crate) fn approve(paths: &Paths, project: &str, seen: &str) -> Result<ConfigReport> {
    let report = load(paths, project, &SandboxConfig::default())?.report;
    if report.content_hash.as_deref() != Some(seen) {
        return Err(RpcError::new(ErrorCode::ConfigApproval, "the configuration has changed since it was shown")
            .hint("look at it again, then approve it"));
    }
    let mut all = approvals(paths);
    all.insert(approval(project, seen));
    files::write_json(&approvals_file(paths), &all)?;
    load(paths, project, &SandboxConfig::default()).map(|settings| settings.report)
}

fn approvals_file(paths: &Paths) -> PathBuf {
    paths.state.join("approvals.json")
}

fn approvals(paths: &Paths) -> BTreeSet<String> {
    files::read_json(&approvals_file(paths)).unwrap_or_default()
}

fn approval(project: &str, hash: &str) -> String {
    content_hash([project.as_bytes(), hash.as_bytes()])
}

/// Hash of everything in the project that an approval is about, and of what its mounts lead to. Projects without the
/// plain file and without mounts keep the hash that they had before there were such.
fn approval_hash(project: &str, file: &Path, plain: &Path, own: &SandboxConfig, mounts: &[String]) -> Result<String> {
    let dockerfile = own.dockerfile.as_ref().map(|path| Path::new(project).join(path));
    let mut texts = vec![text_of(file, config::MAX_FILE_BYTES)?.unwrap_or_default()];
    texts.push(dockerfile.map_or(Ok(None), |path| text_of(&path, LARGEST_DOCKERFILE))?.unwrap_or_default());
    texts.extend(text_of(plain, config::MAX_FILE_BYTES)?);
    texts.extend(mounts.iter().map(|words| words.clone().into_bytes()));
    Ok(content_hash(texts.iter().map(Vec::as_slice)))
}

/// A file of a project; `None` when there is none.
fn text_of(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    use std::io::ErrorKind::{FileTooLarge, InvalidInput, NotADirectory, NotFound};
    match files::read_project_file(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if matches!(cause.kind(), NotFound | NotADirectory) => Ok(None),
        Err(cause) if matches!(cause.kind(), FileTooLarge | InvalidInput) => Err(invalid(path, &cause.to_string())),
        Err(cause) => Err(error::file("read", path, &cause)),
    }
}

fn layer(path: &Path) -> Result<Option<SandboxConfig>> {
    read_as(path, config::parse)
}

type Parse = fn(&str) -> std::result::Result<SandboxConfig, ConfigError>;

fn read_as(path: &Path, parse: Parse) -> Result<Option<SandboxConfig>> {
    let Some(bytes) = text_of(path, config::MAX_FILE_BYTES)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    parse(&text).map(Some).map_err(|cause| invalid(path, &cause.to_string()))
}

/// Names the layer that a refused value comes from.
fn blame(paths: &Paths, file: &Path, sources: &BTreeMap<String, ConfigSource>, cause: &ConfigError) -> RpcError {
    let source = match cause {
        ConfigError::Value { setting, .. } => sources.get(*setting).copied(),
        ConfigError::Syntax(_) => None,
    };
    match source {
        Some(ConfigSource::User) => invalid(&paths.user_config(), &cause.to_string()),
        Some(ConfigSource::Project) => invalid(file, &cause.to_string()),
        Some(ConfigSource::Request | ConfigSource::Default) | None => {
            RpcError::new(ErrorCode::ConfigInvalid, "a setting of this request is not valid")
                .caused_by(cause)
                .hint("correct the command-line option or the editor setting of that name")
        }
    }
}

fn invalid(file: &Path, reason: &str) -> RpcError {
    RpcError::new(ErrorCode::ConfigInvalid, format!("the configuration {} is not valid", file.display()))
        .caused_by(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> (tempfile::TempDir, Paths) {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_string_lossy().into_owned();
        std::fs::create_dir_all(directory.path().join("p/.boxwood")).expect("made");
        std::fs::write(directory.path().join("p/.boxwood/sandbox.jsonc"), text).expect("written");
        let home = root.clone();
        let paths = Paths::resolve(&|name| (name == "HOME").then(|| home.clone()), 0);
        std::fs::create_dir_all(&paths.state).expect("made");
        (directory, paths)
    }

    #[test]
    fn an_approval_is_bound_to_the_content() {
        let (directory, paths) = project(r#"{"memory": "64g"}"#);
        let path = directory.path().join("p").to_string_lossy().into_owned();
        let load = || load(&paths, &path, &SandboxConfig::default()).expect("valid");
        assert_eq!(load().approved().map(|_| ()).map_err(|e| e.code), Err(ErrorCode::ConfigApproval));
        let hash = load().report.content_hash.expect("a hash");
        approve(&paths, &path, &hash).expect("approved");
        assert!(load().approved().is_ok());
        std::fs::write(directory.path().join("p/.boxwood/sandbox.jsonc"), r#"{"memory": "128g"}"#).expect("written");
        assert!(load().approved().is_err(), "another content needs another approval");
        assert!(approve(&paths, &path, &hash).is_err(), "what was seen is not what is there");
    }

    #[test]
    fn the_first_dockerfile_that_is_there_is_taken_and_an_approval_is_bound_to_its_text() {
        let (directory, paths) = project(r#"{"dockerfile": "auto"}"#);
        let root = directory.path().join("p");
        let path = root.to_string_lossy().into_owned();
        let load = || load(&paths, &path, &SandboxConfig::default());
        let problem = load().expect_err("there is none");
        assert_eq!(problem.code, ErrorCode::ConfigInvalid);
        assert!(config::DOCKERFILES.iter().all(|name| problem.to_string().contains(name)), "{problem}");
        std::fs::create_dir(root.join(".devcontainer")).expect("made");
        for name in ["Dockerfile", ".devcontainer/Dockerfile", ".boxwood/Dockerfile"] {
            std::fs::write(root.join(name), format!("FROM {name}\n")).expect("written");
            let report = load().expect("valid").report;
            assert_eq!(report.effective.dockerfile.as_deref(), Some(name));
            assert!(!report.is_approved, "another one is taken, which nobody has seen");
            assert_eq!(report.widens, [format!("builds and runs {name}")]);
            approve(&paths, &path, &report.content_hash.expect("a hash")).expect("approved");
            assert!(load().expect("valid").approved().is_ok());
        }
        std::fs::write(root.join(".devcontainer/Dockerfile"), "FROM another\n").expect("written");
        assert!(load().expect("valid").approved().is_ok(), "it is not built");
        std::fs::write(root.join(".boxwood/Dockerfile"), "FROM another\n").expect("written");
        let refused = load().expect("valid").approved().map(|_| ()).map_err(|problem| problem.code);
        assert_eq!(refused, Err(ErrorCode::ConfigApproval));
    }

    #[test]
    fn the_plain_file_is_a_part_of_the_projects_own_settings() {
        let (directory, paths) = project("{}");
        let path = directory.path().join("p").to_string_lossy().into_owned();
        let load = || load(&paths, &path, &SandboxConfig::default()).expect("valid").report;
        let before = load();
        assert!(before.is_approved);
        let file = directory.path().join("p").join(config::EGRESS_FILE);
        std::fs::write(&file, "allowed_domains:\n  - example.com\nblocked_paths:\n  - .env\n").expect("written");
        let after = load();
        assert_ne!(before.content_hash, after.content_hash);
        assert!(!after.is_approved, "a host more is a wish that needs approval");
        assert_eq!(after.effective.masked_paths, Some(vec![".env".to_owned()]));
        approve(&paths, &path, &after.content_hash.expect("a hash")).expect("approved");
        assert!(load().is_approved);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_waits_for_a_pipe_that_took_the_place_of_a_file() {
        let (directory, paths) = project(r#"{"dockerfile": "Dockerfile"}"#);
        let path = directory.path().join("p").to_string_lossy().into_owned();
        let pipe = directory.path().join("p/Dockerfile");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let problem = load(&paths, &path, &SandboxConfig::default()).expect_err("a pipe");
        assert_eq!(problem.code, ErrorCode::ConfigInvalid);
        assert!(problem.causes.iter().any(|cause| cause.contains("not a file")), "{problem:?}");
    }

    #[test]
    fn a_file_that_is_too_large_or_wrong_is_named() {
        let (directory, paths) = project(&format!("// {}\n{{}}", "x".repeat(300_000)));
        let path = directory.path().join("p").to_string_lossy().into_owned();
        let problem = load(&paths, &path, &SandboxConfig::default()).expect_err("too large");
        assert_eq!(problem.code, ErrorCode::ConfigInvalid);
        assert!(problem.message.contains("sandbox.jsonc"));
    }
}
