//! `git-channel`: where git inside asks, and the way out to the daemon, which holds this program's standard streams.
//!
//! A sandbox may have no route to the host, so the daemon starts this inside and reads what it writes. Who asks speaks
//! git's own lines on a socket in a directory that only the sandbox's user enters; the daemon decides, and nothing that
//! it answers is kept. Every question is one line of JSON, and so is every answer.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::linux::error::Error;
use crate::linux::git_credential::Attributes;
use crate::linux::session_dir::SessionDir;

/// Most bytes of one question or answer.
const MOST: u64 = 64 * 1024;
/// Questions at the same time.
const CROWD: usize = 16;
/// How long whoever connects has to say what he wants.
const SPEECH: Duration = Duration::from_secs(5);
/// How long an answer is waited for; the person has a minute.
const PATIENCE: Duration = Duration::from_secs(75);

/// A question to the daemon.
#[derive(Debug, Serialize)]
struct Question<'a> {
    id: u64,
    #[serde(flatten)]
    attributes: &'a Attributes,
}

/// The daemon's answer. It has no `Debug`, so that none of it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    id: u64,
    username: Option<String>,
    password: Option<String>,
    refused: Option<String>,
}

impl Answer {
    fn refusal(why: &str) -> Self {
        Self { refused: Some(why.to_owned()), ..Self::default() }
    }

    /// As lines. What would make further lines of one is not passed on.
    fn lines(&self) -> String {
        let fields = [("username", &self.username), ("password", &self.password), ("refused", &self.refused)];
        let lines = fields.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref().filter(|value| !value.contains(['\n', '\r', '\0']))?;
            Some(format!("{name}={value}\n"))
        });
        lines.collect()
    }
}

#[derive(Default)]
struct Channel {
    waiting: Mutex<HashMap<u64, Sender<Answer>>>,
    next: AtomicU64,
    crowd: AtomicUsize,
}

impl Channel {
    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a question on and waits for its answer.
    fn ask(&self, attributes: &Attributes) -> Answer {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = channel();
        self.waiting().insert(id, sender);
        let said = serde_json::to_string(&Question { id, attributes }).map_err(std::io::Error::from).and_then(|line| {
            let mut output = std::io::stdout().lock();
            writeln!(output, "{line}")?;
            output.flush()
        });
        let answer = match said {
            Ok(()) => answer.recv_timeout(PATIENCE).unwrap_or_else(|_| Answer::refusal("nobody answered in time")),
            Err(_) => Answer::refusal("Boxwood does not listen"),
        };
        self.waiting().remove(&id);
        answer
    }

    fn serve(&self, mut stream: UnixStream) {
        let _ = stream.set_read_timeout(Some(SPEECH));
        let _ = stream.set_write_timeout(Some(SPEECH));
        let answer = match Attributes::read(&mut stream) {
            Ok(attributes) => self.ask(&attributes),
            Err(_) => Answer::refusal("that is no question of git's"),
        };
        // Who asked may be gone.
        let _ = stream.write_all(answer.lines().as_bytes());
    }
}

/// Serves until the daemon goes away.
pub(crate) fn run() -> Result<ExitCode, Error> {
    let directory = SessionDir::of_current_user()?;
    let path = directory.git_socket();
    let listener = bind(&path)?;
    let own = inode(&path);
    let channel = Arc::new(Channel::default());
    let server = Arc::clone(&channel);
    std::thread::spawn(move || accept(&server, &listener));
    // The daemon waits for a sign that it can be asked.
    println!("{{\"ready\":true}}");
    let _ = std::io::stdout().flush();
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut line = Vec::new();
    while let Ok(1..) = input.by_ref().take(MOST).read_until(b'\n', &mut line) {
        if let Ok(answer) = serde_json::from_slice::<Answer>(&line)
            && let Some(asked) = channel.waiting().remove(&answer.id)
        {
            let _ = asked.send(answer);
        }
        line.clear();
    }
    // A daemon that was started anew has begun another one already; what is there by now may be that one's.
    if inode(&path) == own {
        let _ = std::fs::remove_file(&path);
    }
    Ok(ExitCode::SUCCESS)
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|found| found.ino())
}

fn bind(path: &Path) -> Result<UnixListener, Error> {
    // What an earlier one left: nobody listens there any more, or the daemon has let go of it.
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).map_err(|cause| Error::io("listen on", path, cause))
}

fn accept(channel: &Arc<Channel>, listener: &UnixListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        if channel.crowd.fetch_add(1, Ordering::Relaxed) >= CROWD {
            channel.crowd.fetch_sub(1, Ordering::Relaxed);
            let _ = stream.write_all(Answer::refusal("too many ask at once").lines().as_bytes());
            continue;
        }
        let channel = Arc::clone(channel);
        std::thread::spawn(move || {
            channel.serve(stream);
            channel.crowd.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_makes_no_further_lines() {
        let answer = |text: &str| serde_json::from_str::<Answer>(text).expect("an answer").lines();
        assert_eq!(answer(r#"{"id":1,"username":"a","password":"b=c"}"#), "username=a\npassword=b=c\n");
        assert_eq!(answer(r#"{"id":1,"username":"a","password":"b\nhost=x"}"#), "username=a\n");
        assert_eq!(answer(r#"{"id":1,"refused":"no","later":1}"#), "refused=no\n");
    }

    #[test]
    fn a_question_is_one_line() {
        let text = "protocol=https\nhost=example.com\npath=a\"b\n\n";
        let attributes = Attributes::read(&mut text.as_bytes()).expect("a question");
        let line = serde_json::to_string(&Question { id: 7, attributes: &attributes }).expect("json");
        assert_eq!(line, r#"{"id":7,"protocol":"https","host":"example.com","path":"a\"b"}"#);
    }
}
