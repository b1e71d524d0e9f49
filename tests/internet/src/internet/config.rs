//! What is served where.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// The whole of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// Private key of the authority, PEM.
    pub(crate) authority_key: String,
    /// Whether every packet is noted.
    #[serde(default)]
    pub(crate) is_watching: bool,
    /// Ports of web servers.
    #[serde(default)]
    pub(crate) http: Vec<u16>,
    /// Ports of web servers with TLS.
    #[serde(default)]
    pub(crate) https: Vec<u16>,
    /// Ports that give back what they get.
    #[serde(default)]
    pub(crate) echo: Vec<u16>,
    /// The same with datagrams.
    #[serde(default)]
    pub(crate) datagrams: Vec<u16>,
    /// What is behind a name; a name that is not here tells what it was asked.
    #[serde(default)]
    pub(crate) hosts: BTreeMap<String, Site>,
}

/// What is behind a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Site {
    /// The files of a directory.
    Files(PathBuf),
    /// The git repositories of a directory, for reading and for writing.
    Git(PathBuf),
    /// The same, for whoever knows a name and a password.
    GuardedGit {
        /// The directory.
        root: PathBuf,
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Another server, which gets what was in TLS.
    Forward(SocketAddr),
}
