//! Claude on a real terminal: it shows, it goes on when nobody looks, it is there again.

use boxwood_e2e::api::Api;
use boxwood_e2e::cli::signal;
use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::{World, until};

/// What Claude's screen says at its prompt in a sandbox.
const AT_ITS_PROMPT: &str = "bypass permissions on";

/// The multiplexer's keys for leaving it working.
const DETACH: &[u8] = b"\x1dd";

/// Number, inside, of the Claude that the terminal shows.
fn claude(world: &World) -> Option<String> {
    let look = "for p in /proc/[0-9]*; do case $(readlink $p/exe) in */claude) echo ${p#/proc/};; esac; done";
    Some(world.sh(look).ok().out().trim().to_owned()).filter(|numbers| !numbers.is_empty())
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
    assert_eq!(claude(&world), Some(number.clone()), "it goes on");

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
    assert_eq!(claude(&world), Some(number.clone()), "the client was killed");

    let other = Terminal::open(&world, "attach");
    other.wait_for(AT_ITS_PROMPT);
    drop(other);
    assert_eq!(claude(&world), Some(number.clone()), "the terminal was closed");

    world.kill_daemon();
    let third = Terminal::open(&world, "attach");
    third.wait_for(AT_ITS_PROMPT);
    assert_eq!(claude(&world), Some(number), "the daemon was killed");
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
        "exec -- sh -c 'while test \"$(stty size)\" = \"0 0\"; do :; done; test -t 0 && test -t 1 && stty size; read -r answer; echo got-$answer; exit 5'",
    );
    terminal.wait_for("40 120");
    terminal.press(b"keys\r");
    terminal.wait_for("got-keys");
    assert_eq!(terminal.wait(), 5);
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
    until("the sandbox's removal", || world.containers().is_empty().then_some(()));
    assert!(world.list().is_empty());
}
