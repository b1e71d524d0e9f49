//! A command's way to this process's terminal or pipes, with an engine that runs nothing.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use boxwood_core::paths::Paths;
use boxwood_engine::docker::DockerEngine;
use boxwood_engine::{ContainerSpec, Endpoint, Engine as _, NetworkMode};
use boxwood_testkit::docker::{Execution, FakeDocker, ImageSeed};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::fake::{FakeDaemon, Identity};
use crate::terminal::Terminal;

const CONTAINER: &str = "boxwood-shop-0a1b2c3d";

/// A running sandbox, the daemon that knows it and the engine that has it.
pub(crate) struct Sandbox {
    place: TempDir,
    pub(crate) docker: FakeDocker,
    pub(crate) daemon: FakeDaemon,
    network: &'static str,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::on("gateway")
    }

    /// One whose network is of this kind.
    pub(crate) fn on(network: &'static str) -> Self {
        let place = tempfile::tempdir().expect("temporary directory");
        let docker = FakeDocker::start();
        docker.add_image(&ImageSeed::new("any:1"));
        // On a terminal, a shell comes before the command.
        docker.on_exec(|command| match command.last()?.as_str() {
            "both" => Some(("out\n", "err\n", 42).into()),
            "count" => Some(Execution::Consumes { stdout: b"read\n".to_vec(), stderr: Vec::new(), exit_code: 0 }),
            "claude" => Some(Execution::Echoes { greeting: b"hello".to_vec() }),
            "quoter" => Some(("OCI runtime exec failed: quoted", "", 0).into()),
            _ if command[0].starts_with("/opt/boxwood/bin/") => Some(Execution::prints("")),
            _ => None,
        });
        let container = run_container(&docker.host());
        let runtime = place.path().join("run").display().to_string();
        let paths = Paths::resolve(&|name| (name == "BOXWOOD_RUNTIME_DIR").then(|| runtime.clone()), 0);
        let version = env!("CARGO_PKG_VERSION");
        let newest = Identity { build: format!("{version}+{}", u64::MAX), ..Identity::of(version) };
        let daemon = FakeDaemon::listen(&paths, newest);
        let sandbox = Self { place, docker, daemon, network };
        sandbox.lead_to(&container, "claude");
        sandbox
    }

    /// What the daemon is to say when a command is wanted.
    fn lead_to(&self, container: &str, program: &str) {
        self.daemon.lead_to(json!({
            "sandbox": {
                "id": "shop-0a1b2c3d", "container": CONTAINER, "project": "/shop", "session": "default",
                "state": "running", "health": "healthy", "lifetime": "persistent", "network": self.network, "enforcement": "off",
                "image": "any:1", "claudeVersion": "1", "createdAt": "2026-01-01T00:00:00Z", "isOutdated": false,
            },
            "endpoint": self.docker.host(), "apiVersion": "1.41", "containerId": container,
            "command": [program], "user": "1:1", "workdir": "/shop",
        }));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxwood"));
        command.args(arguments).env_clear().env("HOME", self.place.path()).current_dir(self.place.path());
        command.env("BOXWOOD_RUNTIME_DIR", self.place.path().join("run"));
        command
    }

    fn exec(&self, program: &str, input: Stdio) -> Output {
        self.lead_to(CONTAINER, program);
        self.command(&["exec", "--", program]).stdin(input).output().expect("it runs")
    }
}

fn run_container(host: &str) -> String {
    let spec = ContainerSpec {
        name: CONTAINER.to_owned(),
        image: "any:1".to_owned(),
        command: vec!["sleep".to_owned()],
        env: [].into(),
        labels: [].into(),
        user: "1:1".to_owned(),
        workdir: "/".to_owned(),
        hostname: "shop".to_owned(),
        mounts: Vec::new(),
        memory_bytes: 0,
        nano_cpus: 0,
        pids: 0,
        nofile: 0,
        network: NetworkMode::Default,
        ..ContainerSpec::default()
    };
    let endpoint = Endpoint::parse(host, "test").expect("endpoint");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let engine = DockerEngine::at(&endpoint, "1.41").expect("engine");
        let id = engine.create_container(&spec).await.expect("made");
        engine.start_container(&id).await.expect("started");
        id
    })
}

#[test]
fn output_error_output_and_status_stay_apart() {
    let sandbox = Sandbox::new();
    let output = sandbox.exec("both", Stdio::null());
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(42), b"out\n".to_vec(), b"err\n".to_vec()));
    let exec = &sandbox.docker.execs()[0];
    assert_eq!((exec.user.as_str(), exec.tty), ("1:1", false));
}

#[test]
fn input_arrives_with_its_end() {
    let sandbox = Sandbox::new();
    sandbox.lead_to(CONTAINER, "count");
    let mut child = sandbox
        .command(&["exec", "--", "count"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("input").write_all(b"some words").expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"read\n".to_vec()));
    assert_eq!(sandbox.docker.execs()[0].input, b"some words");
}

