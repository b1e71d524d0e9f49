//! The handle that tests hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::exec::command;
use super::faults::{Fault, Matcher};
use super::files::{self, Files};
use super::images;
use super::lifecycle;
use super::listener;
use super::scripts::Execution;
use super::server::Server;
use super::snapshot::Snapshot;
use super::world::{Engine, Image, World, digest, lock};

/// A container's health, as its engine says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not yet checked.
    Starting,
    /// The last check passed.
    Healthy,
    /// Several checks in a row failed.
    Unhealthy,
}

impl Health {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// 100 is one whole processor.
    pub cpu_percent: f64,
    /// Memory without page cache, bytes.
    pub memory_bytes: u64,
    /// Page cache that could be dropped, bytes.
    pub cache_bytes: u64,
    /// Processes.
    pub pids: u64,
    /// Bytes received.
    pub network_rx_bytes: u64,
    /// Bytes sent.
    pub network_tx_bytes: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            cpu_percent: 25.0,
            memory_bytes: 100 << 20,
            cache_bytes: 10 << 20,
            pids: 5,
            network_rx_bytes: 1000,
            network_tx_bytes: 500,
        }
    }
}

/// An image to begin with.
#[derive(Debug, Clone, Default)]
pub struct ImageSeed {
    /// Reference.
    pub reference: String,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Environment, `KEY=VALUE`.
    pub env: Vec<String>,
    /// Files by absolute path.
    pub files: Vec<(String, Vec<u8>)>,
}

impl ImageSeed {
    /// An image with nothing in it.
    #[must_use]
    pub fn new(reference: &str) -> Self {
        Self { reference: reference.to_owned(), ..Self::default() }
    }

    fn image(&self) -> Image {
        let tree: Files =
            self.files.iter().map(|(path, bytes)| (files::normal(path), files::plain_file(bytes))).collect();
        Image {
            id: format!("sha256:{}", digest(format!("{self:?}").as_bytes())),
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            env: self.env.clone(),
            arch: "amd64".to_owned(),
            size: 50 << 20,
            files: tree,
            ..Image::default()
        }
    }
}

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path without its version.
    pub path: String,
    /// Query as it was sent.
    pub query: String,
    /// API version in the path.
    pub version: Option<String>,
}

/// A command that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRecord {
    /// Name of its container.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment.
    pub env: Vec<String>,
    /// `uid:gid`, or empty.
    pub user: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// What it has read.
    pub input: Vec<u8>,
    /// Columns and rows of its terminal, when told.
    pub size: Option<(u16, u16)>,
    /// Exit status, when it has ended.
    pub exit_code: Option<i64>,
}

/// A running fake. It ends when dropped.
pub struct FakeDocker {
    engine: Arc<Engine>,
    server: Option<Server>,
    directory: tempfile::TempDir,
}

