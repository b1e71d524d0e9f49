//! The imitation of what claude signs in to, reachable from containers by a proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::docker;
use crate::world::{World, repository};

/// A running imitation; it ends with this.
#[derive(Debug)]
pub struct Identity {
    child: Child,
    admin: u64,
    /// The proxy by which containers reach it under the real names.
    pub proxy: String,
    /// Where it listens without TLS, for whoever opens that in its place.
    pub plain: String,
    /// The real names.
    pub hosts: Vec<String>,
}

impl Identity {
    /// Starts one, and has everything of a world that signs in, whose daemon was not started yet, reach and trust it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn serve(world: &mut World) -> Self {
        let (host, certificate) = (docker::gateway(), world.root().join("identity.pem"));
        let identity = Self::start(&host, &certificate, None);
        world.set("NODE_EXTRA_CA_CERTS", certificate);
        world.configure(&json!({ "env": { "HTTPS_PROXY": identity.proxy } }));
        identity
    }

    /// Starts one that listens on an address of the host. Its authority's certificate is written to a file, and when there
    /// is to be a record, every request to another.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(host: &str, certificate: &Path, record: Option<&Path>) -> Self {
        let mut command = Command::new("node");
        command.arg(repository().join("tests/fakes/identity.mjs"));
        command.args(["--host", host, "--proxy", "--until-stdin-ends", "--ca"]).arg(certificate);
        if let Some(record) = record {
            command.arg("--record").arg(record);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let listening: Value = serde_json::from_str(&line).expect("it says where it listens");
        let port = |name: &str| listening[name].as_u64().expect("a port");
        let hosts = listening["hosts"].as_array().into_iter().flatten();
        Self {
            child,
            admin: port("admin"),
            proxy: format!("http://{host}:{}", port("proxy")),
            plain: format!("{host}:{}", port("plain")),
            hosts: hosts.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// Asks the administrative port, see the README of the fakes.
    ///
    /// # Panics
    /// When it refuses.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, verb: &str, question: &Value) -> Value {
        let port = u16::try_from(self.admin).expect("a port");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let body = question.to_string();
        let length = body.len();
        let head =
            format!("POST /{verb} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{verb} {question}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|cause| panic!("{verb}: {cause}: {body}"))
    }

    /// Does what a person does in the browser at this address, and gives what the person copies.
    ///
    /// # Panics
    /// When the address is not one at which people sign in.
    #[must_use]
    #[track_caller]
    pub fn sign_in(&self, url: &str) -> String {
        self.ask("signIn", &json!({ "url": url }))["paste"].as_str().expect("a code").to_owned()
    }

    /// A login, in the form in which claude stores it.
    #[must_use]
    pub fn issue(&self) -> Value {
        self.ask("issue", &json!({}))
    }

    /// A token as `claude setup-token` gives it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn setup_token(&self) -> String {
        let issued = self.ask("issue", &json!({ "setup": true }));
        issued["accessToken"].as_str().expect("a token").to_owned()
    }

    /// An API key.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn key(&self) -> String {
        self.ask("key", &json!({}))["key"].as_str().expect("a key").to_owned()
    }

    /// Every secret that there ever was: kind and value.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, String)> {
        let secrets = self.ask("secrets", &json!({}));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        secrets.as_array().into_iter().flatten().map(|secret| (text(&secret["kind"]), text(&secret["value"]))).collect()
    }

    /// What became of a secret.
    #[must_use]
    pub fn state_of(&self, value: &str) -> String {
        let secrets = self.ask("secrets", &json!({}));
        let found = secrets.as_array().into_iter().flatten().find(|secret| secret["value"] == value);
        found.and_then(|secret| secret["state"].as_str()).unwrap_or("unknown").to_owned()
    }

    /// How often something was counted.
    #[must_use]
    pub fn count(&self, counter: &str) -> u64 {
        self.ask("state", &json!({}))["counters"][counter].as_u64().unwrap_or_default()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}
