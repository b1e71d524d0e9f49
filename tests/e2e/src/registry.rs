//! A real registry on a port of its own. Engines speak plain HTTP to one on the loopback address.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::world::repository;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(60);

/// A registry that ends with this.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    /// Its address and port, as they begin an image's name.
    pub host: String,
}

impl Registry {
    /// Starts one that keeps its data in `directory`.
    ///
    /// # Panics
    /// When it cannot be had or does not start.
    #[must_use]
    pub fn start(directory: &Path) -> Self {
        let found = Command::new(repository().join("tests/devcontainer/registry")).output().expect("it can be run");
        assert!(found.status.success(), "no registry: {}", String::from_utf8_lossy(&found.stderr));
        let config = directory.join("registry.yml");
        let settings = serde_json::json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": directory.join("registry") } },
            "http": { "addr": "127.0.0.1:0" },
        });
        // JSON is YAML.
        std::fs::write(&config, settings.to_string()).expect("written");
        let mut child = Command::new(String::from_utf8_lossy(&found.stdout).trim())
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let said = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, receiver) = mpsc::channel();
        // Read to its end, so that it never waits for a reader.
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    let _ = sender.send(port);
                }
            }
        });
        let port = receiver.recv_timeout(START).expect("it says where it listens");
        Self { child, host: format!("127.0.0.1:{port}") }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
