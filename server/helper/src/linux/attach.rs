//! `attach`: shows claude's session on this terminal, starting it when there is none.
//!
//! The multiplexer does the work; this chooses its arguments and leaves.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use crate::linux::error::Error;
use crate::linux::root::Root;
use crate::linux::session_dir::SessionDir;
use crate::linux::surroundings::{self, Variables};
use crate::linux::tools::{self, Tool};
use crate::linux::{shell, terminal};

const CONFIG: &str = include_str!("tmux.conf");

/// What the person asked for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    session: Session,
    /// Which conversation claude opens, as its own arguments.
    conversation: Vec<OsString>,
    extra: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Claude,
    Shell,
}

impl Session {
    fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Shell => "shell",
        }
    }
}

/// Replaces this process by the multiplexer's client; returns only the reason why it could not.
pub(crate) fn run(root: &Root, args: Vec<OsString>) -> Error {
    match try_run(root, args) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn try_run(root: &Root, args: Vec<OsString>) -> Result<std::convert::Infallible, Error> {
    let request = parse(args)?;
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Error::NoTerminal);
    }
    let directory = SessionDir::of_current_user()?;
    let config = directory.write_config(CONFIG)?;
    let variables = surroundings::of_session(root);
    let is_too_late = !request.conversation.is_empty() && has_session(root, &directory, request.session);

    let mut tmux = tools::command(root, Tool::Tmux)?;
    tmux.envs(variables.iter().map(|(name, value)| (*name, value)));
    tmux.env("TERM", terminal::usable_type(variable("TERM").as_deref(), variable("HOME").as_deref(), &root.terminfo()));
    tmux.args(client_arguments(directory.socket(), config, variable("COLORTERM").as_deref()));
    tmux.args(["new-session", "-A", "-s", request.session.name(), "--"]);
    tmux.args(session_command(root, &request, &variables).into_iter().map(as_plain_word));
    if is_too_late {
        tmux.args([";", "display-message", "-d", "6000"]);
        tmux.arg("claude is already running here; end it (/exit) to open another conversation");
    }
    let source = tmux.exec();
    Err(Error::Exec { program: root.bin("tmux"), source })
}

fn parse(args: Vec<OsString>) -> Result<Request, Error> {
    let mut request = Request { session: Session::Claude, conversation: Vec::new(), extra: Vec::new() };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--shell") => request.session = Session::Shell,
            Some("--continue") => request.conversation = vec![arg],
            Some("--resume") => {
                let id = args.next().filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| Error::Usage("--resume needs the id of a conversation".to_owned()))?;
                request.conversation = vec![arg, id];
            }
            Some("--") => request.extra = args.by_ref().collect(),
            _ => return Err(Error::Usage(format!("attach does not know '{}'", arg.display()))),
        }
    }
    let is_for_claude = !request.conversation.is_empty() || !request.extra.is_empty();
    if request.session == Session::Shell && is_for_claude {
        return Err(Error::Usage("--shell takes no arguments for claude".to_owned()));
    }
    Ok(request)
}

/// Arguments before the multiplexer's own command.
fn client_arguments(socket: PathBuf, config: PathBuf, color_term: Option<&OsStr>) -> Vec<OsString> {
    // Engines do not carry COLORTERM into a container, so only a terminal that names something else is doubted.
    let shows_true_colour = color_term.is_none_or(|value| value == "truecolor" || value == "24bit");
    let features = if shows_true_colour { "256,RGB" } else { "256" };
    let mut arguments: Vec<OsString> = vec!["-u".into(), "-T".into(), features.into()];
    arguments.extend(["-S".into(), socket.into(), "-f".into(), config.into()]);
    arguments
}

/// What runs inside a new session. More than one word, so that no shell reads it.
fn session_command(root: &Root, request: &Request, variables: &Variables) -> Vec<OsString> {
    let helper = root.bin("boxwood-helper").into();
    match request.session {
        Session::Claude => {
            let mut command: Vec<OsString> = vec![helper, "supervise".into(), "--".into(), root.claude().into()];
            command.push("--dangerously-skip-permissions".into());
            command.extend(request.conversation.iter().chain(&request.extra).cloned());
            command
        }
        Session::Shell => {
            let path = variables.iter().find(|(name, _)| *name == "PATH").map(|(_, path)| path.clone());
            let shell = shell::for_person(root, &path.unwrap_or_default(), &shell::is_executable);
            vec![helper, "exec".into(), "--".into(), shell.into()]
        }
    }
}

/// The multiplexer takes a semicolon at a word's end for the end of its command.
fn as_plain_word(word: OsString) -> OsString {
    let Some(rest) = word.as_bytes().strip_suffix(b";") else { return word };
    let mut escaped = rest.to_vec();
    escaped.extend_from_slice(b"\\;");
    OsString::from_vec(escaped)
}

fn has_session(root: &Root, directory: &SessionDir, session: Session) -> bool {
    let Ok(mut tmux) = tools::command(root, Tool::Tmux) else { return false };
    tmux.arg("-S").arg(directory.socket()).args(["has-session", "-t", session.name()]);
    tmux.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    tmux.status().is_ok_and(|status| status.success())
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_follows_the_request() {
        let root = Root::new("/nowhere");
        let check = |args: &str, expected: &str| {
            let request = parse(words(args)).expect("request");
            let variables: Variables = vec![("PATH", "/nowhere".into())];
            assert_eq!(session_command(&root, &request, &variables), words(expected));
        };
        let claude = "/nowhere/bin/boxwood-helper supervise -- claude --dangerously-skip-permissions";
        check("", claude);
        check("--continue", &format!("{claude} --continue"));
        check("--resume 12-ab -- --model x", &format!("{claude} --resume 12-ab --model x"));
        check("--shell", "/nowhere/bin/boxwood-helper exec -- /nowhere/bin/bash");
    }

    #[test]
    fn a_wrong_request_is_refused() {
        for args in ["--resume", "--shell --continue", "--shell -- x", "--frobnicate", "claude"] {
            assert!(matches!(parse(words(args)), Err(Error::Usage(_))), "{args}");
        }
    }

    #[test]
    fn a_word_never_ends_the_multiplexers_command() {
        let check = |word: &str, expected: &str| assert_eq!(as_plain_word(word.into()), OsString::from(expected));
        check("plain", "plain");
        check("a;b", "a;b");
        check("fix it;", "fix it\\;");
        check(";", "\\;");
    }

    #[test]
    fn true_colour_is_assumed_unless_denied() {
        let check = |color_term: Option<&str>, expected: &str| {
            let arguments = client_arguments("/s".into(), "/c".into(), color_term.map(OsStr::new));
            assert_eq!(arguments, words(&format!("-u -T {expected} -S /s -f /c")));
        };
        check(None, "256,RGB");
        check(Some("truecolor"), "256,RGB");
        check(Some("24bit"), "256,RGB");
        check(Some("256"), "256");
    }
}
