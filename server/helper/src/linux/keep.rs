//! `keep`: the sandbox's main process. Sleeps until it is told to end, then ends the session gently.

use std::ffi::OsString;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::WaitOptions;

use crate::linux::error::Error;
use crate::linux::guard;
use crate::linux::root::Root;
use crate::linux::session_dir::{Listener, SessionDir};
use crate::linux::signals::{self, SIGCHLD, SIGINT, SIGTERM, SignalPipe};
use crate::linux::tools::{self, Tool};

/// How long claude may take to put its state away. Engines kill everything ten seconds after asking.
const GRACE: Duration = Duration::from_secs(8);

/// A supervisor that was killed leaves no status; its session did not end well.
const STATUS_OF_KILLED: u8 = 137;

/// Why the main process may leave.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Asked,
    SessionEnded { status: u8 },
}

/// Exits 0 after a signal; with `--ephemeral` also after claude's session, with claude's exit status.
pub(crate) fn run(root: &Root, args: Vec<OsString>) -> Result<ExitCode, Error> {
    let mut is_ephemeral = false;
    let mut guarded = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--ephemeral") => is_ephemeral = true,
            Some("--guard") => {
                let path = args.next().ok_or_else(|| Error::Usage("--guard needs a path".to_owned()))?;
                guarded.push(path.into());
            }
            _ => return Err(Error::Usage(format!("keep does not know '{}'", arg.display()))),
        }
    }
    guard::begin(guarded)?;
    let mut asked = SignalPipe::catching(&[SIGTERM, SIGINT])?;
    let mut dead = SignalPipe::catching(&[SIGCHLD])?;
    let directory = SessionDir::of_current_user()?;
    let mut listener = directory.listen()?;
    match wait(&mut asked, &mut dead, &mut listener, is_ephemeral)? {
        Ending::SessionEnded { status } => Ok(ExitCode::from(status)),
        Ending::Asked => {
            ask_session_to_end(root, &directory);
            wait_for_session(&mut dead, &mut listener, GRACE)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn wait(
    asked: &mut SignalPipe,
    dead: &mut SignalPipe,
    listener: &mut Listener,
    is_ephemeral: bool,
) -> Result<Ending, Error> {
    loop {
        bury(dead);
        // The session's pipe stays ready after an end, so a persistent sandbox does not watch it.
        let has_news = if is_ephemeral {
            let mut entries = [asked.poll_entry(), dead.poll_entry(), listener.poll_entry()];
            signals::wait(&mut entries, None)?;
            !entries[2].revents().is_empty()
        } else {
            signals::wait(&mut [asked.poll_entry(), dead.poll_entry()], None)?;
            false
        };
        if asked.take() {
            return Ok(Ending::Asked);
        }
        if has_news && !listener.is_session_running()? {
            return Ok(Ending::SessionEnded { status: listener.last_status().unwrap_or(STATUS_OF_KILLED) });
        }
    }
}

/// Collects what has ended. The first process of a container inherits whatever loses its parent.
fn bury(dead: &mut SignalPipe) {
    if dead.take() {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

/// Ending the multiplexer hangs up every terminal in it, which is how claude learns that it should leave.
fn ask_session_to_end(root: &Root, directory: &SessionDir) {
    if !directory.socket().exists() {
        return;
    }
    let tmux = tools::command(root, Tool::Tmux).and_then(|mut tmux| {
        tmux.arg("-S").arg(directory.socket()).arg("kill-server");
        // A socket without a server is usual after a crash; that there is nothing to end is no news.
        tmux.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It is collected like everything else that ends, and what it does is waited for by its effect.
        tmux.spawn().map_err(|error| Error::system("start tmux", error))
    });
    if let Err(error) = tmux {
        eprintln!("boxwood-helper: the session was not asked to end: {error}");
    }
}

fn wait_for_session(dead: &mut SignalPipe, listener: &mut Listener, limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    while listener.is_session_running()? {
        bury(dead);
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            eprintln!("boxwood-helper: claude has not ended within {} seconds", limit.as_secs());
            return Ok(());
        }
        signals::wait(&mut [listener.poll_entry(), dead.poll_entry()], Some(left))?;
    }
    Ok(())
}
