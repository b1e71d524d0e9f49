//! The logins that sandboxes hold something of: login homes, and the one of Claude Code on this machine.

use std::path::PathBuf;

use boxwood_protocol::credentials::CredentialSource;
use boxwood_protocol::{ErrorCode, RpcError};

use super::hold::LOGIN;
use super::sync::Holder;
use crate::claude_directory::ClaudeDirectory;
use crate::credentials::host::{self, Login};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::lifecycle::login_home;

/// Where a login is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A login home, by its name.
    Home(String),
    /// Claude Code's own on this machine.
    Host,
}

impl Origin {
    /// The one that a sandbox has a source's login from; none for sources that have no login.
    pub(crate) fn of(daemon: &Daemon, sandbox: &str, source: CredentialSource) -> Option<Self> {
        match source {
            CredentialSource::LoginHome => Some(Self::Home(login_home::name(daemon, sandbox))),
            source => Self::of_new(source),
        }
    }

    /// The one that a new sandbox would have.
    pub(crate) fn of_new(source: CredentialSource) -> Option<Self> {
        match source {
            CredentialSource::LoginHome => Some(Self::Home(LOGIN.to_owned())),
            CredentialSource::HostLogin => Some(Self::Host),
            _ => None,
        }
    }

    /// Its source.
    pub(crate) const fn source(&self) -> CredentialSource {
        match self {
            Self::Home(_) => CredentialSource::LoginHome,
            Self::Host => CredentialSource::HostLogin,
        }
    }

    /// The directory of its credential file and of the locks around it.
    pub(crate) fn storage(&self, daemon: &Daemon) -> PathBuf {
        match self {
            Self::Home(name) => daemon.sources.logins().join(name).join(".claude"),
            Self::Host => daemon.sources.claude().storage().to_path_buf(),
        }
    }

    /// What reads and writes its credential file. A login home is shared by agents, so nothing there is followed.
    pub(crate) fn holder(&self, daemon: &Daemon) -> Result<Box<dyn Holder + Send + Sync>> {
        Ok(match self {
            Self::Home(name) => Box::new(ClaudeDirectory::open(&daemon.sources.logins().join(name))?),
            Self::Host => daemon.sources.claude().holder(),
        })
    }

    /// The login, as it is now.
    pub(crate) async fn login(&self, daemon: &Daemon) -> Result<Option<Login>> {
        let login = match self {
            Self::Home(name) => host::login_home(daemon.sources.logins(), name).await,
            Self::Host => daemon.sources.claude().login().await,
        };
        login.map_err(|trouble| RpcError::new(ErrorCode::CredentialUnusable, trouble.reason))
    }
}
