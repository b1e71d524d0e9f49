//! The gateway as a process of its own: it gives up every right before it serves, and is talked to as by the daemon.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::Sender;

use boxwood_protocol::egress::EgressAction;
use boxwood_protocol::gateway::{Answer, Ask, Configure, MAX_LINE_BYTES, Notice, Request, Tell};

use super::{ADDRESS, Event, REDIRECTED, SUBNET};

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
            .args(["--redirected", &REDIRECTED.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("it has no standard input and output"));
        };
        std::thread::Builder::new().name("gateway".to_owned()).spawn(move || {
            listen(number, output, &events);
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
fn listen(number: u64, output: ChildStdout, events: &Sender<Event>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => return,
        }
        if let Some(event) = event(number, &line)
            && events.send(event).is_err()
        {
            return;
        }
    }
}

/// What a line means here. What passes is not for a person, and nobody is asked.
fn event(number: u64, line: &[u8]) -> Option<Event> {
    if let Ok(answer) = serde_json::from_slice::<Answer>(line) {
        let refused = answer.error.map(|problem| format!("the policy is not taken: {}", problem.message));
        return match (answer.result, refused) {
            (Some(status), None) => Some(Event::Policed(number, Ok(status.revision))),
            (_, refused) => Some(Event::Policed(number, Err(refused?))),
        };
    }
    match serde_json::from_slice::<Notice>(line).ok()?.tell {
        Tell::Decided(decision) if decision.action == EgressAction::Deny => {
            let why = decision.reason.as_deref().unwrap_or("by policy");
            // A question for a name has no port.
            let port = if decision.port == 0 { String::new() } else { format!(":{}", decision.port) };
            let times = if decision.count > 1 { format!(", {} times", decision.count) } else { String::new() };
            Some(Event::Refused(format!("refused {}{port} ({why}){times}", decision.host)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_refusals_are_events_and_the_rest_is_not() {
        let status =
            r#"{"version":"1","run":1,"revision":7,"open":0,"allowed":0,"blocked":0,"hits":[],"asks":[],"recent":[]}"#;
        let decided = |action: &str, count: u32| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"decided","params":{{"serial":1,"atMs":1,"host":"192.0.2.1","port":80,"via":"http","action":"{action}","layer":"default","count":{count},"bytesUp":0,"bytesDown":0}}}}"#
            )
        };
        let of = |line: &str| event(3, line.as_bytes()).map(|event| format!("{event:?}"));
        for (line, expected) in [
            (format!(r#"{{"jsonrpc":"2.0","id":1,"result":{status}}}"#), Some("Policed(3, Ok(7))")),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#.to_owned(),
                Some(r#"Policed(3, Err("the policy is not taken: no"))"#),
            ),
            (decided("deny", 1), Some(r#"Refused("refused 192.0.2.1:80 (by policy)")"#)),
            (decided("deny", 4), Some(r#"Refused("refused 192.0.2.1:80 (by policy), 4 times")"#)),
            (decided("allow", 1), None),
            (format!(r#"{{"jsonrpc":"2.0","method":"ready","params":{status}}}"#), None),
            ("nonsense".to_owned(), None),
        ] {
            assert_eq!(of(&line).as_deref(), expected, "{line}");
        }
    }
}
