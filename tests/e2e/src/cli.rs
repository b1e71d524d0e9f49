//! The command line: runs it, feeds it, bounds it in time, and reads what it says.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use boxwood_protocol::{ErrorCode, RpcError};
use serde::de::DeserializeOwned;

/// The first start on a machine downloads Claude and builds an image; the test runner's own limit lies above this.
const LONGEST: Duration = Duration::from_secs(280);

/// What was asked for is wrong or not there, and the message says what: only whoever asked knows what was meant.
const SPEAK_FOR_THEMSELVES: [ErrorCode; 4] =
    [ErrorCode::InvalidParams, ErrorCode::RequestTooLarge, ErrorCode::OperationNotFound, ErrorCode::LoginNotAsked];

/// A call that has not been made yet.
#[derive(Debug)]
pub struct Cli {
    command: Command,
    input: Option<Vec<u8>>,
    longest: Duration,
    words: String,
}

/// A call that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status as a shell has it: 128 and the signal's number after a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    words: String,
}

/// A call that goes on.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
    lines: Receiver<String>,
    longest: Duration,
    words: String,
    /// What it reads.
    pub stdin: Option<ChildStdin>,
}

impl Cli {
    /// A call of `program`.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let words = PathBuf::from(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { command: Command::new(program), input: None, longest: LONGEST, words }
    }

    /// With further arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.words.push(' ');
            self.words.push_str(&arg.as_ref().to_string_lossy());
            self.command.arg(arg);
        }
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With exactly these environment variables.
    #[must_use]
    pub fn only_env(mut self, variables: &[(OsString, OsString)]) -> Self {
        self.command.env_clear();
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    /// In another directory.
    #[must_use]
    pub fn within(mut self, directory: impl Into<PathBuf>) -> Self {
        self.command.current_dir(directory.into());
        self
    }

    /// Reading these bytes. Without this, it reads nothing.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Makes the call, with pipes for everything, and goes on.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(mut self) -> Running {
        let input = if self.input.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|cause| panic!("{} does not start: {cause}", self.words));
        let (sender, lines) = channel();
        let stdout = read_all(child.stdout.take().expect("a pipe"));
        let errors = child.stderr.take().expect("a pipe");
        let stderr = std::thread::spawn(move || {
            let (mut all, mut reader, mut line) = (Vec::new(), BufReader::new(errors), Vec::new());
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                all.extend_from_slice(&line);
                // Nobody may be listening any more.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                line.clear();
            }
            all
        });
        let mut stdin = child.stdin.take();
        if let Some(bytes) = self.input.take().filter(|bytes| !bytes.is_empty()) {
            let mut writer = stdin.take().expect("a pipe");
            // A reader that leaves early is the test's business to notice.
            std::thread::spawn(move || drop(writer.write_all(&bytes)));
        }
        Running { child, stdout, stderr, lines, longest: self.longest, words: self.words, stdin }
    }

    /// Makes the call and waits for its end.
    ///
    /// # Panics
    /// When it cannot be started or does not end in time.
    #[must_use]
    pub fn run(self) -> Finished {
        let mut running = self.spawn();
        running.stdin = None;
        running.wait()
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        // What was read before a fault is all that there is.
        let _ = from.read_to_end(&mut all);
        all
    })
}

impl Running {
    /// Number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that contains `text`.
    ///
    /// # Panics
    /// When it ends, or says nothing of the kind for long.
    pub fn wait_for_line(&self, text: &str) {
        loop {
            match self.lines.recv_timeout(self.longest) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{} never said '{text}'", self.words),
                Err(RecvTimeoutError::Disconnected) => panic!("{} ended without saying '{text}'", self.words),
            }
        }
    }

    /// Sends a signal, named as `kill` has it.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not end in time; it is killed then.
    #[must_use]
    pub fn wait(self) -> Finished {
        let Self { mut child, stdout, stderr, longest, words, stdin, lines } = self;
        drop((stdin, lines));
        let pid = child.id();
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(child.wait()));
        let status = match ended.recv_timeout(longest) {
            Ok(status) => status.unwrap_or_else(|cause| panic!("{words} cannot be waited for: {cause}")),
            Err(_) => {
                signal(pid, "KILL");
                panic!("{words} did not end within {} s", longest.as_secs());
            }
        };
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().unwrap_or_default());
        Finished { status: shell_status(status), stdout, stderr, words }
    }
}

/// Sends a signal to a process. That the process is gone by then is no fault.
///
/// # Panics
/// When there is no program to do so.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
    status.expect("there is a program named kill");
}

fn shell_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

impl Finished {
    /// Standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Itself, if it ended well.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status == 0, "{}", self.told("ended badly"));
        self
    }

    /// Standard output as the JSON of one result.
    ///
    /// # Panics
    /// When it did not end well or printed something else.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(self) -> T {
        let done = self.ok();
        serde_json::from_slice(&done.stdout)
            .unwrap_or_else(|cause| panic!("{}: {cause}", done.told("printed no result")))
    }

    /// The error in `--json` form.
    ///
    /// # Panics
    /// When it ended well, or the exit status is not the one that belongs to the error.
    #[must_use]
    #[track_caller]
    pub fn error(self) -> RpcError {
        let document: Option<serde_json::Value> = self
            .stderr
            .split(|byte| *byte == b'\n')
            .rfind(|line| !line.is_empty())
            .and_then(|line| serde_json::from_slice(line).ok());
        let error = document.and_then(|mut document| serde_json::from_value::<RpcError>(document["error"].take()).ok());
        let error = error.unwrap_or_else(|| panic!("{}", self.told("gave no error")));
        assert_eq!(self.status, i32::from(error.code.exit_code()), "{}", self.told("has another exit status"));
        error
    }

    /// Checks that it failed with `code`, and that the error names a next step.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn refused(self, code: ErrorCode) -> RpcError {
        let words = self.words.clone();
        let error = self.error();
        assert_eq!(error.code, code, "{words}: {error}");
        let is_said = error.hint.is_some() || !error.actions.is_empty() || SPEAK_FOR_THEMSELVES.contains(&code);
        assert!(is_said, "{words} names no next step: {error}");
        error
    }

    /// All that happened, for the message of a failed test.
    #[must_use]
    pub fn told(&self, what: &str) -> String {
        format!("{} {what}: status {}\n--- stdout\n{}\n--- stderr\n{}", self.words, self.status, self.out(), self.err())
    }
}
