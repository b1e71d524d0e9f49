//! The imitation of what claude signs in to, reachable from containers by a proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
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
}

impl Identity {
    /// Starts one, and has everything of a world that signs in, whose daemon was not started yet, reach and trust it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn serve(world: &mut World) -> Self {
        let (host, certificate) = (docker::gateway(), world.root().join("identity.pem"));
        let mut child = Command::new("node")
            .arg(repository().join("tests/fakes/identity.mjs"))
            .args(["--host", &host, "--proxy", "--until-stdin-ends", "--ca"])
            .arg(&certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let listening: Value = serde_json::from_str(&line).expect("it says where it listens");
        let proxy = format!("http://{host}:{}", listening["proxy"]);
        world.set("NODE_EXTRA_CA_CERTS", certificate);
        world.configure(&json!({ "env": { "HTTPS_PROXY": proxy } }));
        Self { child, admin: listening["admin"].as_u64().expect("a port"), proxy }
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
