//! The gateway as a process of its own: it gives up every right before it serves, and is talked to as by the daemon.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::Sender;

use boxwood_protocol::egress::EgressAction;
use boxwood_protocol::gateway::{Ask, Configure, MAX_LINE_BYTES, Notice, Request, Tell};

use super::{ADDRESS, Event, SUBNET};

/// The running gateway.
#[derive(Debug)]
pub struct Child {
    input: ChildStdin,
    asked: u64,
}

impl Child {
    /// Starts it. Its end and what it refuses become events.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(number: u64, events: Sender<Event>) -> io::Result<Self> {
        let mut process = Command::new("/proc/self/exe")
            .args(["run", "--subnet", SUBNET, "--address", &ADDRESS.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("it has no standard input and output"));
        };
        std::thread::Builder::new().name("gateway".to_owned()).spawn(move || {
            listen(output, &events);
            // Whoever does not talk any more is ended, if it did not end by itself.
            let _ = process.kill();
            let _ = process.wait();
            let _ = events.send(Event::Ended(number));
        })?;
        Ok(Self { input, asked: 0 })
    }

    /// Gives it a policy.
    ///
    /// # Errors
    /// When it is gone.
    pub fn configure(&mut self, configure: Configure) -> io::Result<()> {
        self.asked += 1;
        let request = Request { jsonrpc: "2.0".to_owned(), id: self.asked, ask: Ask::Configure(Box::new(configure)) };
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        self.input.write_all(&line)?;
        self.input.flush()
    }
}

/// Reads what it tells until it ends or says something that is too long.
fn listen(output: ChildStdout, events: &Sender<Event>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => return,
        }
        if let Some(text) = refusal(&line)
            && events.send(Event::Refused(text)).is_err()
        {
            return;
        }
    }
}

/// What a line tells of a refusal, for a person. Answers and other news are not for the log.
fn refusal(line: &[u8]) -> Option<String> {
    if let Ok(answer) = serde_json::from_slice::<boxwood_protocol::gateway::Answer>(line)
        && let Some(problem) = answer.error
    {
        return Some(format!("the policy is not taken: {}", problem.message));
    }
    let notice: Notice = serde_json::from_slice(line).ok()?;
    match notice.tell {
        Tell::Decided(decision) if decision.action == EgressAction::Deny => {
            let why = decision.reason.as_deref().unwrap_or("by policy");
            // A question for a name has no port.
            let port = if decision.port == 0 { String::new() } else { format!(":{}", decision.port) };
            Some(format!("refused {}{port} ({why})", decision.host))
        }
        _ => None,
    }
}
