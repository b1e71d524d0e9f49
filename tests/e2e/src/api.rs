//! The imitation of the Messages API, reachable from sandboxes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::docker;
use crate::world::{World, repository};

/// A key as a person would have it. It opens nothing.
pub const KEY: &str = "sk-ant-api03-not-a-key-0123456789abcdefghijklmnopqrstuvwxyz";

/// A running imitation; it ends with this.
#[derive(Debug)]
pub struct Api {
    child: Child,
    record: PathBuf,
    /// Its address, as sandboxes and this machine have it.
    pub url: String,
}

/// Starts an imitation of the model that listens on `host`, accepts only `key` and writes down what it is asked. Gives its
/// process and its port. The key is in no argument, where a search for it would find it.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn imitate(host: &str, key: &str, record: &Path) -> (Child, u16) {
    let mut child = Command::new("node")
        .arg(repository().join("tests/fakes/messages-api.mjs"))
        .args(["--host", host, "--require-key-in", "/dev/stdin", "--record"])
        .arg(record)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    // It reads the key until the end of its input, which is here.
    child.stdin.take().expect("a pipe").write_all(key.as_bytes()).expect("it reads");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let listening: Value = serde_json::from_str(&line).expect("it says where it listens");
    (child, listening["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port"))
}

impl Api {
    /// Starts one that accepts only [`KEY`], and gives address and key to every call of the world from now on.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn serve(world: &mut World) -> Self {
        let record = world.root().join("requests.jsonl");
        let host = docker::gateway();
        let (child, port) = imitate(&host, KEY, &record);
        let url = format!("http://{host}:{port}");
        world.set("ANTHROPIC_BASE_URL", &url);
        world.set("ANTHROPIC_API_KEY", KEY);
        Self { child, record, url }
    }

    /// What was asked of the model so far, the oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        let requests = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        requests
            .filter(|request| request["path"].as_str().is_some_and(|path| path.starts_with("/v1/messages")))
            .collect()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
