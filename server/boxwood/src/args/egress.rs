//! The verbs of `egress`.

use clap::Subcommand;

use super::TargetArguments;

#[derive(Debug, Subcommand)]
pub(crate) enum EgressVerb {
    /// Show the policy in force, rule by rule, and how it is enforced.
    Policy {
        #[command(flatten)]
        target: TargetArguments,
        /// Show the ready-made sets of hosts instead.
        #[arg(long, conflicts_with = "sandbox")]
        presets: bool,
    },
    /// Show the last decisions.
    Log {
        #[command(flatten)]
        target: TargetArguments,
        /// Go on with what is decided from now on.
        #[arg(long, short)]
        follow: bool,
        /// Only what was refused.
        #[arg(long, short)]
        blocked: bool,
        /// How many from the end.
        #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1000))]
        tail: u32,
    },
    /// Say what would become of a connection; nothing is sent.
    Test {
        /// Name or address, and the port when it is not 443: NAME[:PORT].
        host: String,
        #[command(flatten)]
        target: TargetArguments,
        /// HTTP method, for rules about methods.
        #[arg(long)]
        method: Option<String>,
        /// HTTP path, for rules about paths.
        #[arg(long)]
        path: Option<String>,
    },
    /// Allow a host in this project from now on.
    Allow {
        /// NAME, *.NAME or NAME:PORT.
        host: String,
        #[command(flatten)]
        target: TargetArguments,
        /// Only until the sandbox stops.
        #[arg(long, conflicts_with = "once")]
        for_session: bool,
        /// Only the connections that wait now.
        #[arg(long)]
        once: bool,
    },
    /// Refuse a host in this project from now on.
    Deny {
        /// NAME, *.NAME or NAME:PORT.
        host: String,
        #[command(flatten)]
        target: TargetArguments,
        /// Only the connections that wait now, and others for a minute.
        #[arg(long)]
        once: bool,
    },
    /// Take back what was decided for a host, or with '*' everything; files and flags stay as they are.
    Forget {
        /// As it was decided.
        host: String,
        #[command(flatten)]
        target: TargetArguments,
    },
    /// Show the connections that wait for an answer, and on a terminal ask for it.
    Ask {
        #[command(flatten)]
        target: TargetArguments,
        /// Go on with those that come from now on.
        #[arg(long, short)]
        follow: bool,
    },
    /// Let everything through for a while, at most an hour; 'off' ends it.
    Bypass {
        /// For example 10m, 90s, 1h, or off.
        #[arg(value_name = "TIME", value_parser = crate::settings::time)]
        seconds: u32,
        #[command(flatten)]
        target: TargetArguments,
    },
}
