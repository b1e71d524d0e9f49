//! Claude on a real terminal: it shows, it goes on when nobody looks, it is there again.

use boxwood_e2e::api::Api;
use boxwood_e2e::cli::signal;
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::{World, until};

/// What Claude's screen says at its prompt in a sandbox.
const AT_ITS_PROMPT: &str = "bypass permissions on";

/// The multiplexer's keys for leaving it working.
const DETACH: &[u8] = b"\x1dd";

/// Number, inside, of the Claude that the terminal shows: the oldest one, for what it starts is for a moment a second
/// process of the same program.
fn claude(world: &World) -> Option<u32> {
    let look =
        "for p in /proc/[0-9]*; do case $(readlink $p/exe) in */claude) cat $p/stat;; esac; done 2>/dev/null; true";
    let found = world.sh(look).ok().out();
    // The name stands in brackets; after it, the time at which the process began is the 20th field.
    let ages = found.lines().filter_map(|stat| {
        let (number, _) = stat.split_once(' ')?;
        let began: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some((began, number.parse().ok()?))
    });
    ages.min().map(|(_, number)| number)
}

#[test]
fn detaching_leaves_claude_working_and_attaching_redraws_it() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let mut terminal = Terminal::open(&world, "start");
    terminal.wait_for(AT_ITS_PROMPT);
    let number = until("Claude's process", || claude(&world));
    terminal.press(b"say shown-on-the-screen");
    terminal.wait_for("say shown-on-the-screen");
    terminal.press(b"\r");
    terminal.wait_for("● shown-on-the-screen");
    terminal.press(DETACH);
    assert_eq!(terminal.wait(), 0, "leaving is no failure");
    assert_eq!(claude(&world), Some(number), "it goes on");

    let again = Terminal::open(&world, "attach");
    again.wait_for("● shown-on-the-screen");
    again.wait_for(AT_ITS_PROMPT);
    assert_eq!(claude(&world), Some(number), "it is the same");
}

#[test]
fn claude_survives_the_death_of_the_terminal_and_of_its_client() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let _ = world.start();
    let mut terminal = Terminal::open(&world, "attach");
    terminal.wait_for(AT_ITS_PROMPT);
    let number = until("Claude's process", || claude(&world));
    signal(terminal.client(), "KILL");
    assert_ne!(terminal.wait(), 0);
    assert_eq!(claude(&world), Some(number), "the client was killed");

    let other = Terminal::open(&world, "attach");
    other.wait_for(AT_ITS_PROMPT);
    drop(other);
    assert_eq!(claude(&world), Some(number), "the terminal was closed");

    world.kill_daemon();
    let third = Terminal::open(&world, "attach");
    third.wait_for(AT_ITS_PROMPT);
    assert_eq!(claude(&world), Some(number), "the daemon was killed");
}

#[test]
fn the_last_conversation_is_resumed_when_asked() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let mut terminal = Terminal::open(&world, "start");
    terminal.wait_for(AT_ITS_PROMPT);
    terminal.press(b"say said-before-the-stop");
    terminal.wait_for("say said-before-the-stop");
    terminal.press(b"\r");
    terminal.wait_for("● said-before-the-stop");
    terminal.press(DETACH);
    assert_eq!(terminal.wait(), 0);
    let _ = world.boxwood(["stop", "--json"]).run().ok();

    for words in ["start --resume", "attach --resume"] {
        let mut resumed = Terminal::open(&world, words);
        resumed.wait_for("● said-before-the-stop");
        resumed.wait_for(AT_ITS_PROMPT);
        resumed.press(b"/exit");
        resumed.wait_for("/exit");
        resumed.press(b"\r");
        let _ = resumed.wait();
        until("Claude's end", || claude(&world).is_none().then_some(()));
    }
    let fresh = Terminal::open(&world, "attach");
    fresh.wait_for(AT_ITS_PROMPT);
    assert!(!fresh.shown().contains("● said-before-the-stop"), "nobody asked for it: {}", fresh.shown());
}

#[test]
fn two_terminals_show_the_same_claude() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let _ = world.start();
    let mut one = Terminal::open(&world, "attach");
    one.wait_for(AT_ITS_PROMPT);
    let other = Terminal::open(&world, "attach");
    other.wait_for(AT_ITS_PROMPT);
    one.press(b"typed-in-one");
    other.wait_for("typed-in-one");
}

#[test]
fn a_shell_opens_beside_claude_and_its_status_is_kept() {
    let world = World::new();
    let _ = world.start();
    let mut shell = Terminal::open(&world, "attach --shell");
    shell.press(b"echo it-is-$((6 * 7)); pwd\r");
    shell.wait_for("it-is-42");
    shell.wait_for(&world.project().to_string_lossy());
    shell.press(b"exit\r");
    assert_eq!(shell.wait(), 0);
    assert!(claude(&world).is_none());
}

#[test]
fn a_command_on_a_terminal_has_a_terminal() {
    let world = World::new();
    let _ = world.start();
    let mut terminal = Terminal::open(
        &world,
        "exec -- sh -c 'stty size; test -t 0 && test -t 1 && read -r answer; echo got-$answer; exit 5'",
    );
    terminal.wait_for("40 120");
    terminal.press(b"keys\r");
    terminal.wait_for("got-keys");
    assert_eq!(terminal.wait(), 5);
    let mut missing = Terminal::open(&world, "exec -- no-such-program");
    assert_eq!(missing.wait(), 127);
    missing.wait_for("no-such-program");
}

#[test]
fn in_automation_a_terminal_is_not_taken_over() {
    let mut world = World::new();
    world.set("CI", "1");
    let mut terminal = Terminal::open(&world, "start");
    assert_eq!(terminal.wait(), 0, "it starts the sandbox and leaves");
    terminal.wait_for("Created sandbox");
}

#[test]
fn an_ephemeral_sandbox_goes_when_claude_ends() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let mut terminal = Terminal::open(&world, "start --ephemeral");
    terminal.wait_for(AT_ITS_PROMPT);
    assert_eq!(world.containers().len(), 1);
    terminal.press(b"/exit");
    terminal.wait_for("/exit");
    terminal.press(b"\r");
    let _ = terminal.wait();
    until("the sandbox's removal", || world.has_no_container().then_some(()));
    until("the daemon hears of it", || world.list().is_empty().then_some(()));
}
