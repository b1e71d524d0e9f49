//! An editor of few words: it writes messages, reads what comes, and fails when it waits too long.

use std::collections::VecDeque;
use std::time::Duration;

use boxwood_client::{Build, Launcher};
use boxwood_core::paths::Paths;
use boxwood_protocol::PROTOCOL_VERSION;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::task::JoinHandle;

/// Nothing here takes long; what does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Editor {
    pub(crate) launcher: Launcher,
    base: TempDir,
    input: Option<DuplexStream>,
    output: BufReader<DuplexStream>,
    unread: VecDeque<Value>,
    server: JoinHandle<bool>,
}

impl Editor {
    /// Opens a language server whose daemon, when it has to start one, is a script.
    pub(crate) fn open(script: &str) -> Self {
        let base = tempfile::tempdir().expect("temporary directory");
        let place = base.path().display().to_string();
        let variables = move |name: &str| match name {
            "BOXWOOD_RUNTIME_DIR" => Some(format!("{place}/run")),
            "BOXWOOD_STATE_DIR" => Some(format!("{place}/state")),
            _ => None,
        };
        let launcher = Launcher {
            paths: Paths::resolve(&variables, boxwood_client::transport::user()),
            client: "lsp".to_owned(),
            build: Build { version: "1.0.0".to_owned(), protocol: PROTOCOL_VERSION, changed: 5 },
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.replace("BASE", &base.path().display().to_string()).into()],
        };
        let (input, server_input) = tokio::io::duplex(1024 * 1024);
        let (server_output, output) = tokio::io::duplex(1024 * 1024);
        let server = tokio::spawn(boxwood_lsp::serve(server_input, server_output, launcher.clone()));
        let output = BufReader::new(output);
        Self { launcher, base, input: Some(input), output, unread: VecDeque::new(), server }
    }

    /// Opens one and goes through the beginning of the conversation.
    pub(crate) async fn initialized(script: &str) -> Self {
        let mut editor = Self::open(script);
        editor.initialize().await;
        editor
    }

    pub(crate) async fn initialize(&mut self) -> Value {
        self.request("init", "initialize", json!({ "capabilities": {} })).await;
        let answer = self.answer("init").await;
        self.notify("initialized", json!({})).await;
        answer
    }

    pub(crate) fn place(&self, name: &str) -> std::path::PathBuf {
        self.base.path().join(name)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        tokio::time::timeout(PATIENCE, input.write_all(bytes)).await.expect("in time").expect("written");
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.write(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    }

    pub(crate) async fn request(&mut self, id: impl Into<Value>, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    async fn read(&mut self) -> Option<Value> {
        let mut length = None;
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).await.expect("read");
            match line.trim_end() {
                "" if line.is_empty() => return None,
                "" => break,
                line => length = line.strip_prefix("Content-Length: ").map(|text| text.parse().expect("number")),
            }
        }
        let mut body = vec![0; length.expect("a length")];
        self.output.read_exact(&mut body).await.expect("body");
        Some(serde_json::from_slice(&body).expect("JSON"))
    }

    /// The next message that fits, keeping the others.
    async fn next_that(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.unread.iter().position(&fits) {
            return self.unread.remove(index).expect("there");
        }
        loop {
            let message = tokio::time::timeout(PATIENCE, self.read()).await;
            let message = message.unwrap_or_else(|_| panic!("{what} did not come; unread: {:?}", self.unread));
            let message = message.unwrap_or_else(|| panic!("the server left before {what}"));
            if fits(&message) {
                return message;
            }
            self.unread.push_back(message);
        }
    }

    /// The answer to a request.
    pub(crate) async fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        self.next_that(&format!("the answer to {id}"), |message| message.get("method").is_none() && message["id"] == id)
            .await
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Value {
        let mut message = self.next_that("an event", |message| message["method"] == "boxwood/event").await;
        message["params"].take()
    }

    /// Closes the input and gives how the server ended; nothing may be left unread.
    pub(crate) async fn leave(mut self) -> bool {
        drop(self.input.take());
        self.ended().await
    }

    /// How the server ended, which it does by itself.
    pub(crate) async fn ended(mut self) -> bool {
        let is_orderly = tokio::time::timeout(PATIENCE, &mut self.server).await.expect("it leaves").expect("no panic");
        while let Some(message) = self.read().await {
            self.unread.push_back(message);
        }
        assert!(self.unread.iter().all(|message| message["method"] == "boxwood/event"), "unread: {:?}", self.unread);
        is_orderly
    }
}
