//! Dispatch: the name this program is called by decides first, the first argument second.

mod attach;
mod error;
mod git_askpass;
mod git_channel;
mod git_credential;
mod guard;
mod health;
mod keep;
mod manifest;
mod notice;
mod probe;
mod reach;
mod root;
mod seal;
mod session_dir;
mod shell;
mod signals;
mod supervise;
mod surroundings;
mod terminal;
mod tools;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use error::Error;

const USAGE: &str = "\
usage: boxwood-helper COMMAND

  keep [--ephemeral] [--guard PATH]…  be a sandbox's main process until SIGTERM (or until claude ends, or nothing is
                                      mounted at PATH any more: exit 79)
  attach [--continue | --resume ID] [-- CLAUDE ARGS]
                                      show claude's session, starting it when there is none
  attach --shell                      show a second session with a shell
  notice SECONDS TEXT                 show a line at the bottom of every session's screen for so long; without
                                      arguments, take it away
  exec -- COMMAND [ARGS]              run a command with the environment a session gets
  git-askpass PROMPT                  answer a program that asks for a name or a password for a URL, in the same way
  git-credential get|store|erase      answer git with a credential of the host, if the person allows it
  git-channel                         pass such questions on to whoever holds standard input and output
  health [--workspace DIR] [--min-free-mib N] [--timeout-seconds N]
                                      check the sandbox, JSON on stdout, exit 1 when unhealthy
  reach --gateway ADDRESS --subnet BLOCK --name NAME
                                      check that nothing but the gateway can be reached, JSON on stdout, exit 1 when
                                      something else can or the gateway does not answer
  image-healthcheck                   health of $BOXWOOD_WORKSPACE, else of the working directory
  seal [--root DIR]                   write manifest.json for a runtime volume
  verify [--root DIR]                 compare a runtime volume with its manifest.json, exit 1 on a difference

Inside a session, Ctrl+] then d detaches; claude goes on working. BOXWOOD_SESSION_DIR names another place than
/tmp/boxwood-UID for what a session leaves there.";

pub(crate) fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called_as = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    match dispatch(&called_as, args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("boxwood-helper: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("  {hint}");
            }
            error.exit_code()
        }
    }
}

fn dispatch(called_as: &OsString, args: Vec<OsString>) -> Result<ExitCode, Error> {
    let root = root::Root::of_this_program();
    let name = Path::new(called_as).file_name().unwrap_or_default();
    if let Some(tool) = tools::Tool::from_name(name) {
        return Err(tools::exec(&root, tool, args));
    }
    let mut args = args.into_iter();
    let command = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    match command.to_str() {
        Some("attach") => Err(attach::run(&root, rest)),
        Some("exec") => Err(surroundings::exec(&root, rest)),
        Some("git-askpass") => git_askpass::run(&rest),
        Some("git-channel") => git_channel::run(),
        Some("git-credential") => git_credential::run(&rest),
        Some("health") => health::run(&root, rest),
        Some("image-healthcheck") => health::run_for_image(&root, &rest),
        Some("keep") => keep::run(&root, rest),
        Some("notice") => notice::run(&root, &rest),
        Some("reach") => reach::run(rest),
        Some("seal") => seal::run(&root, rest),
        Some("supervise") => supervise::run(rest),
        Some("verify") => verify::run(&root, rest),
        Some("--version" | "-V") => {
            println!("boxwood-helper {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        Some("--help" | "-h" | "help") => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(Error::Usage(format!("unknown command '{}'\n{USAGE}", command.display()))),
    }
}
