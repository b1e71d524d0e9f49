//! A project's own image: its Dockerfile, another's image, and what happens when there is none to be had.

use boxwood_e2e::{World, docker};
use boxwood_protocol::ErrorCode;
use boxwood_protocol::config::ConfigReport;
use boxwood_protocol::params::{EnsureAction, EnsureResult, ImageInfo};

const CONFIG: &str = ".boxwood/sandbox.jsonc";

/// Something that no other test's Dockerfile has in it.
fn unique(world: &World) -> String {
    world.root().file_name().expect("it has a name").to_string_lossy().replace("boxwood-test-", "mark-")
}

#[test]
fn a_projects_dockerfile_is_built_once_it_has_been_approved() {
    let world = World::new();
    let mark = unique(&world);
    let dockerfile = format!("FROM debian:bookworm-slim\nRUN echo {mark} >/from-the-dockerfile\nENV FLAVOUR=own\n");
    world.write(".boxwood/Dockerfile", &dockerfile);
    world.write(CONFIG, "{\n  // The project's own image.\n  \"dockerfile\": \".boxwood/Dockerfile\",\n}\n");
    let refused = world.boxwood(["start", "--json"]).run().refused(ErrorCode::ConfigApproval);
    assert!(refused.message.contains(CONFIG), "{refused}");
    assert!(refused.hint.is_some_and(|hint| hint.contains("--approve-config")));
    assert!(world.has_no_container());
    let report: ConfigReport = world.boxwood(["inspect", "--config", "--json"]).run().json();
    assert!(!report.is_approved && !report.widens.is_empty());

    let result = world.start_with(["--approve-config"]);
    assert_eq!(result.action, EnsureAction::Created);
    assert_eq!(
        world.sh("cat /from-the-dockerfile; echo $FLAVOUR; claude --version >/dev/null && echo claude").ok().out(),
        format!("{mark}\nown\nclaude\n")
    );
    let images: Vec<ImageInfo> = world.boxwood(["image", "list", "--json"]).run().json();
    assert!(images.iter().any(|image| image.reference == result.sandbox.image && image.is_current));

    // Another content is another approval, and the running sandbox says that it is outdated.
    world.write(".boxwood/Dockerfile", format!("{dockerfile}RUN echo again >>/from-the-dockerfile\n"));
    let told = world.start();
    assert!(told.action == EnsureAction::Attached && told.sandbox.is_outdated, "{told:?}");
    assert!(world.list()[0].is_outdated);
    assert!(world.boxwood(["list"]).run().ok().out().contains("(outdated)"));
    let _ = world.boxwood(["refresh", "--json"]).run().refused(ErrorCode::ConfigApproval);
    let again: EnsureResult = world.boxwood(["refresh", "--json", "--approve-config"]).run().json();
    assert!(!again.sandbox.is_outdated && !world.list()[0].is_outdated);
    world.forget_image(&again.sandbox.image);
    assert_eq!(world.sh("cat /from-the-dockerfile").ok().out(), format!("{mark}\nagain\n"));
}

#[test]
fn each_place_of_a_dockerfile_is_built_when_the_project_configures_it_and_an_image_is_taken_as_it_is() {
    let world = World::new();
    let mark = unique(&world);
    let made = |action: &str, setting: &str| -> EnsureResult {
        world.write(CONFIG, format!("{{ {setting}, \"network\": \"open\" }}"));
        let made: EnsureResult = world.boxwood([action, "--json", "--approve-config"]).run().json();
        world.forget_image(&made.sandbox.image);
        made
    };
    let mut action = "start";
    for (path, setting) in [
        ("Dockerfile", "Dockerfile"),
        (".devcontainer/Dockerfile", ".devcontainer/Dockerfile"),
        (".boxwood/Dockerfile", "auto"),
    ] {
        let beside = path.replace("Dockerfile", "where-from");
        world.write(path, "FROM debian:bookworm-slim\nCOPY where-from /where-from\n");
        world.write(&beside, format!("{path} {mark}"));
        let _ = made(action, &format!("\"dockerfile\": \"{setting}\""));
        assert_eq!(world.sh("cat /where-from").ok().out(), format!("{path} {mark}"));
        action = "refresh";
    }
    assert_eq!(made(action, "\"image\": \"debian:bookworm-slim\"").sandbox.image, "debian:bookworm-slim");
    assert_eq!(world.sh("ls /where-from").status, 2, "nothing was built upon it");
}

#[test]
fn a_context_is_built_again_only_when_something_of_it_has_changed() {
    let world = World::new();
    let mark = unique(&world);
    world.write("Dockerfile", format!("FROM debian:bookworm-slim\nRUN echo {mark}-is-built\nCOPY wanted /wanted\n"));
    world.write("wanted", "one");
    world.write("unwanted", "one");
    world.write(".dockerignore", "unwanted\n");
    let refresh = || {
        let asked = ["refresh", "--verbose", "--network", "open", "--dockerfile", "Dockerfile"];
        let said = world.boxwood(asked).run().ok();
        let image = world.list()[0].image.clone();
        world.forget_image(&image);
        (said.err().contains("Step 1/"), image)
    };
    let (is_built, first) = refresh();
    assert!(is_built, "there was nothing to take instead");
    world.write("unwanted", "two");
    // The same contents, written anew.
    world.write("wanted", "one");
    assert_eq!(refresh(), (false, first.clone()));
    world.write("wanted", "two");
    let (is_built, second) = refresh();
    assert!(is_built && second != first);
    assert_eq!(world.sh("cat /wanted").ok().out(), "two");
}

