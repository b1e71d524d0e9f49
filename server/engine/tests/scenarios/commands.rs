//! Commands in running containers.

use std::time::Duration;

use boxwood_engine::{Engine, EngineError, ExecSpec};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::bench::{Bench, collect, text};

/// Shell scripts and what they do: standard output, standard error, exit status.
pub(crate) const SCRIPTS: [(&str, (&str, &str, i64)); 5] = [
    ("echo out; echo err >&2", ("out\n", "err\n", 0)),
    ("exit 42", ("", "", 42)),
    ("printf 'no newline'", ("no newline", "", 0)),
    ("printf 'a\\0b' ", ("a\0b", "", 0)),
    ("echo lines; echo more; exit 7", ("lines\nmore\n", "", 7)),
];

fn command(words: &[&str]) -> ExecSpec {
    ExecSpec { command: words.iter().map(|word| (*word).to_owned()).collect(), ..ExecSpec::default() }
}

pub(crate) async fn outputs_and_exit_statuses_come_apart(bench: &Bench) {
    let id = bench.running("outputs").await;
    for (script, (stdout, stderr, exit_code)) in SCRIPTS {
        let found = bench.output(&id, &["sh", "-c", script]).await;
        assert_eq!(found, (stdout.to_owned(), stderr.to_owned(), exit_code), "{script}");
    }
}

pub(crate) async fn input_reaches_a_command_and_its_end_ends_it(bench: &Bench) {
    let id = bench.running("input").await;
    let spec = ExecSpec { stdin: true, ..command(&["cat"]) };
    // More than any buffer on the way holds.
    let input = "0123456789abcdef".repeat(40_000);
    let (stdout, stderr, exit_code) = bench.exec(&id, &spec, input.as_bytes()).await;
    assert_eq!((stdout.len(), stderr.as_str(), exit_code), (input.len(), "", 0));
    assert!(stdout == input, "the input came back changed");
}

pub(crate) async fn a_terminal_has_one_output(bench: &Bench) {
    let id = bench.running("terminal").await;
    let spec = ExecSpec { stdin: true, tty: true, ..command(&["cat"]) };
    let mut running = bench.engine.exec(&id, &spec).await.expect("the command starts");
    bench.engine.resize_exec(&running.exec_id, 101, 43).await.expect("the terminal has a size");
    running.input.write_all(b"hello\n\x04").await.expect("the input is taken");
    let (stdout, stderr) = collect(running.output).await;
    assert!(text(&stdout).contains("hello"), "{:?}", text(&stdout));
    assert!(stderr.is_empty());
    assert_eq!(bench.engine.exec_exit_code(&running.exec_id).await.expect("an exit status"), 0);
}

pub(crate) async fn a_program_that_is_not_there_has_a_status_of_its_own(bench: &Bench) {
    let id = bench.running("missing").await;
    let (stdout, _, exit_code) = bench.output(&id, &["/no/such/program"]).await;
    assert!(matches!(exit_code, 126 | 127), "{exit_code}");
    assert!(stdout.contains("/no/such/program"), "{stdout:?}");
}

pub(crate) async fn a_stopped_container_takes_no_command(bench: &Bench) {
    let id = bench.engine.create_container(&bench.spec("stopped")).await.expect("a container is made");
    let refused = bench.engine.exec(&id, &command(&["true"])).await.err().expect("nothing runs in it");
    assert!(matches!(refused, EngineError::Conflict(_)), "{refused:?}");
}

pub(crate) async fn a_command_ends_with_its_container(bench: &Bench) {
    let id = bench.running("ends").await;
    let spec = ExecSpec { stdin: true, ..command(&["cat"]) };
    let mut running = bench.engine.exec(&id, &spec).await.expect("the command starts");
    // Its echo shows that it runs; before that there is nothing to kill.
    running.input.write_all(b"here").await.expect("the input is taken");
    let echo = running.output.next().await.expect("an echo").expect("no error");
    assert_eq!(text(&echo.bytes), "here");
    bench.engine.stop_container(&id, 0).await.expect("the container stops");
    assert_eq!(collect(running.output).await, (Vec::new(), Vec::new()));
    let asked = tokio::time::timeout(Duration::from_secs(60), bench.engine.exec_exit_code(&running.exec_id));
    assert_eq!(asked.await.expect("an answer").expect("an exit status"), 137);
}
