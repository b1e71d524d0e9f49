//! The command line, as clap reads it. What the verbs do stands in [`crate::verbs`].

use std::path::PathBuf;

use boxwood_protocol::config::{ImageVariant, Network, SshAgent};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Start Claude Code in a sandbox of the current directory:  boxwood start
Exit statuses and the form of --json are described in docs/cli.md.";

/// Sandboxes for Claude Code.
#[derive(Debug, Parser)]
#[command(name = "boxwood", version, styles = STYLES, after_help = AFTER_HELP, propagate_version = true)]
#[command(infer_subcommands = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArguments {
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Project directory [default: the current directory].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Session of the project, for several sandboxes of one project [default: default].
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) session: Option<String>,
    /// Whether to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// Say more: once for all output of builds, twice for what passes between the processes.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Bring the project's sandbox to life and attach to Claude in it.
    Start(StartArguments),
    /// Attach to Claude in a running sandbox; Ctrl+] d leaves it working.
    Attach(AttachArguments),
    /// Run a command in a running sandbox.
    #[command(override_usage = "boxwood exec [OPTIONS] [SANDBOX] -- <COMMAND>...")]
    Exec(ExecArguments),
    /// Bring the project's sandbox to life and run a command in it.
    #[command(override_usage = "boxwood run [OPTIONS] -- <COMMAND>...")]
    Run(RunArguments),
    /// Stop a sandbox; its workspace and state stay.
    Stop(TargetArguments),
    /// Stop and start a sandbox.
    Restart(TargetArguments),
    /// Make a sandbox's container anew; workspace and state stay.
    Refresh(RefreshArguments),
    /// Remove a sandbox; its conversations stay on disk.
    #[command(visible_alias = "rm")]
    Remove(RemoveArguments),
    /// List the sandboxes.
    #[command(visible_alias = "ls")]
    List(ListArguments),
    /// Show everything that is known of a sandbox.
    Inspect(InspectArguments),
    /// Show what a sandbox's main process wrote.
    Logs(LogsArguments),
    /// Show processor, memory and network use of the running sandboxes.
    Stats(StatsArguments),
    /// Remove what no sandbox uses any more: stopped sandboxes, old images, leftovers.
    Prune(PruneArguments),
    /// Remove every sandbox, volume and image that Boxwood made; state on disk stays.
    CleanupAll(CleanupArguments),
    /// Build and list the images of sandboxes.
    #[command(subcommand)]
    Image(ImageVerb),
    /// List devcontainer templates and put one into a project.
    #[command(subcommand)]
    Template(TemplateVerb),
    /// Look after what sandboxes may reach: policy, decisions, questions.
    #[command(subcommand)]
    Egress(EgressVerb),
    /// Look after Claude's credentials: whose, from where, and what sandboxes hold.
    #[command(subcommand)]
    Credentials(CredentialsVerb),
    /// Look after your git credentials in sandboxes: for which hosts they are given.
    #[command(subcommand)]
    Git(GitVerb),
    /// Sign in to Claude, with nothing installed here.
    Login(LoginArguments),
    /// Examine engine, permissions, image, disk and versions.
    Doctor,
    /// Look after the background process that owns the sandboxes' state.
    Daemon(DaemonArguments),
    /// Print a script that teaches a shell to complete boxwood's commands.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Serve an editor over standard input and output.
    Lsp {
        /// Accepted because editors pass it; there is no other way.
        #[arg(long, hide = true)]
        stdio: bool,
    },
}

/// Which sandbox.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArguments {
    /// Id or container name, or an unambiguous beginning [default: the project's sandbox].
    #[arg(value_name = "SANDBOX")]
    pub(crate) sandbox: Option<String>,
}