impl FakeDocker {
    /// Starts an empty engine.
    ///
    /// # Panics
    /// When no socket can be made in the directory for temporary files.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("fake-docker-").tempdir().expect("a temporary directory");
        let engine = Arc::new(Engine::new());
        let server = Server::start(Arc::clone(&engine), &directory.path().join("docker.sock"));
        Self { engine, server: Some(server), directory }
    }

    /// Path of the socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// What `DOCKER_HOST` should be.
    #[must_use]
    pub fn host(&self) -> String {
        listener::host(&self.socket())
    }

    /// Breaks every connection; the socket stays and refuses. What exists stays, and runs on.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Listens again after [`Self::stop`], on the same socket.
    ///
    /// # Panics
    /// When the socket cannot be made again.
    pub fn restart(&mut self) {
        self.server = None;
        let socket = self.socket();
        listener::tidy(&socket).expect("the old socket goes");
        self.server = Some(Server::start(Arc::clone(&self.engine), &socket));
    }

    /// The newest API version it admits to, `1.41` at first.
    pub fn set_max_api(&self, version: &str) {
        version.clone_into(&mut lock(&self.engine.settings).max_api);
    }

    /// Changes a field of its description (`/info`).
    pub fn set_info(&self, field: &str, value: Value) {
        lock(&self.engine.settings).info.insert(field.to_owned(), value);
    }

    /// Time between two readings of figures, a second at first.
    pub fn set_stats_interval(&self, interval: Duration) {
        lock(&self.engine.settings).stats_interval = interval;
    }

    /// Adds an image.
    pub fn add_image(&self, seed: &ImageSeed) {
        self.engine.change(|world| images::add(world, seed.image(), &seed.reference, "load"));
    }

    /// Adds an image that a pull finds.
    pub fn add_to_registry(&self, seed: &ImageSeed) {
        self.engine.change(|world| world.registry.insert(images::normal(&seed.reference), seed.image()));
    }

    /// Makes the next build end with this message.
    pub fn fail_next_build(&self, message: &str) {
        lock(&self.engine.settings).build_failures.push(message.to_owned());
    }

    /// Says what commands do. The newest script that knows a command decides; those that are always there are few:
    /// `true`, `false`, `echo`, `cat`, `sleep` and `boxwood-helper`.
    pub fn on_exec(&self, script: impl Fn(&[String]) -> Option<Execution> + Send + Sync + 'static) {
        lock(&self.engine.scripts).add(script);
    }

    /// Says what main processes print when they read a line. The newest script that knows the command decides; a gateway
    /// answers well by itself.
    pub fn on_line(&self, answers: impl Fn(&[String], &str) -> Option<Vec<String>> + Send + Sync + 'static) {
        lock(&self.engine.scripts).add_answers(answers);
    }

    /// Lines that a main process has read.
    #[must_use]
    pub fn lines_read(&self, container: &str) -> Vec<String> {
        self.engine.look(|world| world.container(container).map(|found| found.read.clone()).unwrap_or_default())
    }

    /// Answers the next matching request with an error, without doing it.
    pub fn fail_next(&self, matcher: impl Into<Matcher>, status: u16, message: &str) {
        self.fail_after(matcher, 0, status, message);
    }

    /// Lets `passes` matching requests through and answers the one after them with an error.
    pub fn fail_after(&self, matcher: impl Into<Matcher>, passes: usize, status: u16, message: &str) {
        let fault = Fault::Fail { status, message: message.to_owned() };
        lock(&self.engine.faults).add(matcher.into(), fault, passes, true);
    }

    /// Answers every matching request with an error.
    pub fn fail_always(&self, matcher: impl Into<Matcher>, status: u16, message: &str) {
        let fault = Fault::Fail { status, message: message.to_owned() };
        lock(&self.engine.faults).add(matcher.into(), fault, 0, false);
    }

    /// Never answers matching requests, and does nothing for them.
    pub fn hang(&self, matcher: impl Into<Matcher>) {
        lock(&self.engine.faults).add(matcher.into(), Fault::Hang, 0, false);
    }

    /// Lets `passes` matching requests through and never answers the one after them.
    pub fn hang_after(&self, matcher: impl Into<Matcher>, passes: usize) {
        lock(&self.engine.faults).add(matcher.into(), Fault::Hang, passes, true);
    }

    /// Closes the connection of the next matching request and does nothing for it.
    pub fn drop_connection(&self, matcher: impl Into<Matcher>) {
        lock(&self.engine.faults).add(matcher.into(), Fault::Drop, 0, true);
    }

    /// Does the next matching request and closes its connection without an answer.
    pub fn lose_answer(&self, matcher: impl Into<Matcher>) {
        lock(&self.engine.faults).add(matcher.into(), Fault::LoseAnswer, 0, true);
    }

    /// Ends all faults that have not been met; a request that hangs goes on hanging.
    pub fn clear_faults(&self) {
        lock(&self.engine.faults).clear();
    }

    /// Requests so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.engine.calls).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_calls(&self) {
        lock(&self.engine.calls).clear();
    }

    /// Commands so far, oldest first; those of removed containers are gone.
    #[must_use]
    pub fn execs(&self) -> Vec<ExecRecord> {
        self.engine.look(|world| {
            let records = world.execs.iter().map(|(_, exec)| ExecRecord {
                container: world.container(&exec.container).map(|found| found.name.clone()).unwrap_or_default(),
                command: command(&exec.request),
                env: serde_json::from_value(exec.request["Env"].clone()).unwrap_or_default(),
                user: exec.request["User"].as_str().unwrap_or_default().to_owned(),
                tty: exec.request["Tty"] == Value::Bool(true),
                input: exec.input.clone(),
                size: exec.size,
                exit_code: exec.exit_code,
            });
            records.collect()
        })
    }

    /// Everything that exists.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.engine.look(Snapshot::of)
    }

    /// The request that made a container.
    #[must_use]
    pub fn creation(&self, container: &str) -> Option<Value> {
        self.engine.look(|world| world.container(container).ok().map(|found| found.request.clone()))
    }

    /// A file in a volume.
    #[must_use]
    pub fn volume_file(&self, volume: &str, path: &str) -> Option<Vec<u8>> {
        let path = files::normal(path);
        self.engine.look(|world| Some(world.volumes.get(volume)?.files.get(&path)?.bytes.clone()))
    }

    /// A file in a container's own layer.
    #[must_use]
    pub fn container_file(&self, container: &str, path: &str) -> Option<Vec<u8>> {
        let path = files::normal(path);
        self.engine.look(|world| Some(world.container(container).ok()?.files.get(&path)?.bytes.clone()))
    }

    /// Ends a container's main process from outside.
    pub fn kill_container(&self, container: &str, exit_code: i64) {
        self.with(container, |world, id| lifecycle::die(world, id, exit_code));
    }

    /// Removes a container from outside, whatever it is doing.
    pub fn remove_container(&self, container: &str) {
        let force = super::http::Query::parse(Some("force=1"));
        drop(lifecycle::remove(&self.engine, container, &force));
    }

    /// Ends a container's main process for want of memory.
    pub fn run_out_of_memory(&self, container: &str) {
        self.with(container, lifecycle::run_out_of_memory);
    }

    /// Makes a container's health check come to a verdict.
    pub fn set_health(&self, container: &str, health: Health, output: &str) {
        self.with(container, |world, id| lifecycle::set_health(world, id, health, output));
    }

    /// Says what a container uses.
    pub fn set_usage(&self, container: &str, usage: Usage) {
        self.with(container, |world, id| {
            if let Ok(found) = world.container_mut(id) {
                found.usage = usage;
            }
        });
    }

    /// Makes a container's main process print, on standard error when `is_error`.
    pub fn print(&self, container: &str, is_error: bool, text: &str) {
        self.with(container, |world, id| {
            lifecycle::write_log(world, id, if is_error { 2 } else { 1 }, text.as_bytes());
        });
    }

    fn with(&self, container: &str, change: impl FnOnce(&mut World, &str)) {
        self.engine.change(|world| change(world, container));
    }

    /// Directory that lives as long as the fake; handy for bind mounts.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
