//! Settings: reading a layer, laying one over the other, and what a project may not decide by itself.

use std::collections::BTreeMap;

use boxwood_protocol::config::{ConfigSource, ImageVariant, Lifetime, Network, SandboxConfig, SshAgent, WorkspacePath};
use jsonc_parser::ParseOptions;

use crate::egress::{EgressLayers, settings};
use crate::mounts;
use crate::quantity::{format_bytes, parse_bytes};

/// Most bytes of a configuration file.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The project's file, relative to the project.
pub const PROJECT_FILE: &str = ".boxwood/sandbox.jsonc";

/// Dockerfiles that `auto` takes the first of, relative to the project.
pub const DOCKERFILES: [&str; 3] = [".boxwood/Dockerfile", ".devcontainer/Dockerfile", "Dockerfile"];

/// The project's file in the plain form that other tools have as well, relative to the project.
pub const EGRESS_FILE: &str = ".boxwood/egress.yaml";

/// The network of a sandbox when no layer says.
pub const DEFAULT_NETWORK: Network = Network::Gateway;

const DEFAULT_MEMORY: &str = "8g";
const DEFAULT_PIDS: u32 = 4096;
const DEFAULT_NOFILE: u32 = 16384;
/// Least memory in which Claude Code can run, bytes.
const LEAST_MEMORY: u64 = 512 << 20;
/// Fewest processes with which a sandbox can work.
const LEAST_PIDS: u32 = 64;
/// Fewest open files with which a sandbox can work.
const LEAST_NOFILE: u32 = 256;
/// Environment that Boxwood itself sets; a configuration that changes it would break a promise.
const RESERVED_ENV: [&str; 6] =
    ["HOME", "CLAUDE_CONFIG_DIR", "DISABLE_AUTOUPDATER", "IS_SANDBOX", "LD_PRELOAD", "CLAUDE_CODE_PROJECT_DIR_NAME"];
/// Names that hold secrets; the environment of a container can be inspected, so none may stand there.
const SECRET_MARKS: [&str; 6] = ["TOKEN", "SECRET", "PASSWORD", "API_KEY", "PRIVATE_KEY", "CREDENTIAL"];

/// Why a layer is refused. Reads after "the configuration is not valid:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not JSON with comments, or has a setting of another name or type.
    #[error("{0}")]
    Syntax(String),
    /// A value is out of its range.
    #[error("`{setting}`: {reason}")]
    Value {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn value_error(setting: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value { setting, reason: reason.into() }
}

/// What a sandbox runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// An agent image.
    Variant(ImageVariant),
    /// An image by reference.
    Reference(String),
    /// A Dockerfile, relative to the project.
    Dockerfile(String),
}

/// Settings with every value decided and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What it runs.
    pub image: ImageSource,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Billionths of a processor; 0 for all.
    pub nano_cpus: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Open files.
    pub nofile: u32,
    /// Network.
    pub network: Network,
    /// Where the project appears.
    pub workspace_path: WorkspacePath,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Further protected paths.
    pub protected_paths: Vec<String>,
    /// What the sandbox cannot read: globs, as they were written.
    pub masked_paths: Vec<String>,
    /// What of the host it can read beside the project, as it was written.
    pub read_only_mounts: Vec<String>,
    /// Further arguments for Claude.
    pub claude_args: Vec<String>,
    /// Whether the host's login may be used.
    pub host_login: bool,
    /// Whether it may ask the SSH agent of the host.
    pub ssh_agent: SshAgent,
}

/// Reads a layer from JSON with comments and trailing commas.
///
/// # Errors
/// When it is no such JSON, has a setting of an unknown name or a wrong type, or names hosts, masked paths or mounts wrongly:
/// lists of these are joined, so that only here it is known which file is wrong.
pub fn parse(text: &str) -> Result<SandboxConfig, ConfigError> {
    let value = jsonc_parser::parse_to_serde_value::<serde_json::Value>(text, &ParseOptions::default())
        .map_err(|error| ConfigError::Syntax(error.to_string()))?;
    let mut value = match value {
        serde_json::Value::Null => return Ok(SandboxConfig::default()),
        value => value,
    };
    if let Some(object) = value.as_object_mut() {
        object.remove("$schema");
    }
    let layer: SandboxConfig = serde_json::from_value(value).map_err(|error| ConfigError::Syntax(error.to_string()))?;
    check_lists(&layer)?;
    Ok(layer)
}

pub(crate) fn check_lists(config: &SandboxConfig) -> Result<(), ConfigError> {
    settings::check_masked(config.masked_paths.as_deref().unwrap_or_default())?;
    mounts::check(config.read_only_mounts.as_deref().unwrap_or_default())
        .map_err(|reason| value_error(mounts::SETTING, reason))?;
    config.egress.as_ref().map_or(Ok(()), settings::check)
}

