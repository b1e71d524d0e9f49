//! What a person sees on a terminal who signs in there, however that goes, and in which state the terminal is left.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use boxwood_e2e::terminal::Terminal;
use boxwood_e2e::until;
use boxwood_protocol::ErrorCode;
use serde_json::json;

use super::Signing;

const QUESTION: &str = "Code (not shown while you type):";
const INTERRUPT: &[u8] = b"\x03";
/// Says whether the terminal shows again what is typed.
const ECHO: &str = "stty -a | grep -qw -e -echo && echo 'it is silent' || echo 'it echoes'";

/// Begins to sign in.
fn open(signing: &Signing, words: &str) -> Terminal {
    Terminal::open_then(&signing.world, &format!("login {words}"), ECHO)
}

/// The address as it stands on the terminal.
fn address(terminal: &Terminal) -> String {
    terminal.wait_for(QUESTION);
    let shown = terminal.shown();
    let found = shown.split_whitespace().find(|word| word.starts_with("https://"));
    found.unwrap_or_else(|| panic!("no address: {shown}")).to_owned()
}

/// Waits for the end with a status, after which the terminal is as it was.
#[track_caller]
fn ends(terminal: &mut Terminal, status: i32) {
    assert_eq!(terminal.wait(), status, "{}", terminal.shown());
    assert!(terminal.shown().contains("it echoes"), "{}", terminal.shown());
}

fn status_of(code: ErrorCode) -> i32 {
    i32::from(code.exit_code())
}

/// A directory with nothing but what a terminal needs, and with a program of this name that writes down its argument.
fn programs(directory: &Path, browser: Option<&str>) -> String {
    fs::create_dir(directory).expect("a directory");
    let path = std::env::var_os("PATH").expect("a path");
    for name in ["script", "stty", "grep"] {
        let found = std::env::split_paths(&path).map(|path| path.join(name)).find(|path| path.is_file());
        symlink(found.expect("it is there"), directory.join(name)).expect("linked");
    }
    if let Some(name) = browser {
        let opened = directory.join("opened");
        // Written whole, so that who waits for the file finds the address in it.
        let lines = format!("#!/bin/sh\necho \"$1\" >'{0}.new' && exec /bin/mv '{0}.new' '{0}'\n", opened.display());
        fs::write(directory.join(name), lines).expect("written");
        fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o755)).expect("set");
    }
    directory.display().to_string()
}

#[test]
fn a_browser_is_opened_where_the_person_sees_it_and_the_address_is_shown_everywhere() {
    let mut signing = Signing::new();
    let with_none = programs(&signing.world.root().join("none"), None);
    let path = signing.world.root().join("programs");
    let with_one = programs(&path, Some("xdg-open"));
    let (screen, ssh) = (("DISPLAY", ":0"), ("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22"));
    let opens = "Your browser opens; sign in there. If it does not, open this address:";
    let shows = "Open this address in a browser and sign in there:";
    for (what, programs, set, words, is_opened) in [
        ("on a screen", &with_one, vec![screen], "", true),
        ("on a screen without a browser", &with_none, vec![screen], "", false),
        ("by SSH, also with a screen", &with_one, vec![screen, ssh], "", false),
        ("without a screen", &with_one, vec![], "", false),
        ("where none is wanted", &with_one, vec![screen], "--no-browser", false),
    ] {
        for name in
            ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]
        {
            let value = set.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
            signing.world.set(name, value);
        }
        signing.world.set("PATH", programs);
        let mut terminal = open(&signing, words);
        let url = address(&terminal);
        assert!(terminal.shown().contains(if is_opened { opens } else { shows }), "{what}: {}", terminal.shown());
        if is_opened {
            let opened = until("the browser", || fs::read_to_string(path.join("opened")).ok());
            assert_eq!(opened.trim(), url, "{what}");
            fs::remove_file(path.join("opened")).expect("removed");
        }
        terminal.press(INTERRUPT);
        ends(&mut terminal, status_of(ErrorCode::Cancelled));
        assert!(!path.join("opened").exists(), "{what}: a browser was opened");
    }
    // The address that was shown last is one at which people sign in.
    let mut terminal = open(&signing, "--no-browser");
    let code = signing.identity.sign_in(&address(&terminal));
    terminal.press(format!("{code}\n").as_bytes());
    ends(&mut terminal, 0);
    assert_eq!((signing.homes(), signing.containers()), (vec!["default".to_owned()], Vec::new()));
}

#[test]
fn a_second_sign_in_is_told_of_the_first_which_goes_on() {
    let signing = Signing::new();
    let mut first = open(&signing, "--no-browser");
    let url = address(&first);
    let mut second = open(&signing, "--no-browser");
    ends(&mut second, status_of(ErrorCode::LoginRunning));
    let said = second.shown();
    assert!(said.contains("somebody is signing in to 'default' already"), "{said}");
    assert!(said.contains("go on with the one that runs, or cancel it first"), "{said}");
    // Somewhere else is no trouble.
    let mut other = open(&signing, "--no-browser --home other");
    let code = signing.identity.sign_in(&address(&other));
    other.press(format!("{code}\n").as_bytes());
    ends(&mut other, 0);
    first.press(format!("{}\n", signing.identity.sign_in(&url)).as_bytes());
    ends(&mut first, 0);
    assert_eq!((signing.homes(), signing.containers()), (vec!["default".to_owned(), "other".to_owned()], Vec::new()));
}

