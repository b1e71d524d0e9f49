//! Commands on the host that print a credential: the person's own `apiKeyHelper`, and Google's for Vertex AI. They are run
//! only when the credential is needed, one at a time, and what they printed is used for a while, as Claude Code does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boxwood_core::credentials::Secret;
use boxwood_core::credentials::environment::usable;
use boxwood_core::credentials::select::Problem;
use tokio::sync::Mutex;

use super::process::{self, Bounds, RunError};

/// How long what was printed is used when nothing else is said.
const USED_FOR: Duration = Duration::from_secs(300);
/// How long a command that failed is not run again: it may ask the person something each time.
const FAILED_FOR: Duration = Duration::from_secs(60);
/// What one run may take: a password manager may wait for a person.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(30), output: 64 * 1024 };

/// What printed it, when, and what it was.
struct Printed {
    command: String,
    at: Instant,
    outcome: Result<Secret, Problem>,
}

/// A command that prints a credential.
pub(super) struct Printer {
    what: &'static str,
    directory: PathBuf,
    used_for: Duration,
    bounds: Bounds,
    last: Mutex<Option<Printed>>,
}

impl Printer {
    /// Runs commands in `directory`; `what` names them in the log.
    pub(super) fn new(what: &'static str, directory: &Path, used_for: Option<Duration>) -> Self {
        let used_for = used_for.unwrap_or(USED_FOR);
        Self { what, directory: directory.to_path_buf(), used_for, bounds: BOUNDS, last: Mutex::default() }
    }

    #[cfg(all(test, unix))]
    fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// What the command prints, or printed a moment ago. Whoever asks while it runs waits for the same run.
    pub(super) async fn print(&self, command: &str) -> Result<Secret, Problem> {
        let mut last = self.last.lock().await;
        if let Some(printed) = last.as_ref().filter(|printed| self.counts(printed, command)) {
            return match &printed.outcome {
                Ok(value) => Ok(value.duplicate()),
                Err(problem) => Err(*problem),
            };
        }
        let outcome = self.run(command).await;
        let copy = match &outcome {
            Ok(value) => Ok(value.duplicate()),
            Err(problem) => Err(*problem),
        };
        *last = Some(Printed { command: command.to_owned(), at: Instant::now(), outcome });
        copy
    }

    /// Why it failed, when it did so a moment ago.
    pub(super) fn problem(&self, command: &str) -> Option<Problem> {
        // While it runs nothing is known yet.
        let last = self.last.try_lock().ok()?;
        let printed = last.as_ref().filter(|printed| self.counts(printed, command))?;
        printed.outcome.as_ref().err().copied()
    }

    /// Has it run again when it is next asked for: what it printed was refused.
    pub(super) async fn forget(&self) {
        *self.last.lock().await = None;
    }

    fn counts(&self, printed: &Printed, command: &str) -> bool {
        let lifetime = if printed.outcome.is_ok() { self.used_for } else { FAILED_FOR };
        printed.command == command && printed.at.elapsed() < lifetime
    }

    async fn run(&self, command: &str) -> Result<Secret, Problem> {
        let mut shell = process::shell(command);
        shell.current_dir(&self.directory);
        // Neither the command, which may have a secret in it, nor what it said goes into the log.
        let failed = |why: &str| {
            tracing::warn!(what = self.what, why, "a command that prints a credential failed");
            Problem::CommandFailed
        };
        let ran = process::run(shell, None, self.bounds).await.map_err(|cause| match cause {
            RunError::NotStarted(cause) => failed(&cause.to_string()),
            RunError::TookTooLong => failed("it did not end in time"),
            RunError::SaidTooMuch => failed("it printed more than a credential"),
        })?;
        match ran.status {
            Some(0) => {}
            Some(status) => return Err(failed(&format!("it ended with {status}"))),
            None => return Err(failed("it was killed")),
        }
        let text = std::str::from_utf8(&ran.output).map_err(|_| failed("it printed something that is not text"))?;
        if text.trim().is_empty() {
            return Err(failed("it printed nothing"));
        }
        usable(Secret::new(text.to_owned()))
    }
}