/// Every setting with its built-in value.
#[must_use]
pub fn defaults() -> SandboxConfig {
    SandboxConfig {
        variant: Some(ImageVariant::Slim),
        lifetime: Some(Lifetime::Persistent),
        memory: Some(DEFAULT_MEMORY.to_owned()),
        cpus: Some(0.0),
        pids: Some(DEFAULT_PIDS),
        nofile: Some(DEFAULT_NOFILE),
        network: Some(DEFAULT_NETWORK),
        workspace_path: Some(WorkspacePath::Same),
        env: Some(BTreeMap::new()),
        protected_paths: Some(Vec::new()),
        egress: None,
        masked_paths: Some(Vec::new()),
        read_only_mounts: Some(Vec::new()),
        claude_args: Some(Vec::new()),
        host_login: Some(false),
        ssh_agent: Some(SshAgent::Off),
        image: None,
        dockerfile: None,
    }
}

/// Lays layers over each other, the later ones on top, and tells where each value comes from. Environments are joined
/// by name, protected and masked paths, mounts and the lists of egress are joined, everything else is replaced; what a host's
/// source means for its strength, [`EgressLayers`] knows. Of `variant`, `image` and `dockerfile` the topmost layer that has any decides.
#[must_use]
pub fn merge(layers: &[(ConfigSource, SandboxConfig)]) -> (SandboxConfig, BTreeMap<String, ConfigSource>) {
    let mut merged = defaults();
    let mut sources = BTreeMap::new();
    for (source, layer) in layers {
        let mut layer = layer.clone();
        if *source == ConfigSource::Project {
            layer.host_login = None;
            // Less than nothing is not to be had: who wants no network is not given one by a project.
            if layer.network == Some(Network::Gateway) && merged.network == Some(Network::None) {
                layer.network = None;
            }
        }
        if layer.variant.is_some() || layer.image.is_some() || layer.dockerfile.is_some() {
            for name in ["variant", "image", "dockerfile"] {
                sources.remove(name);
            }
            merged.image = None;
            merged.dockerfile = None;
        }
        macro_rules! over {
            ($($field:ident => $name:literal),+ $(,)?) => {
                $(if let Some(value) = layer.$field {
                    merged.$field = Some(value);
                    sources.insert($name.to_owned(), *source);
                })+
            };
        }
        over!(
            variant => "variant", image => "image", dockerfile => "dockerfile", lifetime => "lifetime",
            memory => "memory", cpus => "cpus", pids => "pids", nofile => "nofile", network => "network",
            workspace_path => "workspacePath", claude_args => "claudeArgs", host_login => "hostLogin",
            ssh_agent => "sshAgent",
        );
        if let Some(env) = layer.env {
            merged.env.get_or_insert_default().extend(env);
            sources.insert("env".to_owned(), *source);
        }
        if let Some(paths) = layer.protected_paths {
            merged.protected_paths.get_or_insert_default().extend(paths);
            sources.insert("protectedPaths".to_owned(), *source);
        }
        if let Some(paths) = layer.masked_paths {
            merged.masked_paths.get_or_insert_default().extend(paths);
            sources.insert("maskedPaths".to_owned(), *source);
        }
        if let Some(list) = layer.read_only_mounts {
            merged.read_only_mounts.get_or_insert_default().extend(list);
            sources.insert(mounts::SETTING.to_owned(), *source);
        }
        if layer.egress.is_some() {
            sources.insert("egress".to_owned(), *source);
        }
    }
    merged.egress = EgressLayers::of(layers).joined();
    (merged, sources)
}

/// Checks merged settings and gives them in the form that plans are made from.
///
/// # Errors
/// When a value is out of its range; the first one is named.
pub fn resolve(config: &SandboxConfig) -> Result<Resolved, ConfigError> {
    let memory = config.memory.as_deref().unwrap_or(DEFAULT_MEMORY);
    let memory_bytes = parse_bytes(memory)
        .ok_or_else(|| value_error("memory", format!("'{memory}' is not an amount like 8g or 512m")))?;
    if memory_bytes < LEAST_MEMORY {
        return Err(value_error("memory", format!("Claude Code needs at least {}", format_bytes(LEAST_MEMORY))));
    }
    let cpus = config.cpus.unwrap_or_default();
    if !cpus.is_finite() || !(0.0..=4096.0).contains(&cpus) || (cpus > 0.0 && cpus < 0.05) {
        return Err(value_error("cpus", "give 0 for all processors, or a number from 0.05 to 4096"));
    }
    let pids = at_least("pids", config.pids.unwrap_or(DEFAULT_PIDS), LEAST_PIDS)?;
    let nofile = at_least("nofile", config.nofile.unwrap_or(DEFAULT_NOFILE), LEAST_NOFILE)?;
    let env = config.env.clone().unwrap_or_default();
    for (name, value) in &env {
        check_env(name, value)?;
    }
    let protected_paths = config.protected_paths.clone().unwrap_or_default();
    for path in &protected_paths {
        if !is_inside(path) {
            return Err(value_error("protectedPaths", format!("'{path}' is not a path inside the project")));
        }
    }
    check_lists(config)?;
    Ok(Resolved {
        image: image_source(config)?,
        lifetime: config.lifetime.unwrap_or_default(),
        memory_bytes,
        nano_cpus: (cpus * 1e9).round() as u64,
        pids,
        nofile,
        network: config.network.unwrap_or(DEFAULT_NETWORK),
        workspace_path: config.workspace_path.unwrap_or_default(),
        env,
        protected_paths,
        masked_paths: config.masked_paths.clone().unwrap_or_default(),
        read_only_mounts: config.read_only_mounts.clone().unwrap_or_default(),
        claude_args: config.claude_args.clone().unwrap_or_default(),
        host_login: config.host_login.unwrap_or_default(),
        ssh_agent: config.ssh_agent.unwrap_or_default(),
    })
}