#[test]
fn a_command_that_is_not_there_has_the_shells_status() {
    let sandbox = Sandbox::new();
    let output = sandbox.exec("no-such-program", Stdio::null());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout), (Some(127), Vec::new()), "{said}");
    assert!(said.contains("no-such-program"), "{said}");
    let output = sandbox.exec("quoter", Stdio::null());
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"OCI runtime exec failed: quoted".to_vec()));
}

#[test]
fn a_sandbox_that_has_stopped_is_said() {
    let sandbox = Sandbox::new();
    sandbox.docker.kill_container(CONTAINER, 137);
    let output = sandbox.exec("both", Stdio::null());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("the sandbox shop-0a1b2c3d stopped") && said.contains("boxwood start"), "{said}");
}

#[test]
fn a_sandbox_that_stops_meanwhile_is_said() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::open(sandbox.command(&["attach"]));
    terminal.wait_for("hello");
    sandbox.docker.kill_container(CONTAINER, 137);
    // The screen that the multiplexer had is given back.
    terminal.wait_for("\u{1b}[?1049l");
    terminal.wait_for("the sandbox shop-0a1b2c3d stopped");
    assert_eq!(terminal.end().code(), Some(137));
    assert!(terminal.is_cooked());
}

#[test]
fn keys_pass_unread_and_the_terminal_is_put_back() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::open(sandbox.command(&["attach"]));
    assert!(terminal.is_cooked());
    terminal.wait_for("hello");
    terminal.press(b"\x03\x1dx");
    terminal.wait_for("\x03\x1dx");
    assert!(!terminal.is_cooked());
    terminal.press(b"\x04");
    assert_eq!(terminal.end().code(), Some(0));
    assert!(terminal.is_cooked());
    let exec = &sandbox.docker.execs()[0];
    assert!(exec.tty && exec.env.contains(&"TERM=xterm".to_owned()), "{exec:?}");
}

#[test]
fn the_size_follows_the_terminal() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::open(sandbox.command(&["attach"]));
    terminal.wait_for("hello");
    let check = |terminal: &mut Terminal, expected: (u16, u16)| {
        // Each key that comes back is time that has passed.
        for _ in 0..10_000 {
            if sandbox.docker.execs()[0].size == Some(expected) {
                return;
            }
            terminal.press(b"k");
            terminal.wait_for("k");
        }
        panic!("the size is {:?}", sandbox.docker.execs()[0].size);
    };
    check(&mut terminal, (100, 30));
    terminal.resize(77, 20);
    terminal.signal(Signal::WINCH);
    check(&mut terminal, (77, 20));
    terminal.press(b"\x04");
    assert!(terminal.end().success());
}

#[test]
fn losing_the_terminal_hangs_up_the_command_and_nothing_else() {
    for (signal, status) in [(Signal::HUP, 129), (Signal::TERM, 143)] {
        let sandbox = Sandbox::new();
        let mut terminal = Terminal::open(sandbox.command(&["attach"]));
        terminal.wait_for("hello");
        terminal.signal(signal);
        assert_eq!(terminal.end().code(), Some(status));
        assert!(terminal.is_cooked());
        check_told(&sandbox, "HUP");
    }
}

/// The last command tells the first one, by its marker, this signal.
fn check_told(sandbox: &Sandbox, signal: &str) {
    let execs = sandbox.docker.execs();
    let marker = execs[0].env.iter().find(|variable| variable.starts_with("BOXWOOD_EXEC=")).expect("a marker");
    let last = execs.last().expect("a command");
    assert_eq!(last.command[3..], ["boxwood-signal", marker.as_str(), signal]);
    assert!(last.env.is_empty() && last.user == "1:1", "the messenger has no marker: {last:?}");
}

#[test]
fn a_reader_that_leaves_is_told_to_the_command() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(&["exec", "--", "claude"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("input");
    input.write_all(b"words").expect("written");
    assert_eq!(child.wait().expect("it ends").code(), Some(141));
    check_told(&sandbox, "PIPE");
}

#[test]
fn a_terminals_keys_are_left_to_others_when_only_output_goes_elsewhere() {
    let sandbox = Sandbox::new();
    let line = format!("{} exec -- both | cat", env!("CARGO_BIN_EXE_boxwood"));
    sandbox.lead_to(CONTAINER, "both");
    let mut shell = sandbox.command(&[]);
    let environment: Vec<_> =
        shell.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    shell = Command::new("/bin/sh");
    shell.args(["-c", &line]).env_clear().env("PATH", "/usr/bin:/bin").current_dir(sandbox.place.path());
    shell.envs(environment.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let mut terminal = Terminal::open(shell);
    terminal.wait_for("out");
    assert!(terminal.is_cooked());
    terminal.end();
    assert!(!sandbox.docker.execs()[0].tty);
}
