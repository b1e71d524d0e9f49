//! Where the engine is: the same order of places that the `docker` command looks in.
//!
//! [`resolve`] decides from what [`Surroundings`] tells it, so every case is a plain test;
//! [`Endpoint::from_environment`] hands it this process.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::EngineError;

/// Where the Docker command keeps the engine's socket unless told otherwise.
#[cfg(not(windows))]
const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";
#[cfg(windows)]
const DEFAULT_ENDPOINT: &str = "npipe:////./pipe/docker_engine";

/// Port of an engine that listens on TCP without TLS.
const PLAIN_PORT: u16 = 2375;

/// What an engine listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port, without TLS.
    Tcp {
        /// Name or address; an IPv6 address without its brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Windows named pipe, for example `\\.\pipe\docker_engine`.
    Pipe(String),
}

/// An engine's address and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// What it listens on.
    pub address: Address,
    /// `DOCKER_HOST`, `context NAME` or `default`.
    pub source: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Address::Pipe(path) => write!(f, "npipe://{}", path.replace('\\', "/")),
        }
    }
}

impl Endpoint {
    /// Understands an engine's URL: `unix://`, `tcp://`, `http://` or `npipe://`.
    ///
    /// # Errors
    /// [`EngineError::Endpoint`] for anything else, with what works instead.
    pub fn parse(url: &str, source: impl Into<String>) -> Result<Self, EngineError> {
        let unusable = |reason: &str| EngineError::Endpoint { endpoint: url.to_owned(), reason: reason.to_owned() };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unusable("it has no scheme such as unix://"))?;
        let address = match scheme {
            "unix" if rest.starts_with('/') => Address::Unix(PathBuf::from(rest)),
            "unix" => return Err(unusable("the socket's path must be absolute, as in unix:///var/run/docker.sock")),
            "npipe" => Address::Pipe(rest.replace('/', "\\")),
            "tcp" | "http" => parse_tcp(rest).ok_or_else(|| unusable("it is not of the form tcp://HOST:PORT"))?,
            "https" => return Err(unusable("TLS is not supported; use the engine's socket or an unencrypted port")),
            "ssh" => {
                return Err(unusable(
                    "engines over ssh are not supported; forward the socket with \
                     `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST` and set \
                     DOCKER_HOST=unix:///tmp/docker.sock",
                ));
            }
            _ => return Err(unusable("only unix://, tcp:// and npipe:// are supported")),
        };
        Ok(Self { address, source: source.into() })
    }

    /// The endpoint that the `docker` command of this process's environment would use.
    ///
    /// # Errors
    /// [`EngineError::Endpoint`] when it cannot be used.
    pub fn from_environment() -> Result<Self, EngineError> {
        resolve(&Surroundings {
            env: &|name| std::env::var(name).ok(),
            read: &|path| std::fs::read_to_string(path).ok(),
            exists: &|path| path.exists(),
        })
    }
}

fn parse_tcp(rest: &str) -> Option<Address> {
    let authority = rest.trim_end_matches('/');
    if authority.is_empty() || authority.contains(['/', '@', '?', '#']) {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map_or(Ok(PLAIN_PORT), str::parse).ok()?;
    let host = if host.is_empty() { "localhost" } else { host };
    Some(Address::Tcp { host: host.to_owned(), port })
}

/// What [`resolve`] may look at.
pub struct Surroundings<'a> {
    /// An environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A file's text; `None` when it cannot be read.
    pub read: &'a dyn Fn(&Path) -> Option<String>,
    /// Whether a path exists.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

impl Surroundings<'_> {
    fn set(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    fn home(&self) -> Option<PathBuf> {
        self.set("HOME").or_else(|| self.set("USERPROFILE")).map(PathBuf::from)
    }

    fn config_directory(&self) -> Option<PathBuf> {
        self.set("DOCKER_CONFIG").map(PathBuf::from).or_else(|| self.home().map(|home| home.join(".docker")))
    }
}

/// Decides which engine is meant.
///
/// # Errors
/// [`EngineError::Endpoint`] when the one that is meant cannot be used. It is never replaced by another.
pub fn resolve(surroundings: &Surroundings<'_>) -> Result<Endpoint, EngineError> {
    if let Some(host) = surroundings.set("DOCKER_HOST") {
        let endpoint = Endpoint::parse(&host, "DOCKER_HOST")?;
        let asks_tls = surroundings.set("DOCKER_TLS_VERIFY").is_some() || surroundings.set("DOCKER_TLS").is_some();
        if asks_tls && matches!(endpoint.address, Address::Tcp { .. }) {
            return Err(tls_unsupported(host));
        }
        return Ok(endpoint);
    }
    let context = surroundings.set("DOCKER_CONTEXT").or_else(|| current_context(surroundings));
    match context.as_deref() {
        None | Some("default") => default_endpoint(surroundings),
        Some(name) => context_endpoint(surroundings, name),
    }
}

fn tls_unsupported(endpoint: String) -> EngineError {
    EngineError::Endpoint {
        endpoint,
        reason: "TLS is not supported; use the engine's socket or an unencrypted port".to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommandConfig {
    current_context: Option<String>,
}

fn current_context(surroundings: &Surroundings<'_>) -> Option<String> {
    let text = (surroundings.read)(&surroundings.config_directory()?.join("config.json"))?;
    let config: CommandConfig = serde_json::from_str(&text).ok()?;
    config.current_context.filter(|name| !name.is_empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    #[serde(default)]
    endpoints: ContextEndpoints,
}

#[derive(Default, Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
}

fn context_endpoint(surroundings: &Surroundings<'_>, name: &str) -> Result<Endpoint, EngineError> {
    let unusable =
        |reason: &str| EngineError::Endpoint { endpoint: format!("context {name}"), reason: reason.to_owned() };
    let directory = surroundings.config_directory().ok_or_else(|| unusable("there is no home directory"))?;
    let contexts = directory.join("contexts");
    // The Docker command names a context's directory by the digest of its name.
    let key: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let text = (surroundings.read)(&contexts.join("meta").join(&key).join("meta.json"))
        .ok_or_else(|| unusable("no such context; `docker context ls` shows those that exist"))?;
    let meta: ContextMeta = serde_json::from_str(&text).map_err(|_| unusable("its description is not understood"))?;
    let host = meta.endpoints.docker.map(|docker| docker.host).unwrap_or_default();
    if host.is_empty() {
        return default_endpoint(surroundings);
    }
    let endpoint = Endpoint::parse(&host, format!("context {name}"))?;
    let has_tls = (surroundings.exists)(&contexts.join("tls").join(&key).join("docker"));
    if has_tls && matches!(endpoint.address, Address::Tcp { .. }) {
        return Err(tls_unsupported(host));
    }
    Ok(endpoint)
}

fn default_endpoint(surroundings: &Surroundings<'_>) -> Result<Endpoint, EngineError> {
    let usual = Endpoint::parse(DEFAULT_ENDPOINT, "default")?;
    let Address::Unix(path) = &usual.address else { return Ok(usual) };
    if (surroundings.exists)(path) {
        return Ok(usual);
    }
    let rootless = surroundings.set("XDG_RUNTIME_DIR").map(|directory| Path::new(&directory).join("docker.sock"));
    let desktop = surroundings.home().map(|home| home.join(".docker/run/docker.sock"));
    let other = rootless.into_iter().chain(desktop).find(|path| (surroundings.exists)(path));
    Ok(match other {
        Some(path) => Endpoint { address: Address::Unix(path), source: "default".to_owned() },
        None => usual,
    })
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
