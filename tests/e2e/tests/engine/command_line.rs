//! The command line itself: what it refuses, how it speaks to people and to scripts.

use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::{World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::TemplateInfo;

#[test]
fn what_it_does_not_know_is_refused_with_status_2() {
    let world = World::new();
    for words in [
        &["--frobnicate"][..],
        &["start", "--frobnicate"],
        &["frobnicate"],
        &["exec"],
        &["start", "a", "b"],
        &["list", "--color", "sometimes"],
    ] {
        let done = world.boxwood(words).run();
        assert_eq!(done.status, 2, "{}", done.told("was not refused"));
        assert!(done.out().is_empty() && done.err().contains("--help"), "{}", done.told("does not say how"));
    }
    assert!(world.daemon().is_none(), "nothing was started for it");
}

#[test]
fn versions_help_and_completions_need_neither_daemon_nor_engine() {
    let mut world = World::new();
    world.set("DOCKER_HOST", "unix:///nonexistent/engine.sock");
    let version = world.boxwood(["--version"]).run().ok().out();
    assert_eq!(version, format!("boxwood {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(
        world.boxwood(["start", "--version"]).run().ok().out().split(' ').next_back(),
        version.split(' ').next_back()
    );
    let help = world.boxwood(["help"]).run().ok().out();
    for verb in [
        "start",
        "attach",
        "exec",
        "run",
        "stop",
        "restart",
        "refresh",
        "remove",
        "list",
        "inspect",
        "logs",
        "stats",
        "prune",
        "doctor",
        "daemon",
        "completions",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not listed");
        let own = world.boxwood([verb, "--help"]).run().ok().out();
        assert!(own.contains("--json"), "{verb} --help: {own}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = world.boxwood(["completions", shell]).run().ok().out();
        assert!(script.contains("boxwood") && script.contains("refresh"), "{shell}");
    }
    let script = world.boxwood(["completions", "bash"]).run().ok().stdout;
    let _ = boxwood_e2e::Cli::new("bash").args(["-n", "/dev/stdin"]).input(script).run().ok();
    let templates: Vec<TemplateInfo> = world.boxwood(["template", "list", "--json"]).run().json();
    assert!(!templates.is_empty());
}

#[test]
fn without_a_terminal_and_in_automation_output_is_plain() {
    let world = World::new();
    for (name, value) in [("CI", "1"), ("NO_COLOR", "1"), ("TERM", "dumb"), ("LANG", "C")] {
        let started = world.boxwood(["start"]).env(name, value).run().ok();
        let listed = world.boxwood(["list"]).env(name, value).run().ok();
        for done in [&started, &listed] {
            assert!(!done.out().contains('\u{1b}') && !done.err().contains('\u{1b}'), "{}", done.told("is not plain"));
            assert!(!done.err().contains('\r'), "{}", done.told("draws"));
        }
        let _ = world.boxwood(["remove"]).env(name, value).run().ok();
    }
    let coloured = world.boxwood(["start", "--color", "always"]).run().ok();
    assert!(coloured.out().contains('\u{1b}'), "colour can be had");
    let steps = world.boxwood(["refresh"]).run().ok().err();
    assert!(steps.contains("creating the container…\n"), "each step is one line: {steps}");
}

/// Everything that a call writes to a terminal, up to its last word.
fn written_on_a_terminal(world: &World, words: &str, last: &str) -> String {
    let mut terminal = Terminal::open(world, words);
    terminal.wait_for(last);
    assert_eq!(terminal.wait(), 0, "{words}: {}", terminal.shown());
    terminal.written()
}

/// Whether text is coloured, bold or the like: such sequences end in an `m`, and those that move the cursor do not.
fn is_styled(written: &str) -> bool {
    let parameters = |character: char| character.is_ascii_digit() || character == ';';
    written.split("\u{1b}[").skip(1).any(|rest| rest.trim_start_matches(parameters).starts_with('m'))
}

#[test]
fn on_a_terminal_progress_is_drawn_in_colour_unless_the_environment_says_otherwise() {
    /// Empties a line, to write it anew.
    const ERASE: &str = "\u{1b}[2K";
    let mut world = World::new();
    let _ = world.start();
    let drawn = written_on_a_terminal(&world, "restart", "Restarted");
    assert!(drawn.contains(ERASE) && is_styled(&drawn), "{drawn:?}");

    world.set("NO_COLOR", "1");
    let colourless = written_on_a_terminal(&world, "restart", "Restarted");
    assert!(colourless.contains(ERASE) && !is_styled(&colourless), "{colourless:?}");

    world.set("NO_COLOR", "");
    world.set("CI", "true");
    let lines = written_on_a_terminal(&world, "restart", "Restarted");
    assert!(!lines.contains(ERASE) && !lines.replace("\r\n", "\n").contains('\r'), "{lines:?}");
    assert!(lines.lines().any(|line| line.ends_with('…')), "each step is one line: {lines:?}");
}

#[test]
fn on_a_terminal_a_person_is_asked_and_automation_is_not() {
    let mut world = World::new();
    let sandbox = world.start().sandbox;
    let mut asked = Terminal::open(&world, "remove --purge-state");
    asked.wait_for(&format!("Delete sandbox {} with its conversations and login for good? [y/N]", sandbox.id));
    asked.press(b"n\r");
    assert_eq!(asked.wait(), i32::from(ErrorCode::Cancelled.exit_code()), "{}", asked.shown());

    world.set("CI", "true");
    let mut unasked = Terminal::open(&world, "remove --purge-state");
    unasked.wait_for("--yes");
    assert_eq!(unasked.wait(), i32::from(ErrorCode::InvalidParams.exit_code()), "{}", unasked.shown());
    assert!(!unasked.shown().contains("[y/N]"), "{}", unasked.shown());
    assert_eq!(world.list().iter().map(|known| &known.id).collect::<Vec<_>>(), [&sandbox.id]);
}

#[test]
fn nobody_is_asked_where_nobody_can_answer() {
    let world = World::new();
    let _ = world.start();
    for words in [&["remove", "--purge-state"][..], &["cleanup-all"]] {
        let done = world.boxwood(words).env("CI", "1").input("y\n").run();
        assert_eq!(done.status, i32::from(ErrorCode::InvalidParams.exit_code()), "{}", done.told("went on"));
        assert!(done.err().contains("--yes"), "{}", done.told("does not say which flag answers"));
    }
    let attached = world.boxwood(["attach"]).run();
    assert_eq!(attached.status, 64, "{}", attached.told("attached to no terminal"));
    assert_eq!(world.list().len(), 1);
}

#[test]
fn the_daemon_starts_on_demand_and_leaves_when_asked() {
    let world = World::new();
    let done = world.boxwood(["daemon", "status", "--json"]).run();
    assert_eq!((done.status, done.out().trim()), (1, "null"), "asking does not start it");
    let _ = world.boxwood(["daemon", "stop"]).run().ok();
    assert!(world.list().is_empty());
    let status = world.daemon().expect("it was started");
    assert_eq!(status.state_directory, world.state().to_string_lossy());
    assert!(status.engine.is_available);
    let _ = world.start();
    let _ = world.boxwood(["daemon", "stop"]).run().ok();
    until("its end", || (!boxwood_e2e::world::is_alive(status.pid)).then_some(()));
    assert!(!world.runtime().join("daemon.sock").exists());
    assert_eq!(world.list().len(), 1, "sandboxes keep running, and the next daemon knows them");
    assert_ne!(world.daemon().expect("a new one").pid, status.pid);
}

#[test]
fn a_closed_output_is_no_crash() {
    let world = World::new();
    let program = boxwood_e2e::world::program();
    for words in ["list --json", "doctor", "help", "completions bash"] {
        let line =
            format!("'{}' {words} | true; exec 2>/dev/null; '{}' {words} >&-", program.display(), program.display());
        let done = boxwood_e2e::Cli::new("bash")
            .args(["-c", &line])
            .only_env(world.environment())
            .within(world.project())
            .run();
        assert!(!done.err().contains("panicked"), "{}", done.told("crashed"));
    }
    let full = boxwood_e2e::Cli::new("sh").args(["-c", &format!("'{}' doctor >/dev/full", program.display())]);
    let full = full.only_env(world.environment()).within(world.project()).run();
    assert_eq!(full.status, 74, "{}", full.told("did not notice"));
}