/// How long Claude Code would use what a helper printed, from its own variable.
pub(super) fn lifetime(lookup: &dyn Fn(&str) -> Option<String>) -> Option<Duration> {
    let milliseconds = lookup("CLAUDE_CODE_API_KEY_HELPER_TTL_MS")?;
    milliseconds.trim().parse().ok().map(Duration::from_millis)
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn printer(used_for: Option<Duration>) -> (tempfile::TempDir, Printer) {
        let directory = tempfile::tempdir().expect("a directory");
        let printer = Printer::new("test", directory.path(), used_for);
        (directory, printer)
    }

    #[tokio::test]
    async fn it_runs_once_for_all_who_ask_until_it_is_forgotten() {
        let (_directory, printer) = printer(None);
        let printer = Arc::new(printer);
        let command = "echo x >>runs; echo \" key-$(wc -l <runs | tr -d ' ') \"";
        let asked = (0..4).map(|_| {
            let printer = Arc::clone(&printer);
            tokio::spawn(async move { printer.print(command).await })
        });
        for asked in asked.collect::<Vec<_>>() {
            assert_eq!(asked.await.expect("ran").expect("printed").reveal(), "key-1");
        }
        printer.forget().await;
        assert_eq!(printer.print(command).await.expect("printed").reveal(), "key-2");
        let other = format!("{command} ");
        assert_eq!(printer.print(&other).await.expect("printed").reveal(), "key-3");
        assert_eq!(printer.problem(&other), None);
    }

    #[tokio::test]
    async fn claude_codes_own_variable_says_how_long_it_counts() {
        let lookup = |value: &'static str| lifetime(&move |_| Some(value.to_owned()));
        assert_eq!((lookup("0"), lookup(" 1500 ")), (Some(Duration::ZERO), Some(Duration::from_millis(1500))));
        assert_eq!((lookup("soon"), lookup("-1"), lifetime(&|_| None)), (None, None, None));
        let (_directory, printer) = printer(Some(Duration::ZERO));
        let command = "echo x >>runs; wc -l <runs | tr -d ' '";
        for expected in ["1", "2"] {
            assert_eq!(printer.print(command).await.expect("printed").reveal(), expected);
        }
    }

    #[tokio::test]
    async fn what_fails_says_so_for_a_while_and_is_not_repeated() {
        let check = |command: &'static str, expected: Problem| async move {
            let (_directory, printer) = printer(Some(Duration::ZERO));
            let time = if command.contains("sleep") { Duration::from_millis(500) } else { BOUNDS.time };
            let bounds = Bounds { time, output: 64 };
            let printer = printer.with_bounds(bounds);
            assert_eq!(printer.problem(command), None);
            assert_eq!(printer.print(command).await.expect_err(command), expected, "{command}");
            assert_eq!(printer.problem(command), Some(expected), "{command}");
            assert_eq!(printer.problem("another"), None);
        };
        check("echo s3cret; echo s3cret >&2; exit 1", Problem::CommandFailed).await;
        check("true", Problem::CommandFailed).await;
        check("kill -9 $$", Problem::CommandFailed).await;
        check("yes s3cret", Problem::CommandFailed).await;
        check("exec sleep 60", Problem::CommandFailed).await;
        check("printf '\\377'", Problem::CommandFailed).await;
        check("echo two words", Problem::NotAToken).await;
    }

    #[tokio::test]
    async fn a_failure_is_remembered_and_a_fresh_try_can_be_asked_for() {
        let (_directory, printer) = printer(None);
        let command = "test -e there && echo key || { touch there; exit 1; }";
        for _ in 0..2 {
            assert_eq!(printer.print(command).await.expect_err("failed"), Problem::CommandFailed);
        }
        printer.forget().await;
        assert_eq!(printer.print(command).await.expect("printed").reveal(), "key");
    }
}
