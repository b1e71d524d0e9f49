//! The container that a sandbox's settings ask for.

use std::collections::BTreeMap;
use std::path::Path;

use boxwood_core::identity::Identity;
use boxwood_core::mounts::Mount as ReadOnly;
use boxwood_core::protect::Overlay;
use boxwood_core::{config::Resolved, labels, slug};
use boxwood_engine::{ContainerSpec, HealthSpec, Mount, NetworkMode};
use boxwood_protocol::config::{Lifetime, Network, WorkspacePath};

use crate::git::prepare::Inside;
use crate::lifecycle::place::Place;
use crate::lifecycle::{guard, login_home, overlay};
use crate::sys::User;

/// Where the runtime volume is mounted.
pub(crate) const RUNTIME: &str = "/opt/boxwood";
/// The helper.
pub(crate) const HELPER: &str = "/opt/boxwood/bin/boxwood-helper";
/// Home directory inside.
pub(crate) const HOME: &str = "/home/boxwood";
/// Claude's configuration directory inside.
pub(crate) const CLAUDE_CONFIG: &str = "/home/boxwood/.claude";
/// Where programs find the name server.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The host's certificate authorities inside, when it has some of its own.
const CERTIFICATES: &str = "/etc/boxwood/ca-bundle.pem";

/// What a container is made from.
pub(crate) struct Parts<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) resolved: &'a Resolved,
    pub(crate) user: User,
    /// Image id, and its name for a person.
    pub(crate) image_id: &'a str,
    pub(crate) image_name: &'a str,
    /// Environment of the image.
    pub(crate) image_env: &'a [String],
    pub(crate) runtime_volume: &'a str,
    pub(crate) claude_version: &'a str,
    /// The sandbox's home on the host.
    pub(crate) home: &'a str,
    /// Its login home on the host, when it holds a login of its own.
    pub(crate) login: Option<&'a Path>,
    pub(crate) overlays: &'a [Overlay],
    /// What of the host it can read beside the project.
    pub(crate) mounts: &'a [ReadOnly],
    /// The host's certificate authorities on the host.
    pub(crate) certificates: Option<&'a str>,
    /// Where it is on its own network, when that has a gateway.
    pub(crate) gateway: Option<Inner<'a>>,
    /// List of users on the host, when the image's lacks the person.
    pub(crate) passwd: Option<&'a str>,
    /// What it finds of git.
    pub(crate) git: Inside,
    pub(crate) installation: &'a str,
    pub(crate) config_hash: &'a str,
    pub(crate) trace: &'a str,
}

/// A network with a gateway.
#[derive(Clone, Copy)]
pub(crate) struct Inner<'a> {
    /// Name of the network.
    pub(crate) network: &'a str,
    pub(crate) place: Place,
    /// File on the host that names the gateway as name server.
    pub(crate) resolv_conf: &'a str,
}

/// Path of the project inside.
pub(crate) fn workspace(project: &str, path: WorkspacePath) -> String {
    match path {
        WorkspacePath::Same if project.starts_with('/') => project.to_owned(),
        _ => {
            let name = project.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or("project");
            format!("/workspaces/{name}")
        }
    }
}

/// The container.
pub(crate) fn container(parts: &Parts<'_>) -> ContainerSpec {
    let workspace = workspace(&parts.identity.project, parts.resolved.workspace_path);
    let mut command = vec![HELPER.to_owned(), "keep".to_owned()];
    if parts.resolved.lifetime == Lifetime::Ephemeral {
        command.push("--ephemeral".to_owned());
    }
    command.extend(guard::arguments(&workspace, parts.overlays));
    ContainerSpec {
        name: parts.identity.container(),
        image: parts.image_id.to_owned(),
        command,
        env: environment(parts, &workspace),
        labels: container_labels(parts, &workspace),
        user: parts.user.spec(),
        workdir: workspace.clone(),
        hostname: hostname(&parts.identity.id),
        mounts: mounts(parts, &workspace),
        memory_bytes: parts.resolved.memory_bytes,
        nano_cpus: parts.resolved.nano_cpus,
        pids: parts.resolved.pids,
        nofile: parts.resolved.nofile,
        network: match (&parts.gateway, parts.resolved.network) {
            (Some(inner), _) => {
                NetworkMode::Named { name: inner.network.to_owned(), ipv4: Some(inner.place.sandbox()) }
            }
            (None, Network::Open) => NetworkMode::Default,
            (None, Network::Gateway | Network::None) => NetworkMode::None,
        },
        // The guard is safe from the agent as the first process alone.
        without_init: true,
        // Also the engine's own name server inside would ask nobody else.
        dns: parts.gateway.iter().map(|inner| inner.place.gateway()).collect(),
        health: Some(HealthSpec {
            command: vec![HELPER.to_owned(), "health".to_owned(), "--workspace".to_owned(), workspace],
            interval_seconds: 30,
            timeout_seconds: 10,
            retries: 2,
        }),
        ..ContainerSpec::default()
    }
}

fn hostname(id: &str) -> String {
    id.chars().take(63).collect::<String>().trim_end_matches('-').to_owned()
}

