//! What is removed when tidying up, and above all what is not.

use boxwood_e2e::{World, docker};
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
    let keep = |further: &[String]| {
        let mut args = vec!["create".to_owned(), "--label=dev.boxwood.role=sandbox".to_owned()];
        args.extend_from_slice(further);
        args.extend(["debian:bookworm-slim".to_owned(), "true".to_owned()]);
        let guard = docker::docker(args);
        world.at_end(move || drop(docker::try_docker(&["rm", "--force", &guard])));
    };
    for id in docker::images(&owner) {
        let tag = docker::docker(["image", "inspect", "--format", "{{index .RepoTags 0}}", &id]);
        keep(&[format!("--label=dev.boxwood.image={tag}")]);
    }
    for volume in docker::volumes(&owner) {
        keep(&[format!("--volume={volume}:/opt/boxwood:ro")]);
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
    let (image, volume) = (format!("boxwood-agent:{name}-old"), format!("{name}-old"));
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
    volume_of(world, &volume, "0.0.0");
    let i = image.clone();
    world.at_end(move || drop(docker::try_docker(&["image", "rm", &i])));
    (image, volume)
}

/// A volume as the product fills them, with another version of Claude Code in it.
fn volume_of(world: &World, name: &str, version: &str) {
    let labels = [("owner", owner(world).as_str()), ("role", "runtime"), ("claude", version)]
        .map(|(key, value)| format!("--label=dev.boxwood.{key}={value}"));
    let _ = docker::docker([&["volume".to_owned(), "create".to_owned()][..], &labels, &[name.to_owned()]].concat());
    let _ =
        docker::docker(["run", "--rm", &format!("--volume={name}:/v"), "debian:bookworm-slim", "touch", "/v/claude"]);
    let name = name.to_owned();
    world.at_end(move || drop(docker::try_docker(&["volume", "rm", &name])));
}

#[test]
fn alone_prune_removes_runtime_volumes_of_other_versions_that_nobody_uses() {
    let world = World::new();
    let foreign = Foreign::make(&world);
    guard(&world);
    let _ = world.start();
    let name = world.root().file_name().expect("it has a name").to_string_lossy().to_lowercase();
    let volume = |what: &str| format!("{name}-{what}");
    for (what, version) in [("unused", "0.0.1"), ("of-a-sandbox", "0.0.2"), ("of-somebody", "0.0.3")] {
        volume_of(&world, &volume(what), version);
    }
    // The same version filled from other sources, as a newer build of the product leaves the one before.
    volume_of(&world, &volume("refilled"), &world.list()[0].claude_version);
    for (what, label) in [("of-a-sandbox", "dev.boxwood.role=sandbox"), ("of-somebody", "not-ours=1")] {
        let mount = format!("--volume={}:/opt/boxwood:ro", volume(what));
        let user = docker::docker(["create", "--label", label, &mount, "debian:bookworm-slim", "true"]);
        world.at_end(move || drop(docker::try_docker(&["rm", "--force", &user])));
    }
    let somebodys = volume("elses");
    let _ = docker::docker([
        "volume",
        "create",
        "--label=dev.boxwood.role=runtime",
        "--label=dev.boxwood.owner=4242",
        &somebodys,
    ]);
    let to_remove = somebodys.clone();
    world.at_end(move || drop(docker::try_docker(&["volume", "rm", &to_remove])));
    let own = || docker::volumes(&format!("name={name}-"));
    let before = own();

    let did: PruneReport = world.boxwood(["prune", "--json"]).run().json();
    let mut gone = did.volumes;
    gone.sort();
    assert_eq!(gone, [volume("refilled"), volume("unused")]);
    let left: Vec<String> = before.into_iter().filter(|volume| !gone.contains(volume)).collect();
    assert_eq!(own(), left, "and nothing else");
    assert!(foreign.is_there());
    assert_eq!(world.exec(["claude", "--version"]).ok().status, 0, "what runs has its own");
}

#[test]
fn alone_prune_removes_what_unfinished_builds_left_and_nothing_built_upon_ours() {
    let world = World::new();
    guard(&world);
    let name = world.root().file_name().expect("it has a name").to_string_lossy().to_lowercase();
    let mark = format!("label=dev.boxwood.test={name}");
    let build = |labels: &[&str], tag: &str| {
        let mut dockerfile = format!("FROM debian:bookworm-slim\nLABEL dev.boxwood.test={name}\n");
        for label in labels {
            dockerfile.push_str(&format!("LABEL {label}\n"));
        }
        dockerfile.push_str(&format!("RUN echo {name}{tag} >/made\n"));
        world.write("Dockerfile", dockerfile);
        let mut args = vec!["build".to_owned(), "--quiet".to_owned()];
        args.extend((!tag.is_empty()).then(|| format!("--tag={name}-{tag}")));
        args.push(world.project().to_string_lossy().into_owned());
        let id = docker::docker(args);
        let to_remove = if tag.is_empty() { id.clone() } else { format!("{name}-{tag}") };
        world.at_end(move || drop(docker::try_docker(&["image", "rm", "--force", &to_remove])));
        id
    };
    let owner = format!("dev.boxwood.owner={}", owner(&world));
    let layer = build(&[&owner, "dev.boxwood.role=layer"], "");
    let theirs = build(&["somebodys=layer"], "");
    let derived = build(&[&owner, "dev.boxwood.role=image", "dev.boxwood.version=0.0.0"], "derived");

    let would: PruneReport = world.boxwood(["prune", "--dry-run", "--json"]).run().json();
    assert!(would.images.contains(&layer), "{would:?}");
    let did: PruneReport = world.boxwood(["prune", "--json"]).run().json();
    assert_eq!(did.images, would.images, "it does what it said");
    let left = docker::all_images(&mark);
    assert!(!left.contains(&layer), "{left:?}");
    assert!(left.contains(&theirs) && left.contains(&derived), "{left:?}");
}

#[test]
fn alone_by_both_prune_removes_what_is_unused_and_a_dry_run_removes_nothing() {
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
    assert_eq!(PruneReport { is_dry_run: true, ..did }, would, "it does what it said");
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
    assert!(world.has_no_container());
    assert!(world.list().is_empty());
    assert!(foreign.is_there());
    assert!(docker::inspect(&theirs.container).is_some_and(|container| container["State"]["Running"] == true));
    let left = docker::volumes("label=dev.boxwood.role=runtime");
    assert!(volumes.iter().all(|name| *name == volume || left.contains(name)), "what others use stays: {left:?}");
    assert!(world.state().join("sandboxes").read_dir().expect("state stays").next().is_some());
    assert!(world.listing().is_empty(), "the project is as it was");
    assert_eq!(world.start().action, EnsureAction::Created);
}