#[test]
fn a_dockerfile_named_on_the_command_line_needs_no_approval() {
    let world = World::new();
    let mark = unique(&world);
    world.write("Dockerfile", format!("FROM debian:bookworm-slim\nCOPY wanted /copied\nRUN echo {mark}\n"));
    world.write("wanted", &mark);
    world.write("node_modules/big", vec![0; 1 << 20]);
    world.write(".dockerignore", "node_modules\n");
    let _ = world.start_with(["--dockerfile", "auto"]);
    assert_eq!(world.sh("cat /copied").ok().out(), mark);
}

#[test]
fn a_build_that_fails_is_told_in_its_own_words_and_leaves_nothing() {
    let world = World::new();
    let mark = unique(&world);
    // The label tells what is left of this build from what other tests make meanwhile.
    let dockerfile = format!(
        "FROM debian:bookworm-slim AS one\nLABEL dev.boxwood.test={mark}\nRUN echo {mark} >/one\nFROM debian:bookworm-slim\n\
         LABEL dev.boxwood.test={mark}\nRUN echo {mark} >/two\nRUN echo {mark}-said-the-build >&2; exit 3\n"
    );
    world.write("Dockerfile", dockerfile);
    let left = || docker::all_images(&format!("label=dev.boxwood.test={mark}"));
    let error = world.boxwood(["start", "--json", "--dockerfile", "Dockerfile"]).run().refused(ErrorCode::ImageFailed);
    assert!(format!("{error}").contains(&format!("{mark}-said-the-build")), "{error:?}");
    let said = world.boxwood(["start", "--dockerfile", "Dockerfile"]).run();
    assert!(
        said.err().contains(&format!("{mark}-said-the-build")),
        "{}",
        said.told("keeps the build's words to itself")
    );
    assert_eq!(said.status, 70);
    assert!(world.has_no_container());
    assert!(world.list().is_empty());
    assert_eq!(left(), Vec::<String>::new(), "steps of the build stay");
    let builders = docker::docker(["ps", "--all", "--no-trunc", "--format", "{{.Command}}"]);
    assert!(!builders.contains(&mark), "a container of the build stays");
    assert_eq!(world.listing(), ["Dockerfile"], "nothing is left in the project");

    world.write("Dockerfile", "FRMO debian\n");
    let _ = world.boxwood(["start", "--json", "--dockerfile", "Dockerfile"]).run().refused(ErrorCode::ImageFailed);
    let _ = world.boxwood(["start", "--json", "--dockerfile", "no/such/file"]).run().refused(ErrorCode::ConfigInvalid);
    let _ = world.boxwood(["start", "--json", "--dockerfile", "../outside"]).run().refused(ErrorCode::ConfigInvalid);
}

#[test]
fn only_what_a_build_made_is_removed_however_it_words_its_steps() {
    let world = World::new();
    let mark = unique(&world);
    // Somebody's image without a name, such as their own unfinished builds leave.
    let container = docker::docker(["create", "debian:bookworm-slim", "true"]);
    let theirs = docker::docker(["commit", "--change", &format!("LABEL theirs={mark}"), &container]);
    let _ = docker::docker(["rm", &container]);
    let to_remove = theirs.clone();
    world.at_end(move || drop(docker::try_docker(&["image", "rm", &to_remove])));
    let short = &theirs["sha256:".len()..][..12];
    world.write("Dockerfile", format!("FROM debian:bookworm-slim\nRUN echo {mark}; echo ' ---> {short}'; exit 3\n"));
    let _ = world.boxwood(["start", "--json", "--dockerfile", "Dockerfile"]).run().refused(ErrorCode::ImageFailed);
    assert_eq!(docker::all_images(&format!("label=theirs={mark}")), [theirs]);
}

#[test]
fn an_image_that_cannot_be_had_is_named() {
    let world = World::new();
    let error = world
        .boxwood(["start", "--json", "--image", "boxwood-test-no-such-image:0"])
        .run()
        .refused(ErrorCode::ImageFailed);
    assert!(error.to_string().contains("boxwood-test-no-such-image:0"), "{error:?}");
    assert!(world.has_no_container());
    assert!(world.list().is_empty());
    let _ = world.boxwood(["start", "--json", "--image", "Not A Reference"]).run().error();
}

#[test]
fn the_projects_file_is_checked_and_its_faults_are_named() {
    let world = World::new();
    for (text, word) in [
        ("{ \"memroy\": \"4g\" }", "memroy"),
        ("{ \"memory\": 4 }", "string"),
        ("{ oops", "sandbox.jsonc"),
        ("{ \"dockerfile\": \"../x\" }", "dockerfile"),
    ] {
        world.write(CONFIG, text);
        let error = world.boxwood(["start", "--json", "--approve-config"]).run().refused(ErrorCode::ConfigInvalid);
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
    world.write(CONFIG, "{ \"memory\": \"2g\", /* a comment */ }");
    let _ = world.start();
    assert_eq!(world.inspect().limits.memory_bytes, 2 << 30, "asking for less needs no yes");
    assert!(world.containers().len() == 1);
}

#[test]
fn a_changed_configuration_is_told_and_applied_by_a_refresh() {
    let world = World::new();
    let _ = world.start();
    world.write("sandbox-is-running", "");
    std::fs::write(world.root().join("config/sandbox.jsonc"), "{ \"memory\": \"3g\" }").expect("written");
    let result = world.start();
    assert_eq!(result.action, EnsureAction::Attached);
    assert!(!result.warnings.is_empty(), "the person is told");
    let refreshed: EnsureResult = world.boxwood(["refresh", "--json"]).run().json();
    assert!(!refreshed.sandbox.is_outdated);
    assert_eq!(world.inspect().limits.memory_bytes, 3 << 30);
}
