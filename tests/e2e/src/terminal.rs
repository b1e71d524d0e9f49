//! A real terminal, made by util-linux's `script`, and what a person would read on it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::wait::PATIENCE;
use crate::world::{World, program};

/// A program on a terminal of 40 rows, and 120 columns unless another width is asked for.
#[derive(Debug)]
pub struct Terminal {
    script: Child,
    keys: ChildStdin,
    seen: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
    pid_file: PathBuf,
}

impl Terminal {
    /// Runs the program under test with these plain words on a new terminal.
    ///
    /// # Panics
    /// When there is no `script`.
    #[must_use]
    pub fn open(world: &World, words: &str) -> Self {
        Self::sized(world, words, 120)
    }

    /// The same on one of another width, for example so wide that an address stands on one line.
    ///
    /// # Panics
    /// When there is no `script`.
    #[must_use]
    pub fn sized(world: &World, words: &str, columns: u16) -> Self {
        Self::run(world, &format!("exec '{}' {words}", program().display()), columns)
    }

    /// The same, and then these lines of a shell, which say how the terminal was left. It outlives Ctrl-C.
    ///
    /// # Panics
    /// When there is no `script`.
    #[must_use]
    pub fn open_then(world: &World, words: &str, lines: &str) -> Self {
        let line = format!("trap : INT; '{}' {words}; status=$?; {lines}; exit $status", program().display());
        Self::run(world, &line, 120)
    }

    fn run(world: &World, line: &str, columns: u16) -> Self {
        let pid_file = tempfile::Builder::new().prefix("client-").tempfile_in(world.root()).expect("a file");
        let pid_file = pid_file.into_temp_path().keep().expect("a file");
        let line = format!("stty rows 40 cols {columns}; echo $$ >'{}'; {line}", pid_file.display());
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .envs(world.environment().iter().map(|(name, value)| (name, value)))
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .current_dir(world.project())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("script starts");
        let seen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let mut output = script.stdout.take().expect("a pipe");
        let shown = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                shown.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
                shown.1.notify_all();
            }
        });
        let keys = script.stdin.take().expect("a pipe");
        Self { script, keys, seen, reader: Some(reader), pid_file }
    }

    /// Waits until `text` shows. Blanks are left out of account: programs move the cursor instead of writing them.
    ///
    /// # Panics
    /// When it never shows; says what did.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let wanted = without_blanks(text);
        let seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, timeout) = self
            .seen
            .1
            .wait_timeout_while(seen, PATIENCE, |seen| !without_blanks(&readable(seen)).contains(&wanted))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "'{text}' never showed; there was:\n{}", readable(&seen));
    }

    /// What a person could have read on it so far.
    #[must_use]
    pub fn shown(&self) -> String {
        readable(&self.seen.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything that was written to it so far, with what only steers.
    #[must_use]
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.seen.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Presses keys.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).and_then(|()| self.keys.flush()).expect("the terminal takes keys");
    }

    /// Number of the process that runs on it.
    #[must_use]
    pub fn client(&self) -> u32 {
        crate::until("the client's number", || fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok())
    }

    /// Waits for the end of the program and gives its status. All that it wrote shows then.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn wait(&mut self) -> i32 {
        let ended = || self.script.try_wait().expect("it can be waited for");
        let status = crate::until("the end of the program on the terminal", ended);
        let read = || self.reader.as_ref().is_none_or(JoinHandle::is_finished).then_some(());
        crate::until("the end of what it wrote", read);
        self.reader = None;
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// What is written, without what only steers.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => {
                    let end = characters.find(|c| ('@'..='~').contains(c));
                    if end == Some('H') {
                        shown.push('\n');
                    }
                }
                // A title or the like, up to a bell or a string terminator.
                Some(']' | 'P' | '_' | '^') => {
                    while let Some(c) = characters.next() {
                        if c == '\u{7}' || c == '\u{1b}' && characters.next_if_eq(&'\\').is_some() {
                            break;
                        }
                    }
                }
                Some('(' | ')') => drop(characters.next()),
                _ => {}
            },
            character if character.is_control() && character != '\n' => {}
            character => shown.push(character),
        }
    }
    shown
}