/// Settings for one start, as in the configuration file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings of the sandbox")]
pub(crate) struct SettingArguments {
    /// Agent image.
    #[arg(long, value_name = "NAME", value_parser = crate::settings::variant, conflicts_with_all = ["image", "dockerfile"])]
    pub(crate) variant: Option<ImageVariant>,
    /// Image to run instead of an agent image.
    #[arg(long, value_name = "REFERENCE", conflicts_with = "dockerfile")]
    pub(crate) image: Option<String>,
    /// Dockerfile to build and run instead, relative to the project; 'auto' takes the first that exists.
    #[arg(long, value_name = "FILE")]
    pub(crate) dockerfile: Option<String>,
    /// Most memory, for example 8g or 512m.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
    /// Most processors; fractions are allowed, 0 means all.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) cpus: Option<f64>,
    /// Most processes and threads.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) pids: Option<u32>,
    /// Most open files per process.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) nofile: Option<u32>,
    /// Network of the sandbox: gateway for what the policy allows, open for everything, none for nothing at all.
    #[arg(long, value_name = "MODE", value_parser = crate::settings::network)]
    pub(crate) network: Option<Network>,
    /// Allow a host behind the gateway: name, *.name or name:port.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow: Vec<String>,
    /// Refuse a host behind the gateway: name, *.name or name:port.
    #[arg(long, value_name = "HOST")]
    pub(crate) deny: Vec<String>,
    /// Allow a ready-made set of hosts; 'boxwood egress policy --presets' lists them.
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Vec<String>,
    /// Remove the sandbox when Claude ends; conversations stay on disk.
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Environment variable of the sandbox; without a value, the one it has here. Not for secrets.
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Let the sandbox read a file or directory of this machine, never write it.
    #[arg(long, value_name = "SOURCE[:TARGET]")]
    pub(crate) read_only_mount: Vec<String>,
    /// Let the sandbox use the login of Claude Code on this machine: its access token, never what renews it.
    #[arg(long)]
    pub(crate) host_login: bool,
    /// Let the sandbox ask the SSH agent of this machine, or not.
    #[arg(long, value_name = "WHEN", value_parser = crate::settings::ssh_agent, num_args = 0..=1, default_missing_value = "on", require_equals = true)]
    pub(crate) ssh_agent: Option<SshAgent>,
    /// Approve the project's configuration file as it stands.
    #[arg(long)]
    pub(crate) approve_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Project directory [default: the current directory].
    #[arg(value_name = "PROJECT", conflicts_with = "project")]
    pub(crate) directory: Option<PathBuf>,
    /// Do not attach.
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Continue the last conversation, if Claude is not running yet.
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) settings: SettingArguments,
    /// Further arguments for Claude Code.
    #[arg(last = true, value_name = "CLAUDE ARGUMENTS")]
    pub(crate) claude_args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Open a shell beside Claude instead.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) shell: bool,
    /// Continue the last conversation, if Claude is not running yet.
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Program and arguments; no shell is involved.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) settings: SettingArguments,
    /// Program and arguments; no shell is involved.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    #[command(flatten)]
    pub(crate) settings: SettingArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Also delete its home with conversations and login. Cannot be undone.
    #[arg(long)]
    pub(crate) purge_state: bool,
    #[command(flatten)]
    pub(crate) consent: ConsentArguments,
}

/// Answers a question before it is asked.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ConsentArguments {
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only the ids, one a line.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Show the configuration in force for the project, and where each value comes from.
    #[arg(long, conflicts_with = "sandbox")]
    pub(crate) config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Go on with what is written from now on.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many lines from the end.
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) tail: u32,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArguments {
    /// Id or container name, or an unambiguous beginning [default: every running sandbox].
    #[arg(value_name = "SANDBOX")]
    pub(crate) sandbox: Option<String>,
    /// Go on with a reading about once a second.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Show instead how often each kind of operation ran, how it ended and how long it took.
    #[arg(long, conflicts_with_all = ["sandbox", "follow"])]
    pub(crate) operations: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArguments {
    /// Only say what would be removed.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CleanupArguments {
    /// Only say what would be removed.
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) consent: ConsentArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    /// Build an agent image unless one of the same content exists.
    Build {
        /// Which one: slim, full, rust or python.
        #[arg(default_value = "slim", value_parser = crate::settings::variant)]
        variant: ImageVariant,
        /// Build even if it exists, without the engine's cache.
        #[arg(long)]
        no_cache: bool,
    },
    /// List the images that Boxwood built.
    #[command(visible_alias = "ls")]
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TemplateVerb {
    /// List the templates and their options.
    #[command(visible_alias = "ls")]
    List,
    /// Write a template into the project; an existing file is never changed.
    Insert {
        /// Id of the template.
        template: String,
        /// Value of an option.
        #[arg(long, short, value_name = "NAME=VALUE")]
        option: Vec<String>,
        /// Only say what would be written.
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DaemonArguments {
    #[command(subcommand)]
    pub(crate) verb: Option<DaemonVerb>,
    /// Descriptor to report on that it listens, which makes it a background process; only 1 is supported.
    #[arg(long, hide = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1))]
    pub(crate) ready_fd: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonVerb {
    /// Say how the daemon is; it is not started for this.
    Status,
    /// Ask the daemon to leave; sandboxes keep running.
    Stop {
        /// Even while operations run; they are cancelled and undone first.
        #[arg(long)]
        force: bool,
    },
}

mod credentials;
mod egress;
mod git;
mod login;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use credentials::{CredentialsVerb, WhoseArguments};
pub(crate) use egress::EgressVerb;
pub(crate) use git::GitVerb;
pub(crate) use login::LoginArguments;
pub(crate) use parse::{parse, shown};
