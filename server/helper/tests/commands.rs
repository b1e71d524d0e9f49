//! The program as a container's engine and a daemon see it: arguments, output, exit codes, signals.

#![cfg(target_os = "linux")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use rustix::fs::{CWD, Mode};
use rustix::process::{Pid, Signal, kill_process};

/// A private place for the session's pipe, so that tests and real sandboxes never meet.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn helper(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxwood-helper"));
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path());
        command.env("BOXWOOD_SESSION_DIR", self.path().join("session-dir"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.helper(args).output().expect("helper")
    }

    /// Starts `keep` and returns when it listens: opening a pipe for writing waits for its reader.
    fn keep(&self, args: &[&str]) -> (Child, File) {
        let directory = self.path().join("session-dir");
        rustix::fs::mkdir(&directory, Mode::RWXU).expect("session directory");
        let pipe = directory.join("session");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("pipe");
        let child = self.helper(&[&["keep"], args].concat()).spawn().expect("keep");
        let session = OpenOptions::new().write(true).open(pipe).expect("pipe");
        (child, session)
    }

    /// Starts a session that lasts until its input is closed, and returns when it has announced itself.
    fn session(&self, script: &str) -> (Child, ChildStdin) {
        let mut session = self.helper(&["supervise", "--", "sh", "-c", script]);
        let mut session = session.stdin(Stdio::piped()).spawn().expect("session");
        let mut input = session.stdin.take().expect("input");
        input.write_all(b"x").expect("write");
        session.stdout.as_mut().expect("output").read_exact(&mut [0]).expect("read");
        (session, input)
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("signal");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn keep_ends_well_when_asked() {
    for asked in [Signal::TERM, Signal::INT] {
        let (mut keep, first_session) = Place::new().keep(&[]);
        drop(first_session);
        signal(&keep, asked);
        assert_eq!(keep.wait().expect("keep").code(), Some(0));
    }
}

#[test]
fn keep_waits_for_a_session_that_is_putting_its_state_away() {
    let place = Place::new();
    let (mut keep, first_session) = place.keep(&[]);
    let (mut session, input) = place.session("cat");
    drop(first_session);
    signal(&keep, Signal::TERM);
    assert!(keep.try_wait().expect("keep").is_none());
    drop(input);
    assert_eq!(session.wait().expect("session").code(), Some(0));
    assert_eq!(keep.wait().expect("keep").code(), Some(0));
}

#[test]
fn an_ephemeral_sandbox_ends_with_its_session_and_as_it_did() {
    let place = Place::new();
    let (mut keep, first_session) = place.keep(&["--ephemeral"]);
    let (mut session, input) = place.session("cat; exit 7");
    drop(first_session);
    assert!(keep.try_wait().expect("keep").is_none());
    drop(input);
    assert_eq!(session.wait().expect("session").code(), Some(7));
    assert_eq!(keep.wait().expect("keep").code(), Some(7));
}

#[test]
fn keep_ends_at_once_when_something_guarded_is_not_mounted() {
    let output = Place::new().run(&["keep", "--guard", "/proc", "--guard", "/proc/version"]);
    let said = "boxwood-helper: no longer mounted: /proc/version\n".to_owned();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(79), said));
    let (mut keep, first_session) = Place::new().keep(&["--guard", "/proc"]);
    drop(first_session);
    signal(&keep, Signal::TERM);
    assert_eq!(keep.wait().expect("keep").code(), Some(0));
}

#[test]
fn sealing_and_verifying_are_one_contract() {
    let place = Place::new();
    let root = place.path().join("volume");
    std::fs::create_dir(&root).expect("volume");
    std::fs::write(root.join("file"), "content").expect("file");
    let root_text = root.to_str().expect("path");
    let unsealed = place.run(&["verify", "--root", root_text]);
    assert_eq!(unsealed.status.code(), Some(1));
    assert_eq!(text(&place.run(&["seal", "--root", root_text]).stdout), "sealed 1 files\n");
    assert_eq!(text(&place.run(&["verify", "--root", root_text]).stdout), "verified 1 files\n");
    std::fs::write(root.join("file"), "tampered").expect("file");
    let differing = place.run(&["verify", "--root", root_text]);
    assert_eq!((differing.status.code(), text(&differing.stdout).as_str()), (Some(1), "changed file\n"));
}

#[test]
fn health_is_one_line_of_json_and_an_exit_code() {
    let place = Place::new();
    let workspace = place.path().to_str().expect("path");
    let output = place.run(&["health", "--workspace", workspace, "--min-free-mib", "0"]);
    assert_eq!(output.status.code(), Some(1), "no claude is there");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    let of = |name: &str| {
        let checks = report["checks"].as_array().expect("checks");
        checks.iter().find(|check| check["name"] == name).expect("check").clone()
    };
    assert_eq!(report["healthy"], false);
    assert_eq!(of("workspace-writable")["ok"], true);
    assert_eq!(of("home-writable")["ok"], true);
    assert_eq!(of("workspace-disk")["ok"], true);
    assert!(of("workspace-disk")["freeBytes"].is_u64());
    assert_eq!(of("claude")["ok"], false);
    assert!(!of("workspace-mounted").is_null());
}

#[test]
fn a_command_gets_a_sessions_environment_and_keeps_its_exit_code() {
    let output = Place::new().run(&["exec", "--", "sh", "-c", "echo $LANG; exit 3"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "C.UTF-8\n"));
    assert_eq!(Place::new().run(&["exec", "--", "no-such-program"]).status.code(), Some(127));
}

#[test]
fn attaching_needs_a_terminal() {
    let output = Place::new().run(&["attach"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("not a terminal"), "{}", text(&output.stderr));
}

#[test]
fn a_wrong_call_exits_with_2() {
    for args in [
        &["frobnicate"][..],
        &["keep", "--for-ever"],
        &["keep", "--guard"],
        &["health", "--workspace"],
        &["seal", "x"],
        &[],
    ] {
        assert_eq!(Place::new().run(args).status.code(), Some(2), "{args:?}");
    }
}