fn environment(parts: &Parts<'_>, workspace: &str) -> BTreeMap<String, String> {
    let image: BTreeMap<&str, &str> = parts.image_env.iter().filter_map(|entry| entry.split_once('=')).collect();
    let mut env = parts.resolved.env.clone();
    let path = image.get("PATH").copied().unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    env.entry("PATH".to_owned()).or_insert_with(|| format!("{path}:{RUNTIME}/bin"));
    if !image.contains_key("LANG") {
        env.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
    }
    for (name, value) in &parts.git.variables {
        env.entry((*name).to_owned()).or_insert_with(|| value.clone());
    }
    let mut set = |name: &str, value: &str| {
        env.insert(name.to_owned(), value.to_owned());
    };
    set("HOME", HOME);
    set("CLAUDE_CONFIG_DIR", CLAUDE_CONFIG);
    if parts.login.is_some() {
        set(login_home::VARIABLE, login_home::STORAGE);
    }
    set("DISABLE_AUTOUPDATER", "1");
    set("BOXWOOD_SANDBOX", &parts.identity.id);
    set("BOXWOOD_WORKSPACE", workspace);
    if parts.user.uid == 0 {
        // Claude Code refuses to work unattended as root unless it is told that it is contained.
        set("IS_SANDBOX", "1");
    }
    if workspace != parts.identity.project
        && let Some(name) = slug::project_directory_override(&parts.identity.project)
    {
        set("CLAUDE_CODE_PROJECT_DIR_NAME", &name);
    }
    if parts.certificates.is_some() {
        for name in CERTIFICATE_VARIABLES {
            set(name, CERTIFICATES);
        }
    }
    env
}

/// Variables by which common tools are told of certificate authorities: a whole bundle each.
pub(crate) const CERTIFICATE_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
];

fn container_labels(parts: &Parts<'_>, workspace: &str) -> BTreeMap<String, String> {
    let lifetime = match parts.resolved.lifetime {
        Lifetime::Persistent => "persistent",
        Lifetime::Ephemeral => "ephemeral",
    };
    let network = match parts.resolved.network {
        Network::Gateway => "gateway",
        Network::Open => "open",
        Network::None => "none",
    };
    let subnet = parts.gateway.as_ref().map(|inner| inner.place.subnet()).unwrap_or_default();
    let read_only = serde_json::to_string(parts.mounts).ok().filter(|_| !parts.mounts.is_empty()).unwrap_or_default();
    [
        (labels::OWNER, parts.user.uid.to_string().as_str()),
        (labels::INSTALLATION, parts.installation),
        (labels::ROLE, "sandbox"),
        (labels::SANDBOX, &parts.identity.id),
        (labels::PROJECT, &parts.identity.project),
        (labels::SESSION, &parts.identity.session),
        (labels::WORKSPACE, workspace),
        (labels::CONFIG, parts.config_hash),
        (labels::VERSION, env!("CARGO_PKG_VERSION")),
        (labels::CLAUDE, parts.claude_version),
        (labels::IMAGE, parts.image_name),
        (labels::LIFETIME, lifetime),
        (labels::CLAUDE_ARGS, &serde_json::Value::from(parts.resolved.claude_args.clone()).to_string()),
        (labels::TRACE, parts.trace),
        (labels::NETWORK, network),
        (labels::SUBNET, &subnet),
        (labels::READ_ONLY_MOUNTS, &read_only),
    ]
    .into_iter()
    .filter(|(key, value)| ![labels::SUBNET, labels::READ_ONLY_MOUNTS].contains(key) || !value.is_empty())
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

fn mounts(parts: &Parts<'_>, workspace: &str) -> Vec<Mount> {
    let bind = |source: String, target: String, read_only: bool| Mount::Bind { source, target, read_only };
    let mut mounts = vec![
        Mount::Volume {
            name: parts.runtime_volume.to_owned(),
            target: RUNTIME.to_owned(),
            read_only: true,
            no_copy: true,
        },
        bind(parts.home.to_owned(), HOME.to_owned(), false),
        bind(parts.identity.project.clone(), workspace.to_owned(), false),
    ];
    mounts.extend(parts.login.into_iter().flat_map(login_home::mounts));
    mounts.extend(parts.certificates.map(|source| bind(source.to_owned(), CERTIFICATES.to_owned(), true)));
    mounts.extend(parts.gateway.map(|inner| bind(inner.resolv_conf.to_owned(), RESOLV_CONF.to_owned(), true)));
    mounts.extend(parts.passwd.map(|source| bind(source.to_owned(), "/etc/passwd".to_owned(), true)));
    mounts.extend(parts.git.mounts.iter().cloned());
    mounts.extend(parts.mounts.iter().map(|mount| bind(mount.source.clone(), mount.target.clone(), true)));
    mounts.extend(parts.overlays.iter().map(|overlay| {
        let source = overlay::source(&parts.identity.project, parts.home, overlay);
        bind(source, format!("{workspace}/{}", overlay.path), overlay.read_only)
    }));
    mounts
}
