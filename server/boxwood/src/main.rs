//! Boxwood in one program: the command line, the daemon (`boxwood daemon`) and the language server (`boxwood lsp`).

mod args;
mod consent;
mod context;
mod interrupt;
mod output;
mod secret;
mod session;
mod settings;
mod verbs;

use std::process::ExitCode;

use boxwood_protocol::{ErrorCode, RpcError};
use tracing_subscriber::EnvFilter;

use crate::args::Verb;
use crate::context::Context;
use crate::output::Screen;

fn main() -> ExitCode {
    leave_no_core();
    let arguments = args::parse();
    match arguments.verb {
        Verb::Lsp { .. } => boxwood_lsp::run(),
        Verb::Daemon(ref daemon) if daemon.verb.is_none() => verbs::daemon::serve(daemon),
        verb => {
            let screen = Screen::new(&arguments.global, &|name| std::env::var(name).ok());
            let context = Context { global: arguments.global, screen };
            command_line(verb, &context)
        }
    }
}

/// Credentials pass through every process of this program; when one dies badly, its memory is not to be left in a file.
fn leave_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};

        // Lowering a limit is refused to nobody.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

fn command_line(verb: Verb, context: &Context) -> ExitCode {
    if context.screen.verbose > 1 {
        let filter = EnvFilter::new("debug");
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
        drop(log);
    }
    // One thread is enough for one conversation, and quicker to start than several.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match &runtime {
        Ok(runtime) => runtime.block_on(verbs::perform(verb, context)),
        Err(error) => {
            Err(RpcError::new(ErrorCode::Internal, "the system gives no resources to start").caused_by(error))
        }
    };
    // A thread may still wait for a key that is not for us.
    if let Ok(runtime) = runtime {
        runtime.shutdown_background();
    }
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            context.screen.error(&error);
            ExitCode::from(error.code.exit_code())
        }
    }
}
