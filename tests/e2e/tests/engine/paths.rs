//! Projects in directories with names that people really use, and some that nobody should.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use boxwood_e2e::{World, until};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::params::{EnsureAction, EnsureResult};
use boxwood_protocol::sandbox::{SandboxInfo, SandboxState};

fn works_in(name: &str) {
    let world = World::with_project(name);
    let result = world.start();
    assert_eq!(result.sandbox.project, world.project().to_string_lossy(), "{name:?}");
    let pwd = world.exec(["pwd"]).ok();
    assert_eq!(pwd.out(), format!("{}\n", world.project().display()), "{name:?}");
    let _ = world.sh("echo inside >made; test -e .vscode && ! touch .vscode/x 2>/dev/null").ok();
    assert_eq!(fs::read_to_string(world.project().join("made")).expect("made"), "inside\n", "{name:?}");
    assert_eq!(world.list()[0].project, world.project().to_string_lossy());
    let shown = world.boxwood(["list"]).run().ok().out();
    assert_eq!(shown.lines().count(), 2, "one line each, whatever the name is: {shown}");
    let _: SandboxInfo = world.boxwood(["stop", "--json"]).run().json();
    assert_eq!(world.start().action, EnsureAction::Started, "{name:?}");
    let _ = world.boxwood(["remove", "--json"]).run().ok();
    assert_eq!(world.listing(), ["made"], "{name:?}");
}

#[test]
fn blanks_and_quotes() {
    works_in("two words");
    works_in(" it's \"quoted\" `here` $HOME ");
}

#[test]
fn line_breaks_and_separators() {
    works_in("line\nbreak\ttab");
    works_in("a:b,c=d;e&f|g\\h*?[x]{y}");
}

#[test]
fn letters_of_the_world() {
    works_in("größe-日本語-e\u{301}");
    works_in("🦀🧪");
}

#[test]
fn leading_dashes_and_long_names() {
    works_in("--json");
    works_in(&"long".repeat(60));
}

#[test]
fn a_name_that_is_no_text_is_refused_with_a_reason() {
    let world = World::with_project(OsStr::from_bytes(b"not-\xff-text"));
    let error = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ProjectInvalid);
    assert!(error.message.contains("UTF-8"), "{error}");
}

#[test]
fn a_link_and_what_it_points_to_are_one_project() {
    let world = World::new();
    let first = world.start().sandbox;
    let link = world.root().join("link");
    std::os::unix::fs::symlink(world.project(), &link).expect("a link");
    for path in [link, world.project().join("../project/."), world.root().join("project/")] {
        let again: EnsureResult = world
            .boxwood([OsStr::new("start"), OsStr::new("--json"), path.as_os_str()])
            .within(world.root())
            .run()
            .json();
        assert_eq!((again.action, again.sandbox.id), (EnsureAction::Attached, first.id.clone()), "{}", path.display());
    }
}

#[test]
fn what_is_no_directory_is_refused() {
    let world = World::new();
    world.write("file", "");
    for path in ["file", "nothing-here", "file/below", ""] {
        let error = world.boxwood(["start", "--json", "--project", path]).run();
        let error = if error.status == 2 { continue } else { error.error() };
        assert_eq!(error.code, ErrorCode::ProjectInvalid, "{path:?}: {error}");
    }
}

#[test]
fn a_project_that_vanishes_can_still_be_stopped_and_removed() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    let path = world.project().to_string_lossy().into_owned();
    let on = |verb: &str| world.boxwood([verb, "--json", "--project", &path]).run();
    fs::remove_dir_all(world.project()).expect("it vanishes");
    // With what was protected in it the sandbox ends, too.
    until("its end", || (world.list()[0].state == SandboxState::Failed).then_some(()));
    let _ = on("start").refused(ErrorCode::ProjectInvalid);
    let _ = on("refresh").refused(ErrorCode::ProjectInvalid);
    assert_eq!(world.list()[0].id, sandbox.id, "it is still known");
    let stopped: SandboxInfo = on("stop").json();
    assert_eq!(stopped.state, SandboxState::Failed);
    let _ = on("start").refused(ErrorCode::ProjectInvalid);
    let _ = on("remove").ok();
    assert!(world.has_no_container());
    assert!(!world.project().exists(), "it is not brought back as an empty shell");
}
