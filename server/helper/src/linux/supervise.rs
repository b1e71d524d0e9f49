//! `supervise`: stands between the multiplexer and claude (not called by people).
//!
//! It tells the main process when claude begins and ends, wakes a claude that suspended itself where no shell could
//! resume it, and keeps a failed start on the screen long enough to be read.

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::linux::error::Error;
use crate::linux::session_dir::SessionDir;
use crate::linux::signals::{self, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SignalPipe};

/// Ending with an error this soon means that it did not really start.
const EARLY: Duration = Duration::from_secs(10);

/// A message that nobody reads must not keep a session for ever.
const MESSAGE_STAYS: Duration = Duration::from_secs(60);

/// Runs the command until it ends; exits as it did (128 + signal for a signal).
pub(crate) fn run(args: Vec<OsString>) -> Result<ExitCode, Error> {
    let mut args = args.into_iter().skip_while(|arg| arg == "--");
    let program = args.next().ok_or_else(|| Error::Usage("supervise needs a command".to_owned()))?;
    // Keys reach claude directly, as both are in the terminal's foreground group; they must not end this process first.
    let _keys = SignalPipe::catching(&[SIGINT, SIGQUIT])?;
    let mut events = Events::catch()?;

    let mut session = SessionDir::of_current_user()?.announce()?;
    let started = Instant::now();
    let status = match start(&program, args) {
        Ok(child) => wait_for(child, &mut events)?,
        Err(error) => {
            eprintln!("boxwood-helper: {error}");
            127
        }
    };
    // The main process reads this when the pipe closes. A full pipe means nobody has read for long; never mind.
    let _ = session.write(&[status]);
    drop(session);
    if status != 0 && started.elapsed() < EARLY && !events.was_ended {
        show_failure(&program, status, &events)?;
    }
    Ok(ExitCode::from(status))
}

/// The child's number stays its own until [`collect`] has seen it end.
fn start(program: &OsStr, args: impl IntoIterator<Item = OsString>) -> Result<Pid, Error> {
    let child = Command::new(program).args(args).spawn();
    let child = child.map_err(|source| Error::Exec { program: program.into(), source })?;
    Ok(Pid::from_child(&child))
}

/// What happens while claude runs.
struct Events {
    child_changed: SignalPipe,
    suspended: SignalPipe,
    hung_up: SignalPipe,
    terminated: SignalPipe,
    /// Whether somebody wanted claude to end.
    was_ended: bool,
}

impl Events {
    fn catch() -> Result<Self, Error> {
        Ok(Self {
            child_changed: SignalPipe::catching(&[SIGCHLD])?,
            suspended: SignalPipe::catching(&[SIGTSTP])?,
            hung_up: SignalPipe::catching(&[SIGHUP])?,
            terminated: SignalPipe::catching(&[SIGTERM])?,
            was_ended: false,
        })
    }
}

fn wait_for(child: Pid, events: &mut Events) -> Result<u8, Error> {
    // An error means that the child is gone already, which the next round sees.
    let pass_on = |signal| rustix::process::kill_process(child, signal).unwrap_or_default();
    loop {
        if let Some(status) = collect(child)? {
            return Ok(status);
        }
        let sources = [&events.child_changed, &events.suspended, &events.hung_up, &events.terminated];
        signals::wait(&mut sources.map(SignalPipe::poll_entry), None)?;
        events.child_changed.take();
        // Claude suspends its whole group and waits to be resumed. The kernel stops no group that has no shell above
        // it, so the signal to resume would never come.
        if events.suspended.take() {
            pass_on(Signal::CONT);
        }
        // These two come to one process only: the first one of the terminal, or the one that was named.
        if events.hung_up.take() {
            events.was_ended = true;
            pass_on(Signal::HUP);
        }
        if events.terminated.take() {
            events.was_ended = true;
            pass_on(Signal::TERM);
        }
    }
}

/// The exit status if the child has ended. One that was stopped is woken: there is no shell to say `fg` to.
fn collect(child: Pid) -> Result<Option<u8>, Error> {
    let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
    loop {
        match rustix::process::waitpid(Some(child), options) {
            Ok(None) => return Ok(None),
            Ok(Some((_, status))) if status.stopped() => {
                rustix::process::kill_process(child, Signal::CONT).unwrap_or_default();
            }
            Ok(Some((_, status))) => return Ok(Some(as_shell_status(status))),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::system("wait for claude", error)),
        }
    }
}

fn as_shell_status(status: WaitStatus) -> u8 {
    let number = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn show_failure(program: &OsStr, status: u8, events: &Events) -> Result<(), Error> {
    let stdin = std::io::stdin();
    let mut line = [0; 256];
    eprintln!("\r\n{} ended with status {status}. Press Enter to close.", program.display());
    let mut entries = [PollFd::new(&stdin, PollFlags::IN), events.hung_up.poll_entry()];
    signals::wait(&mut entries, Some(MESSAGE_STAYS))?;
    if entries[0].revents().contains(PollFlags::IN) {
        let _ = stdin.lock().read(&mut line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Signals are of the whole process, and so would reach the commands of tests beside.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    fn check(script: &str, expected: u8) {
        let _turn = ONE_AT_A_TIME.lock();
        let mut events = Events::catch().expect("signals");
        let child = start(OsStr::new("/bin/sh"), ["-c".into(), script.into()]).expect("child");
        assert_eq!(wait_for(child, &mut events).expect("wait"), expected);
    }

    #[test]
    fn it_exits_as_the_command_did() {
        check("exit 0", 0);
        check("exit 42", 42);
        check("kill -TERM $$", 143);
    }

    #[test]
    fn a_command_that_suspends_its_group_is_resumed() {
        // Sent to this process alone: its group is the test runner's.
        let script = "tail -f /dev/null & trap 'kill $!; exit 9' CONT; kill -TSTP $PPID; wait";
        check(script, 9);
    }

    #[test]
    fn a_hang_up_is_passed_on() {
        check("tail -f /dev/null & trap 'kill $!; exit 7' HUP; kill -HUP $PPID; wait", 7);
    }

    #[test]
    fn a_command_that_stops_itself_is_woken() {
        check("kill -STOP $$; exit 5", 5);
        check("kill -STOP $$; kill -STOP $$; exit 6", 6);
    }
}
