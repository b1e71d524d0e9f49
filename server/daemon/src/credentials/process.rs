//! Running a program that prints a secret: bounded in time and output, and nothing of it is left running.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use boxwood_core::credentials::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::guarded::Bytes;

/// What a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How long.
    pub(crate) time: Duration,
    /// How many bytes of output.
    pub(crate) output: usize,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit status; none when a signal ended it.
    pub(crate) status: Option<i32>,
    /// Its standard output.
    pub(crate) output: Bytes,
}

/// Why there was no whole run.
#[derive(Debug)]
pub(crate) enum RunError {
    /// It does not start.
    NotStarted(io::Error),
    /// It did not end in time.
    TookTooLong,
    /// It printed more than it may.
    SaidTooMuch,
}

/// Runs a program. `input` is given to its standard input; what it says on standard error is dropped, because it could repeat
/// what it was given.
pub(crate) async fn run(mut command: Command, input: Option<&Secret>, bounds: Bounds) -> Result<Ran, RunError> {
    command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    // A group of its own, so that what it starts can be ended with it.
    #[cfg(unix)]
    command.process_group(0);
    let child = command.spawn().map_err(RunError::NotStarted)?;
    let mut group = Group::of(child);
    match tokio::time::timeout(bounds.time, talk(&mut group.child, input, bounds.output)).await {
        Ok(ran) => {
            group.is_over = ran.is_ok();
            ran
        }
        Err(_) => Err(RunError::TookTooLong),
    }
}

async fn talk(child: &mut Child, input: Option<&Secret>, most: usize) -> Result<Ran, RunError> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // A program that does not want it may close its end; its status says how it went.
            let _ = stdin.write_all(input.reveal().as_bytes()).await;
            let _ = stdin.shutdown().await;
        }
    };
    let read = async {
        let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
        let mut rest = stdout.map(|stdout| stdout.take(most as u64 + 1));
        if let Some(rest) = &mut rest {
            rest.read_to_end(&mut bytes).await.map_err(RunError::NotStarted)?;
        }
        if bytes.len() > most { Err(RunError::SaidTooMuch) } else { Ok(bytes) }
    };
    let ((), output) = tokio::join!(write, read);
    let output = output?;
    let status = child.wait().await.map_err(RunError::NotStarted)?;
    Ok(Ran { status: status.code(), output })
}

/// A program with whatever it started, which ends with it unless the run is over.
struct Group {
    child: Child,
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
    is_over: bool,
}

impl Group {
    fn of(child: Child) -> Self {
        Self {
            #[cfg(unix)]
            leader: child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())),
            child,
            is_over: false,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        #[cfg(unix)]
        if let Some(leader) = self.leader {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }
}

/// A command as a person would type it, run by the system's own shell.
pub(super) fn shell(command: &str) -> Command {
    #[cfg(unix)]
    {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]);
        shell
    }
    #[cfg(windows)]
    {
        let mut shell = Command::new("cmd.exe");
        // As it is: quoting is the person's own.
        shell.args(["/d", "/s", "/c"]).raw_arg(format!("\"{command}\""));
        shell
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { time: Duration::from_secs(20), output: 16 };

    #[tokio::test]
    async fn output_and_status_are_given_and_input_arrives() {
        let ran = run(shell("cat; exit 3"), Some(&Secret::new("value".into())), BOUNDS).await.expect("ran");
        assert_eq!((ran.status, ran.output.as_slice()), (Some(3), b"value".as_slice()));
        let ran = run(shell("exec 0<&-; echo x"), Some(&Secret::new("v".repeat(1 << 20))), BOUNDS).await.expect("ran");
        assert_eq!((ran.status, ran.output.as_slice()), (Some(0), b"x\n".as_slice()));
        assert!(matches!(run(Command::new("/nonexistent/x"), None, BOUNDS).await, Err(RunError::NotStarted(_))));
    }

    #[tokio::test]
    async fn what_talks_without_end_or_does_not_end_is_ended_with_what_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let pids = directory.path().join("pids");
        let is_gone = |pids: &std::path::Path| {
            let text = std::fs::read_to_string(pids).expect("written");
            let pids: Vec<i32> = text.split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
            assert_eq!(pids.len(), 2);
            pids.into_iter().filter_map(rustix::process::Pid::from_raw).collect::<Vec<_>>()
        };
        let both = |end: &str| format!("sleep 300 & echo $! >{0}; echo $$ >>{0}; {end}", pids.display());
        assert!(matches!(run(shell(&both("yes")), None, BOUNDS).await, Err(RunError::SaidTooMuch)));
        wait_until_gone(&is_gone(&pids)).await;
        let bounds = Bounds { time: Duration::from_secs(2), ..BOUNDS };
        assert!(matches!(run(shell(&both("wait")), None, bounds).await, Err(RunError::TookTooLong)));
        wait_until_gone(&is_gone(&pids)).await;
    }

    async fn wait_until_gone(pids: &[rustix::process::Pid]) {
        for pid in pids {
            let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
            // A killed process is gone, or waits as a zombie for whoever became its parent.
            let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
            let wait = async {
                while !is_gone() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it ended");
        }
    }
}
