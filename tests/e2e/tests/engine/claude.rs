//! The real Claude Code in a sandbox, with an imitation of the model.

use std::fs;

use boxwood_e2e::api::Api;
use boxwood_e2e::{World, docker, world::pinned_claude};
use boxwood_protocol::params::EnsureResult;
use boxwood_protocol::sandbox::SandboxInfo;

/// What was said before, in the order of the newest question to the model.
fn conversation(api: &Api) -> String {
    let questions = api.questions();
    let newest =
        questions.iter().rfind(|question| question["body"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()));
    newest.expect("the model was asked")["body"]["messages"].to_string()
}

#[test]
fn the_pinned_version_answers() {
    let world = World::new();
    let sandbox = world.start().sandbox;
    assert_eq!(sandbox.claude_version, pinned_claude());
    assert_eq!(world.exec(["claude", "--version"]).ok().out(), format!("{} (Claude Code)\n", pinned_claude()));
}

#[test]
fn a_conversation_is_finished_and_goes_on_after_stop_refresh_and_removal() {
    let mut world = World::new();
    let api = Api::serve(&mut world);
    let sandbox = world.start().sandbox;
    let ask = |question: &str, further: &[&str]| {
        world.exec([&["claude", "-p", question], further].concat()).ok().out().trim().to_owned()
    };
    assert_eq!(ask("say first-answer", &[]), "first-answer");

    let _: SandboxInfo = world.boxwood(["stop", "--json"]).run().json();
    let _ = world.start();
    assert_eq!(ask("say second-answer", &["--continue"]), "second-answer");
    assert!(conversation(&api).contains("first-answer"), "it goes on after a stop");

    let _: EnsureResult = world.boxwood(["refresh", "--json"]).run().json();
    assert_eq!(ask("say third-answer", &["--continue"]), "third-answer");
    assert!(conversation(&api).contains("second-answer"), "it goes on after a refresh");

    let _ = world.boxwood(["remove", "--json"]).run().ok();
    let _ = world.start();
    assert_eq!(ask("say fourth-answer", &["--continue"]), "fourth-answer");
    assert!(conversation(&api).contains("first-answer"), "it goes on after a removal");

    let transcripts = world.home_of(&sandbox).join(".claude/projects");
    let projects: Vec<_> = fs::read_dir(transcripts).expect("conversations are kept").flatten().collect();
    assert_eq!(projects.len(), 1, "one project, one directory of conversations");
    let expected: String =
        world.project().to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    assert_eq!(projects[0].file_name().to_string_lossy(), expected, "the name that the host's own Claude would give");
}

#[test]
fn claude_works_in_the_project_without_asking() {
    let mut world = World::new();
    let _api = Api::serve(&mut world);
    let _ = world.start();
    let line = format!(
        "[[tool:Bash {{\"command\":\"pwd; echo from-claude >{}\",\"description\":\"t\"}}]] say done",
        "made-by-claude"
    );
    let said = world.exec(["claude", "-p", &line, "--dangerously-skip-permissions"]).ok();
    assert_eq!(said.out().trim(), "done");
    assert_eq!(fs::read_to_string(world.project().join("made-by-claude")).expect("made"), "from-claude\n");
}

#[test]
fn claude_works_in_an_image_with_another_c_library_and_in_a_plain_one() {
    for image in [docker::ensure_musl_image(), "debian:bookworm-slim"] {
        let mut world = World::new();
        let _api = Api::serve(&mut world);
        let sandbox = world.start_with(["--image", image]).sandbox;
        assert_eq!(sandbox.image, image, "nothing is built into it");
        assert_eq!(world.exec(["claude", "--version"]).ok().out(), format!("{} (Claude Code)\n", pinned_claude()));
        assert_eq!(world.exec(["claude", "-p", "say hello"]).ok().out().trim(), "hello", "{image}");
        let found = world.exec(["rg", "--version"]).ok().out();
        assert!(found.starts_with("ripgrep "), "{found}");
        assert!(world.inspect().checks.iter().all(|check| check.ok), "{image}");
    }
}
