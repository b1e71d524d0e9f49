//! The verbs of `git`.

use clap::Subcommand;

use super::TargetArguments;

#[derive(Debug, Subcommand)]
pub(crate) enum GitVerb {
    /// Show which hosts the project's sandboxes get your git credentials for, and which requests wait.
    #[command(visible_alias = "ls")]
    Approvals {
        #[command(flatten)]
        target: TargetArguments,
    },
    /// Let the project's sandboxes have your git credential for a host from now on.
    Allow {
        /// NAME or NAME:PORT.
        host: String,
        #[command(flatten)]
        target: TargetArguments,
    },
    /// Refuse your git credential for a host from now on, without asking.
    Deny {
        /// NAME or NAME:PORT.
        host: String,
        #[command(flatten)]
        target: TargetArguments,
    },
    /// Take back what was decided for a host: the next request asks again.
    Revoke {
        /// As it was decided.
        host: String,
        #[command(flatten)]
        target: TargetArguments,
    },
}
