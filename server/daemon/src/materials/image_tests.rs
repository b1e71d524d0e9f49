//! When a project's image is built, and when the one that is there will do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use boxwood_core::plan;
use boxwood_protocol::config::{ImageVariant, Network, SandboxConfig};
use boxwood_protocol::operation::OutcomeKind;
use boxwood_testkit::docker::ImageSeed;

use super::{agent, of_project};
use crate::lifecycle::tests::{Saboteur, World};
use crate::operations::Subject;
use crate::settings;

struct Builder {
    world: World,
    project: PathBuf,
}

impl Builder {
    async fn new() -> Self {
        let world = World::new().await;
        let project = world.directory.path().join("project").canonicalize().expect("there");
        let builder = Self { world, project };
        builder.write(".boxwood/Dockerfile", "FROM debian:bookworm-slim\nCOPY a /a\n");
        builder.write(".boxwood/a", "one");
        builder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.project.join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// The image that a request gives, and how many builds and pulls that took.
    async fn image(&self, request: SandboxConfig) -> (String, usize, usize) {
        self.world.engine.clear_calls();
        let project = self.project.to_string_lossy().into_owned();
        let daemon = Arc::clone(&self.world.daemon);
        let started = self.world.daemon.operations.start("test", Subject::default(), move |handle| async move {
            let settings = settings::load(&daemon.paths, &project, &request)?;
            let (engine, _) = daemon.link.engine().await?;
            of_project(&daemon, &engine, &handle, &settings).await.map(|image| image.reference)
        });
        let end = self.world.daemon.operations.wait(&started.operation_id).await.expect("an end");
        let reference = end.result.unwrap_or_else(|| panic!("{:?}", end.error));
        let calls = self.world.engine.calls();
        let count = |path: &str| calls.iter().filter(|call| call.method == "POST" && call.path == path).count();
        (reference.as_str().expect("a name").to_owned(), count("/build"), count("/images/create"))
    }

    /// The image of the project's Dockerfile.
    async fn own(&self) -> (String, usize, usize) {
        self.image(SandboxConfig { dockerfile: Some("auto".to_owned()), ..SandboxConfig::default() }).await
    }
}

fn touch(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).expect("opened");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24)).expect("set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_is_built_once_until_one_byte_of_it_changes() {
    let builder = Builder::new().await;
    let (first, builds, _) = builder.own().await;
    assert_eq!((builds, first.starts_with("boxwood-project:")), (1, true), "{first}");
    assert_eq!(builder.own().await, (first.clone(), 0, 0));
    // As another checkout of the same would be.
    touch(&builder.project.join(".boxwood/a"));
    touch(&builder.project.join(".boxwood/Dockerfile"));
    assert_eq!(builder.own().await, (first.clone(), 0, 0));
    builder.write(".boxwood/a", "onf");
    let (second, builds, _) = builder.own().await;
    assert_eq!((builds, first != second), (1, true));
    builder.write(".boxwood/a", "one");
    assert_eq!(builder.own().await, (first.clone(), 0, 0), "the first one is still there");
    builder.write(".boxwood/b", "");
    assert_eq!(builder.own().await.1, 1, "a file more is another context");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_and_links_are_a_part_of_the_context() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let builder = Builder::new().await;
    assert_eq!(builder.own().await.1, 1);
    let file = builder.project.join(".boxwood/a");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).expect("set");
    assert_eq!(builder.own().await.1, 1);
    symlink("a", builder.project.join(".boxwood/link")).expect("linked");
    assert_eq!(builder.own().await.1, 1);
    assert_eq!(builder.own().await.1, 0);
    std::fs::remove_file(builder.project.join(".boxwood/link")).expect("removed");
    symlink("Dockerfile", builder.project.join(".boxwood/link")).expect("linked");
    assert_eq!(builder.own().await.1, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ignored_and_what_lies_beside_the_context_changes_nothing() {
    let builder = Builder::new().await;
    builder.write(".boxwood/.dockerignore", "cache\n*.log\n!kept.log\n");
    let (image, _, _) = builder.own().await;
    for path in [".boxwood/cache/large", ".boxwood/a.log", ".boxwood/.git/index", "src/main.rs"] {
        builder.write(path, "changed");
        assert_eq!(builder.own().await, (image.clone(), 0, 0), "{path}");
    }
    builder.write(".boxwood/kept.log", "");
    assert_eq!(builder.own().await.1, 1, "this one is not ignored");
    builder.write(".boxwood/.dockerignore", "");
    assert_eq!(builder.own().await.1, 1, "nothing is any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mount_points_of_a_sandbox_that_runs_are_no_part_of_the_context() {
    let builder = Builder::new().await;
    builder.write("Dockerfile", "FROM debian:bookworm-slim\nCOPY . /all\n");
    let of_root = || SandboxConfig { dockerfile: Some("Dockerfile".to_owned()), ..SandboxConfig::default() };
    let (image, _, _) = builder.image(of_root()).await;
    let end = builder.world.play(plan::create(false), Network::Open, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    let mount_point = builder.project.join(".claude/settings.json");
    assert!(mount_point.is_file());
    assert_eq!(builder.image(of_root()).await, (image, 0, 0));
    std::fs::write(mount_point, "{ \"own\": true }").expect("written");
    assert_eq!(builder.image(of_root()).await.1, 1, "what the person wrote is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_by_name_is_pulled_once_and_never_built() {
    let builder = Builder::new().await;
    let name = "example.invalid/theirs:1";
    builder.world.engine.add_to_registry(&ImageSeed::new(name));
    let request = SandboxConfig { image: Some(name.to_owned()), ..SandboxConfig::default() };
    assert_eq!(builder.image(request.clone()).await, (name.to_owned(), 0, 1));
    assert_eq!(builder.image(request).await, (name.to_owned(), 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_image_is_built_once_for_each_variant_and_again_only_when_asked_for() {
    let builder = Builder::new().await;
    let of = |variant| SandboxConfig { variant: Some(variant), ..SandboxConfig::default() };
    let (slim, builds, _) = builder.image(of(ImageVariant::Slim)).await;
    assert_eq!((builds, slim.starts_with("boxwood-agent:slim-")), (1, true), "{slim}");
    assert_eq!(builder.image(of(ImageVariant::Slim)).await, (slim.clone(), 0, 0));
    let (full, builds, _) = builder.image(of(ImageVariant::Full)).await;
    assert_eq!((builds, full != slim), (1, true));
    builder.world.engine.clear_calls();
    let daemon = Arc::clone(&builder.world.daemon);
    let started = builder.world.daemon.operations.start("test", Subject::default(), move |handle| async move {
        let (engine, _) = daemon.link.engine().await?;
        agent(&daemon, &engine, &handle, ImageVariant::Slim, true).await.map(|image| image.reference)
    });
    let end = builder.world.daemon.operations.wait(&started.operation_id).await.expect("an end");
    assert_eq!(end.result, Some(slim.into()), "{:?}", end.error);
    assert_eq!(builder.world.engine.calls().iter().filter(|call| call.path == "/build").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_whose_earlier_steps_are_removed_meanwhile_is_begun_again_and_no_other() {
    let builder = Builder::new().await;
    let lost = "failed to get digest sha256:d6575c: open /content/sha256/d6575c: no such file or directory";
    builder.world.engine.fail_next_build(lost);
    builder.world.engine.fail_next_build("No such image: sha256:d6575c");
    let (image, builds, _) = builder.own().await;
    assert_eq!((builds, image.starts_with("boxwood-project:")), (3, true), "{image}");

    let builds_of = async |failures: &[&str]| {
        builder.write(".boxwood/a", &failures.join("\n"));
        failures.iter().for_each(|failure| builder.world.engine.fail_next_build(failure));
        builder.world.engine.clear_calls();
        let (daemon, project) = (Arc::clone(&builder.world.daemon), builder.project.to_string_lossy().into_owned());
        let started = builder.world.daemon.operations.start("test", Subject::default(), move |handle| async move {
            let request = SandboxConfig { dockerfile: Some("auto".to_owned()), ..SandboxConfig::default() };
            let settings = settings::load(&daemon.paths, &project, &request)?;
            let (engine, _) = daemon.link.engine().await?;
            of_project(&daemon, &engine, &handle, &settings).await.map(|image| image.reference)
        });
        let end = builder.world.daemon.operations.wait(&started.operation_id).await.expect("an end");
        let builds = builder.world.engine.calls().iter().filter(|call| call.path == "/build").count();
        (end.outcome, builds)
    };
    assert_eq!(builds_of(&["the command returned a non-zero code: 3"]).await, (OutcomeKind::Failed, 1));
    assert_eq!(builds_of(&[lost, lost, lost]).await, (OutcomeKind::Failed, 3), "not for ever");
}