fn image_source(config: &SandboxConfig) -> Result<ImageSource, ConfigError> {
    match (&config.dockerfile, &config.image) {
        (Some(_), Some(_)) => Err(value_error("image", "give either `image` or `dockerfile`, not both")),
        (Some(path), None) if path != "auto" && !is_inside(path) => {
            Err(value_error("dockerfile", format!("'{path}' is not a path inside the project")))
        }
        (Some(path), None) => Ok(ImageSource::Dockerfile(path.clone())),
        (None, Some(image)) => {
            let is_reference =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '+');
            if image.is_empty() || image.len() > 512 || image.starts_with('-') || !image.chars().all(is_reference) {
                return Err(value_error("image", format!("{image:?} is not an image reference")));
            }
            Ok(ImageSource::Reference(image.clone()))
        }
        (None, None) => Ok(ImageSource::Variant(config.variant.unwrap_or_default())),
    }
}

fn at_least(setting: &'static str, value: u32, least: u32) -> Result<u32, ConfigError> {
    if value < least { Err(value_error(setting, format!("at least {least} are needed"))) } else { Ok(value) }
}

fn check_env(name: &str, value: &str) -> Result<(), ConfigError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
        return Err(value_error("env", format!("{name:?} is not a variable's name")));
    }
    if value.contains('\0') {
        return Err(value_error("env", format!("the value of {name} holds a NUL byte")));
    }
    if RESERVED_ENV.contains(&name) {
        return Err(value_error("env", format!("{name} is set by Boxwood")));
    }
    let upper = name.to_ascii_uppercase();
    if SECRET_MARKS.iter().any(|mark| upper.contains(mark)) {
        return Err(value_error(
            "env",
            format!("{name} looks like a secret, and the environment of a container can be inspected by others"),
        ));
    }
    Ok(())
}

/// Whether `path` is relative and stays inside.
#[must_use]
pub fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && !path.starts_with(['/', '\\'])
        && !path.contains(':')
        && path.split(['/', '\\']).all(|part| part != "..")
}

/// What the project's own layer asks for beyond the defaults, each in plain words; empty when it needs no approval. Of
/// mounts the daemon knows what they lead to, and says so ([`mounts::Asked::words`]).
#[must_use]
pub fn widens(project: &SandboxConfig) -> Vec<String> {
    let mut list = Vec::new();
    if let Some(image) = &project.image {
        list.push(format!("runs the image {image}"));
    }
    if let Some(dockerfile) = &project.dockerfile {
        list.push(format!("builds and runs {dockerfile}"));
    }
    for (name, value) in project.env.iter().flatten() {
        list.push(format!("sets {name} to {value:?}"));
    }
    if let Some(arguments) = project.claude_args.as_ref().filter(|arguments| !arguments.is_empty()) {
        list.push(format!("starts Claude with {arguments:?}"));
    }
    if let Some(memory) = project.memory.as_deref().filter(|memory| parse_bytes(memory) > parse_bytes(DEFAULT_MEMORY)) {
        list.push(format!("uses up to {memory} of memory"));
    }
    if let Some(pids) = project.pids.filter(|pids| *pids > DEFAULT_PIDS) {
        list.push(format!("runs up to {pids} processes"));
    }
    if let Some(nofile) = project.nofile.filter(|nofile| *nofile > DEFAULT_NOFILE) {
        list.push(format!("opens up to {nofile} files"));
    }
    if project.network == Some(Network::Open) {
        list.push("reaches everything that this machine can reach".to_owned());
    }
    if project.ssh_agent == Some(SshAgent::On) {
        list.push("has your SSH agent sign in and sign with your keys".to_owned());
    }
    list.extend(settings::widens(project));
    list
}

#[cfg(test)]
mod tests;