#[test]
fn another_account_takes_the_place_of_the_one_before_only_after_a_yes() {
    let signing = Signing::new();
    signing.sign_in();
    let before = signing.kept();
    let _ = signing.identity.ask("account", &json!({ "email": "eve@example.test" }));
    let as_eve = |url: &str| {
        let signed = signing.identity.ask("signIn", &json!({ "url": url, "email": "eve@example.test" }));
        signed["paste"].as_str().expect("a code").to_owned()
    };
    for (answer, status) in [
        (&b"n\n"[..], status_of(ErrorCode::Cancelled)),
        (b"\n", status_of(ErrorCode::Cancelled)),
        (INTERRUPT, status_of(ErrorCode::Cancelled)),
        (b"y\n", 0),
    ] {
        let mut terminal = open(&signing, "--no-browser");
        terminal.wait_for("is signed in already as ada@example.test. Sign in again? [y/N]");
        terminal.press(b"y\n");
        let code = as_eve(&address(&terminal));
        terminal.press(format!("{code}\n").as_bytes());
        terminal.wait_for("You signed in as eve@example.test; before it was ada@example.test.");
        terminal.wait_for("Put the new login in its place? [y/N]");
        assert_eq!(signing.kept(), before, "what was there is there until somebody says yes");
        terminal.press(answer);
        ends(&mut terminal, status);
        assert_eq!(signing.kept() == before, status != 0, "{answer:?}");
        // What another account's login took the place of is kept.
        let homes = if status == 0 { &[".replaced-default", "default"][..] } else { &["default"] };
        assert_eq!(signing.homes(), homes, "{answer:?}");
        assert_eq!(signing.containers(), Vec::<String>::new(), "{answer:?}");
    }
    let mut terminal = open(&signing, "--no-browser");
    terminal.wait_for("is signed in already as eve@example.test. Sign in again? [y/N]");
    terminal.press(b"n\n");
    ends(&mut terminal, status_of(ErrorCode::Cancelled));
}

#[test]
fn whoever_stops_has_the_login_before_and_sees_again_what_is_typed() {
    let signing = Signing::new();
    signing.sign_in();
    let before = signing.kept();
    // Once is asked to undo what was done; twice is not waited for.
    for presses in [1, 2] {
        let mut terminal = open(&signing, "--no-browser --replace");
        let _ = address(&terminal);
        terminal.press(b"half-of-a-co");
        terminal.press(INTERRUPT);
        terminal.wait_for("Cancelling and undoing what was done; once more leaves at once.");
        if presses == 2 {
            terminal.press(INTERRUPT);
        }
        let status = terminal.wait();
        assert!(status == 130 || presses == 1 && status == status_of(ErrorCode::Cancelled), "{}", terminal.shown());
        assert!(terminal.shown().contains("it echoes"), "after {presses}: {}", terminal.shown());
        until("the end of what was begun", || signing.containers().is_empty().then_some(()));
        until("the login before alone", || (signing.homes() == ["default"]).then_some(()));
        assert_eq!(signing.kept(), before);
    }
}

#[test]
fn a_code_that_is_none_is_asked_for_again_and_one_that_is_refused_ends_it() {
    let signing = Signing::new();
    signing.sign_in();
    let before = signing.kept();
    let mut terminal = open(&signing, "--no-browser --replace");
    let code = signing.identity.sign_in(&address(&terminal));
    terminal.press(b"somebody's#code\n");
    until("the question for another one", || (terminal.shown().matches(QUESTION).count() == 2).then_some(()));
    terminal.press(format!("wrong{}\n", &code[5..]).as_bytes());
    ends(&mut terminal, status_of(ErrorCode::LoginWrongCode));
    let said = terminal.shown();
    assert!(said.contains("Claude did not accept the code"), "{said}");
    assert!(said.contains("sign in again, and copy the whole code that the browser shows in the end"), "{said}");
    assert!(!said.contains(&code[5..]), "the code was shown: {said}");
    assert_eq!((signing.kept(), signing.containers()), (before, Vec::new()));
    assert_eq!(signing.homes(), ["default"]);
}

#[test]
fn a_sign_in_that_takes_too_long_says_so_and_gives_the_terminal_back() {
    let signing = Signing::with(|world| world.set("BOXWOOD_LOGIN_SECONDS", "12"));
    let mut terminal = open(&signing, "--no-browser");
    ends(&mut terminal, status_of(ErrorCode::LoginTimedOut));
    let said = terminal.shown();
    assert!(said.contains("nobody signed in in time") && said.contains("sign in again"), "{said}");
    assert_eq!((signing.homes(), signing.containers()), (Vec::new(), Vec::new()));
}
