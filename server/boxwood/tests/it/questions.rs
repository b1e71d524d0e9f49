//! What a person who runs a command here is told of connections that wait, and of those that were refused.

use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use boxwood_testkit::docker::ExecRecord;
use serde_json::{Value, json};

use crate::session::Sandbox;
use crate::terminal::Terminal;

const ID: &str = "shop-0a1b2c3d";

fn in_milliseconds(ms: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("a time") + ms
}

fn asking(host: &str) -> Value {
    let ask = json!({ "id": host, "host": host, "port": 443, "waiting": 1, "untilMs": in_milliseconds(60_000) });
    json!({ "type": "egressAsking", "sandboxId": ID, "ask": ask })
}

fn asked(host: &str) -> Value {
    json!({ "type": "egressAsked", "sandboxId": ID, "askId": host })
}

fn refused(host: &str, reason: &str) -> Value {
    json!({ "type": "egressDecided", "sandboxId": ID, "decision": {
        "serial": 1, "atMs": in_milliseconds(0), "host": host, "port": 443, "via": "tls", "action": "deny",
        "layer": "default", "reason": reason, "count": 1, "bytesUp": 0, "bytesDown": 0,
    } })
}

impl Sandbox {
    /// Waits until whoever runs the command listens, and sends this.
    fn tell(&self, events: impl IntoIterator<Item = Value>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(self.daemon.subscribed(1));
        events.into_iter().for_each(|event| self.daemon.send(event));
    }

    fn exec_with_pipes(&self) -> (Child, BufReader<ChildStderr>) {
        let mut command = self.command(&["exec", "--", "claude"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let errors = BufReader::new(child.stderr.take().expect("errors"));
        (child, errors)
    }

    /// The commands that draw at the bottom of Claude's screen, without the program.
    fn lines_at_bottom(&self) -> Vec<Vec<String>> {
        let is_notice = |exec: &ExecRecord| exec.command.get(1).is_some_and(|word| word == "notice");
        self.docker.execs().into_iter().filter(is_notice).map(|exec| exec.command[2..].to_vec()).collect()
    }
}

fn line(reader: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line
}

#[test]
fn a_question_is_told_beside_a_command_and_a_refusal_after_it() {
    let sandbox = Sandbox::new();
    let (mut child, mut errors) = sandbox.exec_with_pipes();
    let elsewhere = json!({ "type": "egressAsking", "sandboxId": "another", "ask": asking("not.here")["ask"] });
    // One connection more for the same host is no other question.
    sandbox.tell([elsewhere, asking("new.example"), asking("new.example"), asked("new.example")]);
    let told = line(&mut errors);
    assert!(told.starts_with("new.example:443 waits for your answer ("), "{told}");
    assert!(told.ends_with(&format!(" egress ask {ID}' in another terminal\n")), "{told}");
    let timeout = refused("new.example", "timeout");
    sandbox.tell([timeout.clone(), timeout, refused("169.254.169.254", "private-address"), asking("last.example")]);
    assert!(line(&mut errors).starts_with("last.example:443 waits"), "what came before was heard");
    drop(child.stdin.take());
    let status = child.wait().expect("it ends");
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("text");
    let both = "refused meanwhile: new.example:443 (nobody answered in time), \
        169.254.169.254:443 (a private address, and no rule allows that)\nnext: ";
    assert!(status.success() && rest.starts_with(both), "{rest}");
    assert!(rest.contains(&format!("egress allow HOST {ID}'")) && rest.lines().count() == 2, "{rest}");
    assert_eq!(sandbox.lines_at_bottom(), Vec::<Vec<String>>::new());
}

#[test]
fn a_question_begins_and_ends_its_own_line_on_a_commands_terminal() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::open(sandbox.command(&["exec", "--", "claude"]));
    terminal.wait_for("hello");
    sandbox.tell([asking("new.example")]);
    terminal.wait_for("\rnew.example:443 waits for your answer (");
    terminal.wait_for("in another terminal\u{1b}[K\r\n");
    terminal.press(b"\x04");
    assert!(terminal.end().success());
}

#[test]
fn a_question_is_at_the_bottom_of_claudes_screen_as_long_as_it_waits() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::open(sandbox.command(&["attach"]));
    terminal.wait_for("hello");
    let mut wait_for = |count: usize| {
        // Each key that comes back is time that has passed.
        for _ in 0..10_000 {
            if sandbox.lines_at_bottom().len() >= count {
                return sandbox.lines_at_bottom();
            }
            terminal.press(b"k");
            terminal.wait_for("k");
        }
        panic!("{:?}", sandbox.lines_at_bottom());
    };
    sandbox.tell([asking("new.example")]);
    let shown = wait_for(1).remove(0);
    assert!((58..=62).contains(&shown[0].parse::<u32>().expect("seconds")), "{shown:?}");
    assert!(shown[1].starts_with("new.example:443 waits for your answer: '"), "{shown:?}");
    // Told again because one connection more waits.
    sandbox.tell([asking("new.example"), asking("other.example")]);
    assert!(wait_for(2)[1][1].starts_with("new.example:443 and 1 more wait"));
    sandbox.tell([asked("new.example")]);
    assert!(wait_for(3)[2][1].starts_with("other.example:443 waits"));
    sandbox.tell([asked("other.example")]);
    assert_eq!(wait_for(4)[3], Vec::<String>::new(), "the line is taken away");
    terminal.press(b"\x04");
    assert!(terminal.end().success());
}

#[test]
fn in_the_editors_terminal_the_line_leads_to_the_editor() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["exec", "--", "claude"]);
    command.env("BOXWOOD_TERMINAL", "claude:shop");
    let mut terminal = Terminal::open(command);
    terminal.wait_for("hello");
    sandbox.tell([asking("new.example")]);
    terminal.wait_for("): answer in the Egress view");
    terminal.press(b"\x04");
    assert!(terminal.end().success());
}

#[test]
fn the_program_is_named_as_another_terminal_finds_it() {
    let program = Path::new(env!("CARGO_BIN_EXE_boxwood"));
    let directory = program.parent().expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a directory");
    std::fs::write(elsewhere.path().join("boxwood"), "another program").expect("written");
    let path = format!("'{} egress ask", program.canonicalize().expect("a path").display());
    for (first, expected) in [(directory, "'boxwood egress ask"), (elsewhere.path(), path.as_str())] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command(&["exec", "--", "claude"]);
        command.env("PATH", std::env::join_paths([first, directory]).expect("a list"));
        let mut terminal = Terminal::open(command);
        terminal.wait_for("hello");
        sandbox.tell([asking("new.example")]);
        terminal.wait_for(expected);
        terminal.press(b"\x04");
        assert!(terminal.end().success());
    }
}

#[test]
fn without_a_gateway_nobody_listens() {
    for network in ["open", "none"] {
        let sandbox = Sandbox::on(network);
        let (mut child, _errors) = sandbox.exec_with_pipes();
        drop(child.stdin.take());
        assert!(child.wait().expect("it ends").success());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        assert!(runtime.block_on(sandbox.daemon.subscribed(0)).is_empty(), "{network}");
    }
}
