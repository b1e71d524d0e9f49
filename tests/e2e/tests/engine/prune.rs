//! What is removed when tidying up, and above all what is not.

use boxwood_e2e::{World, docker, world::pinned_claude};
use boxwood_protocol::params::{EnsureAction, PruneReport};

/// What somebody else made, partly with the product's labels on it.
struct Foreign {
    container: String,
    volume: String,
}

impl Foreign {
    fn make(world: &World) -> Self {
        let name = world.root().file_name().expect("it has a name").to_string_lossy().to_lowercase();
        let (container, volume) = (format!("{name}-foreign"), format!("{name}-foreign-volume"));
        let _ = docker::docker([
            "create",
            "--name",
            &container,
            "--label",
            "dev.boxwood.role=fill",
            "debian:bookworm-slim",
            "true",
        ]);
        let _ = docker::docker(["volume", "create", "--label", "dev.boxwood.role=runtime", &volume]);
        let (c, v) = (container.clone(), volume.clone());
        world.at_end(move || {
            drop(docker::try_docker(&["rm", "--force", &c]));
            drop(docker::try_docker(&["volume", "rm", &v]));
        });
        Self { container, volume }
    }

    fn is_there(&self) -> bool {
        docker::inspect(&self.container).is_some() && !docker::volumes(&format!("name={}", self.volume)).is_empty()
    }
}

/// Images and volumes are shared by all of this user's installations. While a guard stands, they count as used by a
/// sandbox of another one, so that tidying up in a test costs nobody an image.
fn guard(world: &World) {
    let owner = format!("label=dev.boxwood.owner={}", owner(world));
    for id in docker::images(&owner) {
        let tag = docker::docker(["image", "inspect", "--format", "{{index .RepoTags 0}}", &id]);
        let labels = [("role", "sandbox"), ("image", &tag), ("claude", &pinned_claude())]
            .map(|(key, value)| format!("--label=dev.boxwood.{key}={value}"));
        let mut args = vec!["create".to_owned()];
        args.extend(labels);
        args.extend(["debian:bookworm-slim".to_owned(), "true".to_owned()]);
        let guard = docker::docker(args);
        world.at_end(move || drop(docker::try_docker(&["rm", "--force", &guard])));
    }
}

fn owner(world: &World) -> String {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(world.project()).expect("there").uid().to_string()
}

/// An image and a volume as an old version of the product has left them.
fn leave_old_things(world: &World) -> (String, String) {
    let name = world.root().file_name().expect("it has a name").to_string_lossy().to_lowercase();
    let owner = format!("dev.boxwood.owner={}", owner(world));
    let (image, volume) = (format!("{name}:old"), format!("{name}-old"));
    let container = docker::docker(["create", "debian:bookworm-slim", "true"]);
    let label = |key: &str, value: &str| format!("--change=LABEL dev.boxwood.{key}={value}");
    let _ = docker::docker([
        "commit",
        &format!("--change=LABEL {owner}"),
        &label("role", "image"),
        &label("version", "0.0.0"),
        &container,
        &image,
    ]);
    let _ = docker::docker(["rm", &container]);
    let _ = docker::docker([
        "volume",
        "create",
        "--label",
        &owner,
        "--label",
        "dev.boxwood.role=runtime",
        "--label",
        "dev.boxwood.claude=0.0.0",
        &volume,
    ]);
    let (i, v) = (image.clone(), volume.clone());
    world.at_end(move || {
        drop(docker::try_docker(&["image", "rm", &i]));
        drop(docker::try_docker(&["volume", "rm", &v]));
    });
    (image, volume)
}

#[test]
fn alone_prune_removes_what_is_unused_and_a_dry_run_removes_nothing() {
    let world = World::new();
    let foreign = Foreign::make(&world);
    let running = world.start().sandbox;
    let stopped = world.start_with(["--session", "stopped"]).sandbox;
    let _ = world.boxwood(["stop", "--json", "--session", "stopped"]).run().ok();
    guard(&world);
    let (image, volume) = leave_old_things(&world);

    let would: PruneReport = world.boxwood(["prune", "--dry-run", "--json"]).run().json();
    assert!(would.is_dry_run);
    assert_eq!(would.containers, std::slice::from_ref(&stopped.container));
    assert!(would.volumes.contains(&volume) && would.images.contains(&image), "{would:?}");
    assert!(docker::inspect(&stopped.container).is_some(), "nothing has been removed yet");

    let did: PruneReport = world.boxwood(["prune", "--json"]).run().json();
    assert_eq!(
        (did.containers, did.volumes, did.images),
        (would.containers, would.volumes, would.images),
        "it does what it said"
    );
    assert!(docker::inspect(&stopped.container).is_none());
    assert!(docker::try_docker(&["image", "inspect", &image]).is_err());
    assert!(docker::volumes(&format!("name={volume}")).is_empty());
    assert!(docker::inspect(&running.container).is_some());
    assert!(world.home_of(&stopped).exists(), "conversations stay");
    assert!(foreign.is_there());
    assert_eq!(world.exec(["echo", "well"]).ok().out(), "well\n");
}

#[test]
fn alone_cleanup_removes_everything_of_this_installation_and_nothing_of_others() {
    let world = World::new();
    let neighbour = World::new();
    let foreign = Foreign::make(&world);
    let theirs = neighbour.start().sandbox;
    let sandbox = world.start().sandbox;
    guard(&world);
    let (image, volume) = leave_old_things(&world);
    let volumes = docker::volumes("label=dev.boxwood.role=runtime");

    let report: PruneReport = world.boxwood(["cleanup-all", "--yes", "--json"]).run().json();
    assert_eq!(report.containers, [sandbox.container]);
    assert!(report.images.contains(&image) && report.volumes.contains(&volume), "{report:?}");
    assert!(world.containers().is_empty());
    assert!(world.list().is_empty());
    assert!(foreign.is_there());
    assert!(docker::inspect(&theirs.container).is_some_and(|container| container["State"]["Running"] == true));
    let left: Vec<String> = volumes.into_iter().filter(|name| *name != volume).collect();
    assert_eq!(docker::volumes("label=dev.boxwood.role=runtime"), left, "what others use stays");
    assert!(world.state().join("sandboxes").read_dir().expect("state stays").next().is_some());
    assert!(world.listing().is_empty(), "the project is as it was");
    assert_eq!(world.start().action, EnsureAction::Created);
}
