//! Commands in a sandbox: exec, run, logs, stats.

use boxwood_e2e::{World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::operation::Metric;
use boxwood_protocol::params::{EnsureAction, EnsureResult, ExecResult, LogsResult};
use serde_json::Value;

#[test]
fn output_error_output_and_status_arrive_apart_and_unchanged() {
    let world = World::new();
    let _ = world.start();
    let done = world.sh("echo out; echo err >&2; exit 42");
    assert_eq!((done.status, done.out(), done.err()), (42, "out\n".into(), "err\n".into()));
    let done: ExecResult = serde_json::from_slice(
        &world.boxwood(["exec", "--json", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]).run().stdout,
    )
    .expect("a result");
    assert_eq!((done.exit_code, done.stdout.as_str(), done.stderr.as_str()), (42, "out\n", "err\n"));
    for (program, status) in [("no-such-program", 127), ("/no/such/program", 127), ("/etc/passwd", 126)] {
        let done = world.exec([program]);
        assert_eq!((done.status, done.out().as_str()), (status, ""), "as shells have it");
        assert!(done.err().contains(program), "{}", done.told("does not say what did not start"));
        let result: ExecResult =
            serde_json::from_slice(&world.boxwood(["exec", "--json", "--", program]).run().stdout).expect("a result");
        assert_eq!((result.exit_code, result.stdout.as_str()), (i64::from(status), ""));
        assert!(result.stderr.contains(program), "{}", result.stderr);
    }
    assert_eq!(world.sh("kill -TERM $$").status, 143, "as shells have it");
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let world = World::new();
    let _ = world.start();
    let words = ["two words", "quote\"s 'and' $HOME `x`", "", "line\nbreak", "--flag", "ünï🦀", "*"];
    let done = world.exec(["printf", "<%s>"].iter().chain(&words)).ok();
    assert_eq!(done.out(), words.map(|word| format!("<{word}>")).concat());
    assert_eq!(world.exec(["pwd"]).ok().out().trim_end(), world.project().to_string_lossy());
}

#[test]
fn bytes_pass_unchanged_in_both_directions() {
    let world = World::new();
    let _ = world.start();
    let all: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let back = world.boxwood(["exec", "--", "cat"]).input(all.clone()).run().ok();
    assert!(back.stdout == all, "{} of {} bytes came back, changed or not", back.stdout.len(), all.len());
    let counted = world.boxwood(["exec", "--", "sh", "-c", "wc -c; echo done >&2"]).input(all.clone()).run().ok();
    assert_eq!((counted.out().trim(), counted.err().as_str()), ("5242880", "done\n"));
    let nothing = world.exec(["wc", "-c"]).ok();
    assert_eq!(nothing.out().trim(), "0", "no input is an end of input, not a wait");
}

#[test]
fn a_reader_that_leaves_ends_the_command() {
    let world = World::new();
    let _ = world.start();
    let program = boxwood_e2e::world::program();
    let line =
        format!("'{}' exec -- sh -c 'echo $$ >~/number; while :; do echo line; done' | head -n 1", program.display());
    let done = boxwood_e2e::Cli::new("sh")
        .args(["-c", &line])
        .only_env(world.environment())
        .within(world.project())
        .run()
        .ok();
    assert_eq!(done.out(), "line\n");
    until("the command's end", || (world.sh("kill -0 $(cat ~/number)").status != 0).then_some(()));
}

#[test]
fn run_brings_the_sandbox_to_life_and_keeps_the_status() {
    let world = World::new();
    let done = world.boxwood(["run", "--", "sh", "-c", "cat; exit 7"]).input("piped").run();
    assert_eq!((done.status, done.out()), (7, "piped".into()), "{}", done.told("did not pass on its input"));
    let again: ExecResult = world.boxwood(["run", "--json", "--", "echo", "again"]).run().json();
    assert_eq!(again.stdout, "again\n");
    let result: EnsureResult = world.start();
    assert_eq!(result.action, EnsureAction::Attached);
}

#[test]
fn logs_show_what_the_main_process_wrote() {
    let world = World::new();
    world.write(".envrc", "export A=1\n");
    let _ = world.start();
    let lines = || world.boxwood(["logs", "--json"]).run().json::<LogsResult>().lines;
    assert!(lines().is_empty(), "it has nothing to say while all is well");
    let follower = world.boxwood(["logs", "--follow"]).spawn();
    // What it guards is taken from under it.
    std::fs::rename(world.project().join(".envrc"), world.project().join("elsewhere")).expect("renamed");
    follower.wait_for_line("no longer mounted");
    assert_eq!(follower.wait().status, 0, "it ends with the sandbox");
    let said = lines();
    assert!(said.last().is_some_and(|line| line.ends_with("/.envrc")), "{said:?}");
    let last: LogsResult = world.boxwood(["logs", "--json", "--tail", "1"]).run().json();
    assert_eq!(last.lines, said[said.len() - 1..], "also of one that has ended");
}

#[test]
fn figures_of_sandboxes_and_operations_are_shown() {
    let world = World::new();
    let none: Vec<Value> = world.boxwood(["stats", "--json"]).run().json();
    assert!(none.is_empty());
    let sandbox = world.start().sandbox;
    let readings: Vec<Value> = world.boxwood(["stats", "--json"]).run().json();
    assert_eq!(readings.len(), 1);
    assert_eq!(readings[0]["sandboxId"], sandbox.id.as_str());
    let sample = &readings[0]["sample"];
    assert!(sample["memoryBytes"].as_u64() > Some(0) && sample["pids"].as_u64() > Some(0), "{sample}");
    assert_eq!(sample["memoryLimitBytes"].as_u64(), Some(world.inspect().limits.memory_bytes));
    let metrics: Vec<Metric> = world.boxwood(["stats", "--operations", "--json"]).run().json();
    let ensure = metrics.iter().find(|metric| metric.kind == "ensure").expect("starts are counted");
    assert_eq!((ensure.ok, ensure.failed), (1, 0));
    assert!(ensure.median_ms > 0);
}

#[test]
fn a_sandbox_that_is_not_there_is_said_so_by_every_verb() {
    let world = World::new();
    for verb in ["stop", "restart", "remove", "inspect", "logs", "attach"] {
        let _ = world.boxwood([verb, "--json"]).run().refused(ErrorCode::SandboxNotFound);
        let _ = world.boxwood([verb, "--json", "nothing-like-it"]).run().refused(ErrorCode::SandboxNotFound);
    }
    let _ = world.boxwood(["exec", "--json", "--", "true"]).run().refused(ErrorCode::SandboxNotFound);
    let said = world.boxwood(["stop"]).run();
    assert!(said.err().contains("next:"), "{}", said.told("names no next step"));
}
