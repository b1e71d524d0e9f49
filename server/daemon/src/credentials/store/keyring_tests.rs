//! The real Secret Service, gnome-keyring, on a message bus of the test's own, with a home of its own.
//!
//! Which bus is asked stands in the environment of a process, so each test runs itself again as a process of such a bus.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::keyring::Keyring;
use super::tests::{contract, get, secret};
use super::*;

/// Says to a process that it is the inner one.
const INSIDE: &str = "BOXWOOD_TEST_KEYRING";
/// A bus that starts only what stands in this directory, and nothing that the machine has installed.
fn bus(services: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        services.display()
    )
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn isolated(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL", "DBUS_SESSION_BUS_ADDRESS"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env(INSIDE, "1").stdin(Stdio::null());
    for name in ["XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        command.env(name, home);
    }
    command
}

/// Runs the test of this name again on a bus of its own. Where there is a keyring, the bus starts it with the first
/// question, with a collection that a password opens; it goes when the bus does.
fn again(name: &str, has_keyring: bool) {
    let home = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let put = |name: &str, text: &str| std::fs::write(at(name), text).expect("written");
    std::fs::create_dir(at("services")).expect("made");
    put("bus.conf", &bus(&at("services")));
    put("password", "password");
    put(
        "start",
        "exec gnome-keyring-daemon --foreground --unlock --components=secrets <$HOME/password >$HOME/log 2>&1\n",
    );
    if has_keyring {
        let start = format!("[D-BUS Service]\nName=org.freedesktop.secrets\nExec=/bin/sh {}\n", at("start").display());
        put("services/org.freedesktop.secrets.service", &start);
    }
    let mut command = isolated("dbus-run-session", home.path());
    command.arg("--config-file").arg(at("bus.conf")).arg("--").arg(std::env::current_exe().expect("this program"));
    run(command, name);
}

fn run(mut command: Command, name: &str) {
    let path = format!("{}::{name}", module_path!().split_once("::").expect("a crate").1);
    let output =
        command.args(["--exact", &path, "--nocapture"]).output().expect("'tests/testbed/tools check' installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{}\n{said}\n{complaint}", output.status);
}

