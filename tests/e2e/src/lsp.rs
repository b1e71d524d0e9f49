//! The language server, spoken to as an editor does, and as none should.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::wait::PATIENCE;
use crate::world::{World, program};

/// A running server.
#[derive(Debug)]
pub struct Lsp {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    next_id: u64,
}

impl Lsp {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(world: &World) -> Self {
        let mut child = Command::new(program())
            .args(["lsp", "--stdio"])
            .env_clear()
            .envs(world.environment().iter().map(|(name, value)| (name, value)))
            .current_dir(world.project())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let (sender, messages) = channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            let mut output = output;
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, messages, next_id: 0 }
    }

    /// Starts one and goes through the opening.
    #[must_use]
    pub fn initialized(world: &World) -> Self {
        let mut lsp = Self::start(world);
        let answer = lsp.ask("initialize", &json!({ "processId": null, "rootUri": null, "capabilities": {} }));
        assert!(answer["result"]["capabilities"].is_object(), "{answer}");
        lsp.send(&json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }));
        lsp
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the server is gone.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the server reads");
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.send_bytes(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Panics
    /// When none comes.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|cause| panic!("{method}: {cause}"));
            if message["id"] == json!(id) && message.get("method").is_none() {
                return message;
            }
        }
    }

    /// Closes its input and gives its exit status.
    ///
    /// # Panics
    /// When it does not leave.
    #[must_use]
    pub fn close(mut self) -> i32 {
        drop(self.input.take());
        crate::until("the server's end", || self.child.try_wait().expect("it can be waited for")).code().unwrap_or(-1)
    }
}

impl Drop for Lsp {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            header => length = header.strip_prefix("Content-Length: ").map_or(length, |value| value.parse().ok()),
        }
    }
    let mut body = vec![0; length?];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
