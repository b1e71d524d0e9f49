//! What a sandbox finds of git when it starts.

use std::path::PathBuf;

use boxwood_core::config::Resolved;
use boxwood_core::git::carry;
use boxwood_engine::Mount;
use boxwood_protocol::config::SshAgent;

use super::agent;
use crate::daemon::Daemon;
use crate::error::Result;
use crate::files;
use crate::lifecycle::spec::HELPER;

/// Where the directory with the configuration is inside.
const INSIDE: &str = "/etc/boxwood/git";
/// The configuration in it.
const CONFIGURATION: &str = "gitconfig";

/// What runs it: bundled, because an image may have no shell.
const SHELL: &str = "/opt/boxwood/bin/bash";
/// The program in it that answers what git and others ask a person.
const ASKPASS: &str = "askpass";

/// What a container is made with on account of git.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inside {
    pub(crate) mounts: Vec<Mount>,
    pub(crate) variables: Vec<(&'static str, String)>,
}

fn directory(daemon: &Daemon, sandbox: &str) -> PathBuf {
    daemon.paths.sandbox(sandbox).join("git")
}

/// What a container is to be made with. The directories are those of [`write`].
pub(crate) fn inside(daemon: &Daemon, sandbox: &str, resolved: &Resolved) -> Inside {
    let source = directory(daemon, sandbox).to_string_lossy().into_owned();
    // A directory, not a file: one that is replaced whole would stay the old one inside.
    let mut inside = Inside {
        mounts: vec![Mount::Bind { source, target: INSIDE.to_owned(), read_only: true }],
        variables: vec![
            ("GIT_CONFIG_SYSTEM", format!("{INSIDE}/{CONFIGURATION}")),
            ("GIT_ASKPASS", format!("{INSIDE}/{ASKPASS}")),
        ],
    };
    if resolved.ssh_agent == SshAgent::On
        && let Some(mount) = agent::mount(daemon, sandbox)
    {
        inside.mounts.push(mount);
        inside.variables.push(("SSH_AUTH_SOCK", agent::SOCKET.to_owned()));
    }
    inside
}

/// Writes what a sandbox finds, as the person's configuration is now. `resolved` is absent where a container that is
/// there is started. Gives what the person should know.
pub(crate) async fn write(daemon: &Daemon, sandbox: &str, resolved: Option<&Resolved>) -> Result<Vec<String>> {
    let own = directory(daemon, sandbox);
    files::private_directory(&own)?;
    let wants_agent = match resolved {
        Some(resolved) => resolved.ssh_agent == SshAgent::On,
        None => daemon.registry.get(sandbox).is_some_and(|known| agent::is_mounted(&known.detail)),
    };
    let problem = if wants_agent { agent::prepare(daemon, sandbox).await? } else { None };
    let identity = daemon.git.host.identity().await?;
    let key = identity.key_file().and_then(|path| daemon.git.host.key(path));
    let carried =
        carry(&identity, key.as_deref(), wants_agent && problem.is_none(), &format!("{HELPER} git-credential"));
    files::write_if_different(&own.join(CONFIGURATION), carried.configuration.as_bytes())?;
    // The variable takes the name of a program and no arguments.
    let askpass = format!("#!{SHELL}\nexec {HELPER} git-askpass \"$@\"\n");
    files::write_program(&own.join(ASKPASS), askpass.as_bytes())?;
    let mut warnings: Vec<String> = problem.into_iter().collect();
    warnings.extend(carried.warnings);
    Ok(warnings)
}
