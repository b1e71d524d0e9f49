//! One file per group of verbs. A verb gives the exit status of the process, or an error that has its own.

pub(crate) mod credentials;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod egress;
pub(crate) mod exec;
pub(crate) mod git;
pub(crate) mod image;
pub(crate) mod inspect;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod prune;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod template;

use boxwood_protocol::RpcError;

use crate::args::Verb;
use crate::context::Context;

/// Exit status, or an error that has its own.
pub(crate) type Outcome = Result<u8, RpcError>;

/// Does what was asked.
pub(crate) async fn perform(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Start(arguments) => start::start(arguments, context).await,
        Verb::Attach(arguments) => exec::attach(arguments, context).await,
        Verb::Exec(arguments) => exec::exec(arguments, context).await,
        Verb::Run(arguments) => start::run(arguments, context).await,
        Verb::Stop(arguments) => lifecycle::stop(arguments, context).await,
        Verb::Restart(arguments) => lifecycle::restart(arguments, context).await,
        Verb::Refresh(arguments) => lifecycle::refresh(arguments, context).await,
        Verb::Remove(arguments) => lifecycle::remove(arguments, context).await,
        Verb::List(arguments) => list::list(&arguments, context).await,
        Verb::Inspect(arguments) => inspect::inspect(arguments, context).await,
        Verb::Logs(arguments) => logs::logs(arguments, context).await,
        Verb::Stats(arguments) => stats::stats(arguments, context).await,
        Verb::Prune(arguments) => prune::prune(&arguments, context).await,
        Verb::CleanupAll(arguments) => prune::cleanup_all(&arguments, context).await,
        Verb::Image(verb) => image::image(verb, context).await,
        Verb::Template(verb) => template::template(verb, context).await,
        Verb::Egress(verb) => egress::egress(verb, context).await,
        Verb::Credentials(verb) => credentials::credentials(verb, context).await,
        Verb::Git(verb) => git::git(verb, context).await,
        Verb::Login(arguments) => login::login(arguments, context).await,
        Verb::Doctor => doctor::doctor(context).await,
        Verb::Daemon(arguments) => daemon::daemon(&arguments, context).await,
        Verb::Completions { shell } => completions(shell, context),
        // A role of its own, which main has taken before.
        Verb::Lsp { .. } => Ok(0),
    }
}

fn completions(shell: clap_complete::Shell, context: &Context) -> Outcome {
    let mut command = <crate::args::Arguments as clap::CommandFactory>::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "boxwood", &mut script);
    context.screen.print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