fn keyring(patience: Duration) -> Keyring {
    Keyring::with_patience("boxwood-test", patience)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

#[test]
fn the_contract_holds_for_the_secret_service() {
    if !is_inside() {
        return again("the_contract_holds_for_the_secret_service", true);
    }
    runtime().block_on(async {
        let keyring = keyring(Duration::from_secs(20));
        contract(&keyring).await;
        // Another process, and another connection, finds what is kept.
        keyring.set("one", &secret("kept")).await.expect("kept");
        assert_eq!(get(&Keyring::new("boxwood-test"), "one").await, Ok(Some("kept".to_owned())));
        assert_eq!(get(&Keyring::new("boxwood-other"), "one").await, Ok(None));
    });
}

/// Locks every collection, as a person does who leaves.
fn lock() {
    let login = "array:objpath:/org/freedesktop/secrets/collection/login";
    let _ = ask("org.freedesktop.secrets", &["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", login]);
}

#[test]
fn a_locked_keyring_says_so_and_is_left_in_peace_for_a_while() {
    if !is_inside() {
        return again("a_locked_keyring_says_so_and_is_left_in_peace_for_a_while", true);
    }
    runtime().block_on(async {
        // Nobody is there who would show a dialog.
        let keyring = keyring(Duration::from_secs(20));
        keyring.set("one", &secret("kept")).await.expect("kept");
        lock();
        assert_eq!(get(&keyring, "one").await, Err(Failure::Locked));
        assert_eq!(get(&keyring, "one").await, Err(Failure::Locked), "nobody is asked again");
        keyring.ask_again();
        assert_eq!(get(&keyring, "two").await, Ok(None), "what is not there needs no unlocking");
        assert_eq!(keyring.set("one", &secret("new")).await, Err(Failure::Locked));
        assert_eq!(keyring.set("two", &secret("new")).await, Err(Failure::Locked));
        assert_eq!(keyring.delete("one").await, Err(Failure::Locked));
    });
}

/// Asks somebody on the bus, and gives the answer.
fn ask(whom: &str, words: &[&str]) -> String {
    let mut command = Command::new("dbus-send");
    let output = command.args(["--session", "--print-reply", &format!("--dest={whom}")]).args(words).output();
    let output = output.expect("dbus-send");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Opens the keyring, as a person does who comes back: the bus starts another one, with the password.
fn unlock() {
    let of_bus = |what: &str| {
        let call = format!("org.freedesktop.DBus.{what}");
        ask("org.freedesktop.DBus", &["/org/freedesktop/DBus", &call, "string:org.freedesktop.secrets"])
    };
    let id = of_bus("GetConnectionUnixProcessID");
    let id = id.rsplit(' ').next().expect("a number");
    assert!(Command::new("kill").arg(id).status().expect("kill").success());
    while of_bus("NameHasOwner").ends_with("true") {}
}

#[test]
fn what_was_unlocked_is_found_at_once_and_without_asking() {
    if !is_inside() {
        return again("what_was_unlocked_is_found_at_once_and_without_asking", true);
    }
    runtime().block_on(async {
        let keyring = keyring(Duration::from_secs(20));
        keyring.set("one", &secret("kept")).await.expect("kept");
        lock();
        assert_eq!(get(&keyring, "one").await, Err(Failure::Locked));
        assert_eq!(get(&keyring, "two").await, Ok(None), "of what is not there that can be told");
        assert_eq!(get(&keyring, "one").await, Err(Failure::Locked));
        assert!(keyring.is_resting(), "nobody is asked");
        unlock();
        assert_eq!(get(&keyring, "one").await, Ok(Some("kept".to_owned())));
        assert!(!keyring.is_resting());
    });
}

#[test]
fn a_bus_without_a_keyring_has_none() {
    if !is_inside() {
        return again("a_bus_without_a_keyring_has_none", false);
    }
    runtime().block_on(async {
        let keyring = keyring(Duration::from_secs(20));
        for failure in [
            get(&keyring, "one").await.map(|_| ()),
            keyring.set("one", &secret("s3cret")).await,
            keyring.delete("one").await,
        ] {
            assert!(matches!(&failure, Err(Failure::Absent(why)) if !why.contains("s3cret")), "{failure:?}");
        }
        // And so a file is used.
        let directory = tempfile::tempdir().expect("a directory");
        let kept = Kept::of(Some(Arc::new(keyring)), directory.path());
        assert_eq!(kept.set(Entry::ApiKey, &secret("k")).await, Ok(Place::File));
        assert!(kept.get(Entry::ApiKey).await.expect("found").is_some_and(|value| value == secret("k")));
    });
}

#[test]
fn a_machine_without_a_bus_has_no_keyring() {
    if !is_inside() {
        let home = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a directory");
        let program = std::env::current_exe().expect("this program");
        return run(isolated(&program.to_string_lossy(), home.path()), "a_machine_without_a_bus_has_no_keyring");
    }
    let found = runtime().block_on(async { get(&keyring(Duration::from_secs(20)), "one").await });
    assert!(matches!(found, Err(Failure::Absent(_))), "{found:?}");
}

#[test]
fn a_bus_that_never_answers_is_not_waited_for_without_end() {
    if !is_inside() {
        let home = tempfile::Builder::new().prefix("boxwood-test-").tempdir().expect("a directory");
        let socket = home.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let program = std::env::current_exe().expect("this program");
        let mut command = isolated(&program.to_string_lossy(), home.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));
        return run(command, "a_bus_that_never_answers_is_not_waited_for_without_end");
    }
    let runtime = runtime();
    runtime.block_on(async {
        let keyring = keyring(Duration::from_millis(300));
        let asked = Instant::now();
        assert_eq!(get(&keyring, "one").await, Err(Failure::Locked));
        // The one before still waits, and the next does not wait for it without end either.
        assert_eq!(keyring.set("one", &secret("x")).await, Err(Failure::Locked));
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    });
    runtime.shutdown_background();
}
