//! What a dry run lists, what goes, and what is not touched: the same for every kind of thing.

use std::collections::{BTreeMap, BTreeSet};

use boxwood_core::labels::{INSTALLATION, OWNER, ROLE, SANDBOX, VERSION};
use boxwood_core::plan;
use boxwood_engine::{ContainerSpec, Engine, Mount, NetworkMode, NetworkSpec};
use boxwood_protocol::config::Network;
use boxwood_protocol::operation::OutcomeKind;
use boxwood_protocol::params::{PruneParams, PruneReport};
use boxwood_testkit::docker::ImageSeed;

use super::{Extent, start};
use crate::lifecycle::tests::{Saboteur, World};

const NOW: &str = env!("CARGO_PKG_VERSION");

/// A world with things in it, some ours and some not.
struct Things {
    world: World,
    own: [(&'static str, String); 2],
}

/// Names of everything there is: containers, volumes, networks, and images by each of their names or else their id.
type Names = BTreeSet<String>;

impl Things {
    async fn new() -> Self {
        let world = World::new().await;
        let own = [(OWNER, world.daemon.user.uid.to_string()), (INSTALLATION, world.daemon.installation.clone())];
        Self { world, own }
    }

    async fn engine(&self) -> std::sync::Arc<dyn Engine> {
        self.world.daemon.link.engine().await.expect("an engine").0
    }

    /// Labels of this installation, with further ones.
    fn labels(&self, further: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = self.own.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        own.chain(further.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).collect()
    }

    async fn container(&self, spec: ContainerSpec, labels: &[(String, String)]) -> String {
        let labels = labels.iter().cloned().collect::<BTreeMap<_, _>>();
        let command = ["sleep", "1"].map(str::to_owned).to_vec();
        let image = if spec.image.is_empty() { "debian:bookworm-slim".to_owned() } else { spec.image.clone() };
        let spec = ContainerSpec { labels, command, image, workdir: "/".to_owned(), ..spec };
        self.engine().await.create_container(&spec).await.expect("made")
    }

    /// Images have the person's label but not the installation's: containers would take it over.
    fn image(&self, reference: &str, labels: &[(String, String)]) {
        let labels = labels.iter().filter(|(key, _)| key != INSTALLATION).cloned().collect();
        self.world.engine.add_image(&ImageSeed { labels, ..ImageSeed::new(reference) });
    }

    /// An image whose name another one has taken; gives its id.
    fn nameless(&self, labels: &[(String, String)]) -> String {
        let name = "somebodys:1";
        self.image(name, labels);
        let images = self.world.engine.snapshot().images;
        let found = images.iter().find(|(_, image)| image.tags.iter().any(|tag| tag == name)).expect("it is there");
        self.image(name, &[]);
        found.0.clone()
    }

    async fn network(&self, name: &str, labels: &[(String, String)]) {
        let labels = labels.iter().cloned().collect();
        let spec = NetworkSpec { name: name.to_owned(), labels, ..NetworkSpec::default() };
        self.engine().await.create_network(&spec).await.expect("made");
    }

    fn names(&self) -> Names {
        let everything = self.world.engine.snapshot();
        let images = everything
            .images
            .into_iter()
            .flat_map(|(id, image)| if image.tags.is_empty() { vec![id] } else { image.tags.into_iter().collect() });
        let others = everything.containers.into_keys().chain(everything.volumes.into_keys());
        others.chain(everything.networks.into_keys()).chain(images).collect()
    }

    async fn tidy(&self, extent: Extent, dry_run: bool) -> PruneReport {
        let daemon = &self.world.daemon;
        let started = start(daemon, extent, &PruneParams { dry_run });
        let end = daemon.operations.wait(&started.operation_id).await.expect("an end");
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
        serde_json::from_value(end.result.clone().expect("a report")).expect("it is one")
    }

    /// Tidies up after a dry run, and gives what was listed and has gone.
    async fn listed(&self, extent: Extent) -> Names {
        self.world.quiet().await;
        let before = self.names();
        let would = self.tidy(extent, true).await;
        assert_eq!(self.names(), before, "a dry run removes nothing");
        let did = self.tidy(extent, false).await;
        assert!(would.is_dry_run && !did.is_dry_run);
        assert_eq!(did, PruneReport { is_dry_run: false, ..would }, "it does what it said");
        let lists = [&did.containers, &did.volumes, &did.images, &did.networks];
        assert!(lists.iter().all(|names| names.is_sorted()), "{lists:?}");
        let listed: Names = [did.containers, did.volumes, did.images, did.networks].concat().into_iter().collect();
        // A sandbox that is listed takes its gateway and its network with it.
        let ids = listed.iter().filter_map(|name| name.strip_prefix("boxwood-"));
        let theirs: Names =
            ids.map(|id| format!("boxwood-gateway-{id}")).filter(|name| before.contains(name)).collect();
        let gone: Names = before.difference(&self.names()).cloned().collect();
        assert_eq!(gone, &listed | &theirs, "what is listed is what goes");
        listed
    }
}

fn mounting(name: &str, volume: &str) -> ContainerSpec {
    let (volume, target) = (volume.to_owned(), "/opt/boxwood".to_owned());
    let mounts = vec![Mount::Volume { name: volume, target, read_only: true, no_copy: true }];
    ContainerSpec { name: name.to_owned(), mounts, ..ContainerSpec::default() }
}

fn named(name: &str) -> ContainerSpec {
    ContainerSpec { name: name.to_owned(), ..ContainerSpec::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_listed_when_they_are_ours_and_over() {
    let things = Things::new().await;
    for steps in [plan::create(true), plan::stop(true)] {
        let end = things.world.play(steps, Network::Gateway, Saboteur::default()).await;
        assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    }
    for role in ["probe", "fill", "verify", "gateway", "login"] {
        things.container(named(&format!("our-{role}")), &things.labels(&[(ROLE, role)])).await;
        let of_another = [(ROLE.to_owned(), role.to_owned()), (INSTALLATION.to_owned(), "another".to_owned())];
        things.container(named(&format!("their-{role}")), &of_another).await;
    }
    things.container(named("nobodys"), &[]).await;
    let mut expected: Names = ["probe", "fill", "verify", "gateway", "login"].map(|role| format!("our-{role}")).into();
    expected.insert(format!("boxwood-{}", things.world.identity().id));
    let listed = things.listed(Extent::Unused).await;
    let networks = |name: &String| name.starts_with("boxwood-egress-");
    assert_eq!(listed.iter().filter(|name| networks(name)).count(), 1, "no gateway is left that needs it");
    let containers: Names = listed.into_iter().filter(|name| !networks(name) && !name.contains(':')).collect();
    assert_eq!(containers, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_listed_when_they_are_ours_and_nobody_uses_them() {
    let things = Things::new().await;
    let own = things.labels(&[(ROLE, "runtime")]);
    let theirs = [(OWNER.to_owned(), "4242".to_owned()), (ROLE.to_owned(), "runtime".to_owned())];
    let other = things.labels(&[(ROLE, "another")]);
    let sandboxs = [(ROLE.to_owned(), "sandbox".to_owned()), (INSTALLATION.to_owned(), "another".to_owned())];
    let all = [
        ("old", &own[..]),
        ("used", &own),
        ("of-a-sandbox", &own),
        ("theirs", &theirs),
        ("other", &other),
        ("no", &[]),
    ];
    for (name, labels) in all {
        things.engine().await.create_volume(name, labels).await.expect("made");
    }
    things.container(mounting("stranger", "used"), &[]).await;
    things.container(mounting("anothers-sandbox", "of-a-sandbox"), &sandboxs).await;
    // The container goes first, and then nobody uses its volume any more.
    things.engine().await.create_volume("filled", &own).await.expect("made");
    things.container(mounting("our-fill", "filled"), &things.labels(&[(ROLE, "fill")])).await;
    assert_eq!(things.listed(Extent::Unused).await, ["filled", "old", "our-fill"].map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_listed_when_they_are_ours_and_nobody_uses_them() {
    let things = Things::new().await;
    let of = |role: &str, version: &str| things.labels(&[(ROLE, role), (VERSION, version)]);
    let theirs = [(OWNER, "4242"), (ROLE, "image"), (VERSION, "0.0.0")];
    let theirs = theirs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let goes = [
        ("boxwood-agent:old", of("image", "0.0.0")),
        ("boxwood-project:of-nobody", of("project-image", NOW)),
        ("boxwood-tools:old", of("tools", "0.0.0")),
        ("boxwood-gateway:other", of("gateway-image", NOW)),
        ("boxwood-agent:named-twice", of("image", "0.0.1")),
    ];
    let stays = [
        ("boxwood-agent:now", of("image", NOW)),
        ("boxwood-tools:now", of("tools", NOW)),
        ("boxwood-agent:used", of("image", "0.0.2")),
        ("somebodys:upon-ours", of("image", "0.0.3")),
        ("somebodys:named-twice", of("image", "0.0.1")),
        ("boxwood-agent:theirs", theirs.to_vec()),
        ("boxwood-agent:without-labels", Vec::new()),
    ];
    for (name, labels) in goes.iter().chain(&stays) {
        things.image(name, labels);
    }
    for image in ["boxwood-agent:used", "somebodys:named-twice"] {
        let name = image.replace(':', "-");
        things.container(ContainerSpec { image: image.to_owned(), ..named(&name) }, &[]).await;
    }
    let mut expected: Names = goes.into_iter().map(|(name, _)| name.to_owned()).collect();
    expected.insert(things.nameless(&of("image", NOW)));
    expected.insert(things.nameless(&of("layer", NOW)));
    let _ = things.nameless(&[(ROLE.to_owned(), "layer".to_owned()), (OWNER.to_owned(), "4242".to_owned())]);
    assert_eq!(things.listed(Extent::Unused).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_are_listed_when_they_are_ours_and_nobody_is_on_them() {
    let things = Things::new().await;
    let of_another = [(INSTALLATION.to_owned(), "another".to_owned()), (SANDBOX.to_owned(), "gone".to_owned())];
    things.network("boxwood-gone", &things.labels(&[(SANDBOX, "gone")])).await;
    things.network("for-all", &things.labels(&[])).await;
    things.network("boxwood-in-use", &things.labels(&[(SANDBOX, "in-use")])).await;
    things.network("of-another", &of_another).await;
    things.network("nobodys", &[]).await;
    let stranger = things.container(ContainerSpec { network: NetworkMode::None, ..named("stranger") }, &[]).await;
    let engine = things.engine().await;
    engine.connect_network("boxwood-in-use", &stranger, None).await.expect("connected");
    engine.start_container(&stranger).await.expect("started");
    assert_eq!(things.listed(Extent::Unused).await, ["boxwood-gone", "for-all"].map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_ours_is_listed_whether_it_runs_or_not() {
    let things = Things::new().await;
    let end = things.world.play(plan::create(true), Network::Gateway, Saboteur::default()).await;
    assert_eq!(end.outcome, OutcomeKind::Ok, "{:?}", end.error);
    things.image("boxwood-agent:now", &things.labels(&[(ROLE, "image"), (VERSION, NOW)]));
    things.container(named("stranger"), &[]).await;
    let before = things.names();
    let listed = things.listed(Extent::Everything).await;
    assert!(listed.contains(&format!("boxwood-{}", things.world.identity().id)), "{listed:?}");
    assert!(listed.contains("boxwood-agent:now") && listed.iter().any(|name| name.starts_with("boxwood-egress-")));
    let stays = ["stranger", "debian:bookworm-slim", "boxwood-runtime-test"];
    assert_eq!(things.names(), stays.map(str::to_owned).into(), "of {before:?}");
}
